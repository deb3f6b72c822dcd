"""daily: small pictures of AUC and log loss day by day: what F1, which rises with the share of high tips, hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toytip.report import ink, say
from toytip.report.blocks import Picture
from toytip.report.ink import drawing, inline
from toytip.report.lines import few, known


def ranks_of_days(told: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Draw AUC and log loss of seven days, and of every day."""
    about = {
        "auc": "How well trips are ranked, whatever the threshold and the share of high tips",
        "log_loss": "How far the probabilities are from what happened: less is better",
    }
    return [_daily(name, told, meant) for name, meant in about.items()]


def _daily(metric: str, told: Sequence[Mapping[str, Any]], meant: str) -> Picture:
    when = list(map(float, range(len(told))))
    x, y = known(when, [day["rolling"][metric] for day in told])
    with drawing(small=True) as drawn:
        axes = drawn.axes
        axes.plot(
            *known(when, [day[metric] for day in told]), ".", color=ink.SOFT, markersize=3, markeredgewidth=0
        )
        axes.plot(x, y, color=ink.A)
        axes.set_xticks(when[:1] + when[1:][-1:], [told[k]["day"][:7] for k in (0, -1)[: len(told)]])
        for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
            tick.set_horizontalalignment(side)
        few(axes, 3)
    says = f"{meant}."
    if y:
        low, high = (
            f"{say.metric(y[k])} in the week to {told[int(x[k])]['day']}"
            for k in (y.index(min(y)), y.index(max(y)))
        )
        says = f"{meant}; lowest {low}, highest {high}."
    title = f"{say.first(say.word(metric))}, seven days"
    alt = f"{title}, and of every day. {says}"
    return Picture(
        title=title, svg=inline(drawn.svg, alt, f"days-{metric}", small=True), alt=alt, says=says, small=True
    )
