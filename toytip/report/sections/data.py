"""trips: sections of what the trips are like, month by month and zone by zone, and what the model makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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
from toytip.report.charts import data as drawn_by
from toytip.report.facts import Facts, FeatureImportance, ZoneSummary

MAX_DRAWN_FEATURES = 18
MAX_IMPORTANCE_ROWS = 12
MAX_SHAP_PICTURES = 5
MAX_TABLE_ZONES = 25
# With fewer trips a zone's share is chance.
MIN_ZONE_TRIPS = 50
# A contribution that is less is written as nought.
MIN_REPORTED_SHAP = 0.005
# What has no value, and what has one that training never saw, have codes that stand for no value.
UNKNOWN_VALUE = "missing or never seen"


def features_section(facts: Facts) -> Section:
    """Return how every feature was, month by month."""
    lead = (
        "Those that the model leans on most come first. Of amounts: the median, and the bands of half and nine in ten of the "
        "trips. Of categories: the shares of the four most common values, the most common below."
    )
    if not facts.feature_distributions:
        return Section(
            "features",
            "Features by month",
            lead,
            [MissingBlock(f"Not told: {facts.missing_reasons.get('features', 'no profiles')}.")],
        )
    names = list(facts.months)
    drawn = [
        drawn_by.draw_feature_distribution(f"feature-{place}", told, names)
        for place, told in enumerate(facts.feature_distributions[:MAX_DRAWN_FEATURES])
        if min(told.missing_shares) < 1
    ]
    blocks: list[Block] = [PicturesBlock(drawn)]
    empty = [told.name for told in facts.feature_distributions if min(told.missing_shares) >= 1]
    if empty:
        blocks.append(TextBlock(f"No trip has {', '.join(empty)}."))
    if len(facts.feature_distributions) > MAX_DRAWN_FEATURES:
        rest = ", ".join(told.name for told in facts.feature_distributions[MAX_DRAWN_FEATURES:])
        why = "the model leans least on these" if facts.feature_importance else "there is room for no more"
        blocks.append(TextBlock(f"The first {MAX_DRAWN_FEATURES} are drawn. Not shown, as {why}: {rest}."))
    return Section("features", "Features by month", lead, blocks)


def importance_section(facts: Facts) -> Section:
    """Return what the model leans on."""
    lead = (
        f"Contributions to the log-odds (SHAP) of {formatting.format_count(facts.explained_trips)} test trips, drawn evenly: how much a feature moves a "
        "trip's probability, and where to."
        if facts.explained_trips
        else "The share of the gain of all splits that each feature has."
    )
    if not facts.feature_importance:
        return Section(
            "leaning",
            "What the model leans on",
            lead,
            [MissingBlock(f"Not told: {facts.missing_reasons.get('leaning', 'no model')}.")],
        )
    zones_ = {each.zone_id: each.name for each in facts.zones if each.name}
    blocks: list[Block] = [_importance_table(facts.feature_importance[:MAX_IMPORTANCE_ROWS], zones_)]
    if facts.explained_trips:
        blocks.append(
            TextBlock(
                "How the five most important move the log-odds: amounts from their smallest values to their largest; of zones "
                "and other categories, the values that move them most. Unknown is what is missing or was never seen in training."
            )
        )
        told = [each for each in facts.feature_importance if each.shap_by_value][:MAX_SHAP_PICTURES]
        blocks.append(
            PicturesBlock([drawn_by.draw_shap_by_value(f"shap-{k}", each) for k, each in enumerate(told)])
        )
    if not facts.explained_trips:
        blocks.append(
            MissingBlock(
                f"No contributions: {facts.missing_reasons.get('leaning', 'the features are gone')}."
            )
        )
    return Section("leaning", "What the model leans on", lead, blocks)


def _importance_table(importances: Sequence[FeatureImportance], zone_names: Mapping[int, str]) -> TableBlock:
    most = max([each.mean_abs_shap or 0.0 for each in importances] or [1]) or 1.0
    top = max([each.gain_share for each in importances] or [1]) or 1.0
    body: list[list[str | TableCell]] = []
    for each in importances:
        size = TableCell(
            formatting.NO_VALUE if each.mean_abs_shap is None else f"{each.mean_abs_shap:.3f}",
            bar=(each.mean_abs_shap or 0) / most,
        )
        body.append(
            [
                each.name,
                size,
                TableCell(formatting.format_share(each.gain_share), bar=each.gain_share / top),
                *_extreme_values(each, zone_names),
            ]
        )
    return TableBlock(
        caption="Features by the mean size of their contribution",
        header=["feature", "mean |SHAP|", "share of gain", "most against a high tip", "most for a high tip"],
        rows=body,
        text_columns=(0, 3, 4),
        note="The last two columns are the values, of about ten even groups, whose mean contribution is lowest and highest; of "
        f"zones and other categories, up to {drawn_by.MAX_CATEGORY_ENDS} values.",
    )


def _extreme_values(importance: FeatureImportance, zone_names: Mapping[int, str]) -> list[TableCell]:
    if not importance.shap_by_value:
        return [TableCell(formatting.NO_VALUE), TableCell(formatting.NO_VALUE)]
    if importance.is_categorical:
        down = [told for told in importance.shap_by_value if told[2] <= -MIN_REPORTED_SHAP][
            : drawn_by.MAX_CATEGORY_ENDS
        ]
        up = [told for told in importance.shap_by_value[::-1] if told[2] >= MIN_REPORTED_SHAP][
            : drawn_by.MAX_CATEGORY_ENDS
        ]
        return [
            TableCell(
                "; ".join(
                    f"{_feature_value_label(importance.name, v, zone_names)}: {formatting.format_signed(mean, 2)}"
                    for v, _, mean in some
                )
                or formatting.NO_VALUE
            )
            for some in (down, up)
        ]
    low, high = (
        min(importance.shap_by_value, key=lambda told: told[2]),
        max(importance.shap_by_value, key=lambda told: told[2]),
    )
    return [
        TableCell(f"{_group_label(told)}: {formatting.format_signed(told[2], 2)}") for told in (low, high)
    ]


def _feature_value_label(name: str, value: float, zone_names: Mapping[int, str]) -> str:
    if math.isnan(value):
        return UNKNOWN_VALUE
    if name.endswith("LocationID"):
        return zone_names.get(int(value), f"{value:g}")
    return formatting.value_label(name, f"{value:g}")


def _group_label(shap_group: tuple[float, float, float]) -> str:
    if math.isnan(shap_group[0]):
        return UNKNOWN_VALUE
    first, last = map(formatting.compact, shap_group[:2])
    return first if first == last else f"{first} to {last}"


def zones_section(facts: Facts) -> Section:
    """Return trips, card share and high tips by borough and zone."""
    lead = "Where trips begin. High tips are those of card trips in the training months, as the rates by zone see them."
    if not facts.zones:
        return Section(
            "zones",
            "Zones",
            lead,
            [MissingBlock(f"Not told: {facts.missing_reasons.get('zones', 'no zones')}.")],
        )
    blocks: list[Block] = []
    if facts.zone_outlines:
        blocks.append(PicturesBlock([_zone_maps(facts)]))
    if any(each.borough for each in facts.zones):
        blocks.append(_zone_table("By borough", _sum_by_borough(facts.zones), "borough"))
    else:
        blocks.append(
            MissingBlock(
                "No names: the TLC's zone table was not found near the source; name it by TOYTIP_ZONE_LOOKUP_FILE."
            )
        )
    shown = facts.zones[:MAX_TABLE_ZONES]
    blocks.append(_zone_table(f"The {len(shown)} busiest of {len(facts.zones)} zones", shown, "zone"))
    if all(each.training_card_trips is None for each in facts.zones):
        why = facts.missing_reasons.get(
            "model", "they are told from the model's rates by zone, and it has none"
        )
        blocks.append(MissingBlock(f"No high tips by zone: {why}."))
    return Section("zones", "Zones", lead, blocks)


def _zone_maps(facts: Facts) -> Picture:
    values = {
        each.zone_id: each.high_tip_share
        for each in facts.zones
        if each.high_tip_share is not None and (each.training_card_trips or 0) >= MIN_ZONE_TRIPS
    }
    least, most = (formatting.format_share(of(values.values(), default=None)) for of in (min, max))
    says = (
        f"Of {len(facts.zone_outlines)} zones, {len(values)} have {MIN_ZONE_TRIPS} card trips or more to tell from: {least} to {most} of "
        "them tip high. Each shade is a quarter of these zones."
    )
    return drawn_by.draw_zone_map("map", facts.zone_outlines, values, says)


def _sum_by_borough(zones: Sequence[ZoneSummary]) -> list[ZoneSummary]:
    found: dict[str, ZoneSummary] = {}
    for each in zones:
        name = each.borough or "unknown"
        before = found.get(name, ZoneSummary(0, name, "", 0, 0, None, None))
        high = (before.high_tip_share or 0.0) * (before.training_card_trips or 0) + (
            each.high_tip_share or 0.0
        ) * (each.training_card_trips or 0)
        learned = (
            None
            if each.training_card_trips is None and before.training_card_trips is None
            else (before.training_card_trips or 0) + (each.training_card_trips or 0)
        )
        found[name] = ZoneSummary(
            0,
            name,
            "",
            before.trips + each.trips,
            before.card_trips + each.card_trips,
            learned,
            high / learned if learned else None,
        )
    return sorted(found.values(), key=lambda each: -each.trips)


def _zone_table(caption: str, zones: Sequence[ZoneSummary], what: str) -> TableBlock:
    most = max([each.trips for each in zones] or [1])
    body: list[list[str | TableCell]] = []
    for each in zones:
        name = each.name or str(each.zone_id)
        if what == "zone" and each.borough:
            name = f"{name}, {each.borough}"
        body.append([
            name, TableCell(formatting.format_count(each.trips), bar=each.trips / most),
            formatting.format_share(each.card_trips / each.trips if each.trips else None),
            formatting.format_count(each.training_card_trips), formatting.format_share(each.high_tip_share),
        ])  # fmt: skip
    return TableBlock(
        caption=caption,
        header=[what, "trips kept", "by card", "card trips learned from", "high tips"],
        rows=body,
    )
