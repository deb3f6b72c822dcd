"""Sections that compare two versions: metrics, curves, features and feature importance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from toytip.core.parameters import AlertThresholds
from toytip.core.text import plural
from toytip.evaluation.bootstrap import paired_bootstrap
from toytip.evaluation.report import Interval, SegmentReport
from toytip.evaluation.tally import Tally
from toytip.monitoring.drift import FeatureDrift, measure_drift
from toytip.report import curves, formatting
from toytip.report.blocks import Picture, PicturesBlock, TableBlock, TableCell, TextBlock
from toytip.report.charts import model as charts
from toytip.report.curves import CurvePoints
from toytip.report.facts import Facts
from toytip.report.sections.model import REPORTED_METRICS
from toytip.report.sections.section import Content, missing, section

DIFFERENCE_HEADER = "B \N{MINUS SIGN} A"
# The default of the setting `alert_psi`, because the two versions can have different settings.
DRIFT_PSI = AlertThresholds().psi
DRIFT_LEVEL = 5
MAX_COMPARED_FEATURES = 15
METRIC_DIRECTIONS = {"auc": 1, "pr_auc": 1, "f1": 1, "precision": 1, "recall": 1, "log_loss": -1, "brier": -1}


def reported_metric(facts: Facts, segment: str, metric: str) -> float | None:
    """Return a metric of the reported split, or None if it is not available."""
    evaluation = facts.evaluation_of(segment)
    return getattr(evaluation.metrics, metric) if evaluation else None


def difference(a: float | None, b: float | None) -> float | None:
    """Return b - a, or None if `a` or `b` is None."""
    return None if a is None or b is None else b - a


class VersionPair(NamedTuple):
    """The facts of the versions A and B."""

    a: Facts
    b: Facts


@section("metrics", "Metrics")
def metrics_diff_section(pair: VersionPair) -> Content:
    """Return the metrics of both versions with intervals."""
    lead = (
        "If A and B scored the same trips, the interval is that of the improvement of B, by a paired bootstrap "
        "over days. Significant differences are then colored. Otherwise, each version has its own interval."
    )
    tables = [
        _metrics_diff_table(pair, segment, first, second)
        for segment in pair.a.segments
        if (first := pair.a.evaluation_of(segment)) and (second := pair.b.evaluation_of(segment))
    ]
    return Content(lead, tables) if tables else missing(lead, "One of the versions has no metrics.")


def _metrics_diff_table(
    pair: VersionPair, segment: str, first: SegmentReport, second: SegmentReport
) -> TableBlock:
    intervals = paired_improvements(pair.a, pair.b, segment)
    header = (
        ["A", "B", DIFFERENCE_HEADER, "95 % interval of the improvement of B"]
        if intervals
        else ["A", "95 % interval of A", "B", "95 % interval of B", DIFFERENCE_HEADER]
    )
    rows = [
        _paired_row(name, first, second, intervals) if intervals else _interval_row(name, first, second)
        for name in REPORTED_METRICS
    ]
    caption = f"{segment.capitalize()} trips of the {pair.a.reported_split} split"
    return TableBlock(caption=caption, header=["metric", *header], rows=rows)


def paired_improvements(a: Facts, b: Facts, segment: str) -> dict[str, Interval | None]:
    """Return the 95 % interval of the improvement of B by metric.

    An interval below zero means that B is worse. Returns no intervals if A and B scored different
    trips.
    """
    new, old = (facts.daily_tallies.get(segment, {}) for facts in (b, a))
    counts = [
        {day: (tally.rows, int(tally.positives.sum())) for day, tally in tallies.items()}
        for tallies in (new, old)
    ]
    if not new or counts[0] != counts[1]:
        return {}
    return paired_bootstrap(list(new.values()), list(old.values()))


def _paired_row(
    name: str, x: SegmentReport, y: SegmentReport, intervals: Mapping[str, Interval | None]
) -> list[str | TableCell]:
    values = [getattr(evaluation.metrics, name) for evaluation in (x, y)]
    interval = intervals.get(name)
    tone, text = "", formatting.NO_VALUE
    if interval:
        tone = "good" if interval.low > 0 else "bad" if interval.high < 0 else ""
        text = f"{formatting.format_signed(interval.low)} to {formatting.format_signed(interval.high)}"
    return [
        formatting.label(name),
        *map(formatting.format_metric, values),
        TableCell(formatting.format_signed(difference(*values)), tone=tone),
        text,
    ]


def _interval_row(name: str, x: SegmentReport, y: SegmentReport) -> list[str | TableCell]:
    cells: list[str | TableCell] = [formatting.label(name)]
    values = [getattr(evaluation.metrics, name) for evaluation in (x, y)]
    for value, evaluation in zip(values, (x, y), strict=True):
        interval = evaluation.intervals.get(name)
        text = f"{interval.low:.4f} to {interval.high:.4f}" if interval else formatting.NO_VALUE
        cells += [formatting.format_metric(value), text]
    return [*cells, formatting.format_signed(difference(*values))]


@section("curves", "Curves")
def curves_diff_section(pair: VersionPair) -> Content:
    """Return the curves of both versions, with both versions in each chart."""
    pictures = [
        *(picture for segment in pair.a.tallies for picture in _ranking_pictures(pair, segment)),
        *_calibration_pictures(pair),
        *_training_pictures(pair),
    ]
    if not pictures:
        return missing("", "One of the versions has no scored trips.")
    return Content("Solid lines are version A, dashed lines are version B.", [PicturesBlock(pictures)])


def _ranking_pictures(pair: VersionPair, segment: str) -> Iterator[Picture]:
    tallies = [facts.tallies.get(segment) for facts in pair]
    lines = _curve_pair(tallies, curves.roc_curve)
    if len(lines) == 2:
        caption = "The version with the higher curve ranks better."
        yield charts.draw_roc(f"roc-{segment}", lines, caption, title=f"ROC, {segment} trips")
    lines = _curve_pair(tallies, curves.precision_recall_curve)
    if len(lines) == 2:
        title = f"Precision and recall, {segment} trips"
        caption = "A higher curve means fewer false positives at the same recall."
        yield charts.draw_precision_recall(f"pr-{segment}", lines, {}, caption, title=title)


def _calibration_pictures(pair: VersionPair) -> Iterator[Picture]:
    first, second = (facts.evaluation_of("all") for facts in pair)
    if first and second:
        lines = {
            color: (name, curves.calibration_curve(evaluation.calibration_curve))
            for color, name, evaluation in (("a", "A", first), ("b", "B", second))
        }
        errors = [evaluation.calibration_error or 0 for evaluation in (first, second)]
        caption = f"The expected calibration error is {errors[0]:.3f} in A and {errors[1]:.3f} in B."
        yield charts.draw_calibration("calibration", lines, caption, pair[0].words.labels)


def _training_pictures(pair: VersionPair) -> Iterator[Picture]:
    losses = [facts.learning_curve.get("validation") for facts in pair]
    if all(losses):
        lines = {
            color: (name, _losses_by_round(loss or ()))
            for color, name, loss in zip("ab", "AB", losses, strict=True)
        }
        caption = (
            f"The model of A has {plural(pair.a.rounds or 0, 'round')}, the model of B has {pair.b.rounds}."
        )
        yield charts.draw_learning_curve("training", lines, None, caption)


def _curve_pair(
    tallies: Sequence[Tally | None], compute_curve: Callable[[Tally], CurvePoints | None]
) -> dict[str, tuple[str, CurvePoints]]:
    lines = {}
    for color, name, tally in zip("ab", "AB", tallies, strict=True):
        if tally is not None and (points := compute_curve(tally)) is not None:
            lines[color] = (name, points)
    return lines


def _losses_by_round(losses: Sequence[float]) -> CurvePoints:
    return [float(k + 1) for k in range(len(losses))], list(losses)


@section("features", "Features")
def features_diff_section(pair: VersionPair) -> Content:
    """Return the drift of the features from A to B."""
    lead = (
        "Effect sizes measure how much the feature distributions of A and B differ. "
        f"A PSI above {DRIFT_PSI:g} counts as drift."
    )
    if not pair.a.histograms or not pair.b.histograms:
        return missing(lead, "One of the versions has no feature histograms.")
    drifts = measure_drift(pair.a.histograms, pair.b.histograms)
    largest = sorted(drifts, key=lambda drift: -(drift.psi or 0.0))[:MAX_COMPARED_FEATURES]
    if not any(drift.psi or drift.ks for drift in largest):
        return Content(lead, [TextBlock("The features of both versions have the same distributions.")])
    header = ["feature", "PSI", "KS", "mean in A", "mean in B", "missing in A", "missing in B"]
    rows = [_drift_row(drift) for drift in largest]
    caption = f"The {plural(len(largest), 'feature')} with the largest drift"
    return Content(lead, [TableBlock(caption=caption, header=header, rows=rows)])


def _drift_row(drift: FeatureDrift) -> list[str | TableCell]:
    means = (drift.reference_mean, drift.mean)
    return [
        drift.feature,
        TableCell(_format_effect(drift.psi), level=DRIFT_LEVEL if (drift.psi or 0) > DRIFT_PSI else 0),
        _format_effect(drift.ks),
        *(formatting.NO_VALUE if mean is None else formatting.compact(mean) for mean in means),
        formatting.format_share(drift.reference_missing),
        formatting.format_share(drift.missing),
    ]


def _format_effect(value: float | None) -> str:
    return formatting.NO_VALUE if value is None else f"{value:.3f}"


@section("importance", "Feature importance")
def importance_diff_section(pair: VersionPair) -> Content:
    """Return the feature importance of both models."""
    lead = "SHAP values are in log-odds, and are computed on a sample of the test trips of each version."
    if not all(facts.feature_importance for facts in pair):
        return missing(lead, "One of the versions has no model.")
    shap = [{item.name: item.mean_abs_shap for item in facts.feature_importance} for facts in pair]
    names = sorted({**shap[0], **shap[1]}, key=lambda name: -max(values.get(name) or 0.0 for values in shap))[
        :MAX_COMPARED_FEATURES
    ]
    largest = max((values.get(name) or 0.0 for values in shap for name in names), default=1.0) or 1.0
    rows: list[list[str | TableCell]] = [
        [
            name,
            *(_bar_cell(values.get(name), largest) for values in shap),
            formatting.format_signed(difference(shap[0].get(name), shap[1].get(name)), 3),
        ]
        for name in names
    ]
    header = ["feature", "A", "B", DIFFERENCE_HEADER]
    return Content(
        lead, [TableBlock(caption="Mean absolute SHAP value by feature", header=header, rows=rows)]
    )


def _bar_cell(value: float | None, max_value: float) -> TableCell:
    return TableCell(formatting.NO_VALUE if value is None else f"{value:.3f}", bar=(value or 0.0) / max_value)
