"""Small charts of AUC and log loss by day, which do not rise with the share of high tips as F1 does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toytip.report import formatting
from toytip.report.blocks import Picture
from toytip.report.charts import svg
from toytip.report.charts.axes import drop_missing_points, set_round_ticks
from toytip.report.charts.svg import inline_svg, open_drawing

if TYPE_CHECKING:
    from toytip.monitoring.report import DayPerformance, PeriodMetric


def draw_daily_ranking(days: Sequence[DayPerformance]) -> list[Picture]:
    """Draw AUC and log loss of each day and of seven days."""
    auc = "How well trips are ranked, independent of the threshold and of the share of high tips"
    log_loss = "Distance of the probabilities from the labels, lower is better"
    return [
        _draw_daily_metric("auc", lambda metrics: metrics.auc, days, auc),
        _draw_daily_metric("log_loss", lambda metrics: metrics.log_loss, days, log_loss),
    ]


def _draw_daily_metric(
    metric: str, value_of: PeriodMetric, days: Sequence[DayPerformance], caption: str
) -> Picture:
    when = list(map(float, range(len(days))))
    x, y = drop_missing_points(when, [value_of(day.rolling) for day in days])
    with open_drawing(small=True) as drawn:
        axes = drawn.axes
        axes.plot(
            *drop_missing_points(when, [value_of(day.metrics) for day in days]),
            ".",
            color=svg.SOFT_COLOR,
            markersize=3,
            markeredgewidth=0,
        )
        axes.plot(x, y, color=svg.COLOR_A)
        axes.set_xticks(when[:1] + when[1:][-1:], [days[k].day[:7] for k in (0, -1)[: len(days)]])
        for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
            tick.set_horizontalalignment(side)
        set_round_ticks(axes, 3)
    says = f"{caption}."
    if y:
        low, high = (
            f"{formatting.format_metric(y[k])} in the week to {days[int(x[k])].day}"
            for k in (y.index(min(y)), y.index(max(y)))
        )
        says = f"{caption}; lowest {low}, highest {high}."
    title = f"{formatting.capitalize_first(formatting.label(metric))}, seven days"
    alt = f"{title}, and by day. {says}"
    return Picture(
        title=title,
        svg=inline_svg(drawn.svg, alt, f"days-{metric}", small=True),
        alt=alt,
        caption=says,
        small=True,
    )
