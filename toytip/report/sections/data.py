"""trips: sections of what the trips are like, month by month and zone by zone, and what the model makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from toytip.report import alerts, formatting
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
from toytip.report.charts import daily
from toytip.report.charts import data as drawn_by
from toytip.report.facts import Facts, FeatureImportance, ZoneSummary

if TYPE_CHECKING:
    from toytip.monitoring.report import MonitoringReport, MonthPerformance

MAX_DRAWN_FEATURES = 18
MAX_IMPORTANCE_ROWS = 12
MAX_SHAP_PICTURES = 5
MAX_TABLE_ZONES = 25
# With fewer trips a zone's share is chance.
MIN_ZONE_TRIPS = 50
MAX_HEAT_LEVEL = 5
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


def drift_section(facts: Facts) -> Section:
    """Return what monitoring says: F1 day by day, what changed it, how far features have moved."""
    lead = "How far the months after the training are from it, in effect sizes, and what the metrics have lost, and what to."
    report = facts.monitoring
    if report is None:
        return Section(
            "drift",
            "Drift and decay",
            lead,
            [MissingBlock(f"Not told: {facts.missing_reasons.get('drift', 'nothing was monitored')}.")],
        )
    blocks: list[Block] = []
    if report.performance_by_day:
        caption = alerts.alerts_caption(report)
        blocks.append(PicturesBlock([drawn_by.draw_daily_f1("days", report.performance_by_day, caption)]))
        blocks.append(PicturesBlock(daily.draw_daily_ranking(report.performance_by_day)))
    if earlier := list(alerts.earlier_alerts(report)):
        blocks.append(TextBlock(f"Earlier alerts: {'; '.join(earlier)}."))
    blocks.append(_performance_table(report))
    nothing = TextBlock("No threshold is exceeded in any month.")
    blocks.append(alerts.exceeded_table(report) if report.exceeded_measurements else nothing)
    if report.psi_by_feature:
        blocks.append(_psi_heatmap(report))
    return Section("drift", "Drift and decay", lead, blocks)


PERFORMANCE_HEADER = [
    "month",
    "trips",
    "card share",
    "high tips by card",
    "F1",
    "estimated F1",
    "always positive",
    "AUC",
    "AUC card",
    "F1 change",
    "by card share",
    "by tips",
    "by model",
    "log loss by model",
]


NO_CHANGE = [""] * 5


def _performance_table(report: MonitoringReport) -> TableBlock:
    reference = report.reference_performance
    name = f"{reference.month} ({', '.join(report.performance_reference)})"
    return TableBlock(
        caption="Performance by month, and causes of the change in F1",
        header=PERFORMANCE_HEADER,
        rows=[
            [name, *_performance_cells(reference), *NO_CHANGE],
            *(
                [performance.month, *_performance_cells(performance), *_change_cells(performance)]
                for performance in report.analysis_performance
            ),
        ],
        note="Card share, tips and model add up to the change of F1 since the reference. The model "
        "performs worse if F1 by model or the AUC of card trips falls, or if log loss by model rises. "
        "The AUC of all trips changes with their mix. The estimated F1 needs no labels.",
    )


def _performance_cells(performance: MonthPerformance) -> list[str]:
    realized = performance.metrics
    return [
        formatting.format_count(performance.rows),
        formatting.format_share(performance.card_share),
        formatting.format_share(performance.card_high_tip_share),
        formatting.format_metric(realized.f1 if realized else None),
        formatting.format_metric(performance.estimated_metrics.f1),
        formatting.format_metric(performance.f1_always_positive),
        formatting.format_metric(realized.auc if realized else None),
        formatting.format_metric(performance.card_auc),
    ]


def _change_cells(performance: MonthPerformance) -> list[str]:
    f1, log_loss = performance.f1_change, performance.log_loss_change
    if f1 is None or log_loss is None:
        return NO_CHANGE
    parts = (f1.total, f1.card_share, f1.tip_share, f1.model, log_loss.model)
    return [formatting.format_signed(part) for part in parts]


def _psi_heatmap(report: MonitoringReport) -> TableBlock:
    threshold, psi = report.thresholds.psi, report.psi_by_feature
    return TableBlock(
        caption="Drift of the features since the training months (PSI)",
        header=["feature", *report.drift_by_month],
        rows=[
            [name, *(_psi_cell(psi[name].get(month), threshold) for month in report.drift_by_month)]
            for name in list(psi)[:MAX_DRAWN_FEATURES]
        ],
        note=f"Cells above the threshold of {threshold:g} are highlighted. The most important features come first.",
    )


def _psi_cell(value: float | None, threshold: float) -> TableCell:
    if value is None:
        return TableCell(formatting.NO_VALUE)
    return TableCell(
        f"{value:.3f}",
        level=MAX_HEAT_LEVEL
        if value > threshold
        else min(int(MAX_HEAT_LEVEL * value / threshold), MAX_HEAT_LEVEL - 1),
    )


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
