"""profile: `features` -> `feature_histograms`: how often every feature has about each value. What drift is told from.

A profile is counts and whole-number sums in bins that are fixed beforehand, the same for all months and versions: profiles
merge exactly, in any order, and no row has to be read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import Int64Array
from toytip.core.splits import CARD_PAYMENT_TYPE
from toytip.core.tables import FEATURE_HISTOGRAMS, HISTOGRAM_VALUE_SCALE

NON_FEATURE_COLUMNS = ("trip_id", "pickup_at", "high_tip")
# A bin holds the numbers that are alike to 9 significant bits: whole numbers up to 512, zones among them, are told exactly,
# amounts to 0.4 %. A float's leading bits are its bin.
DROPPED_BITS = np.uint32(15)
LOW_BITS_MASK = np.uint32((1 << 15) - 1)
# A value above a million counts as a million, because one mistyped fare would dominate the sum.
MAX_SUMMED_VALUE = np.float32(1 << 20)

HistogramColumns = tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32], Int64Array, Int64Array]


def profile(features: pd.DataFrame) -> pd.DataFrame:
    """Return `feature_histograms` of `features`, of card trips and the others apart, by feature, card and value, null last."""
    card = (features["payment_type"] == CARD_PAYMENT_TYPE).to_numpy().astype(np.uint32)
    names = sorted(name for name in features.columns if name not in NON_FEATURE_COLUMNS)
    counted = [_count_bins(features[name], card) for name in names]
    told = np.repeat(np.array(names, dtype=object), [len(columns[0]) for columns in counted])
    columns = zip(
        ("is_card", "value", "trips", "value_sum"),
        map(np.concatenate, zip(*counted, strict=True)),
        strict=True,
    )
    scale = np.full(len(told), HISTOGRAM_VALUE_SCALE, np.int32)
    return FEATURE_HISTOGRAMS.validate(
        pd.DataFrame({"feature": pd.Series(told, dtype="str"), **dict(columns), "value_scale": scale})
    )


def _count_bins(values: pd.Series, card: npt.NDArray[np.uint32]) -> HistogramColumns:
    plain = values.to_numpy(dtype=np.float32) + np.float32(0)  # a copy, in which -0.0 and 0.0 are one value
    missing = np.isnan(plain)
    if missing.any():
        plain[missing] = np.nan  # one of the many
    bits = plain.view(np.uint32)
    place = (bits >> DROPPED_BITS << np.uint32(1)) | card
    if (bits & LOW_BITS_MASK).any():
        counts = np.bincount(place)
        found = np.flatnonzero(counts)
        trips, totals = counts[found], np.bincount(place, weights=_scale_values(plain))[found]
        about = _bin_values(found)
    else:  # every bin is one value: zones, hours, flags; to sort them takes less than to walk through all bins
        found, trips = np.unique(place, return_counts=True)
        about = _bin_values(found)
        totals = trips * _scale_values(about).astype(np.float64)
    order = np.lexsort((about, found & 1))
    sums = np.where(np.isnan(about), 0, totals).astype(np.int64)
    return (found[order] & 1).astype(bool), about[order], trips[order], sums[order]


def _bin_values(bin_index: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the value that stands for each bin."""
    values: npt.NDArray[np.float32] = ((bin_index >> 1).astype(np.uint32) << DROPPED_BITS).view(np.float32)
    return values


def _scale_values(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return values in units of the sums; in float32 too, to scale by a power of two and to round is exact."""
    return np.asarray(
        np.rint(np.clip(values, -MAX_SUMMED_VALUE, MAX_SUMMED_VALUE) * np.float32(HISTOGRAM_VALUE_SCALE)),
        np.float32,
    )


def merge_profiles(profiles: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the profile of all the trips of some profiles; associative and commutative, exactly. Of none it is empty."""
    given = list(profiles)
    if len(given) == 1:
        return FEATURE_HISTOGRAMS.validate(given[0])
    whole = pd.concat([FEATURE_HISTOGRAMS.empty(), *given], ignore_index=True)
    summed = whole.groupby(["feature", "is_card", "value", "value_scale"], dropna=False, as_index=False)[
        ["trips", "value_sum"]
    ].sum()
    return FEATURE_HISTOGRAMS.validate(summed[FEATURE_HISTOGRAMS.names])
