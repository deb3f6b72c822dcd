"""drift: `profiles` of a reference and of a month -> how far each feature has moved, in effect sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip import effects

# Features whose values are names, not amounts: there is no way from one to the next, so no distance either. Any other
# feature is taken for a number.
CATEGORIES = (
    "VendorID",
    "trip_type",
    "RatecodeID",
    "payment_type",
    "PULocationID",
    "DOLocationID",
    "work_hours",
    "pickup_weekday",
)
UNIT = 1024
# A category is new, or has vanished, where it has at least this share of the trips on one side and none on the other: what
# concerns fewer than one trip in a hundred cannot move a metric of all by more than 0.01.
SEEN = 0.01
# With fewer trips than this a month is too small to tell a distribution.
FEWEST = 200


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How a feature has moved between a reference and a month.

    `wasserstein` is in units of the reference's spread, `distance` in the feature's own; both and `ks` are None for
    categories. `new` and `vanished` are values, with the share of the trips that have, or had, them. None where either
    side has too few values.
    """

    feature: str
    psi: float | None = None
    ks: float | None = None
    wasserstein: float | None = None
    distance: float | None = None
    mean: float | None = None
    reference_mean: float | None = None
    missing: float
    reference_missing: float
    new: dict[str, float]
    vanished: dict[str, float]


def drift(reference: pd.DataFrame, month: pd.DataFrame, population: str = "all") -> list[Drift]:
    """Return for every feature how far the month's trips of a population are from the reference's."""
    sides = [_of(profiles, population) for profiles in (reference, month)]
    names = sides[0]["feature"].drop_duplicates().tolist()
    by_name = [dict(tuple(side.groupby("feature"))) for side in sides]
    return [_drift(name, by_name[0][name], by_name[1].get(name, sides[1].iloc[:0])) for name in names]


def missing(profiles: pd.DataFrame, population: str = "all") -> dict[str, float]:
    """Return the share of trips that lack each feature."""
    trips = _of(profiles, population)
    lacking = trips["trips"].where(trips["value"].isna(), 0)
    shares = lacking.groupby(trips["feature"]).sum() / trips.groupby("feature")["trips"].sum()
    return {str(name): float(share) for name, share in shares.items()}


def trips_of(profiles: pd.DataFrame, population: str = "all") -> int:
    """Return how many trips of a population some profiles are of."""
    trips = _of(profiles, population)
    return int(trips.groupby("feature")["trips"].sum().max()) if len(trips) else 0


def _of(profiles: pd.DataFrame, population: str) -> pd.DataFrame:
    return profiles[profiles["card"]] if population == "card" else profiles


def _drift(name: str, reference: pd.DataFrame, month: pd.DataFrame) -> Drift:
    values, expected, actual = _aligned(reference, month)
    lacking = [_missing(side) for side in (reference, month)]
    told = Drift(feature=name, missing=lacking[1], reference_missing=lacking[0], new={}, vanished={})
    if min(expected.sum(), actual.sum()) < FEWEST:
        return told
    told = replace(told, mean=_mean(month), reference_mean=_mean(reference))
    if name in CATEGORIES:
        return replace(
            told,
            psi=effects.psi(*effects.common(expected, actual)),
            new=_only(values, actual, expected),
            vanished=_only(values, expected, actual),
        )
    reached, wide = effects.within_reach(values, expected)
    distance = effects.wasserstein(reached, expected, actual)
    return replace(
        told,
        psi=effects.psi(*effects.groups(expected, actual)),
        ks=effects.ks(expected, actual),
        wasserstein=distance / wide,
        distance=distance,
    )


def _aligned(
    reference: pd.DataFrame, month: pd.DataFrame
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return all the values that there are, in order, and how many trips of each side have them."""
    sides = [side.dropna(subset="value").groupby("value")["trips"].sum() for side in (reference, month)]
    both = pd.concat(sides, axis=1).fillna(0).sort_index()
    counts = both.to_numpy(np.int64)
    return both.index.to_numpy(np.float64), counts[:, 0], counts[:, 1]


def _missing(side: pd.DataFrame) -> float:
    trips = int(side["trips"].sum())
    return float(side["trips"][side["value"].isna()].sum() / trips) if trips else 1.0


def _mean(side: pd.DataFrame) -> float:
    known = side.dropna(subset="value")
    return float(known["total"].sum() / UNIT / known["trips"].sum())


def _only(
    values: npt.NDArray[np.float64], here: npt.NDArray[np.int64], there: npt.NDArray[np.int64]
) -> dict[str, float]:
    shares = here / here.sum()
    found = (there == 0) & (shares >= SEEN)
    return {f"{value:g}": float(share) for value, share in zip(values[found], shares[found], strict=True)}


@dataclass(frozen=True)
class Band:
    """Between which rates a month is like the reference's months."""

    low: float
    high: float
    mean: float

    def outside(self, rate: float) -> float:
        """Return by how much a rate is outside of the band; 0 inside."""
        return max(self.low - rate, rate - self.high, 0.0)


# A band is at least so wide around the mean, as a share of it and as a rate: one or two months of reference tell little of how
# months differ, and what concerns one trip in a hundred can wait.
SHARE_OF_MEAN = 0.5
LEAST = 0.01
DEVIATIONS = 3


def band(rates: Sequence[float]) -> Band:
    """Return the band of the reference's monthly rates: their mean and three deviations, half of the mean, or 1 % at least."""
    mean = float(np.mean(rates))
    deviation = float(np.std(rates, ddof=1)) if len(rates) > 1 else 0.0
    margin = max(DEVIATIONS * deviation, SHARE_OF_MEAN * mean, LEAST)
    return Band(max(mean - margin, 0.0), min(mean + margin, 1.0), mean)
