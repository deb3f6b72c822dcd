"""Evaluate every split, by segment and evaluation slice."""

from __future__ import annotations

from toytip.core.dataset.dataset import Dataset
from toytip.evaluation import metrics
from toytip.evaluation.bootstrap import bootstrap_intervals
from toytip.evaluation.metrics import FittedBaselines
from toytip.evaluation.report import (
    BaselineMetrics,
    EvaluationReport,
    Metrics,
    SegmentReport,
    SliceMetrics,
)
from toytip.evaluation.tally import (
    MIN_SLICE_TRIPS,
    Tallies,
    Tally,
    daily_tallies,
    slice_tallies,
    tally_of,
)

EVALUATED_SPLITS = ("train", "validation", "test")
MAX_WORST_SLICES = 5


def metrics_by_split(tallies: Tallies, segment: str = "all") -> dict[str, Metrics]:
    """Return the metrics of a segment for every split that has trips of the segment."""
    by_split = {split: tally_of(tallies, split, segment) for split in EVALUATED_SPLITS}
    return {split: metrics.compute_metrics(tally) for split, tally in by_split.items() if tally.rows}


def evaluation_report(tallies: Tallies, baselines: FittedBaselines, dataset: Dataset) -> EvaluationReport:
    """Return the evaluation of every split and segment that has trips."""
    report: EvaluationReport = {}
    for split in EVALUATED_SPLITS:
        for segment in dataset.segments:
            tally = tally_of(tallies, split, segment)
            if tally.rows:
                report.setdefault(split, {})[segment] = _segment_report(
                    tallies, split, segment, tally, baselines, dataset
                )
    return report


def _segment_report(
    tallies: Tallies,
    split: str,
    segment: str,
    tally: Tally,
    fitted: FittedBaselines,
    dataset: Dataset,
) -> SegmentReport:
    values = metrics.compute_metrics(tally)
    baselines = baseline_metrics(tallies, split, segment, tally, fitted)
    by_slice = {
        key: slice_tally
        for key, slice_tally in sorted(slice_tallies(tallies, split, segment).items())
        if key[0] != "day" and slice_tally.rows >= MIN_SLICE_TRIPS
    }
    slices = {key: _slice_metrics(*key, slice_tally, dataset) for key, slice_tally in by_slice.items()}
    ranked = [
        slices[key]
        for key, part in by_slice.items()
        if metrics.has_enough_for_auc(part) and not slices[key].is_segment
    ]
    return SegmentReport(
        metrics=values,
        auc_binning_error=metrics.auc_binning_error(tally.negatives, tally.positives),
        intervals=bootstrap_intervals(daily_tallies(tallies, split, segment)),
        baselines=baselines,
        group_mean_label=dataset.words.baseline,
        improvement={name: metrics.improvement(values, baseline) for name, baseline in baselines.items()},
        confusion=metrics.confusion_counts(tally),
        calibration_error=metrics.calibration_error(tally),
        worst_slices=tuple(sorted(ranked, key=lambda item: item.auc or 0.0)[:MAX_WORST_SLICES]),
        calibration_curve=metrics.calibration_bins(tally),
        threshold_curve=metrics.threshold_curve(tally),
        slices=tuple(slices.values()),
    )


def baseline_metrics(
    tallies: Tallies, split: str, segment: str, tally: Tally, fitted: FittedBaselines
) -> dict[str, BaselineMetrics]:
    """Return the metrics of every baseline on a segment, and of the champion if it was scored."""
    group_mean = metrics.with_threshold(
        tally_of(tallies, split, segment, "group_mean"), fitted.group_mean_threshold
    )
    champion = tally_of(tallies, split, segment, "champion")
    baselines = {
        "always_positive": metrics.always_positive_metrics(tally),
        "constant_probability": metrics.constant_probability_metrics(tally, fitted.rate),
        "group_mean": metrics.predictor_metrics(group_mean),
    }
    return baselines | ({"champion": metrics.predictor_metrics(champion)} if champion.rows else {})


def _slice_metrics(name: str, value: str, tally: Tally, dataset: Dataset) -> SliceMetrics:
    values = metrics.compute_metrics(tally)
    return SliceMetrics(
        slice=name,
        value=value,
        label=dataset.slice_label(name, value),
        rows=values.rows,
        prevalence=values.prevalence,
        auc=values.auc,
        log_loss=values.log_loss,
        f1=values.f1,
        f1_always_positive=metrics.f1_always_positive(tally),
        auc_binning_error=metrics.auc_binning_error(tally.negatives, tally.positives),
        is_segment=dataset.segment is not None and dataset.segment.same_slice == (name, value),
    )
