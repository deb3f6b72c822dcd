"""months: pictures of what the trips are like, month by month, value by value and zone by zone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toytip.report import formatting
from toytip.report.blocks import Picture
from toytip.report.charts import svg
from toytip.report.charts.axes import (
    LabeledLines,
    draw_lines,
    drop_missing_points,
    format_thousands,
    join_labels,
    legend_of,
    set_round_ticks,
)
from toytip.report.charts.svg import LINE_COLORS, inline_svg, open_drawing
from toytip.report.facts import Facts, FeatureDistribution, FeatureImportance

if TYPE_CHECKING:
    from toytip.monitoring.report import DayPerformance

MIXED_MONTH_LABEL = "split by day"
# Of a category, so many values that a feature moves down, and as many that it moves up.
MAX_CATEGORY_ENDS = 3
# A month between the first and the last is named where its median is further from both, by such a share.
MIN_NOTABLE_DEVIATION = 0.05


def draw_accepted_trips(name: str, facts: Facts, caption: str) -> Picture:
    """Draw the trips kept, month by month, by what they are for."""
    names = list(facts.rows)
    part = {month: _month_split(facts, month) for month in names}
    with open_drawing(left=46, top=22) as drawn:
        colors = {
            "train": svg.SOFT_COLOR,
            "validation": svg.COLOR_B,
            "test": svg.COLOR_A,
            MIXED_MONTH_LABEL: svg.GRAY_COLOR,
            "": svg.GRAY_COLOR,
        }
        for kind, color in colors.items():
            places = [k for k, month in enumerate(names) if part[month] == kind]
            trips = [facts.rows[names[k]].kept for k in places]
            if places:
                drawn.axes.bar(places, trips, 0.72, color=color, linewidth=0)
        _month_ticks(drawn.axes, names)
        drawn.axes.set_title("trips kept", loc="left", fontsize=svg.FONT_SIZE, color=svg.MUTED_COLOR, pad=4)
        format_thousands(drawn.axes)
    alt = f"Trips kept by month. {caption}"
    there = set(part.values())
    keys = [
        (key, kind)
        for key, kind in (
            ("box-soft", "train"),
            ("box-b", "validation"),
            ("box-a", "test"),
            ("box-muted", MIXED_MONTH_LABEL),
        )
        if kind in there
    ]
    return Picture(
        title="Trips kept", svg=inline_svg(drawn.svg, alt, name), alt=alt, caption=caption, legend=keys
    )


def _month_split(facts: Facts, month: str) -> str:
    """Return what a month is for: its split, or that several share its days."""
    kinds = [
        kind
        for kind, (start, stop) in facts.split.items()
        if start[:7] <= month and f"{month}-01" < stop[:10]
    ]
    return MIXED_MONTH_LABEL if len(kinds) > 1 else "".join(kinds)


def draw_reject_shares(name: str, facts: Facts, reasons: Sequence[str], caption: str) -> Picture:
    """Draw the share of trips rejected, month by month, of the reasons that reject most."""
    names = list(facts.rows)
    lines = {}
    for color, reason in zip(("a", "b", "c"), reasons, strict=False):
        shares = [100 * facts.rows[m].rejects.get(reason, 0) / max(facts.rows[m].read, 1) for m in names]
        lines[color] = (formatting.label(reason), (list(map(float, range(len(names)))), shares))
    with open_drawing(top=22) as drawn:
        draw_lines(drawn.axes, lines)
        for color, (_, (x, y)) in lines.items():
            drawn.axes.plot(x, y, "o", color=LINE_COLORS[color], markersize=3)
        drawn.axes.set_ylim(bottom=0)
        _month_ticks(drawn.axes, names)
        drawn.axes.set_title(
            "% of the trips read", loc="left", fontsize=svg.FONT_SIZE, color=svg.MUTED_COLOR, pad=4
        )
        set_round_ticks(drawn.axes)
    alt = f"Share of trips rejected by month, by {join_labels(lines)}. {caption}"
    return Picture(
        title="Rejected",
        svg=inline_svg(drawn.svg, alt, name),
        alt=alt,
        caption=caption,
        legend=legend_of(lines),
    )


def _month_ticks(axes: Any, names: Sequence[str]) -> None:
    step = -(-len(names) // 5)
    shown = range(0, len(names), step)
    axes.set_xticks(list(shown), [names[k] for k in shown])


def draw_daily_f1(name: str, days: Sequence[DayPerformance], caption: str) -> Picture:
    """Draw the F1 of each day and of seven days, and that of the always-positive baseline."""
    when = list(map(float, range(len(days))))
    weeks = [day.rolling for day in days]
    lines: LabeledLines = {
        "a": ("F1, seven days", drop_missing_points(when, [week.f1 for week in weeks])),
        "b": (
            "always positive, seven days",
            drop_missing_points(when, [week.f1_always_positive for week in weeks]),
        ),
    }
    with open_drawing(top=22) as drawn:
        x, y = drop_missing_points(when, [day.metrics.f1 for day in days])
        drawn.axes.plot(x, y, ".", color=svg.SOFT_COLOR, markersize=4, markeredgewidth=0)
        draw_lines(drawn.axes, lines)
        firsts = [index for index, day in enumerate(days) if day.day.endswith("-01")] or [0]
        step = -(-len(firsts) // 5)
        drawn.axes.set_xticks(firsts[::step], [days[index].day[:7] for index in firsts[::step]])
        drawn.axes.set_title("F1", loc="left", fontsize=svg.FONT_SIZE, color=svg.MUTED_COLOR, pad=4)
        set_round_ticks(drawn.axes)
    alt = f"F1 by day and over seven days, and F1 of the always-positive baseline. {caption}"
    return Picture(
        title="F1 by day",
        svg=inline_svg(drawn.svg, alt, name),
        alt=alt,
        caption=caption,
        legend=legend_of(lines),
    )


def draw_feature_distribution(name: str, distribution: FeatureDistribution, months: Sequence[str]) -> Picture:
    """Draw a feature month by month: median and bands of an amount, shares of a category's most common values."""
    places = range(len(months))
    with open_drawing(small=True) as drawn:
        axes = drawn.axes
        if distribution.shares:
            shares = list(distribution.shares.values())
            low = [0.0] * len(months)
            for values, color in zip(shares, reversed(svg.MAP_SHADES), strict=False):
                high = [a + b for a, b in zip(low, values, strict=True)]
                axes.fill_between(places, low, high, color=color, linewidth=0)
                low = high
            top = min(max(0.1, math.ceil(10 * max(low)) / 10), 1)
            axes.set_ylim(0, top)
            axes.set_yticks([0, top], ["0", f"{top:.0%}"])
        else:
            bands = list(zip(*distribution.quantiles, strict=True))
            axes.fill_between(places, bands[0], bands[4], color=svg.PALE_COLOR, linewidth=0)
            axes.fill_between(places, bands[1], bands[3], color=svg.SOFT_COLOR, linewidth=0)
            axes.plot(places, bands[2], color=svg.COLOR_A)
            if len(set(bands[0]) | set(bands[4])) == 1:  # one value: there is no scale
                axes.set_yticks([bands[0][0]], [formatting.compact(bands[0][0])])
            else:
                set_round_ticks(axes, 3)
        if len(months) == 1:  # nothing has a width then
            axes.set_xlim(-0.5, 0.5)
        else:
            axes.set_xlim(0, len(months) - 1)
        ends = [0, len(months) - 1] if len(months) > 1 else [0]
        axes.set_xticks(ends, [months[k] for k in ends])
        for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
            tick.set_horizontalalignment(side)
    says = _describe_distribution(distribution, months)
    alt = f"{distribution.name} by month, {months[0]} to {months[-1]}. {says}"
    return Picture(
        title=distribution.name,
        svg=inline_svg(drawn.svg, alt, name, small=True),
        alt=alt,
        caption=says,
        small=True,
    )


