"""Charts of the data: rows, feature distributions, SHAP values and zones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from toytip.report import formatting
from toytip.report.blocks import Picture
from toytip.report.charts import svg
from toytip.report.charts.axes import (
    draw_lines,
    format_thousands,
    join_labels,
    legend_of,
    set_round_ticks,
)
from toytip.report.charts.svg import LINE_COLORS, inline_svg, open_drawing
from toytip.report.facts import Facts, FeatureDistribution, FeatureImportance

MIXED_MONTH_LABEL = "split by day"
# At most this many category values with the lowest mean SHAP values are shown, and as many with the
# highest.
MAX_CATEGORY_ENDS = 3
# A caption mentions an extreme month if its median is outside the range of the first and the last
# median by more than this share.
MIN_NOTABLE_DEVIATION = 0.05
MIN_REPORTED_MISSING_SHARE = 0.001


def draw_accepted_trips(name: str, facts: Facts, caption: str) -> Picture:
    """Draw the number of kept trips by month, colored by split."""
    months = list(facts.rows)
    splits = {month: _month_split(facts, month) for month in months}
    with open_drawing(left=46, top=22) as drawn:
        colors = {
            "train": svg.SOFT_COLOR,
            "validation": svg.COLOR_B,
            "test": svg.COLOR_A,
            MIXED_MONTH_LABEL: svg.GRAY_COLOR,
            "": svg.GRAY_COLOR,
        }
        for split, color in colors.items():
            positions = [index for index, month in enumerate(months) if splits[month] == split]
            trips = [facts.rows[months[index]].accepted for index in positions]
            if positions:
                drawn.axes.bar(positions, trips, 0.72, color=color, linewidth=0)
        _month_ticks(drawn.axes, months)
        drawn.axes.set_title("trips kept", loc="left", fontsize=svg.FONT_SIZE, color=svg.MUTED_COLOR, pad=4)
        format_thousands(drawn.axes)
    alt = f"Trips kept by month. {caption}"
    boxes = {"train": "box-soft", "validation": "box-b", "test": "box-a", MIXED_MONTH_LABEL: "box-muted"}
    legend = [(box, split) for split, box in boxes.items() if split in set(splits.values())]
    return Picture(
        title="Trips kept", svg=inline_svg(drawn.svg, alt, name), alt=alt, caption=caption, legend=legend
    )


def _month_split(facts: Facts, month: str) -> str:
    """Return the split of a month, or MIXED_MONTH_LABEL if its days are in several splits."""
    splits = [
        name
        for name, (start, stop) in facts.split.items()
        if start[:7] <= month and f"{month}-01" < stop[:10]
    ]
    return MIXED_MONTH_LABEL if len(splits) > 1 else "".join(splits)


def draw_reject_shares(name: str, facts: Facts, reasons: Sequence[str], caption: str) -> Picture:
    """Draw the share of rejected trips by month, one line per reject reason in `reasons`."""
    months = list(facts.rows)
    lines = {}
    for color, reason in zip(("a", "b", "c"), reasons, strict=False):
        shares = [100 * rows.rejects.get(reason, 0) / max(rows.read, 1) for rows in facts.rows.values()]
        lines[color] = (formatting.label(reason), (list(map(float, range(len(months)))), shares))
    with open_drawing(top=22) as drawn:
        draw_lines(drawn.axes, lines)
        for color, (_, (x, y)) in lines.items():
            drawn.axes.plot(x, y, "o", color=LINE_COLORS[color], markersize=3)
        drawn.axes.set_ylim(bottom=0)
        _month_ticks(drawn.axes, months)
        drawn.axes.set_title(
            "% of the trips read", loc="left", fontsize=svg.FONT_SIZE, color=svg.MUTED_COLOR, pad=4
        )
        set_round_ticks(drawn.axes)
    alt = f"Share of rejected trips by month and reason: {join_labels(lines)}. {caption}"
    return Picture(
        title="Rejected trips",
        svg=inline_svg(drawn.svg, alt, name),
        alt=alt,
        caption=caption,
        legend=legend_of(lines),
    )


def _month_ticks(axes: Any, months: Sequence[str]) -> None:
    ticks = range(0, len(months), -(-len(months) // 5))
    axes.set_xticks(list(ticks), [months[index] for index in ticks])


def _end_ticks(axes: Any, positions: Sequence[float], labels: Sequence[str]) -> None:
    """Label the first and the last position, inside the chart."""
    axes.set_xticks(list(positions), list(labels))
    for tick, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
        tick.set_horizontalalignment(side)


def draw_feature_distribution(name: str, distribution: FeatureDistribution, months: Sequence[str]) -> Picture:
    """Draw the distribution of a feature by month: median and bands, or shares of categories."""
    positions = range(len(months))
    with open_drawing(small=True) as drawn:
        axes = drawn.axes
        if distribution.shares:
            _draw_shares(axes, list(distribution.shares.values()))
        else:
            _draw_bands(axes, distribution.quantiles)
        axes.set_xlim(*((0, len(months) - 1) if len(months) > 1 else (-0.5, 0.5)))
        ends = [0, len(months) - 1] if len(months) > 1 else [0]
        _end_ticks(axes, ends, [months[index] for index in ends])
    caption = _describe_distribution(distribution, months)
    alt = f"{distribution.name} by month, {months[positions[0]]} to {months[-1]}. {caption}."
    return Picture(
        title=distribution.name,
        svg=inline_svg(drawn.svg, alt, name, small=True),
        alt=alt,
        caption=caption,
        small=True,
    )


def _draw_shares(axes: Any, shares: Sequence[Sequence[float]]) -> None:
    positions = range(len(shares[0]))
    low = [0.0] * len(shares[0])
    for values, color in zip(shares, reversed(svg.MAP_SHADES), strict=False):
        high = [a + b for a, b in zip(low, values, strict=True)]
        axes.fill_between(positions, low, high, color=color, linewidth=0)
        low = high
    top = min(max(0.1, math.ceil(10 * max(low)) / 10), 1)
    axes.set_ylim(0, top)
    axes.set_yticks([0, top], ["0", f"{top:.0%}"])


def _draw_bands(axes: Any, quantiles: Sequence[Sequence[float]]) -> None:
    positions = range(len(quantiles))
    bands = list(zip(*quantiles, strict=True))
    axes.fill_between(positions, bands[0], bands[4], color=svg.PALE_COLOR, linewidth=0)
    axes.fill_between(positions, bands[1], bands[3], color=svg.SOFT_COLOR, linewidth=0)
    axes.plot(positions, bands[2], color=svg.COLOR_A)
    if len(set(bands[0]) | set(bands[4])) == 1:  # a single value has no scale
        axes.set_yticks([bands[0][0]], [formatting.compact(bands[0][0])])
    else:
        set_round_ticks(axes, 3)


def _describe_distribution(distribution: FeatureDistribution, months: Sequence[str]) -> str:
    missing = max(distribution.missing_shares)
    suffix = f", up to {missing:.1%} missing" if missing >= MIN_REPORTED_MISSING_SHARE else ""
    if distribution.shares:
        means = {value: sum(shares) / len(shares) for value, shares in distribution.shares.items()}
        texts = [f"{value}: {mean:.0%}" for value, mean in means.items()]
        return ", ".join(texts) + suffix
    quantiles = {
        month: values
        for month, values in zip(months, distribution.quantiles, strict=True)
        if not math.isnan(values[2])
    }
    if not quantiles:
        return f"no trips{suffix}"
    low = formatting.compact(min(values[0] for values in quantiles.values()))
    high = formatting.compact(max(values[4] for values in quantiles.values()))
    if low != high:
        median = _describe_medians({month: values[2] for month, values in quantiles.items()})
        return f"median {median}, 90 % of trips between {low} and {high}{suffix}"
    ends = [formatting.compact(end) for end in distribution.value_range or ()]
    if set(ends) <= {low}:
        return f"always {low}{suffix}"
    return f"{low} for 90 % of trips, between {ends[0]} and {ends[1]} for all trips{suffix}"


def _describe_medians(by_month: Mapping[str, float]) -> str:
    """Describe the first, the last and, if notable, the most extreme median."""
    values = list(by_month.values())
    first, last = values[0], values[-1]
    low, high = sorted((first, last))
    furthest = max(by_month, key=lambda month: max(low - by_month[month], by_month[month] - high))
    ends = dict.fromkeys(map(formatting.compact, (first, last)))
    text = "{} in the first month and {} in the last".format(*ends) if len(ends) > 1 else next(iter(ends))
    extreme = by_month[furthest]
    if max(low - extreme, extreme - high) <= MIN_NOTABLE_DEVIATION * max(abs(low), abs(high)):
        return text
    return f"{text}, {'lowest' if extreme < low else 'highest'} {formatting.compact(extreme)} in {furthest}"


def draw_shap_by_value(name: str, importance: FeatureImportance) -> Picture:
    """Draw the mean SHAP value of a feature by quantile group, or by category."""
    groups = importance.shap_by_value
    if importance.is_categorical and len(groups) > 2 * MAX_CATEGORY_ENDS:
        groups = groups[:MAX_CATEGORY_ENDS] + groups[-MAX_CATEGORY_ENDS:]
    means = [mean for _, _, mean in groups]
    with open_drawing(small=True) as drawn:
        axes = drawn.axes
        colors = [svg.COLOR_A if mean > 0 else svg.COLOR_B for mean in means]
        axes.bar(range(len(means)), means, 0.8, color=colors, linewidth=0)
        axes.axhline(0, color=svg.MUTED_COLOR, linewidth=0.8)
        axes.set_xlim(-0.5, max(len(means), 1) - 0.5)
        ends = sorted({0, len(means) - 1})
        labels = [
            _range_end_label(importance.words, groups[index][min(side, 1)]) for side, index in enumerate(ends)
        ]
        _end_ticks(axes, ends, labels)
        set_round_ticks(axes, 3)
    low, high = (formatting.format_signed(end, 2) for end in (min(means), max(means)))
    caption = f"{low} to {high}"
    order = "values with the largest effect" if importance.is_categorical else "in ascending order of values"
    alt = f"Mean SHAP value in log-odds by value of {importance.name}, {order}: {caption}."
    return Picture(
        title=importance.name,
        svg=inline_svg(drawn.svg, alt, name, small=True),
        alt=alt,
        caption=caption,
        small=True,
    )


def _range_end_label(words: Mapping[str, str], value: float) -> str:
    text = formatting.compact(value)
    return "unknown" if math.isnan(value) else words.get(text, text)


def draw_zone_map(
    name: str,
    outlines: Mapping[int, Sequence[Sequence[tuple[float, float]]]],
    values: Mapping[int, float],
    caption: str,
) -> Picture:
    """Draw a map of zones, darker for larger values.

    Each of the four shades stands for a quarter of the zones with a value. Other zones are gray.
    """
    from matplotlib.collections import PolyCollection

    order = sorted(values, key=values.__getitem__)
    shades = {zone: svg.MAP_SHADES[4 * rank // len(order)] for rank, zone in enumerate(order)}
    shapes = [list(ring) for rings in outlines.values() for ring in rings]
    colors = [shades.get(zone, svg.RULE_COLOR) for zone, rings in outlines.items() for _ in rings]
    with open_drawing(left=8, bottom=8) as drawn:
        drawn.axes.add_collection(
            PolyCollection(shapes, facecolors=colors, edgecolors=svg.PAPER_COLOR, linewidths=0.4)
        )
        drawn.axes.autoscale_view()
        drawn.axes.set_aspect("equal")
        drawn.axes.set_axis_off()
    alt = f"Map of the pickup zones. Darker zones have a larger share of positive labels. {caption}"
    return Picture(
        title="Map of the pickup zones", svg=inline_svg(drawn.svg, alt, name), alt=alt, caption=caption
    )
