"""profile: `features` -> `profiles`: how often every feature has about each value. What drift is told from.

A profile is counts and whole-number sums in bins that are fixed beforehand, the same for all months and versions: profiles
merge exactly, in any order, and no row has to be read again.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.schema import PROFILES
from toytip.splits import CARD

NO_FEATURES = ("trip_id", "pickup_at", "high_tip")
# A bin holds the numbers that are alike to 9 significant bits: whole numbers up to 512, zones among them, are told exactly,
# amounts to 0.4 %. A float's leading bits are its bin.
DROPPED = np.uint32(15)
BINS = 1 << 17
MISSING = np.uint32(0x7FC00000) >> DROPPED
# Sums are kept in units of 1/1024; what is beyond a million counts as a million, as one mistyped fare would be all of them.
UNIT = 1024
LARGEST = float(1 << 20)

Codes = npt.NDArray[np.int64]


def profile(features: pd.DataFrame) -> pd.DataFrame:
    """Return `profiles` of `features`, of card trips and the others apart, in a fixed order."""
    card = (features["payment_type"] == CARD).to_numpy()
    names = [name for name in features.columns if name not in NO_FEATURES]
    return merge([_count(name, features[name], card) for name in names])


def _count(name: str, values: pd.Series, card: npt.NDArray[np.bool_]) -> pd.DataFrame:
    plain = values.to_numpy(dtype=np.float32) + np.float32(0)  # -0.0 and 0.0 are one value
    missing = np.isnan(plain)
    bins = np.where(missing, MISSING, plain.view(np.uint32) >> DROPPED)
    place = bins.astype(np.int64) * 2 + card
    amounts = np.where(missing, 0, np.clip(plain, -LARGEST, LARGEST)).astype(np.float64)
    trips = np.bincount(place, minlength=2)
    totals = np.bincount(place, weights=np.rint(amounts * UNIT), minlength=2)
    found = np.flatnonzero(trips)
    return pd.DataFrame(
        {
            "feature": pd.Series([name] * len(found), dtype="str"),
            "card": (found & 1).astype(bool),
            "value": ((found >> 1).astype(np.uint32) << DROPPED).view(np.float32),
            "trips": trips[found],
            "total": totals[found].astype(np.int64),
        }
    )


def merge(profiles: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the profile of all the trips of some profiles; associative and commutative, exactly. Of none it is empty."""
    whole = pd.concat([PROFILES.empty(), *profiles], ignore_index=True)
    summed = whole.groupby(["feature", "card", "value"], dropna=False, as_index=False)[
        ["trips", "total"]
    ].sum()
    return PROFILES.check(summed[PROFILES.names])