def _describe_distribution(distribution: FeatureDistribution, months: Sequence[str]) -> str:
    lacking = max(distribution.missing_shares)
    tail = f"; up to {lacking:.1%} missing" if lacking >= 0.001 else ""
    if distribution.shares:
        means = {value: sum(shares) / len(shares) for value, shares in distribution.shares.items()}
        return (
            ", ".join(
                f"{formatting.value_label(distribution.name, v)}: {share:.0%}" for v, share in means.items()
            )
            + tail
        )
    there = {
        name: each
        for name, each in zip(months, distribution.quantiles, strict=True)
        if not math.isnan(each[2])
    }
    if not there:
        return f"no trips{tail}"
    low = formatting.compact(min(each[0] for each in there.values()))
    high = formatting.compact(max(each[4] for each in there.values()))
    if low != high:
        median = _describe_medians({name: each[2] for name, each in there.items()})
        return f"median {median}; nine in ten {low} to {high}{tail}"
    ends = [formatting.compact(end) for end in distribution.value_range or ()]
    if set(ends) <= {low}:
        return f"always {low}{tail}"
    return f"nine in ten are {low}; all from {ends[0]} to {ends[1]}{tail}"


def _describe_medians(by_month: Mapping[str, float]) -> str:
    """Return the first and the last median, and the one that is furthest from both."""
    values = list(by_month.values())
    first, last = values[0], values[-1]
    low, high = sorted((first, last))
    furthest = max(by_month, key=lambda month: max(low - by_month[month], by_month[month] - high))
    ends = dict.fromkeys(map(formatting.compact, (first, last)))
    text = "first {}, last {}".format(*ends) if len(ends) > 1 else next(iter(ends))
    extreme = by_month[furthest]
    if max(low - extreme, extreme - high) <= MIN_NOTABLE_DEVIATION * max(abs(low), abs(high)):
        return text
    return f"{text}, {'lowest' if extreme < low else 'highest'} {formatting.compact(extreme)} in {furthest}"


