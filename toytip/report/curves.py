"""The arithmetic behind the report's charts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from toytip.core.arrays import Float64Array
from toytip.evaluation.report import CalibrationBin
from toytip.evaluation.tally import Tally
from toytip.monitoring.drift import CATEGORICAL_FEATURES, FeatureHistogram
from toytip.report.facts import FeatureDistribution

# Points of a curve that a picture shows: more than it has pixels would be waste.
MAX_PICTURE_POINTS = 160
DISTRIBUTION_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Of fewer trips, a share is chance.
MIN_SHARE_TRIPS = 50
# Values of a category that are shown by name.
MAX_NAMED_VALUES = 4
PROBABILITY_BARS = 32
# With fewer trips of the sample, what a value of a category contributes is not told, where others have more.
MIN_SHAP_TRIPS = 5

CurvePoints = tuple[list[float], list[float]]


def downsample_curve(x: Float64Array, y: Float64Array) -> CurvePoints:
    """Return a line of at most MAX_PICTURE_POINTS points, evenly along its length, so that a steep start keeps its shape."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    wanted = np.linspace(0, length[-1], MAX_PICTURE_POINTS)
    kept = np.unique(np.append(np.searchsorted(length, wanted).clip(0, len(x) - 1), [0, len(x) - 1]))
    return x[kept].tolist(), y[kept].tolist()


def roc_curve(tally: Tally) -> CurvePoints | None:
    """Return false and true positive rates at every threshold, from (0, 0) to (1, 1); None where one side is empty."""
    hits, alarms = (_cumulate_from_top(side) for side in (tally.positives, tally.negatives))
    if not hits[-1] or not alarms[-1]:
        return None
    return downsample_curve(alarms / alarms[-1], hits / hits[-1])


def precision_recall_curve(tally: Tally) -> CurvePoints | None:
    """Return recall and precision at every threshold; None where nothing is positive."""
    hits, alarms = (_cumulate_from_top(side)[1:] for side in (tally.positives, tally.negatives))
    if not hits[-1]:
        return None
    # The precision of the first few trips is chance.
    some = hits + alarms >= min(MIN_SHARE_TRIPS, hits[-1] + alarms[-1])
    return downsample_curve(hits[some] / hits[-1], hits[some] / (hits[some] + alarms[some]))


def _cumulate_from_top(counts: npt.NDArray[np.int64]) -> Float64Array:
    return np.concatenate([[0.0], np.cumsum(counts[::-1], dtype=np.float64)])


def calibration_curve(bins: Sequence[CalibrationBin]) -> CurvePoints:
    """Return predicted and observed shares by bin; bins of a few trips are left out if others remain."""
    drawn = [item for item in bins if item.trips >= MIN_SHARE_TRIPS] or bins
    return [item.predicted for item in drawn], [item.observed for item in drawn]


def probability_histogram(tally: Tally) -> tuple[list[int], list[int]]:
    """Return the trips without and with a high tip in equal bands of probability."""
    sides = (
        side.reshape(PROBABILITY_BARS, -1).sum(axis=1).tolist() for side in (tally.negatives, tally.positives)
    )
    without, with_ = sides
    return without, with_


def feature_distribution(name: str, histograms: Sequence[FeatureHistogram]) -> FeatureDistribution:
    """Return how a feature was month by month."""
    missing = [told.missing_share for told in histograms]
    if name not in CATEGORICAL_FEATURES:
        some = [told.values[told.trips > 0] for told in histograms]
        every = np.concatenate(some) if some else np.array([])
        ends = (float(every.min()), float(every.max())) if len(every) else None
        return FeatureDistribution(name, [_quantiles(told) for told in histograms], {}, missing, ends)
    total: dict[float, int] = {}
    for told in histograms:
        for value, trips in zip(told.values.tolist(), told.trips.tolist(), strict=True):
            total[value] = total.get(value, 0) + trips
    common = sorted(total, key=lambda value: -total[value])[:MAX_NAMED_VALUES]
    shares = {f"{value:g}": [_value_share(told, value) for told in histograms] for value in common}
    return FeatureDistribution(name, [], shares, missing)


def _quantiles(histogram: FeatureHistogram) -> list[float]:
    if not len(histogram.values):
        return [float("nan")] * len(DISTRIBUTION_QUANTILES)
    below = np.cumsum(histogram.trips)
    places = np.searchsorted(below, np.array(DISTRIBUTION_QUANTILES) * below[-1]).clip(0, len(below) - 1)
    return [float(value) for value in histogram.values[places]]


def _value_share(histogram: FeatureHistogram, value: float) -> float:
    trips = int(histogram.trips[histogram.values == value].sum())
    return trips / histogram.rows if histogram.rows else 0.0


def shap_by_quantile_group(
    values: Float64Array, contributions: Float64Array, group_count: int = 10
) -> list[tuple[float, float, float]]:
    """Return the mean contribution in even groups of the known values: first value, last value, mean; what is missing last."""
    known = ~np.isnan(values)
    found, place = np.unique(values[known], return_inverse=True)
    if not len(found):
        return []
    told = []
    counts = np.bincount(place)
    # A value is in one group, whole: the one that its middle falls in.
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    group = np.minimum((middle * group_count).astype(int), group_count - 1)
    for each in np.unique(group).tolist():
        inside = found[group == each]
        said = contributions[known][np.isin(place, np.flatnonzero(group == each))]
        told.append((float(inside[0]), float(inside[-1]), float(said.mean())))
    if not known.all():
        told.append((math.nan, math.nan, float(contributions[~known].mean())))
    return told


def shap_by_category(values: Float64Array, contributions: Float64Array) -> list[tuple[float, float, float]]:
    """Return the mean contribution of every value of a category, twice the value and its mean, the lowest mean first.

    What is missing or was never seen is NaN. A value of fewer trips than a handful is left out, where others have more.
    """
    found, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    means = np.bincount(place, contributions) / counts
    kept = counts >= min(MIN_SHAP_TRIPS, counts.max(initial=0))
    told = zip(found[kept].tolist(), means[kept].tolist(), strict=True)
    return sorted(((value, value, mean) for value, mean in told), key=lambda each: each[2])
