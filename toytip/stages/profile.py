"""Count the values of `features` in `feature_histograms`, for monitoring and for the data check.

A histogram has trip counts and integer sums in fixed bins. The bins are the same for all months and
versions. Histograms merge exactly, in any order, so that no row must be read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BoolArray, Float32Array, Int64Array
from toytip.core.columns import columns_of
from toytip.core.dataset.dataset import Dataset
from toytip.core.tables import FEATURE_HISTOGRAMS, HISTOGRAM_VALUE_SCALE

# Histograms that only the data check uses. They are not features, and have no drift.
CHECK_HISTOGRAMS = ("label", "day_of_month", "trip_hash")
# Equal trips have equal hashes. Each whole number from -511 to 512 has a bin of its own.
HASH_BITS = 10
GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)  # in units of 2^-64, as in Fibonacci hashing
# The leading bits of a float are its bin. The values in a bin agree in 9 significant bits. Whole
# numbers up to 512, for example zones, are exact. The error of amounts is at most 0.4 %.
DROPPED_BITS = np.uint32(15)
LOW_BITS_MASK = np.uint32((1 << 15) - 1)
# A larger value counts as this value (about a million) in sums. Without this limit, one mistyped
# fare would dominate the sum.
MAX_SUMMED_VALUE = np.float32(1 << 20)


def profile(features: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """Return the `feature_histograms` of `features`, separately inside and outside of the segment.

    The rows are sorted by feature, segment and value, with missing values last.
    """
    in_segment = dataset.segment_mask(columns_of(features)).astype(np.uint32)
    time, keys = features[dataset.time_column], ("trip_id", dataset.time_column)
    counted = {name: features[name] for name in features.columns if name not in keys}
    counted["label"] = counted.pop(dataset.label.name)
    counted |= {
        "day_of_month": time.dt.day,
        "trip_hash": _trip_hash(features, dataset),
    }
    names = sorted(counted)
    histograms = [_count_bins(counted[name], in_segment) for name in names]
    feature = np.repeat(np.array(names, dtype=object), [len(columns.value) for columns in histograms])
    columns = _HistogramColumns(*map(np.concatenate, zip(*histograms, strict=True)))
    scale = np.full(len(feature), HISTOGRAM_VALUE_SCALE, np.int32)
    return FEATURE_HISTOGRAMS.validate(
        pd.DataFrame({"feature": pd.Series(feature, dtype="str"), **columns._asdict(), "value_scale": scale})
    )


def _trip_hash(features: pd.DataFrame, dataset: Dataset) -> pd.Series:
    """Return the bucket of each trip. Repeated trips make the counts of the buckets less even."""
    mixed = features[dataset.time_column].to_numpy(copy=True).view(np.uint64)
    for name in dataset.hash_columns:
        mixed ^= features[name].to_numpy().view(np.uint32)
        mixed *= GOLDEN_RATIO
    bucket = mixed >> np.uint64(64 - HASH_BITS)
    return pd.Series(bucket.astype(np.float32) - np.float32((1 << HASH_BITS) // 2 - 1), index=features.index)


class _HistogramColumns(NamedTuple):
    in_segment: BoolArray
    value: Float32Array
    trips: Int64Array
    value_sum: Int64Array


def _count_bins(values: pd.Series, in_segment: npt.NDArray[np.uint32]) -> _HistogramColumns:
    numbers = values.to_numpy(dtype=np.float32) + np.float32(0)  # a copy, in which -0.0 becomes 0.0
    missing = np.isnan(numbers)
    if missing.any():
        numbers[missing] = np.nan  # one bit pattern for all NaNs
    bits = numbers.view(np.uint32)
    # The lowest bit of a cell is the segment flag. The other bits are the bin.
    row_cell = (bits >> DROPPED_BITS << np.uint32(1)) | in_segment
    if (bits & LOW_BITS_MASK).any():
        counts = np.bincount(row_cell)
        cell = np.flatnonzero(counts)
        trips, sums = counts[cell], np.bincount(row_cell, weights=_scale_values(numbers))[cell]
        value = _bin_values(cell)
    else:  # each bin has one value (zones, hours, flags), and sorting is faster than a pass over all bins
        cell, trips = np.unique(row_cell, return_counts=True)
        value = _bin_values(cell)
        sums = trips * _scale_values(value).astype(np.float64)
    order = np.lexsort((value, cell & 1))
    value_sum = np.where(np.isnan(value), 0, sums).astype(np.int64)
    return _HistogramColumns((cell[order] & 1).astype(bool), value[order], trips[order], value_sum[order])


def _bin_values(cell: npt.NDArray[np.integer]) -> Float32Array:
    """Return the value that represents the bin of each cell."""
    values: Float32Array = ((cell >> 1).astype(np.uint32) << DROPPED_BITS).view(np.float32)
    return values


def _scale_values(values: Float32Array) -> Float32Array:
    """Return values in the unit of the sums. Scaling by a power of two is exact in float32."""
    clipped = np.clip(values, -MAX_SUMMED_VALUE, MAX_SUMMED_VALUE)
    return np.asarray(np.rint(clipped * np.float32(HISTOGRAM_VALUE_SCALE)), np.float32)


def merge_profiles(profiles: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the sum of several `feature_histograms`. The merge is exact, in any order."""
    parts = list(profiles)
    if len(parts) == 1:
        return FEATURE_HISTOGRAMS.validate(parts[0])
    rows = pd.concat([FEATURE_HISTOGRAMS.empty(), *parts], ignore_index=True)
    key = ["feature", "in_segment", "value", "value_scale"]
    merged = rows.groupby(key, dropna=False, as_index=False)[["trips", "value_sum"]].sum()
    return FEATURE_HISTOGRAMS.validate(merged[FEATURE_HISTOGRAMS.names])
