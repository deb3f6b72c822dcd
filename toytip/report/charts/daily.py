"""Charts of the performance by day: F1 with its baseline, AUC and log loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toytip.report import formatting
from toytip.report.blocks import Picture
from toytip.report.charts import svg
from toytip.report.charts.axes import (
    LabeledLines,
    draw_lines,
    drop_missing_points,
    legend_of,
    set_round_ticks,
)
from toytip.report.charts.svg import inline_svg, open_drawing

if TYPE_CHECKING:
    from toytip.monitoring.report import DayPerformance, PeriodMetric


def draw_daily_f1(name: str, days: Sequence[DayPerformance], caption: str) -> Picture:
    """Draw F1 of each day and over seven days, and F1 of the always-positive baseline."""
    positions = list(map(float, range(len(days))))
    weeks = [day.rolling for day in days]
    lines: LabeledLines = {
        "a": ("F1 over seven days", drop_missing_points(positions, [week.f1 for week in weeks])),
        "b": (
            "always-positive baseline over seven days",
            drop_missing_points(positions, [week.f1_always_positive for week in weeks]),
        ),
    }
    with open_drawing(top=22) as drawn:
        x, y = drop_missing_points(positions, [day.metrics.f1 for day in days])
        drawn.axes.plot(x, y, ".", color=svg.SOFT_COLOR, markersize=4, markeredgewidth=0)
        draw_lines(drawn.axes, lines)
        firsts = [index for index, day in enumerate(days) if day.day.endswith("-01")] or [0]
        step = -(-len(firsts) // 5)
        drawn.axes.set_xticks(firsts[::step], [days[index].day[:7] for index in firsts[::step]])
        drawn.axes.set_title("F1", loc="left", fontsize=svg.FONT_SIZE, color=svg.MUTED_COLOR, pad=4)
        set_round_ticks(drawn.axes)
    alt = f"F1 of each day and over seven days, and F1 of the always-positive baseline. {caption}"
    return Picture(
        title="F1 by day",
        svg=inline_svg(drawn.svg, alt, name),
        alt=alt,
        caption=caption,
        legend=legend_of(lines),
    )


def draw_daily_ranking(days: Sequence[DayPerformance], labels: str) -> list[Picture]:
    """Draw AUC and log loss by day and over seven days. `labels` are positive labels in words."""
    auc = (
        "AUC measures how well the model ranks trips, independent of the threshold and of the share of "
        f"{labels}"
    )
    log_loss = "Log loss measures how far the probabilities are from the labels, so lower is better"
    return [
        _draw_daily_metric("auc", lambda metrics: metrics.auc, days, auc),
        _draw_daily_metric("log_loss", lambda metrics: metrics.log_loss, days, log_loss),
    ]


def _draw_daily_metric(
    metric: str, value_of: PeriodMetric, days: Sequence[DayPerformance], caption: str
) -> Picture:
    positions = list(map(float, range(len(days))))
    x, y = drop_missing_points(positions, [value_of(day.rolling) for day in days])
    with open_drawing(small=True) as drawn:
        axes = drawn.axes
        axes.plot(
            *drop_missing_points(positions, [value_of(day.metrics) for day in days]),
            ".",
            color=svg.SOFT_COLOR,
            markersize=3,
            markeredgewidth=0,
        )
        axes.plot(x, y, color=svg.COLOR_A)
        axes.set_xticks(
            positions[:1] + positions[1:][-1:], [days[end].day[:7] for end in (0, -1)[: len(days)]]
        )
        for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
            tick.set_horizontalalignment(side)
        set_round_ticks(axes, 3)
    text = f"{caption}."
    if y:
        low, high = (
            f"{formatting.format_metric(y[index])} in the week that ends on {days[int(x[index])].day}"
            for index in (y.index(min(y)), y.index(max(y)))
        )
        text = f"{caption}. Lowest: {low}. Highest: {high}."
    title = f"{formatting.capitalize_first(formatting.label(metric))} over seven days"
    alt = f"{title}, and by day. {text}"
    return Picture(
        title=title,
        svg=inline_svg(drawn.svg, alt, f"days-{metric}", small=True),
        alt=alt,
        caption=text,
        small=True,
    )
