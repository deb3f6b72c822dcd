"""Types for an evaluation: metrics, baselines, intervals, calibration and evaluation slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple


class Interval(NamedTuple):
    """The bounds of a 95 % interval."""

    low: float
    """Lower bound: the 2.5th percentile of the bootstrap resamples."""
    high: float
    """Upper bound: the 97.5th percentile of the bootstrap resamples."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Metrics of a model on a set of trips. An undefined metric is null."""

    rows: int
    """Number of evaluated trips."""
    prevalence: float | None
    """Share of trips with a positive label."""
    auc: float | None
    """Area under the ROC curve. Null if all trips have the same label."""
    pr_auc: float | None
    """Average precision. Null if no label is positive."""
    log_loss: float | None
    """Mean negative log-likelihood of the labels, in nats."""
    brier: float | None
    """Brier score: mean squared difference between probability and label."""
    f1: float | None
    """F1 at the decision threshold. Null if no label is positive and no trip is predicted
    positive."""
    precision: float | None
    """Share of positive labels among trips that are predicted positive. Null if no trip is
    predicted positive."""
    recall: float | None
    """Share of trips that are predicted positive among trips with a positive label. Null if no trip
    has a positive label."""


@dataclass(frozen=True, kw_only=True)
class BaselineMetrics:
    """Metrics of a baseline on the same trips as the model."""

    auc: float | None
    """Area under the ROC curve. 0.5 if all trips have the same probability."""
    pr_auc: float | None
    """Average precision. Equals the share of positive labels if all trips have the same
    probability."""
    log_loss: float | None
    """Mean negative log-likelihood of the labels, in nats. Null without probabilities."""
    brier: float | None
    """Brier score: mean squared difference between probability and label. Null without
    probabilities."""
    f1: float | None
    """F1 of the baseline. Null if F1 is undefined."""


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """Improvement of a model over a baseline. A positive value means that the model is better."""

    auc: float | None
    """AUC of the model minus AUC of the baseline."""
    pr_auc: float | None
    """Average precision of the model minus average precision of the baseline."""
    log_loss: float | None
    """Log loss of the baseline minus log loss of the model, in nats. Null without probabilities."""
    brier: float | None
    """Brier score of the baseline minus Brier score of the model. Null without probabilities."""
    f1: float | None
    """F1 of the model minus F1 of the baseline."""


@dataclass(frozen=True, kw_only=True)
class ConfusionCounts:
    """Number of trips by decision and label."""

    true_positives: int
    """Trips with a positive label that are predicted positive."""
    false_positives: int
    """Trips with a negative label that are predicted positive."""
    false_negatives: int
    """Trips with a positive label that are predicted negative."""
    true_negatives: int
    """Trips with a negative label that are predicted negative."""


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """The predicted and the observed share of positive labels in one probability range."""

    low: float
    """Lower bound of the range, inclusive."""
    high: float
    """Upper bound of the range, exclusive."""
    trips: int
    """Number of trips in the range."""
    predicted: float
    """Mean predicted probability of the trips, with an error of at most 2^-15 (half a
    histogram bin)."""
    observed: float
    """Share of trips with a positive label."""


@dataclass(frozen=True, kw_only=True)
class ThresholdPoint:
    """Metrics of the decisions at one threshold."""

    threshold: float
    """Decision threshold."""
    precision: float | None
    """Precision at the threshold. Null if no trip is predicted positive."""
    recall: float | None
    """Recall at the threshold. Null if no label is positive."""
    f1: float | None
    """F1 at the threshold. Null if no label is positive and no trip is predicted positive."""


@dataclass(frozen=True, kw_only=True)
class SliceMetrics:
    """Metrics of an evaluation slice: the trips with one value of an attribute."""

    slice: str
    """Name of the attribute, such as `borough` or `hour`."""
    value: str
    """Value of the attribute, or `missing` for trips without a value."""
    label: str
    """Words for the slice, such as `JFK rate` or `Queens`."""
    rows: int
    """Number of trips in the slice."""
    prevalence: float | None
    """Share of trips with a positive label."""
    auc: float | None
    """Area under the ROC curve. Null if all trips have the same label."""
    log_loss: float | None
    """Mean negative log-likelihood of the labels, in nats."""
    f1: float | None
    """F1 at the decision threshold. Null if no label is positive and no trip is predicted
    positive."""
    f1_always_positive: float | None
    """F1 of the always-positive baseline."""
    auc_binning_error: float | None
    """Largest possible error of `auc`, caused by the histogram bins of the probability."""
    is_segment: bool = False
    """Whether the slice has the same trips as a segment, which is also evaluated."""


@dataclass(frozen=True, kw_only=True)
class SegmentSummary:
    """Evaluation of one segment of a split, without curves and without the full list of slices."""

    metrics: Metrics
    """Metrics of the model on the trips of the segment."""
    auc_binning_error: float | None
    """Largest possible error of the AUC, caused by the histogram bins of the probability."""
    intervals: Mapping[str, Interval | None]
    """95 % interval of each metric, by a bootstrap that resamples whole days. Null with fewer than
    seven days."""
    baselines: Mapping[str, BaselineMetrics]
    """Metrics of the baselines `always_positive`, `constant_probability`, `group_mean` and
    `champion`.

    `champion` is absent without a champion, or if the champion did not score these trips.
    """
    group_mean_label: str
    """Words for the baseline `group_mean`, such as `hour-and-zone mean`."""
    improvement: Mapping[str, Improvement]
    """Improvement over each baseline. A positive value is better for every metric."""
    confusion: ConfusionCounts
    """Number of trips by decision and label."""
    calibration_error: float | None
    """Expected calibration error: mean absolute difference between the predicted and the observed
    share of positive labels over calibration bins, weighted by trips."""
    worst_slices: tuple[SliceMetrics, ...]
    """Up to five slices with the lowest AUC, lowest AUC first. Each slice has at least 200 trips,
    and at least 30 trips of each class. A slice with the same trips as a
    segment is left out."""

    @property
    def f1_always_positive(self) -> float | None:
        """F1 of the always-positive baseline."""
        return self.baselines["always_positive"].f1


@dataclass(frozen=True, kw_only=True)
class SegmentReport(SegmentSummary):
    """Complete evaluation of one segment of a split."""

    calibration_curve: tuple[CalibrationBin, ...]
    """Predicted and observed share of positive labels, in probability ranges of equal width. Ranges
    without trips are omitted."""
    threshold_curve: tuple[ThresholdPoint, ...]
    """Precision, recall and F1 at equally spaced thresholds."""
    slices: tuple[SliceMetrics, ...]
    """Metrics of all slices with at least 200 trips."""

    def summary(self) -> SegmentSummary:
        """Return the report without curves and slices."""
        return SegmentSummary(**{field.name: getattr(self, field.name) for field in fields(SegmentSummary)})


EvaluationReport = dict[str, dict[str, SegmentReport]]
EvaluationSummary = Mapping[str, Mapping[str, SegmentSummary]]


def summarize_report(report: EvaluationReport) -> EvaluationSummary:
    """Return the summaries of an evaluation, by split and segment."""
    return {
        split: {segment: evaluation.summary() for segment, evaluation in segments.items()}
        for split, segments in report.items()
    }
