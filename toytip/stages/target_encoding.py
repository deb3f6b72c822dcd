"""Target encoding: shares of positive labels among earlier trips with the same keys, as features.

The rates of a month are computed from earlier training months only, so that no label leaks into its
own month. Trips after the last training month use the rates of all training months.
"""

from __future__ import annotations

import base64
import zlib
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BoolArray, Float32Array, Int64Array
from toytip.core.columns import Columns, columns_of
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import TargetEncoding, group_count, group_index
from toytip.core.model import FeatureEncoding
from toytip.core.times import month_index

# Rates have bins of equal width, which need no second pass over the rows to fit them.
RATE_BINS = 250
# Smoothing adds this number of trips, which have the overall rate, to each group.
RATE_SMOOTHING = 20
# Integers are counted in an array if their range is at most this many times the number of rows.
DENSE_RANGE_FACTOR = 8


class LabeledCounts(NamedTuple):
    """Distinct values in order, with the number of trips and of positive trips of each value."""

    distinct: npt.NDArray[Any]
    trips: Int64Array
    positives: Int64Array

    @classmethod
    def empty(cls, dtype: type[np.generic] = np.int64) -> LabeledCounts:
        """Return counts of no trips."""
        return cls(np.empty(0, dtype), np.empty(0, np.int64), np.empty(0, np.int64))

    def merge(self, other: LabeledCounts) -> LabeledCounts:
        """Return the counts of both sets of trips. The merge is exact, in any order."""
        values, index = np.unique(np.concatenate([self.distinct, other.distinct]), return_inverse=True)
        trips, positives = np.zeros((2, len(values)), np.int64)
        np.add.at(trips, index, np.concatenate([self.trips, other.trips]))
        np.add.at(positives, index, np.concatenate([self.positives, other.positives]))
        return LabeledCounts(values, trips, positives)


def count_labeled(values: npt.NDArray[Any], label: BoolArray) -> LabeledCounts:
    """Count the trips and the positive trips of each distinct integer."""
    # Value and label are combined in one number, so that one pass counts both. If the range of the
    # numbers is not much larger than the number of rows, counting in an array is several times
    # faster than sorting.
    labeled = values.astype(np.int64) * 2 + label
    low = int(labeled.min()) & -2 if len(labeled) else 0
    if len(labeled) and int(labeled.max()) - low < DENSE_RANGE_FACTOR * len(labeled):
        counts = np.bincount(labeled - low)
        by_label = np.append(counts, np.zeros(len(counts) % 2, np.int64)).reshape(-1, 2)
        index = np.flatnonzero(by_label.any(axis=1))
        return LabeledCounts(
            (index + low // 2).astype(values.dtype), by_label[index].sum(axis=1), by_label[index, 1]
        )
    numbers, counts = np.unique(labeled, return_counts=True)
    distinct, first = np.unique(numbers >> 1, return_index=True)
    positive_counts = np.where(numbers & 1, counts, 0)
    trips, positives = (
        np.add.reduceat(column, first) if len(first) else column for column in (counts, positive_counts)
    )
    return LabeledCounts(distinct.astype(values.dtype), trips.astype(np.int64), positives.astype(np.int64))


def count_months_and_keys(features: pd.DataFrame, dataset: Dataset) -> LabeledCounts:
    """Count rows by month and keys, combined in one integer (the cell index)."""
    rows = features if dataset.segment is None else features[dataset.segment_mask(columns_of(features))]
    columns, keys = columns_of(rows), dataset.encoding_keys
    cell_index = month_index(columns[dataset.time_column]) * group_count(keys) + group_index(columns, keys)
    return count_labeled(cell_index, columns[dataset.label.name])


def pack_counts(cell_index: Int64Array, trips: Int64Array, positives: Int64Array) -> str:
    """Return counts by cell as compressed text, which a model stores.

    The text contains the differences between consecutive cell indexes, which compress better.
    """
    table = np.stack([np.diff(cell_index, prepend=0), trips, positives])
    return base64.b64encode(zlib.compress(table.astype("<i8").tobytes(), 9)).decode()


@lru_cache(maxsize=8)
def _unpack_counts(packed: str) -> LabeledCounts:
    content = np.frombuffer(zlib.decompress(base64.b64decode(packed)), "<i8").reshape(3, -1)
    return LabeledCounts(np.cumsum(content[0]), content[1], content[2])


def counts_by_first_key(packed: str, target_encoding: TargetEncoding) -> tuple[Int64Array, Int64Array]:
    """Return the trips and the positive trips of the training months, by value of the first key."""
    (first, *others), (cell_index, trips, positives) = target_encoding.keys, _unpack_counts(packed)
    value = cell_index // group_count(others) % first.size
    trips_by_value, positives_by_value = (
        np.bincount(value, counts, first.size).astype(np.int64) for counts in (trips, positives)
    )
    return trips_by_value, positives_by_value


@lru_cache(maxsize=64)
def _rates_as_of(packed: str, month: int, target_encoding: TargetEncoding) -> dict[str, Float32Array] | None:
    """Return the rates at the start of a month, from earlier months (None without trips)."""
    cell_index, trips, positives = _unpack_counts(packed)
    keys, cells = target_encoding.keys, group_count(target_encoding.keys)
    earlier = cell_index // cells < month
    if not trips[earlier].sum():
        return None
    all_trips, all_positives = (
        np.bincount(cell_index[earlier] % cells, counts[earlier].astype(np.float64), cells).reshape(
            [key.size for key in keys]
        )
        for counts in (trips, positives)
    )
    mean_rate = all_positives.sum() / all_trips.sum()
    rates = {}
    for rate in target_encoding.rates:
        others = tuple(axis for axis, key in enumerate(keys) if key.column not in rate.needs)
        rates[rate.name] = _smoothed_rate(
            all_trips.sum(axis=others), all_positives.sum(axis=others), mean_rate
        )
    return rates


def _smoothed_rate(trips: npt.NDArray[Any], positives: npt.NDArray[Any], mean_rate: float) -> Float32Array:
    rate = (positives + RATE_SMOOTHING * mean_rate) / (trips + RATE_SMOOTHING)
    return np.asarray(rate.astype(np.float32).ravel())


def lookup_rates(
    features: Columns, packed: str, names: tuple[str, ...], dataset: Dataset
) -> dict[str, Float32Array]:
    """Return the rates of each trip at the start of its month (NaN without earlier trips)."""
    target_encoding = dataset.target_encoding
    if not names or target_encoding is None:
        return {}
    cells = {
        rate.name: group_index(features, [key for key in target_encoding.keys if key.column in rate.needs])
        for rate in target_encoding.rates
    }
    month = month_index(features[dataset.time_column])
    last_month = _last_month(packed, group_count(target_encoding.keys))
    rates = {name: np.full(len(month), np.nan, np.float32) for name in names}
    for index in np.unique(month).tolist():
        table = _rates_as_of(packed, min(index, last_month + 1), target_encoding)
        rows = month == index
        for name in names if table is not None else ():
            rates[name][rows] = table[name][cells[name][rows]]  # type: ignore[index]
    return rates


@lru_cache(maxsize=8)
def _last_month(packed: str, cells: int) -> int:
    cell_index = _unpack_counts(packed).distinct
    return int(cell_index[-1] // cells) if len(cell_index) else 0


def rate_encoding(name: str) -> FeatureEncoding:
    """Return the bins of a rate: intervals of equal width from 0 to 1."""
    edges = (np.arange(1, RATE_BINS) / RATE_BINS).astype(np.float32)
    return FeatureEncoding(name=name, exact=False, values=tuple(edges.tolist()))
