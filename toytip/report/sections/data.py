"""Sections about the data: feature distributions, drift and performance by month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toytip.report import alerts, formatting
from toytip.report.blocks import Block, PicturesBlock, TableBlock, TableCell, TextBlock
from toytip.report.charts import daily
from toytip.report.charts import data as charts
from toytip.report.facts import Facts
from toytip.report.sections.section import Content, missing, section

if TYPE_CHECKING:
    from toytip.monitoring.report import MonitoringReport, MonthPerformance

MAX_DRAWN_FEATURES = 18
MAX_HEAT_LEVEL = 5


@section("features", "Feature distributions")
def features_section(facts: Facts) -> Content:
    """Return the distribution of every feature by month."""
    lead = (
        "The most important features come first. Numeric features show the median, and bands with 50 % and "
        "90 % of the trips. Categorical features show the shares of the four most common values."
    )
    distributions = facts.feature_distributions
    if not distributions:
        reason = facts.missing_reasons.get("features", "there are no feature histograms")
        return missing(lead, f"No feature distributions: {reason}.")
    drawn = distributions[:MAX_DRAWN_FEATURES]
    pictures = [
        charts.draw_feature_distribution(f"feature-{index}", distribution, list(facts.months))
        for index, distribution in enumerate(drawn)
        if min(distribution.missing_shares) < 1
    ]
    blocks: list[Block] = [PicturesBlock(pictures)]
    empty = [item.name for item in distributions if min(item.missing_shares) >= 1]
    if empty:
        blocks.append(TextBlock(f"No trip has a value of {', '.join(empty)}."))
    if len(distributions) > MAX_DRAWN_FEATURES:
        rest = ", ".join(item.name for item in distributions[MAX_DRAWN_FEATURES:])
        order = "most important " if facts.feature_importance else ""
        blocks.append(
            TextBlock(f"The charts show the {MAX_DRAWN_FEATURES} {order}features. Without chart: {rest}.")
        )
    return Content(lead, blocks)


@section("drift", "Drift and performance")
def drift_section(facts: Facts) -> Content:
    """Return the results of monitoring: F1 by day, causes of change, and drift."""
    lead = (
        "Drift of the months after training as effect sizes, and the change of the metrics with its causes."
    )
    report = facts.monitoring
    if report is None:
        reason = facts.missing_reasons.get("drift", "no month was monitored")
        return missing(lead, f"No monitoring: {reason}.")
    blocks: list[Block] = []
    if report.performance_by_day:
        caption = alerts.alerts_caption(report)
        blocks.append(PicturesBlock([daily.draw_daily_f1("days", report.performance_by_day, caption)]))
        blocks.append(PicturesBlock(daily.draw_daily_ranking(report.performance_by_day)))
    if earlier := list(alerts.earlier_alerts(report)):
        blocks.append(TextBlock(f"Earlier alerts: {', '.join(earlier)}."))
    blocks.append(_performance_table(report))
    nothing = TextBlock("No threshold is exceeded in any month.")
    blocks.append(alerts.exceeded_table(report) if report.exceeded_measurements else nothing)
    if report.psi_by_feature:
        blocks.append(_psi_heatmap(report))
    return Content(lead, blocks)


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
