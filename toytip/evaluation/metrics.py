"""Compute metrics, baselines and calibration from metric histograms."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from toytip.core.arrays import Float64Array, Int64Array
from toytip.evaluation.report import (
    BaselineMetrics,
    CalibrationBin,
    ConfusionCounts,
    Improvement,
    Metrics,
    ThresholdPoint,
)
from toytip.evaluation.tally import LOSS_SCALE, Tally

MIN_VALUE_GROUP_TRIPS = 50
# An AUC with fewer trips of one class is not meaningful. With one positive trip, for example, the
# AUC is the rank of that trip, and the formula of the standard error gives a value close to zero.
MIN_CLASS_TRIPS = 30
# If a feature alone has a higher AUC, its value is probably known only after the tip. The feature
# `payment_type`, which decides whether a tip can be recorded at all, has an AUC of 0.80 on green
# trips of 2023.
LEAKAGE_AUC = 0.95
# The number of histogram bins must be a multiple of this number.
CALIBRATION_BINS = 16
THRESHOLD_POINTS = 50
HIGHER_IS_BETTER = {"auc": True, "pr_auc": True, "log_loss": False, "brier": False, "f1": True}


@dataclass(frozen=True, kw_only=True)
class FittedBaselines:
    """The fitted values of the baselines.

    `rate` is the share of positive labels in the training rows. `group_mean_threshold` is the
    decision threshold of the group mean. Like the threshold of the model, this threshold is tuned
    on the validation rows.
    """

    rate: float
    group_mean_threshold: float = 0.5


def compute_metrics(tally: Tally) -> Metrics:
    """Return the metrics of the trips in a metric histogram. An undefined metric is None."""
    positives, rows = int(tally.positives.sum()), tally.rows
    true_positives, false_positives = tally.true_positives, tally.false_positives
    return Metrics(
        rows=rows,
        prevalence=_ratio(positives, rows),
        auc=auc(tally.negatives, tally.positives),
        pr_auc=pr_auc(tally.negatives, tally.positives),
        log_loss=_ratio(tally.log_loss / LOSS_SCALE, rows),
        brier=_ratio(tally.squared_error / LOSS_SCALE, rows),
        f1=_ratio(2 * true_positives, true_positives + false_positives + positives),
        precision=_ratio(true_positives, true_positives + false_positives),
        recall=_ratio(true_positives, positives),
    )


def auc(negatives: Int64Array | Float64Array, positives: Int64Array | Float64Array) -> float | None:
    """Return the area under the ROC curve, from observed or expected counts by probability bin.

    The AUC is the share of pairs of a positive and a negative trip in which the positive trip has
    the higher probability. A pair within one bin counts half.
    """
    below = np.cumsum(negatives) - negatives
    pairs = float(positives.sum()) * float(negatives.sum())
    ordered = float((positives * (below + negatives / 2)).sum())
    return _ratio(ordered, pairs)


def has_enough_for_auc(tally: Tally) -> bool:
    """Return whether both classes have at least `MIN_CLASS_TRIPS` trips."""
    return min(int(tally.negatives.sum()), int(tally.positives.sum())) >= MIN_CLASS_TRIPS


def auc_binning_error(negatives: Int64Array, positives: Int64Array) -> float | None:
    """Return the largest AUC error due to the bins: half the share of pairs within the same bin."""
    pairs = float(positives.sum()) * float(negatives.sum())
    return _ratio(float((positives * negatives.astype(float)).sum()) / 2, pairs)


def pr_auc(negatives: Int64Array, positives: Int64Array) -> float | None:
    """Return the average precision: mean precision by threshold, weighted by the added recall."""
    true_positives, false_positives = np.cumsum(positives[::-1]), np.cumsum(negatives[::-1])
    precision = true_positives / np.maximum(true_positives + false_positives, 1)
    return _ratio(float((precision * positives[::-1]).sum()), float(positives.sum()))


def single_feature_auc(
    counts: Int64Array, positives: Int64Array, rows: int, total_positives: int
) -> float | None:
    """Return the AUC of one feature alone: the score is the rate of positive labels of its value.

    `counts` and `positives` are the trips and positive labels by value, in ascending order of
    values. `rows` and `total_positives` also count the trips without a value.

    Adjacent values are combined into groups of about 1 % of the trips, but not less than about 50
    trips. Without groups, rare values would predict the label by chance.
    """
    if not 0 < total_positives < rows:
        return None
    group_codes = (np.cumsum(counts) - counts) // max(rows // 100, MIN_VALUE_GROUP_TRIPS)
    _, group = np.unique(group_codes, return_inverse=True)
    size = int(group.max()) + 1 if len(group) else 0
    trips, group_positives = np.zeros((2, size + 1), np.int64)
    np.add.at(trips, group, counts)
    np.add.at(group_positives, group, positives)
    trips[-1], group_positives[-1] = rows - counts.sum(), total_positives - positives.sum()
    order = np.argsort(group_positives / np.maximum(trips, 1), kind="stable")
    return auc((trips - group_positives)[order], group_positives[order])


def confusion_counts(tally: Tally) -> ConfusionCounts:
    """Return the number of trips by decision and label."""
    return ConfusionCounts(
        true_positives=tally.true_positives,
        false_positives=tally.false_positives,
        false_negatives=int(tally.positives.sum()) - tally.true_positives,
        true_negatives=int(tally.negatives.sum()) - tally.false_positives,
    )


def _calibration_sums(tally: Tally) -> tuple[Int64Array, Float64Array, Int64Array]:
    """Return the trips, and the expected and observed positive labels, by calibration bin."""
    bins = len(tally.positives)
    center = (np.arange(bins) + 0.5) / bins
    counts = (tally.positives + tally.negatives).reshape(CALIBRATION_BINS, -1)
    observed = tally.positives.reshape(counts.shape).sum(axis=1)
    expected = (counts * center.reshape(counts.shape)).sum(axis=1)
    return counts.sum(axis=1), expected, observed


def calibration_error(tally: Tally) -> float | None:
    """Return the expected calibration error, weighted by trips (Naeini et al., 2015)."""
    trips, expected, observed = _calibration_sums(tally)
    return _ratio(float(np.abs(expected - observed).sum()), float(trips.sum()))


def calibration_bins(tally: Tally) -> tuple[CalibrationBin, ...]:
    """Return the predicted and observed share of positive labels, in ranges of equal width."""
    trips, expected, observed = _calibration_sums(tally)
    return tuple(
        CalibrationBin(
            low=k / len(trips),
            high=(k + 1) / len(trips),
            trips=int(trips[k]),
            predicted=float(expected[k] / trips[k]),
            observed=float(observed[k] / trips[k]),
        )
        for k in np.flatnonzero(trips).tolist()
    )


def threshold_curve(tally: Tally) -> tuple[ThresholdPoint, ...]:
    """Return precision, recall and F1 at equally spaced thresholds."""
    bins, positives = len(tally.positives), float(tally.positives.sum())
    above = [np.cumsum(counts[::-1])[::-1] for counts in (tally.positives, tally.negatives)]
    points = []
    for point in range(THRESHOLD_POINTS):
        k = point * bins // THRESHOLD_POINTS
        true_positives, false_positives = (float(counts[k]) for counts in above)
        points.append(
            ThresholdPoint(
                threshold=k / bins,
                precision=_ratio(true_positives, true_positives + false_positives),
                recall=_ratio(true_positives, positives),
                f1=_ratio(2 * true_positives, true_positives + false_positives + positives),
            )
        )
    return tuple(points)


def with_threshold(tally: Tally, threshold: float) -> Tally:
    """Return a metric histogram with the decisions of a new threshold, rounded to a bin edge."""
    k = round(threshold * len(tally.positives))
    true_positives, false_positives = int(tally.positives[k:].sum()), int(tally.negatives[k:].sum())
    return replace(tally, true_positives=true_positives, false_positives=false_positives)


def f1_always_positive(tally: Tally) -> float | None:
    """Return F1 of the always-positive baseline, which predicts a positive label for every trip."""
    positives, rows = int(tally.positives.sum()), tally.rows
    return _ratio(2 * positives, rows + positives)


def always_positive_metrics(tally: Tally) -> BaselineMetrics:
    """Return the metrics of the always-positive baseline, which has no probabilities."""
    prevalence = _ratio(int(tally.positives.sum()), tally.rows)
    return BaselineMetrics(
        auc=0.5, pr_auc=prevalence, log_loss=None, brier=None, f1=f1_always_positive(tally)
    )


def constant_probability_metrics(tally: Tally, rate: float) -> BaselineMetrics:
    """Return the metrics of the constant-probability baseline: `rate` for every trip."""
    prevalence = _ratio(int(tally.positives.sum()), tally.rows)
    if prevalence is None:
        return BaselineMetrics(auc=None, pr_auc=None, log_loss=None, brier=None, f1=None)
    loss = -(prevalence * np.log(rate) + (1 - prevalence) * np.log(1 - rate))
    brier = prevalence * (1 - rate) ** 2 + (1 - prevalence) * rate**2
    f1 = f1_always_positive(tally) if rate >= 0.5 else 0.0
    return BaselineMetrics(auc=0.5, pr_auc=prevalence, log_loss=float(loss), brier=float(brier), f1=f1)


def predictor_metrics(tally: Tally) -> BaselineMetrics:
    """Return the metrics of a predictor that serves as a baseline, from its metric histogram."""
    metrics = compute_metrics(tally)
    return BaselineMetrics(**{name: getattr(metrics, name) for name in HIGHER_IS_BETTER})


def improvement(metrics: Metrics, baseline: BaselineMetrics) -> Improvement:
    """Return the improvement over a baseline. A positive value is better for every metric."""

    def difference(name: str, *, higher_is_better: bool) -> float | None:
        value, reference = getattr(metrics, name), getattr(baseline, name)
        if value is None or reference is None:
            return None
        return float(value - reference if higher_is_better else reference - value)

    return Improvement(
        **{name: difference(name, higher_is_better=higher) for name, higher in HIGHER_IS_BETTER.items()}
    )


def auc_standard_error(tally: Tally) -> float:
    """Return the standard error of the AUC (Hanley and McNeil, 1982). Infinite without an AUC."""
    area, positives = auc(tally.negatives, tally.positives), int(tally.positives.sum())
    negatives = tally.rows - positives
    if area is None:
        return float("inf")
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    return float(np.sqrt((area * (1 - area) + variance) / (positives * negatives)))


def _ratio(part: float, total: float) -> float | None:
    return part / total if total else None
