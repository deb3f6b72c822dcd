"""Sections about the model: training, ranking, metrics and slices."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from toytip.core.dataset.words import ReportWords
from toytip.core.text import plural
from toytip.evaluation.metrics import MIN_CLASS_TRIPS
from toytip.evaluation.report import SegmentReport, SliceMetrics
from toytip.evaluation.tally import MIN_SLICE_TRIPS
from toytip.report import curves, formatting
from toytip.report.blocks import (
    Block,
    MissingBlock,
    Picture,
    PicturesBlock,
    TableBlock,
    TableCell,
    TextBlock,
)
from toytip.report.charts import model as charts
from toytip.report.charts.axes import LabeledLines
from toytip.report.curves import CurvePoints
from toytip.report.facts import Facts
from toytip.report.sections.section import Content, missing, section

REPORTED_METRICS = ("auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "prevalence")
MAX_SLICES = 8


@section("training", "Training")
def training_section(facts: Facts) -> Content:
    """Return the log loss by round."""
    lead = (
        "Each round adds one tree. The model keeps the rounds up to the one with the lowest validation loss."
    )
    lines = learning_curve_lines(facts.learning_curve, "a", "b")
    if not lines:
        reason = facts.missing_reasons.get("training", "it was not stored")
        return missing(lead, f"The learning curve is not available: {reason}.")
    picture = charts.draw_learning_curve("training", lines, facts.rounds, _training_caption(facts))
    text = (
        "Training loss is computed on a sample of about 33,000 trips per worker. "
        "Validation loss is computed on all validation trips."
    )
    return Content(lead, [PicturesBlock([picture]), TextBlock(text)])


def _training_caption(facts: Facts) -> str:
    validation, best = facts.learning_curve.get("validation", ()), facts.rounds
    if not validation or not best:
        rounds = len(facts.learning_curve.get("train", ()))
        return f"The model was trained for {plural(rounds, 'round')}, without a validation month."
    later = len(validation) - best
    rest = (
        f"{plural(later, 'later round')} did not lower this loss." if later else "No later round was trained."
    )
    return f"Round {best} is the best, with a validation log loss of {validation[best - 1]:.4f}. {rest}"


def learning_curve_lines(
    curve: Mapping[str, Sequence[float]], train_color: str, validation_color: str
) -> dict[str, tuple[str, CurvePoints]]:
    """Return the lines of a learning curve.

    The training loss is measured before each round, the validation loss after each round.
    """
    lines = {}
    for color, name, start in ((train_color, "train", 0), (validation_color, "validation", 1)):
        losses = list(curve.get(name, ()))
        if losses:
            step = max(len(losses) // curves.MAX_PICTURE_POINTS, 1)
            rounds = [float(index + start) for index in range(0, len(losses), step)]
            lines[color] = (name, (rounds, losses[::step]))
    return lines


@section("ranking", "Ranking and calibration")
def ranking_section(facts: Facts) -> Content:
    """Return ROC, precision-recall, calibration and threshold curves, and a histogram."""
    split = facts.reported_split
    lead = (
        f"The charts show how well the probabilities rank the {split} trips, and how well they match the labels."
        if split
        else ""
    )
    if not facts.evaluation or not facts.tallies:
        return missing(lead, _no_metrics(facts))
    pictures = [
        charts.draw_roc("roc", *_roc_lines(facts)),
        charts.draw_precision_recall("pr", *_precision_recall_lines(facts)),
        charts.draw_calibration("calibration", *_calibration_lines(facts), facts.words.labels),
        *_threshold_pictures(facts),
    ]
    tally = facts.tallies.get(facts.reported_segment)
    if tally is not None:
        trips = f"{facts.reported_segment.capitalize()} trips: {formatting.format_count(tally.rows)}"
        caption = f"{trips}. The less the two colors overlap, the better the model separates the trips."
        pictures.append(charts.draw_probabilities("probabilities", tally, caption, facts.words.label))
    return Content(lead, [PicturesBlock(pictures)])


def _no_metrics(facts: Facts) -> str:
    reasons = facts.missing_reasons
    reason = reasons.get("evaluation") or reasons.get("model", "there are no scored trips")
    return f"Metrics are not available: {reason}."


def _roc_lines(facts: Facts) -> tuple[LabeledLines, str]:
    lines = {
        facts.segment_colors[name]: (
            f"{name} trips, AUC {evaluation.metrics.auc or 0:.3f}",
            line,
        )
        for name, evaluation in _evaluations(facts).items()
        if (line := curves.roc_curve(facts.tallies[name])) is not None
    }
    if facts.group_mean_tally is not None and (line := curves.roc_curve(facts.group_mean_tally)) is not None:
        evaluation = facts.evaluation_of("all")
        auc = evaluation.baselines["group_mean"].auc if evaluation else None
        lines["c"] = (f"{facts.words.baseline}, AUC {auc or 0:.3f}", line)
    return lines, "The diagonal is a random ranking. The higher a curve is, the better the ranking."


def _precision_recall_lines(facts: Facts) -> tuple[LabeledLines, dict[str, float], str]:
    lines = {
        facts.segment_colors[name]: (f"{name} trips", line)
        for name, tally in facts.tallies.items()
        if (line := curves.precision_recall_curve(tally)) is not None
    }
    floors = {
        facts.segment_colors[name]: evaluation.metrics.prevalence or 0.0
        for name, evaluation in _evaluations(facts).items()
    }
    share = f"the share of {facts.words.labels}"
    return lines, floors, f"Thin lines mark {share}, which is the precision of a random choice."


def _calibration_lines(facts: Facts) -> tuple[LabeledLines, str]:
    lines = {
        facts.segment_colors[name]: (
            f"{name} trips",
            curves.calibration_curve(evaluation.calibration_curve),
        )
        for name, evaluation in _evaluations(facts).items()
    }
    reported = facts.evaluation_of(facts.reported_segment)
    error = reported.calibration_error if reported else None
    caption = (
        f"On the diagonal, the observed share of {facts.words.labels} equals the predicted probability. The "
        f"expected calibration error on {facts.reported_segment} trips is {error or 0:.3f}."
    )
    return lines, caption


def _threshold_pictures(facts: Facts) -> list[Picture]:
    pictures = []
    for name, evaluation in _evaluations(facts).items():
        curve = evaluation.threshold_curve
        best = max((p for p in curve if p.f1 is not None), key=lambda p: p.f1 or 0.0, default=None)
        if best is None:
            continue
        caption = f"F1 is highest at threshold {best.threshold:.2f}, with a value of {best.f1:.3f}."
        if facts.threshold is not None:
            line = f"The vertical line marks the decision threshold of the model, {facts.threshold:.3f}."
            caption = f"{line} {caption}"
        title = f"Metrics by threshold, {name} trips"
        baseline = evaluation.f1_always_positive
        pictures.append(
            charts.draw_thresholds(f"threshold-{name}", title, curve, baseline, facts.threshold, caption)
        )
    return pictures


def _evaluations(facts: Facts) -> dict[str, SegmentReport]:
    """Return the evaluation of each segment of the reported split that has a metric histogram."""
    by_segment = {segment: facts.evaluation_of(segment) for segment in facts.tallies}
    return {segment: evaluation for segment, evaluation in by_segment.items() if evaluation}


@section("metrics", "Metrics")
def metrics_section(facts: Facts) -> Content:
    """Return the metrics of the reported split with intervals and baselines, and of all splits."""
    lead = f"Compare each metric with the same metric of the baselines. {facts.segment_note}"
    if not facts.evaluation:
        return missing(lead, _no_metrics(facts))
    split = facts.reported_split
    tables = [
        _metrics_table(split, segment, evaluation, facts.words)
        for segment, evaluation in facts.evaluation[split].items()
    ]
    return Content(lead, [*tables, _splits_table(facts)])


def _metrics_table(split: str, segment: str, evaluation: SegmentReport, words: ReportWords) -> TableBlock:
    body: list[list[str | TableCell]] = []
    for name in REPORTED_METRICS:
        span = evaluation.intervals.get(name)
        cells: list[str | TableCell] = [
            formatting.label(name),
            formatting.format_metric(getattr(evaluation.metrics, name)),
        ]
        cells.append(f"{span.low:.4f} to {span.high:.4f}" if span else formatting.NO_VALUE)
        cells += [_improvement_cell(getattr(gain, name, None)) for gain in evaluation.improvement.values()]
        body.append(cells)
    body.append(
        [
            "expected calibration error",
            formatting.format_metric(evaluation.calibration_error),
            "",
            *("" for _ in evaluation.improvement),
        ]
    )
    confusion = asdict(evaluation.confusion)
    note = "A positive improvement always means that the model is better. Confusion matrix: " + ", ".join(
        f"{formatting.format_count(confusion[key])} {formatting.label(key)}" for key in confusion
    )
    head = [
        "metric",
        "value",
        "95 % interval",
        *(f"improvement over {formatting.baseline_label(name, words)}" for name in evaluation.improvement),
    ]
    caption = f"{segment.capitalize()} trips of the {split} split, {plural(evaluation.metrics.rows, 'row')}"
    return TableBlock(caption=caption, header=head, rows=body, note=f"{note}.")


def _improvement_cell(value: float | None) -> TableCell:
    if value is None:
        return TableCell("")
    return TableCell(
        formatting.format_signed(value), tone="good" if value > 0 else "bad" if value < 0 else ""
    )


def _splits_table(facts: Facts) -> TableBlock:
    columns = [(split, segment) for split, segments in facts.evaluation.items() for segment in segments]
    body = [
        [
            formatting.label(name),
            *(_format_value(name, getattr(facts.evaluation[s][p].metrics, name)) for s, p in columns),
        ]
        for name in ("rows", *REPORTED_METRICS)
    ]
    baselines = (facts.evaluation[s][p].f1_always_positive for s, p in columns)
    body.append([formatting.label("f1_always_positive"), *map(formatting.format_metric, baselines)])
    head = ["metric", *(f"{s}, {p}" for s, p in columns)]
    return TableBlock(caption="Metrics of all splits", header=head, rows=body)


def _format_value(name: str, value: float | None) -> str:
    return formatting.format_count(value) if name == "rows" else formatting.format_metric(value)


@section("slices", "Slices")
def slices_section(facts: Facts) -> Content:
    """Return the slices with the lowest AUC, and slices by payment type, borough and distance."""
    lead = (
        f"Slices of {facts.reported_segment} trips of the {facts.reported_split} split. Each slice has at "
        f"least {MIN_SLICE_TRIPS} trips. Slices with the lowest AUC also have at least {MIN_CLASS_TRIPS} trips "
        "of each class. AUC is computed within a slice, so it does not benefit from differences between slices."
    )
    evaluation = facts.evaluation_of(facts.reported_segment)
    if not evaluation:
        return missing(lead, _no_metrics(facts))
    worst = worst_first(evaluation.slices)[:MAX_SLICES]
    blocks: list[Block] = [
        _slices_table("Slices with the lowest AUC", worst, facts.words.labels)
        if worst
        else MissingBlock("No slice has enough trips of both classes to compare AUC values.")
    ]
    for name in facts.listed_slices:
        members = sorted((item for item in evaluation.slices if item.slice == name), key=_slice_sort_key)
        if len(members) > 1:
            blocks.append(_slices_table(f"Slices by {formatting.label(name)}", members, facts.words.labels))
        elif name == "borough" and not members:
            text = "Slices by borough are not available: there was no zone lookup file when the trips were scored."
            blocks.append(MissingBlock(text))
    return Content(lead, blocks)


def worst_first(slices: Sequence[SliceMetrics]) -> list[SliceMetrics]:
    """Return the slices with at least `MIN_CLASS_TRIPS` trips of each class, lowest AUC first.

    A slice with the same trips as a segment is left out.
    """
    high = [round(item.rows * (item.prevalence or 0.0)) for item in slices]
    large = [
        item
        for item, count in zip(slices, high, strict=True)
        if MIN_CLASS_TRIPS <= count <= item.rows - MIN_CLASS_TRIPS and not item.is_segment
    ]
    return sorted(large, key=lambda item: item.auc or 0.0)


def _slices_table(caption: str, slices: Sequence[SliceMetrics], labels: str) -> TableBlock:
    largest = max([item.rows for item in slices] or [1])
    body: list[list[str | TableCell]] = [
        [
            item.label,
            TableCell(formatting.format_count(item.rows), bar=item.rows / largest),
            formatting.format_share(item.prevalence),
            formatting.format_metric(item.auc),
            formatting.format_metric(item.f1),
            formatting.format_metric(item.f1_always_positive),
            formatting.format_metric(item.log_loss),
        ]
        for item in slices
    ]
    head = ["slice", "trips", f"share of {labels}", "AUC", "F1", "F1 of always-positive", "log loss"]
    return TableBlock(caption=caption, header=head, rows=body)


def _slice_sort_key(slice_: SliceMetrics) -> tuple[float, str]:
    """Return the sort key of a slice: the number at the start of its value, then the value."""
    number = re.match(r"\d+", slice_.value)
    return (float(number[0]) if number else math.inf), slice_.value
