"""The section about feature importance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from toytip.report import formatting
from toytip.report.blocks import Block, MissingBlock, PicturesBlock, TableBlock, TableCell, TextBlock
from toytip.report.charts import data as charts
from toytip.report.facts import Facts, FeatureImportance
from toytip.report.sections.section import Content, missing, section

MAX_IMPORTANCE_ROWS = 12
MAX_SHAP_PICTURES = 5
# A smaller mean SHAP value rounds to zero.
MIN_REPORTED_SHAP = 0.005
# Missing values and values that are not in the training data form one group.
UNKNOWN_VALUE = "missing or unseen"

ShapGroup = tuple[float, float, float]


@section("importance", "Feature importance")
def importance_section(facts: Facts) -> Content:
    """Return the importance of the features by SHAP values and gain."""
    trips = formatting.format_count(facts.explained_trips)
    lead = (
        f"SHAP values are in log-odds, and are computed on an evenly spaced sample of {trips} test trips."
        if facts.explained_trips
        else "The table shows the share of each feature in the total gain of all tree splits."
    )
    if not facts.feature_importance:
        reason = facts.missing_reasons.get("importance", "this version has no model")
        return missing(lead, f"Feature importance is not available: {reason}.")
    zone_names = {zone.zone_id: zone.name for zone in facts.zones if zone.name}
    blocks: list[Block] = [_importance_table(facts.feature_importance[:MAX_IMPORTANCE_ROWS], zone_names)]
    if facts.explained_trips:
        blocks += _shap_blocks(facts.feature_importance)
    else:
        reason = facts.missing_reasons.get("importance", "the features of the test trips were deleted")
        blocks.append(MissingBlock(f"SHAP values are not available: {reason}."))
    return Content(lead, blocks)


def _shap_blocks(importances: Sequence[FeatureImportance]) -> list[Block]:
    drawn = [importance for importance in importances if importance.shap_by_value][:MAX_SHAP_PICTURES]
    pictures = [charts.draw_shap_by_value(f"shap-{index}", item) for index, item in enumerate(drawn)]
    text = (
        f"The charts show the mean SHAP value by feature value, for the {len(drawn)} most important features. "
        "Values of numeric features are in ascending order. For categories, the charts show "
        "the values with the largest effects. "
        "“unknown” stands for missing values and for values that are not in the training data."
    )
    return [TextBlock(text), PicturesBlock(pictures)]


def _importance_table(importances: Sequence[FeatureImportance], zone_names: Mapping[int, str]) -> TableBlock:
    max_shap = max([item.mean_abs_shap or 0.0 for item in importances] or [1]) or 1.0
    max_gain = max([item.gain_share for item in importances] or [1]) or 1.0
    body: list[list[str | TableCell]] = []
    for item in importances:
        shap = formatting.NO_VALUE if item.mean_abs_shap is None else f"{item.mean_abs_shap:.3f}"
        gain = formatting.format_share(item.gain_share)
        body.append(
            [
                item.name,
                TableCell(shap, bar=(item.mean_abs_shap or 0) / max_shap),
                TableCell(gain, bar=item.gain_share / max_gain),
                *_extreme_values(item, zone_names),
            ]
        )
    return TableBlock(
        caption="Features by mean absolute SHAP value",
        header=["feature", "mean |SHAP|", "share of gain", "lowest mean SHAP", "highest mean SHAP"],
        rows=body,
        text_columns=(0, 3, 4),
        note="The last two columns show the values with the lowest and the highest mean SHAP value. For numeric "
        "features, these are quantile groups, about ten per feature. For categories, these "
        f"are up to {charts.MAX_CATEGORY_ENDS} values.",
    )


def _extreme_values(importance: FeatureImportance, zone_names: Mapping[int, str]) -> list[TableCell]:
    groups = importance.shap_by_value
    if not groups:
        return [TableCell(formatting.NO_VALUE), TableCell(formatting.NO_VALUE)]
    if importance.is_categorical:
        down = [group for group in groups if group[2] <= -MIN_REPORTED_SHAP]
        up = [group for group in reversed(groups) if group[2] >= MIN_REPORTED_SHAP]
        return [_category_cell(importance, ends, zone_names) for ends in (down, up)]
    ends = min(groups, key=lambda group: group[2]), max(groups, key=lambda group: group[2])
    return [TableCell(f"{_group_label(group)}: {formatting.format_signed(group[2], 2)}") for group in ends]


def _category_cell(
    importance: FeatureImportance, groups: Sequence[ShapGroup], zone_names: Mapping[int, str]
) -> TableCell:
    texts = [
        f"{_value_label(importance, value, zone_names)}: {formatting.format_signed(mean, 2)}"
        for value, _, mean in groups[: charts.MAX_CATEGORY_ENDS]
    ]
    return TableCell(", ".join(texts) or formatting.NO_VALUE)


def _value_label(importance: FeatureImportance, value: float, zone_names: Mapping[int, str]) -> str:
    if math.isnan(value):
        return UNKNOWN_VALUE
    if importance.is_zone:
        return zone_names.get(int(value), f"{value:g}")
    return importance.words.get(f"{value:g}", f"{value:g}")


def _group_label(group: ShapGroup) -> str:
    if math.isnan(group[0]):
        return UNKNOWN_VALUE
    first, last = map(formatting.compact, group[:2])
    return first if first == last else f"{first} to {last}"
