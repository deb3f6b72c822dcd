"""Arrange the feature histograms of several months in arrays with one column per value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from toytip.core.arrays import Float64Array, Int64Array


@dataclass(frozen=True, kw_only=True)
class MonthSummary:
    """All data about a month that the data check uses. The check reads no trips."""

    histograms: pd.DataFrame
    """Merged `feature_histograms` of all partitions of the month."""
    rows: int
    """Number of rows in the file of the month."""
    rejects: Mapping[str, int]
    """Number of rejected rows by reason."""

    @property
    def kept_rows(self) -> int:
        """The number of kept trips."""
        return self.rows - sum(self.rejects.values())


class FeatureCounts(NamedTuple):
    """The number of trips of several months by value of a feature.

    `values` are in ascending order. `other` and `segment` have a row for each month and a column
    for each value. `missing` is the number of trips of each month that have no value.
    """

    values: Float64Array
    other: Int64Array
    segment: Int64Array
    missing: Int64Array

    @property
    def trips(self) -> Int64Array:
        """The number of trips in the segment and other trips, by month and value."""
        return np.asarray(self.other + self.segment)


def count_features(months: Sequence[MonthSummary]) -> dict[str, FeatureCounts]:
    """Return the counts of each feature, in the order of the months."""
    rows = pd.concat([month.histograms for month in months], ignore_index=True)
    month = np.repeat(np.arange(len(months)), [len(month.histograms) for month in months])
    codes, names = pd.factorize(rows["feature"], sort=True)
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(names) + 1))
    columns = [column[order] for column in (month, *(rows[name].to_numpy() for name in _COLUMNS))]
    return {
        str(name): _arrange(len(months), *(column[start:stop] for column in columns))
        for name, (start, stop) in zip(names, pairwise(ends.tolist()), strict=True)
    }


_COLUMNS = ("in_segment", "value", "trips")


def _arrange(
    months: int, month: Int64Array, in_segment: Int64Array, value: Float64Array, trips: Int64Array
) -> FeatureCounts:
    has_value = ~np.isnan(value)
    values, index = np.unique(value[has_value].astype(np.float64), return_inverse=True)
    counts = np.zeros((2, months, len(values)), np.int64)
    np.add.at(counts, (in_segment[has_value].astype(np.int64), month[has_value], index), trips[has_value])
    missing = np.zeros(months, np.int64)
    np.add.at(missing, month[~has_value], trips[~has_value])
    return FeatureCounts(values, counts[0], counts[1], missing)
