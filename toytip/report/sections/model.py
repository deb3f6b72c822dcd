"""quality: sections of how the model learned, and how good it is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from toytip.evaluation.metrics import MIN_CLASS_TRIPS
from toytip.evaluation.report import SegmentReport, SliceMetrics
from toytip.evaluation.tally import MIN_SLICE_TRIPS
from toytip.report import curves as numbers
from toytip.report import formatting
from toytip.report.blocks import (
    Block,
    MissingBlock,
    Picture,
    PicturesBlock,
    Section,
    TableBlock,
    TableCell,
    TextBlock,
)
from toytip.report.charts import model
from toytip.report.charts.axes import LabeledLines
from toytip.report.curves import CurvePoints
from toytip.report.facts import Facts

SEGMENT_COLORS = {"all": "a", "card": "b"}
REPORTED_METRICS = ("auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "prevalence")
SEGMENTS_NOTE = (
    "The meter records card tips only: a cash trip always looks like no tip. “All” is therefore the easier task, much of "
    "which is telling how a trip was paid; “card” asks who tips."
)
MAX_SLICES = 8


def training_section(facts: Facts) -> Section:
    """Return the log loss by round."""
    lead = "Each round adds a tree; the model keeps the rounds up to the one that was best on the validation month."
    lines = learning_curve_lines(facts.learning_curve, "a", "b")
    if not lines:
        return Section(
            "training",
            "Training",
            lead,
            [MissingBlock(f"No curve: {facts.missing_reasons.get('training', 'no round was told')}.")],
        )
    validation, best = facts.learning_curve.get("validation", ()), facts.rounds
    if validation and best:
        after = len(validation) - best
        tail = f"; {after} more brought nothing" if after else "; it was the last"
        says = f"Round {best} is the best, with a log loss of {validation[best - 1]:.4f} on the validation month{tail}."
    else:
        says = f"{len(facts.learning_curve.get('train', ()))} rounds, with no validation month to watch."
    blocks: list[Block] = [PicturesBlock([model.draw_learning_curve("training", lines, best, says)])]
    blocks.append(
        TextBlock(
            "The training curve is told of an even sample of the training trips, some 33,000 of every worker; the other of all "
            "validation trips."
        )
    )
    return Section("training", "Training", lead, blocks)


def learning_curve_lines(
    curve: Mapping[str, Sequence[float]], train_color: str, validation_color: str
) -> dict[str, tuple[str, CurvePoints]]:
    """Return the lines of a training curve: training losses stand before their round, validation losses after it."""
    found = {}
    for color, name, start in ((train_color, "train", 0), (validation_color, "validation", 1)):
        losses = list(curve.get(name, ()))
        if losses:
            step = max(len(losses) // numbers.MAX_PICTURE_POINTS, 1)
            found[color] = (name, ([float(k + start) for k in range(0, len(losses), step)], losses[::step]))
    return found


def ranking_section(facts: Facts) -> Section:
    """Return ROC, precision and recall, calibration, thresholds and probabilities of the test trips."""
    split = facts.reported_split
    lead = (
        f"How the probabilities of the {split} trips rank them, and how far they can be taken at their word."
        if split
        else ""
    )
    if not facts.evaluation or not facts.tallies:
        return Section("curves", "Ranking, calibration, thresholds", lead, [_no_metrics(facts)])
    drawn = [
        model.draw_roc("roc", *_roc_lines(facts)),
        model.draw_precision_recall("pr", *_precision_recall_lines(facts)),
        model.draw_calibration("calibration", *_calibration_lines(facts)),
        *_draw_threshold_pictures(facts),
    ]
    tally = facts.tallies.get(facts.reported_segment)
    if tally is not None:
        says = f"{formatting.format_count(tally.rows)} {facts.reported_segment} trips; the further apart the two colors, the easier the decision."
        drawn.append(model.draw_probabilities("probabilities", tally, says))
    return Section("curves", "Ranking, calibration, thresholds", lead, [PicturesBlock(drawn)])


def _no_metrics(facts: Facts) -> MissingBlock:
    return MissingBlock(
        f"No metrics: {facts.missing_reasons.get('evaluation') or facts.missing_reasons.get('model', 'there are no scored trips')}."
    )


def _roc_lines(facts: Facts) -> tuple[LabeledLines, str]:
    lines = {
        SEGMENT_COLORS[name]: (
            f"{name} trips, AUC {evaluation.metrics.auc or 0:.3f}",
            line,
        )
        for name, evaluation in _evaluations(facts).items()
        if (line := numbers.roc_curve(facts.tallies[name])) is not None
    }
    if facts.hour_zone_tally is not None and (line := numbers.roc_curve(facts.hour_zone_tally)) is not None:
        evaluation = facts.evaluation_of("all")
        auc = evaluation.baselines["hour_zone_mean"].auc if evaluation else None
        lines["c"] = (f"hour-and-zone mean, AUC {auc or 0:.3f}", line)
    return lines, "The further above the diagonal, which is guessing, the better the trips are ranked."


def _precision_recall_lines(facts: Facts) -> tuple[LabeledLines, dict[str, float], str]:
    lines = {
        SEGMENT_COLORS[name]: (f"{name} trips", line)
        for name, tally in facts.tallies.items()
        if (line := numbers.precision_recall_curve(tally)) is not None
    }
    floors = {
        SEGMENT_COLORS[name]: evaluation.metrics.prevalence or 0.0
        for name, evaluation in _evaluations(facts).items()
    }
    return lines, floors, "The thin lines are the shares of high tips: what flagging at random reaches."


def _calibration_lines(facts: Facts) -> tuple[LabeledLines, str]:
    lines = {
        SEGMENT_COLORS[name]: (
            f"{name} trips",
            numbers.calibration_curve(evaluation.calibration_curve),
        )
        for name, evaluation in _evaluations(facts).items()
    }
    reported = facts.evaluation_of(facts.reported_segment)
    error = reported.calibration_error if reported else None
    says = f"On the diagonal, 0.7 means seven in ten; the mean distance from it is {error or 0:.3f}, of {facts.reported_segment} trips."
    return lines, says


def _draw_threshold_pictures(facts: Facts) -> list[Picture]:
    drawn = []
    for name, evaluation in _evaluations(facts).items():
        curve = evaluation.threshold_curve
        best = max((p for p in curve if p.f1 is not None), key=lambda p: p.f1 or 0.0, default=None)
        if best is None:
            continue
        at = facts.threshold or 0.5
        says = (
            f"The upright line is the threshold in use, {at:.3f}; F1 would be highest at {best.threshold:.2f}, "
            f"with {best.f1:.3f}."
        )
        title = f"Thresholds, {name} trips"
        baseline = evaluation.f1_always_positive
        drawn.append(
            model.draw_thresholds(f"threshold-{name}", title, curve, baseline, facts.threshold, says)
        )
    return drawn


def _evaluations(facts: Facts) -> dict[str, SegmentReport]:
    """Return the evaluation of each segment of the reported split that has a score histogram."""
    by_segment = {segment: facts.evaluation_of(segment) for segment in facts.tallies}
    return {segment: evaluation for segment, evaluation in by_segment.items() if evaluation}


def metrics_section(facts: Facts) -> Section:
    """Return the metrics with intervals, beside those of trivial predictors, of both populations and all splits."""
    lead = f"A metric says something beside what trivial predictors reach. {SEGMENTS_NOTE}"
    if not facts.evaluation:
        return Section("metrics", "Metrics", lead, [_no_metrics(facts)])
    split = facts.reported_split
    blocks: list[Block] = [
        _metrics_table(split, name, told) for name, told in facts.evaluation[split].items()
    ]
    blocks.append(_splits_table(facts))
    return Section("metrics", "Metrics", lead, blocks)


def _metrics_table(split: str, segment: str, evaluation: SegmentReport) -> TableBlock:
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
            "calibration error",
            formatting.format_metric(evaluation.calibration_error),
            "",
            *("" for _ in evaluation.improvement),
        ]
    )
    confusion = asdict(evaluation.confusion)
    note = "A positive improvement is better, also for losses. Confusion: " + ", ".join(
        f"{formatting.format_count(confusion[key])} {formatting.label(key)}" for key in confusion
    )
    head = [
        f"{segment} trips of {split}",
        "value",
        "95 % interval",
        *(f"improvement over {formatting.label(name)}" for name in evaluation.improvement),
    ]
    caption = (
        f"{segment.capitalize()} trips of {split}: {formatting.format_count(evaluation.metrics.rows)} trips"
    )
    return TableBlock(caption=caption, header=head, rows=body, note=f"{note}.")


def _improvement_cell(value: float | None) -> TableCell:
    if value is None:
        return TableCell("")
    return TableCell(
        formatting.format_signed(value), tone="good" if value > 0 else "bad" if value < 0 else ""
    )


def _splits_table(facts: Facts) -> TableBlock:
    populations = [(s, p) for s, told in facts.evaluation.items() for p in told]
    body = [
        [
            formatting.label(name),
            *(_format_value(name, getattr(facts.evaluation[s][p].metrics, name)) for s, p in populations),
        ]
        for name in ("rows", *REPORTED_METRICS)
    ]
    baselines = (facts.evaluation[s][p].f1_always_positive for s, p in populations)
    body.append([formatting.label("f1_always_positive"), *map(formatting.format_metric, baselines)])
    head = ["metric", *(f"{s}, {p}" for s, p in populations)]
    return TableBlock(caption="All splits side by side", header=head, rows=body)


def _format_value(name: str, value: float | None) -> str:
    return formatting.format_count(value) if name == "rows" else formatting.format_metric(value)


def slices_section(facts: Facts) -> Section:
    """Return the slices on which the model ranks worst, and by borough."""
    lead = (
        f"Where the model ranks trips worst, of {facts.reported_segment} trips of {facts.reported_split}: among slices of at least {MIN_SLICE_TRIPS}, "
        f"with {MIN_CLASS_TRIPS} high tips or more, and as many others. Within a slice an AUC has no help from what sets slices apart."
    )
    told = facts.evaluation_of(facts.reported_segment)
    if not told:
        return Section("slices", "Slices", lead, [_no_metrics(facts)])
    worst = worst_first(told.slices)[:MAX_SLICES]
    blocks: list[Block] = [
        _slices_table("The slices with the lowest AUC", worst, named=True)
        if worst
        else MissingBlock("No slice has trips enough to tell how they are ranked.")
    ]
    for name in ("payment_type", "borough", "distance"):
        those = sorted((each for each in told.slices if each.slice == name), key=_slice_sort_key)
        if len(those) > 1:
            blocks.append(_slices_table(f"By {formatting.label(name)}", those, named=False))
        elif name == "borough" and not those:
            blocks.append(
                MissingBlock(
                    "No slices by borough: the zone table was not found when these trips were scored."
                )
            )
    return Section("slices", "Slices", lead, blocks)


def worst_first(slices: Sequence[SliceMetrics]) -> list[SliceMetrics]:
    """Return the slices that have enough trips of both classes for an AUC to say something, the worst first."""
    high = [round(each.rows * (each.prevalence or 0.0)) for each in slices]
    enough = [
        each
        for each, count in zip(slices, high, strict=True)
        if MIN_CLASS_TRIPS <= count <= each.rows - MIN_CLASS_TRIPS
    ]
    return sorted(enough, key=lambda each: each.auc or 0.0)


def _slices_table(caption: str, slices: Sequence[SliceMetrics], *, named: bool) -> TableBlock:
    most = max([each.rows for each in slices] or [1])
    body: list[list[str | TableCell]] = [
        [
            _slice_label(each, named=named),
            TableCell(formatting.format_count(each.rows), bar=each.rows / most),
            formatting.format_share(each.prevalence),
            formatting.format_metric(each.auc),
            formatting.format_metric(each.f1),
            formatting.format_metric(each.f1_always_positive),
            formatting.format_metric(each.log_loss),
        ]
        for each in slices
    ]
    head = ["slice", "trips", "high tips", "AUC", "F1", "F1 of always-positive", "log loss"]
    return TableBlock(caption=caption, header=head, rows=body)


def _slice_label(slice_: SliceMetrics, *, named: bool) -> str:
    value = formatting.slice_value_label(slice_.slice, slice_.value)
    return f"{formatting.label(slice_.slice)} {value}" if named else value


def _slice_sort_key(slice_: SliceMetrics) -> tuple[float, str]:
    """Return where a slice stands: by the number that it begins with, else by its name."""
    number = re.match(r"\d+", slice_.value)
    return (float(number[0]) if number else math.inf), slice_.value
