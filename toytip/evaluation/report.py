"""Types of an evaluation: metrics, baselines, intervals, calibration and evaluation slices."""

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
    """The metrics of trips with a probability and a decision. None if a metric is undefined."""

    rows: int
    """Number of evaluated trips."""
    prevalence: float | None
    """Share of trips with a high tip."""
    auc: float | None
    """Area under the ROC curve. Null if all trips have the same label."""
    pr_auc: float | None
    """Average precision. Null if no trip has a high tip."""
    log_loss: float | None
    """Mean negative log-likelihood of the labels, in nats."""
    brier: float | None
    """Mean squared difference of probability and label."""
    f1: float | None
    """F1 at the decision threshold. Null without high tips and positive predictions."""
    precision: float | None
    """Share of positive predictions with a high tip. Null without positive predictions."""
    recall: float | None
    """Share of trips with a high tip that are predicted positive. Null if no trip has one."""


@dataclass(frozen=True, kw_only=True)
class BaselineMetrics:
    """The metrics of a baseline on the same trips."""

    auc: float | None
    """Area under the ROC curve. 0.5 if all trips have the same probability."""
    pr_auc: float | None
    """Average precision. The prevalence if all trips have the same probability."""
    log_loss: float | None
    """Mean negative log-likelihood in nats. Null for a baseline without probabilities."""
    brier: float | None
    """Mean squared difference of probability and label. Null without probabilities."""
    f1: float | None
    """F1 of the decisions of the baseline."""


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """The improvement over a baseline. A positive value means that the model is better."""

    auc: float | None
    """AUC of the model minus AUC of the baseline."""
    pr_auc: float | None
    """Average precision of the model minus that of the baseline."""
    log_loss: float | None
    """Log loss of the baseline minus log loss of the model, in nats."""
    brier: float | None
    """Brier score of the baseline minus Brier score of the model."""
    f1: float | None
    """F1 of the model minus F1 of the baseline."""


@dataclass(frozen=True, kw_only=True)
class ConfusionCounts:
    """Number of trips by decision and label."""

    true_positives: int
    """Trips with a high tip that are predicted positive."""
    false_positives: int
    """Trips without a high tip that are predicted positive."""
    false_negatives: int
    """Trips with a high tip that are predicted negative."""
    true_negatives: int
    """Trips without a high tip that are predicted negative."""


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """The predicted and the observed share of high tips in a range of probability."""

    low: float
    """Lower bound of the probability, inclusive."""
    high: float
    """Upper bound of the probability, exclusive."""
    trips: int
    """Number of trips in the range."""
    predicted: float
    """Mean probability of the trips, exact to half a histogram bin (2^-15)."""
    observed: float
    """Share of the trips with a high tip."""


@dataclass(frozen=True, kw_only=True)
class ThresholdPoint:
    """The quality of the decisions at a threshold."""

    threshold: float
    """Decision threshold."""
    precision: float | None
    """Precision at the threshold. Null without positive predictions."""
    recall: float | None
    """Recall at the threshold. Null if no trip has a high tip."""
    f1: float | None
    """F1 at the threshold. Null without high tips and positive predictions."""


@dataclass(frozen=True, kw_only=True)
class SliceMetrics:
    """The metrics of an evaluation slice: the trips with one value of an attribute."""

    slice: str
    """Name of the attribute, such as `borough` or `hour`."""
    value: str
    """Value of the attribute. `missing` for trips without one."""
    rows: int
    """Number of trips in the slice."""
    prevalence: float | None
    """Share of trips with a high tip."""
    auc: float | None
    """Area under the ROC curve. Null if all trips have the same label."""
    log_loss: float | None
    """Mean negative log-likelihood of the labels, in nats."""
    f1: float | None
    """F1 at the decision threshold. Null without high tips and positive predictions."""
    f1_always_positive: float | None
    """F1 of the always-positive baseline."""
    auc_binning_error: float | None
    """Largest possible error of `auc` due to the histogram bins of the probability."""


@dataclass(frozen=True, kw_only=True)
class SegmentSummary:
    """The evaluation of one segment of a split, without curves and slices."""

    metrics: Metrics
    """Metrics of the trips."""
    auc_binning_error: float | None
    """Largest possible error of the AUC due to the histogram bins of the probability."""
    intervals: Mapping[str, Interval | None]
    """95 % interval of each metric, by a bootstrap of days. Null with fewer than seven days."""
    baselines: Mapping[str, BaselineMetrics]
    """Metrics of `always_positive`, `constant_probability`, `hour_zone_mean` and `champion`.

    The champion is absent if there is none, or if it is not comparable.
    """
    improvement: Mapping[str, Improvement]
    """Improvement over each baseline. Positive is better, also for losses."""
    confusion: ConfusionCounts
    """Number of trips by decision and label."""
    calibration_error: float | None
    """Expected calibration error: the mean difference of predicted and observed share."""
    worst_slices: tuple[SliceMetrics, ...]
    """Slices with the lowest AUC, worst first, among slices with enough trips of both classes."""

    @property
    def f1_always_positive(self) -> float | None:
        """F1 of the always-positive baseline."""
        return self.baselines["always_positive"].f1


@dataclass(frozen=True, kw_only=True)
class SegmentReport(SegmentSummary):
    """The complete evaluation of one segment of a split."""

    calibration_curve: tuple[CalibrationBin, ...]
    """Predicted and observed share of high tips, by equal ranges of probability with trips."""
    threshold_curve: tuple[ThresholdPoint, ...]
    """Precision, recall and F1 at equally spaced thresholds."""
    slices: tuple[SliceMetrics, ...]
    """Metrics of all slices with enough trips."""

    def summary(self) -> SegmentSummary:
        """Return the report without curves and slices."""
        return SegmentSummary(**{field.name: getattr(self, field.name) for field in fields(SegmentSummary)})


EvaluationReport = dict[str, dict[str, SegmentReport]]
EvaluationSummary = Mapping[str, Mapping[str, SegmentSummary]]


def summarize_report(report: EvaluationReport) -> EvaluationSummary:
    """Return an evaluation by split and segment, without curves and slices."""
    return {
        split: {segment: evaluation.summary() for segment, evaluation in segments.items()}
        for split, segments in report.items()
    }