def draw_shap_by_value(name: str, importance: FeatureImportance) -> Picture:
    """Draw the mean contribution of a feature to the log-odds, from its smallest values to its largest.

    Of a category: from the values that move it down most to those that move it up most.
    """
    parts = importance.shap_by_value
    if importance.is_categorical and len(parts) > 2 * MAX_CATEGORY_ENDS:
        parts = parts[:MAX_CATEGORY_ENDS] + parts[-MAX_CATEGORY_ENDS:]
    means = [mean for _, _, mean in parts]
    places = list(range(len(means)))
    with open_drawing(small=True) as drawn:
        axes = drawn.axes
        colors = [svg.COLOR_A if mean > 0 else svg.COLOR_B for mean in means]
        axes.bar(places, means, 0.8, color=colors, linewidth=0)
        axes.axhline(0, color=svg.MUTED_COLOR, linewidth=0.8)
        axes.set_xlim(-0.5, max(len(means), 1) - 0.5)
        ends = sorted({0, len(means) - 1})
        axes.set_xticks(
            ends, [_range_end_label(importance.name, parts[k][min(side, 1)]) for side, k in enumerate(ends)]
        )
        for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
            tick.set_horizontalalignment(side)
        set_round_ticks(axes, 3)
    says = f"between {formatting.format_signed(min(means), 2)} and {formatting.format_signed(max(means), 2)}"
    order = (
        "the values that move it most"
        if importance.is_categorical
        else "from its smallest values to its largest"
    )
    alt = f"Mean contribution of {importance.name} to the log-odds of a high tip, {order}: {says}."
    return Picture(
        title=importance.name,
        svg=inline_svg(drawn.svg, alt, name, small=True),
        alt=alt,
        caption=says,
        small=True,
    )


def _range_end_label(name: str, value: float) -> str:
    return "unknown" if math.isnan(value) else formatting.value_label(name, formatting.compact(value))


def draw_zone_map(
    name: str,
    outlines: Mapping[int, Sequence[Sequence[tuple[float, float]]]],
    values: Mapping[int, float],
    caption: str,
) -> Picture:
    """Draw zones in four shades, as many zones in each, the darker the larger their value; gray where it is not known."""
    from matplotlib.collections import PolyCollection

    order = sorted(values, key=lambda number: values[number])
    shade = {number: svg.MAP_SHADES[4 * place // len(order)] for place, number in enumerate(order)}
    rings = [
        (list(ring), shade.get(number, svg.RULE_COLOR)) for number, told in outlines.items() for ring in told
    ]
    shapes, colors = [ring for ring, _ in rings], [color for _, color in rings]
    with open_drawing(left=8, bottom=8) as drawn:
        drawn.axes.add_collection(
            PolyCollection(shapes, facecolors=colors, edgecolors=svg.PAPER_COLOR, linewidths=0.4)
        )
        drawn.axes.autoscale_view()
        drawn.axes.set_aspect("equal")
        drawn.axes.set_axis_off()
    alt = f"Map of the pickup zones, the darker the larger the share of high tips. {caption}"
    return Picture(title="Map", svg=inline_svg(drawn.svg, alt, name), alt=alt, caption=caption)
