"""Compute the points of the report's charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from toytip.core.arrays import Float64Array, Int64Array
from toytip.evaluation.report import CalibrationBin
from toytip.evaluation.tally import Tally
from toytip.monitoring.drift import FeatureHistogram
from toytip.report.facts import FeatureDistribution

# More points would not be visible at the size of a chart.
MAX_PICTURE_POINTS = 160
DISTRIBUTION_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# With fewer trips, the share of positive labels is mostly noise.
MIN_SHARE_TRIPS = 50
# Number of category values whose shares a chart shows.
MAX_NAMED_VALUES = 4
PROBABILITY_BARS = 32
# A category value with fewer sampled trips is omitted, unless all values have fewer.
MIN_SHAP_TRIPS = 5

CurvePoints = tuple[list[float], list[float]]


def downsample_curve(x: Float64Array, y: Float64Array) -> CurvePoints:
    """Return at most MAX_PICTURE_POINTS points, evenly spaced along the length of the curve.

    Spacing by length preserves the shape of a steep start.
    """
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    targets = np.linspace(0, length[-1], MAX_PICTURE_POINTS)
    nearest = np.searchsorted(length, targets).clip(0, len(x) - 1)
    index = np.unique(np.append(nearest, [0, len(x) - 1]))
    return x[index].tolist(), y[index].tolist()


def roc_curve(tally: Tally) -> CurvePoints | None:
    """Return the false and true positive rates by threshold, or None if a class has no trips."""
    hits, alarms = (_cumulate_from_top(counts) for counts in (tally.positives, tally.negatives))
    if not hits[-1] or not alarms[-1]:
        return None
    return downsample_curve(alarms / alarms[-1], hits / hits[-1])


def precision_recall_curve(tally: Tally) -> CurvePoints | None:
    """Return recall and precision at every threshold, or None if no label is positive."""
    hits, alarms = (_cumulate_from_top(counts)[1:] for counts in (tally.positives, tally.negatives))
    if not hits[-1]:
        return None
    # The precision of the few trips with the highest probabilities is mostly noise.
    stable = hits + alarms >= min(MIN_SHARE_TRIPS, hits[-1] + alarms[-1])
    return downsample_curve(hits[stable] / hits[-1], hits[stable] / (hits[stable] + alarms[stable]))


def _cumulate_from_top(counts: Int64Array) -> Float64Array:
    return np.concatenate([[0.0], np.cumsum(counts[::-1], dtype=np.float64)])


def calibration_curve(bins: Sequence[CalibrationBin]) -> CurvePoints:
    """Return the predicted and the observed share of positive labels by calibration bin.

    Bins with fewer than MIN_SHARE_TRIPS trips are omitted, unless all bins have fewer.
    """
    drawn = [item for item in bins if item.trips >= MIN_SHARE_TRIPS] or bins
    return [item.predicted for item in drawn], [item.observed for item in drawn]


def probability_histogram(tally: Tally) -> tuple[list[int], list[int]]:
    """Return the number of trips by label, by equal bins of the probability."""
    low, high = (
        counts.reshape(PROBABILITY_BARS, -1).sum(axis=1).tolist()
        for counts in (tally.negatives, tally.positives)
    )
    return low, high


def feature_distribution(
    name: str, histograms: Sequence[FeatureHistogram], words: Mapping[str, str]
) -> FeatureDistribution:
    """Return the distribution of a feature by month, from one histogram per month."""
    missing = [histogram.missing_share for histogram in histograms]
    if not any(histogram.is_unordered for histogram in histograms):
        quantiles = [_quantiles(histogram) for histogram in histograms]
        return FeatureDistribution(name, quantiles, {}, missing, _value_range(histograms))
    total: dict[float, int] = {}
    for histogram in histograms:
        for value, trips in zip(histogram.values.tolist(), histogram.trips.tolist(), strict=True):
            total[value] = total.get(value, 0) + trips
    common = sorted(total, key=lambda value: -total[value])[:MAX_NAMED_VALUES]
    shares = {
        words.get(f"{value:g}", f"{value:g}"): [_value_share(histogram, value) for histogram in histograms]
        for value in common
    }
    return FeatureDistribution(name, [], shares, missing)


def _value_range(histograms: Sequence[FeatureHistogram]) -> tuple[float, float] | None:
    used = [histogram.values[histogram.trips > 0] for histogram in histograms]
    values = np.concatenate(used) if used else np.array([])
    return (float(values.min()), float(values.max())) if len(values) else None


def _quantiles(histogram: FeatureHistogram) -> list[float]:
    if not len(histogram.values):
        return [float("nan")] * len(DISTRIBUTION_QUANTILES)
    cumulative = np.cumsum(histogram.trips)
    ranks = np.array(DISTRIBUTION_QUANTILES) * cumulative[-1]
    index = np.searchsorted(cumulative, ranks).clip(0, len(cumulative) - 1)
    return [float(value) for value in histogram.values[index]]


def _value_share(histogram: FeatureHistogram, value: float) -> float:
    trips = int(histogram.trips[histogram.values == value].sum())
    return trips / histogram.rows if histogram.rows else 0.0


def shap_by_quantile_group(
    values: Float64Array, contributions: Float64Array, group_count: int = 10
) -> list[tuple[float, float, float]]:
    """Return (first value, last value, mean SHAP value) of each quantile group of values.

    Missing values are the last group.
    """
    present = ~np.isnan(values)
    distinct, position = np.unique(values[present], return_inverse=True)
    if not len(distinct):
        return []
    counts = np.bincount(position)
    # All trips with the same value are in one group: the group of their middle rank.
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    group_of_value = np.minimum((middle * group_count).astype(int), group_count - 1)
    groups = []
    for group in np.unique(group_of_value).tolist():
        members = distinct[group_of_value == group]
        selected = np.isin(position, np.flatnonzero(group_of_value == group))
        mean = contributions[present][selected].mean()
        groups.append((float(members[0]), float(members[-1]), float(mean)))
    if not present.all():
        groups.append((math.nan, math.nan, float(contributions[~present].mean())))
    return groups


def shap_by_category(values: Float64Array, contributions: Float64Array) -> list[tuple[float, float, float]]:
    """Return (value, value, mean SHAP value) of each value of a category, lowest mean first.

    NaN stands for missing and unseen values. Values with fewer than MIN_SHAP_TRIPS trips are
    omitted, unless all values have fewer.
    """
    distinct, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    means = np.bincount(position, contributions) / counts
    frequent = counts >= min(MIN_SHAP_TRIPS, counts.max(initial=0))
    pairs = zip(distinct[frequent].tolist(), means[frequent].tolist(), strict=True)
    return sorted(((value, value, mean) for value, mean in pairs), key=lambda group: group[2])
