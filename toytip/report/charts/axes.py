"""Labeled lines and axes that the charts share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toytip.report.charts import svg
from toytip.report.charts.svg import LINE_COLORS, LINE_DASHES
from toytip.report.curves import CurvePoints

# The lines of a chart by color, each with its label and points.
LabeledLines = Mapping[str, tuple[str, CurvePoints]]


def legend_of(lines: LabeledLines) -> list[tuple[str, str]]:
    """Return the color and label of every line."""
    return [(color, label) for color, (label, _) in lines.items()]


def join_labels(lines: LabeledLines) -> str:
    """Return the labels of all lines as one text."""
    return ", ".join(label for label, _ in lines.values())


def drop_missing_points(x: Sequence[float], y: Sequence[float | None]) -> CurvePoints:
    """Return the points that have a value."""
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if b is not None]
    return [a for a, _ in pairs], [b for _, b in pairs]


def draw_lines(axes: Any, lines: LabeledLines) -> None:
    """Draw every line in its color and dash pattern."""
    for color, (_, (x, y)) in lines.items():
        axes.plot(x, y, color=LINE_COLORS[color], linestyle=LINE_DASHES[color])


def set_unit_axes(axes: Any, x_label: str, y_label: str) -> None:
    """Set both axes to the range 0 to 1. The y label is horizontal and above the axis."""
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel=x_label)
    axes.set_title(y_label, loc="left", fontsize=svg.FONT_SIZE, color=svg.MUTED_COLOR, pad=4)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])


def set_round_ticks(axes: Any, ticks: int = 5) -> None:
    """Set about `ticks` ticks of the y axis, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(ticks, min_n_ticks=2, steps=[1, 2, 5, 10]))


def format_thousands(axes: Any) -> None:
    """Set round ticks of the y axis, and label 20,000 as 20k."""
    from matplotlib.ticker import FuncFormatter

    set_round_ticks(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e3:g}k" if value else "0"))
