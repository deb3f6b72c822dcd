"""drift: `feature_histograms` of a reference and of a month -> how far each feature has moved, in effect sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import Int64Array
from toytip.core.tables import HISTOGRAM_VALUE_SCALE
from toytip.monitoring import effect_sizes

# Features whose values are names, not amounts: there is no way from one to the next, so no distance either. Any other
# feature is taken for a number.
CATEGORICAL_FEATURES = (
    "VendorID",
    "trip_type",
    "RatecodeID",
    "payment_type",
    "PULocationID",
    "DOLocationID",
    "work_hours",
    "pickup_weekday",
)
# A category is new, or has vanished, where it has at least this share of the trips on one side and none on the other: what
# concerns fewer than one trip in a hundred cannot move a metric of all by more than 0.01.
MIN_CATEGORY_SHARE = 0.01
# With fewer trips than this a month is too small to tell a distribution.
MIN_DRIFT_TRIPS = 200


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
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


class FeatureHistogram(NamedTuple):
    """How many trips have each value of a feature, in order; how many lack it; and the sum of the values."""

    values: npt.NDArray[np.float64]
    trips: Int64Array
    missing_count: int
    value_sum: float

    @property
    def rows(self) -> int:
        """All the trips."""
        return int(self.trips.sum()) + self.missing_count

    @property
    def missing_share(self) -> float:
        """The share of trips that lack the feature."""
        return self.missing_count / self.rows if self.rows else 1.0

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return self.value_sum / int(self.trips.sum())


EMPTY_HISTOGRAM = FeatureHistogram(np.empty(0), np.empty(0, np.int64), 0, 0.0)


def histograms_by_feature(profiles: pd.DataFrame, segment: str = "all") -> dict[str, FeatureHistogram]:
    """Return the histogram of every feature, of all trips of some profiles or of those paid by card."""
    rows = profiles[profiles["is_card"]] if segment == "card" else profiles
    codes, names = pd.factorize(rows["feature"])
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(names) + 1))
    columns = [rows[name].to_numpy()[order] for name in ("value", "trips", "value_sum")]
    return {
        str(name): _histogram(*(column[start:stop] for column in columns))
        for name, (start, stop) in zip(names, pairwise(ends.tolist()), strict=True)
    }


def _histogram(values: npt.NDArray[np.float32], trips: Int64Array, totals: Int64Array) -> FeatureHistogram:
    known = ~np.isnan(values)
    found, place = np.unique(values[known].astype(np.float64), return_inverse=True)
    counts = np.zeros(len(found), np.int64)
    np.add.at(counts, place, trips[known])
    return FeatureHistogram(
        found, counts, int(trips[~known].sum()), int(totals.sum()) / HISTOGRAM_VALUE_SCALE
    )


def measure_drift(
    reference: Mapping[str, FeatureHistogram], month: Mapping[str, FeatureHistogram]
) -> list[FeatureDrift]:
    """Return for every feature of the reference how far the month's trips are from it."""
    return [
        _measure_feature_drift(name, told, month.get(name, EMPTY_HISTOGRAM))
        for name, told in reference.items()
    ]


def _measure_feature_drift(name: str, reference: FeatureHistogram, month: FeatureHistogram) -> FeatureDrift:
    told = FeatureDrift(
        feature=name,
        missing=month.missing_share,
        reference_missing=reference.missing_share,
        new={},
        vanished={},
    )
    values, expected, actual = _align(reference, month)
    if min(expected.sum(), actual.sum()) < MIN_DRIFT_TRIPS:
        return told
    told = replace(told, mean=month.mean, reference_mean=reference.mean)
    if name in CATEGORICAL_FEATURES:
        return replace(
            told,
            psi=effect_sizes.psi(*effect_sizes.merge_rare(expected, actual)),
            new=_exclusive_shares(values, actual, expected),
            vanished=_exclusive_shares(values, expected, actual),
        )
    reached, wide = effect_sizes.clip_outliers(values, expected)
    distance = effect_sizes.wasserstein(reached, expected, actual)
    return replace(
        told,
        psi=effect_sizes.psi(*effect_sizes.quantile_groups(expected, actual)),
        ks=effect_sizes.ks(expected, actual),
        wasserstein=distance / wide,
        distance=distance,
    )


def _align(
    a: FeatureHistogram, b: FeatureHistogram
) -> tuple[npt.NDArray[np.float64], Int64Array, Int64Array]:
    """Return all the values that there are, in order, and how many trips of each side have them."""
    values = np.union1d(a.values, b.values)
    counts = np.zeros((2, len(values)), np.int64)
    for side, told in zip(counts, (a, b), strict=True):
        side[np.searchsorted(values, told.values)] = told.trips
    return values, counts[0], counts[1]


def _exclusive_shares(
    values: npt.NDArray[np.float64], counts: Int64Array, other_counts: Int64Array
) -> dict[str, float]:
    shares = counts / counts.sum()
    found = (other_counts == 0) & (shares >= MIN_CATEGORY_SHARE)
    return {f"{value:g}": float(share) for value, share in zip(values[found], shares[found], strict=True)}


@dataclass(frozen=True)
class ReferenceRange:
    """Between which rates a month is like the reference's months."""

    low: float
    high: float
    mean: float

    def distance_outside(self, rate: float) -> float:
        """Return by how much a rate is outside of the band; 0 inside."""
        return max(self.low - rate, rate - self.high, 0.0)


# A band is at least so wide around the mean, as a share of it and as a rate: one or two months of reference tell little of how
# months differ, and what concerns one trip in a hundred can wait.
MIN_RELATIVE_MARGIN = 0.5
MIN_ABSOLUTE_MARGIN = 0.01
RANGE_DEVIATIONS = 3


def reference_range(rates: Sequence[float]) -> ReferenceRange:
    """Return the band of the reference's monthly rates: their mean and three deviations, half of the mean, or 1 % at least."""
    mean = float(np.mean(rates))
    deviation = float(np.std(rates, ddof=1)) if len(rates) > 1 else 0.0
    margin = max(RANGE_DEVIATIONS * deviation, MIN_RELATIVE_MARGIN * mean, MIN_ABSOLUTE_MARGIN)
    return ReferenceRange(max(mean - margin, 0.0), min(mean + margin, 1.0), mean)
