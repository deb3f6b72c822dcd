"""Charts of the model: ranking, calibration, thresholds, probabilities and learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toytip.evaluation.report import ThresholdPoint
from toytip.evaluation.tally import Tally
from toytip.report import curves
from toytip.report.blocks import Picture
from toytip.report.charts import svg
from toytip.report.charts.axes import (
    LabeledLines,
    draw_lines,
    format_thousands,
    join_labels,
    legend_of,
    set_round_ticks,
    set_unit_axes,
)
from toytip.report.charts.svg import LINE_COLORS, LINE_DASHES, inline_svg, open_drawing
from toytip.report.curves import CurvePoints


def draw_roc(name: str, lines: LabeledLines, caption: str, *, title: str = "ROC curve") -> Picture:
    """Draw ROC curves, with the diagonal of a random ranking."""
    with open_drawing(top=22) as drawn:
        drawn.axes.plot([0, 1], [0, 1], color=svg.RULE_COLOR, linewidth=1)
        draw_lines(drawn.axes, lines)
        set_unit_axes(drawn.axes, "false positive rate", "true positive rate")
    alt = f"{title}: true positive rate by false positive rate of {join_labels(lines)}. {caption}"
    return Picture(
        title=title, svg=inline_svg(drawn.svg, alt, name), alt=alt, caption=caption, legend=legend_of(lines)
    )


def draw_precision_recall(
    name: str,
    lines: LabeledLines,
    prevalences: Mapping[str, float],
    caption: str,
    *,
    title: str = "Precision and recall",
) -> Picture:
    """Draw precision by recall. Horizontal lines mark the share of positive labels."""
    with open_drawing(top=22) as drawn:
        for color, floor in prevalences.items():
            drawn.axes.axhline(floor, color=LINE_COLORS[color], linewidth=0.7, alpha=0.6)
        draw_lines(drawn.axes, lines)
        set_unit_axes(drawn.axes, "recall", "precision")
    alt = f"{title}: precision by recall of {join_labels(lines)}. {caption}"
    return Picture(
        title=title, svg=inline_svg(drawn.svg, alt, name), alt=alt, caption=caption, legend=legend_of(lines)
    )


def draw_calibration(name: str, lines: LabeledLines, caption: str, labels: str) -> Picture:
    """Draw the observed share of positive labels, given in words, by predicted probability."""
    with open_drawing(top=22) as drawn:
        drawn.axes.plot([0, 1], [0, 1], color=svg.RULE_COLOR, linewidth=1)
        for color, (_, (x, y)) in lines.items():
            drawn.axes.plot(
                x, y, color=LINE_COLORS[color], linestyle=LINE_DASHES[color], marker="o", markersize=3.4
            )
        set_unit_axes(drawn.axes, "predicted probability", f"observed share of {labels}")
    alt = f"Observed share of {labels} by predicted probability, of {join_labels(lines)}. {caption}"
    return Picture(
        title="Calibration curve",
        svg=inline_svg(drawn.svg, alt, name),
        alt=alt,
        caption=caption,
        legend=legend_of(lines),
    )


def draw_thresholds(
    name: str,
    title: str,
    curve: Sequence[ThresholdPoint],
    f1_always_positive: float | None,
    threshold: float | None,
    caption: str,
) -> Picture:
    """Draw F1, precision and recall by threshold, and the decision threshold of the model."""
    lines = {
        color: (label, _curve_points(curve, key))
        for color, label, key in (
            ("a", "F1", "f1"),
            ("b", "precision", "precision"),
            ("c", "recall", "recall"),
        )
    }
    with open_drawing(top=22) as drawn:
        if f1_always_positive is not None:
            drawn.axes.axhline(f1_always_positive, color=svg.MUTED_COLOR, linewidth=0.9)
        if threshold is not None:
            drawn.axes.axvline(threshold, color=svg.TEXT_COLOR, linewidth=0.9)
        draw_lines(drawn.axes, lines)
        set_unit_axes(drawn.axes, "threshold", "")
    alt = f"{title}: F1, precision and recall by threshold. {caption}"
    baseline = [("muted", "F1 of always-positive")] if f1_always_positive is not None else []
    legend = [*legend_of(lines), *baseline]
    return Picture(title=title, svg=inline_svg(drawn.svg, alt, name), alt=alt, caption=caption, legend=legend)


def _curve_points(curve: Sequence[ThresholdPoint], metric: str) -> CurvePoints:
    points = [(point.threshold, getattr(point, metric)) for point in curve]
    defined = [(x, y) for x, y in points if y is not None]
    return [x for x, _ in defined], [y for _, y in defined]


def draw_probabilities(name: str, tally: Tally, caption: str, label: str) -> Picture:
    """Draw the number of trips with each label, given in words, by predicted probability."""
    low, high = curves.probability_histogram(tally)
    width = 1 / len(low)
    centers = [(index + 0.5) * width for index in range(len(low))]
    with open_drawing(left=46, top=22) as drawn:
        drawn.axes.bar(centers, low, width * 0.84, color=svg.GRAY_COLOR, linewidth=0)
        drawn.axes.bar(centers, high, width * 0.84, bottom=low, color=svg.COLOR_A, linewidth=0)
        drawn.axes.set(xlim=(0, 1), xlabel="predicted probability")
        drawn.axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
        drawn.axes.set_title("trips", loc="left", fontsize=svg.FONT_SIZE, color=svg.MUTED_COLOR, pad=4)
        format_thousands(drawn.axes)
    alt = f"Number of trips with and without the label {label}, by predicted probability. {caption}"
    legend = [("box-a", label), ("box-muted", f"no {label}")]
    return Picture(
        title="Predicted probabilities",
        svg=inline_svg(drawn.svg, alt, name),
        alt=alt,
        caption=caption,
        legend=legend,
    )


def draw_learning_curve(name: str, lines: LabeledLines, best_round: int | None, caption: str) -> Picture:
    """Draw the log loss by round, and the best round as a vertical line."""
    with open_drawing(left=44, top=22) as drawn:
        draw_lines(drawn.axes, lines)
        if best_round is not None:
            drawn.axes.axvline(best_round, color=svg.TEXT_COLOR, linewidth=0.9)
        ends = [y[len(y) // 20] for _, (_, y) in lines.values() if y]
        lows = [min(y) for _, (_, y) in lines.values() if y]
        if ends and max(ends) > min(lows):
            drawn.axes.set_ylim(min(lows) - 0.05 * (max(ends) - min(lows)), max(ends))
        drawn.axes.set(xlabel="round")
        drawn.axes.set_title("log loss", loc="left", fontsize=svg.FONT_SIZE, color=svg.MUTED_COLOR, pad=4)
        set_round_ticks(drawn.axes)
    alt = f"Log loss by round of {join_labels(lines)}. {caption}"
    return Picture(
        title="Learning curve",
        svg=inline_svg(drawn.svg, alt, name),
        alt=alt,
        caption=caption,
        legend=legend_of(lines),
    )
