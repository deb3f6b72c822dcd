"""daily: small pictures of AUC and log loss day by day: what F1, which rises with the share of high tips, hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toytip.report import formatting
from toytip.report.blocks import Picture
from toytip.report.charts import svg
from toytip.report.charts.axes import drop_missing_points, set_round_ticks
from toytip.report.charts.svg import inline_svg, open_drawing


def draw_daily_ranking(days: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Draw AUC and log loss of seven days, and of every day."""
    about = {
        "auc": "How well trips are ranked, whatever the threshold and the share of high tips",
        "log_loss": "How far the probabilities are from what happened: less is better",
    }
    return [_draw_daily_metric(name, days, meant) for name, meant in about.items()]


def _draw_daily_metric(metric: str, days: Sequence[Mapping[str, Any]], caption: str) -> Picture:
    when = list(map(float, range(len(days))))
    x, y = drop_missing_points(when, [day["rolling"][metric] for day in days])
    with open_drawing(small=True) as drawn:
        axes = drawn.axes
        axes.plot(
            *drop_missing_points(when, [day[metric] for day in days]),
            ".",
            color=svg.SOFT_COLOR,
            markersize=3,
            markeredgewidth=0,
        )
        axes.plot(x, y, color=svg.COLOR_A)
        axes.set_xticks(when[:1] + when[1:][-1:], [days[k]["day"][:7] for k in (0, -1)[: len(days)]])
        for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
            tick.set_horizontalalignment(side)
        set_round_ticks(axes, 3)
    says = f"{caption}."
    if y:
        low, high = (
            f"{formatting.format_metric(y[k])} in the week to {days[int(x[k])]['day']}"
            for k in (y.index(min(y)), y.index(max(y)))
        )
        says = f"{caption}; lowest {low}, highest {high}."
    title = f"{formatting.capitalize_first(formatting.label(metric))}, seven days"
    alt = f"{title}, and of every day. {says}"
    return Picture(
        title=title,
        svg=inline_svg(drawn.svg, alt, f"days-{metric}", small=True),
        alt=alt,
        caption=says,
        small=True,
    )
