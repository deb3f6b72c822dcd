"""Measure the drift of features: effect sizes of the difference between month and reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from toytip.core.arrays import Float32Array, Float64Array, Int64Array
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.tables import HISTOGRAM_VALUE_SCALE
from toytip.monitoring import effect_sizes
from toytip.stages import profile

# A category is new if it has at least this share of the trips in the month, and no trips in the
# reference. A category has vanished if it has at least this share of the trips in the reference,
# and no trips in the month. A smaller category can change a share of all trips by at most 0.01.
MIN_CATEGORY_SHARE = 0.01
# Effect sizes need at least this many trips with a value, in the month and in the reference.
MIN_DRIFT_TRIPS = 200
# Minimum margins of a reference range around the mean rate: relative to the mean, and absolute.
# With only one or two reference months, the differences between months are hardly known. A change
# that affects one trip in a hundred is not urgent.
MIN_RELATIVE_MARGIN = 0.5
MIN_ABSOLUTE_MARGIN = 0.01
# Margin of a reference range, in standard deviations of the monthly rates.
RANGE_DEVIATIONS = 3


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """Drift of a feature between the reference and a month."""

    feature: str
    """Name of the feature."""
    psi: float | None = None
    """Population stability index. Null if the month or the reference has fewer than 200 trips with
    a value."""
    ks: float | None = None
    """Kolmogorov-Smirnov statistic. Null for categorical features, and if `psi` is null."""
    wasserstein: float | None = None
    """Wasserstein distance in robust standard deviations of the reference. Null for categorical
    features, and if `psi` is null."""
    distance: float | None = None
    """Wasserstein distance in the unit of the feature. Null if `wasserstein` is null."""
    mean: float | None = None
    """Mean of the feature in the month. Null if `psi` is null."""
    reference_mean: float | None = None
    """Mean of the feature in the reference. Null if `psi` is null."""
    missing: float
    """Share of trips in the month that have no value of the feature."""
    reference_missing: float
    """Share of trips in the reference that have no value of the feature."""
    new: dict[str, float]
    """New categories, which do not occur in the reference, with their share of the trips in the
    month."""
    vanished: dict[str, float]
    """Vanished categories, which do not occur in the month, with their share of the trips in the
    reference."""


class FeatureHistogram(NamedTuple):
    """The number of trips by value of a feature.

    `values` are in ascending order, and `trips` has the number of trips of each value. `value_sum`
    is the sum of the feature over all trips.
    """

    values: Float64Array
    trips: Int64Array
    missing_count: int
    value_sum: float
    is_unordered: bool = False
    """Whether the values are categories. Distances between such values are not defined."""

    @property
    def rows(self) -> int:
        """The number of trips, including trips without a value."""
        return int(self.trips.sum()) + self.missing_count

    @property
    def missing_share(self) -> float:
        """The share of trips without a value, or 1 if there are no trips."""
        return self.missing_count / self.rows if self.rows else 1.0

    @property
    def mean(self) -> float:
        """The mean of the feature over the trips with a value."""
        return self.value_sum / int(self.trips.sum())


EMPTY_HISTOGRAM = FeatureHistogram(np.empty(0), np.empty(0, np.int64), 0, 0.0)


@dataclass(frozen=True)
class ReferenceRange:
    """The range in which a rate counts as normal, and the mean rate over the reference months."""

    low: float
    high: float
    mean: float

    def distance_outside(self, rate: float) -> float:
        """Return the distance of a rate from the range, which is 0 inside the range."""
        return max(self.low - rate, rate - self.high, 0.0)


def reference_range(rates: Sequence[float]) -> ReferenceRange:
    """Return the range around the mean of the monthly rates, plus and minus a margin.

    The margin is the largest of these values: three standard deviations, half of the mean, 0.01.
    """
    mean = float(np.mean(rates))
    std = float(np.std(rates, ddof=1)) if len(rates) > 1 else 0.0
    margin = max(RANGE_DEVIATIONS * std, MIN_RELATIVE_MARGIN * mean, MIN_ABSOLUTE_MARGIN)
    return ReferenceRange(max(mean - margin, 0.0), min(mean + margin, 1.0), mean)


def histograms_by_feature(
    frame: pd.DataFrame, dataset: Dataset, segment: str = ALL_ROWS
) -> dict[str, FeatureHistogram]:
    """Return the histogram of each feature for a segment, from rows of `feature_histograms`."""
    rows = frame if segment == ALL_ROWS else frame[frame["in_segment"]]
    rows = rows[~rows["feature"].isin(profile.CHECK_HISTOGRAMS)]
    codes, names = pd.factorize(rows["feature"])
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(names) + 1))
    columns = [rows[name].to_numpy()[order] for name in ("value", "trips", "value_sum")]
    return {
        str(name): _histogram(*(column[start:stop] for column in columns))._replace(
            is_unordered=name in dataset.monitoring.unordered
        )
        for name, (start, stop) in zip(names, pairwise(ends.tolist()), strict=True)
    }


def measure_drift(
    reference: Mapping[str, FeatureHistogram], month: Mapping[str, FeatureHistogram]
) -> list[FeatureDrift]:
    """Return the drift of each feature that the reference has."""
    return [
        _measure_feature_drift(name, histogram, month.get(name, EMPTY_HISTOGRAM))
        for name, histogram in reference.items()
    ]


def _histogram(values: Float32Array, trips: Int64Array, totals: Int64Array) -> FeatureHistogram:
    has_value = ~np.isnan(values)
    distinct, index = np.unique(values[has_value].astype(np.float64), return_inverse=True)
    counts = np.zeros(len(distinct), np.int64)
    np.add.at(counts, index, trips[has_value])
    value_sum = int(totals.sum()) / HISTOGRAM_VALUE_SCALE
    return FeatureHistogram(distinct, counts, int(trips[~has_value].sum()), value_sum)


def _measure_feature_drift(name: str, reference: FeatureHistogram, month: FeatureHistogram) -> FeatureDrift:
    drift = FeatureDrift(
        feature=name,
        missing=month.missing_share,
        reference_missing=reference.missing_share,
        new={},
        vanished={},
    )
    values, expected, actual = _align(reference, month)
    if min(expected.sum(), actual.sum()) < MIN_DRIFT_TRIPS:
        return drift
    drift = replace(drift, mean=month.mean, reference_mean=reference.mean)
    if reference.is_unordered:
        return replace(
            drift,
            psi=effect_sizes.psi(*effect_sizes.merge_rare(expected, actual)),
            new=_exclusive_shares(values, actual, expected),
            vanished=_exclusive_shares(values, expected, actual),
        )
    clipped, std = effect_sizes.clip_outliers(values, expected)
    distance = effect_sizes.wasserstein(clipped, expected, actual)
    return replace(
        drift,
        psi=effect_sizes.psi(*effect_sizes.quantile_groups(expected, actual)),
        ks=effect_sizes.ks(expected, actual),
        wasserstein=distance / std,
        distance=distance,
    )


def _align(a: FeatureHistogram, b: FeatureHistogram) -> tuple[Float64Array, Int64Array, Int64Array]:
    """Return the values of both histograms in ascending order, and the trips of each histogram."""
    values = np.union1d(a.values, b.values)
    counts = np.zeros((2, len(values)), np.int64)
    for row, histogram in zip(counts, (a, b), strict=True):
        row[np.searchsorted(values, histogram.values)] = histogram.trips
    return values, counts[0], counts[1]


def _exclusive_shares(values: Float64Array, counts: Int64Array, other_counts: Int64Array) -> dict[str, float]:
    """Return the categories that have trips in `counts` only, with their share of these trips."""
    shares = counts / counts.sum()
    exclusive = (other_counts == 0) & (shares >= MIN_CATEGORY_SHARE)
    return {
        f"{value:g}": float(share) for value, share in zip(values[exclusive], shares[exclusive], strict=True)
    }
