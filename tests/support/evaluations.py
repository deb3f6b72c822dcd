"""Evaluations for tests that do not compute one."""

from dataclasses import replace

from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.evaluation.report import (
    BaselineMetrics,
    ConfusionCounts,
    Improvement,
    Metrics,
    SegmentReport,
    SliceMetrics,
)

UNDEFINED = {"auc": None, "pr_auc": None, "log_loss": None, "brier": None, "f1": None}
METRICS = Metrics(
    rows=50_000, prevalence=0.5, **{**UNDEFINED, "auc": 0.8, "f1": 0.8}, precision=None, recall=None
)
EMPTY_REPORT = SegmentReport(
    metrics=METRICS,
    auc_binning_error=None,
    intervals={},
    group_mean_label="hour-and-zone mean",
    baselines={"always_positive": BaselineMetrics(**{**UNDEFINED, "f1": 0.6})},
    improvement={},
    confusion=ConfusionCounts(true_positives=0, false_positives=0, false_negatives=0, true_negatives=0),
    calibration_error=0.01,
    worst_slices=(),
    calibration_curve=(),
    threshold_curve=(),
    slices=(),
)


def segment_report(changes=None, /, **metrics):
    """Return an evaluation with changed fields and metrics."""
    return replace(EMPTY_REPORT, **{"metrics": replace(METRICS, **metrics), **(changes or {})})


def auc_improvement(auc):
    """Return an improvement in AUC, with the other metrics undefined."""
    return Improvement(**{**UNDEFINED, "auc": auc})


def slice_metrics(**changes):
    """Return the metrics of an evaluation slice."""
    values = {"auc": 0.9, "f1": 0.9, "f1_always_positive": 0.9, "log_loss": 0.9, "auc_binning_error": None}
    slice_ = {"slice": "hour", "value": "8", "rows": 900, "prevalence": 0.5, **values, **changes}
    name, value = slice_["slice"], slice_["value"]
    facts = {"label": TLC.slice_label(name, value), "is_segment": (name, value) == TLC.segment.same_slice}
    return SliceMetrics(**{**facts, **slice_})
