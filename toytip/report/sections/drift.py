"""The section about monitoring: performance, exceeded thresholds, and drift by feature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toytip.report import alerts, formatting
from toytip.report.blocks import Block, PicturesBlock, TableBlock, TableCell, TextBlock
from toytip.report.charts import daily
from toytip.report.facts import Facts
from toytip.report.sections.section import Content, missing, section

if TYPE_CHECKING:
    from toytip.monitoring.report import MonitoringReport, MonthPerformance

LEAD = "The months after training compared with the reference: drift by feature, and changes in performance."
MAX_PSI_FEATURES = 18
MAX_HEAT_LEVEL = 5
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


@section("drift", "Drift and performance")
def drift_section(facts: Facts) -> Content:
    """Return performance by day and month, exceeded thresholds, and drift by feature."""
    if facts.monitoring is None:
        reason = facts.missing_reasons.get("drift", "no month was monitored")
        return missing(LEAD, f"No monitoring: {reason}.")
    return Content(LEAD, list(_monitoring_blocks(facts.monitoring)))


def _monitoring_blocks(report: MonitoringReport) -> Iterator[Block]:
    if report.performance_by_day:
        caption = alerts.alerts_caption(report)
        yield PicturesBlock([daily.draw_daily_f1("days", report.performance_by_day, caption)])
        yield PicturesBlock(daily.draw_daily_ranking(report.performance_by_day))
    if earlier := list(alerts.earlier_alerts(report)):
        yield TextBlock(f"Earlier alerts: {', '.join(earlier)}.")
    yield _performance_table(report)
    if report.exceeded_measurements:
        yield alerts.exceeded_table(report)
    else:
        yield TextBlock("No threshold is exceeded in any month.")
    if report.psi_by_feature:
        yield _psi_heatmap(report)


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
        caption="Drift of the features from the reference (PSI)",
        header=["feature", *report.drift_by_month],
        rows=[
            [name, *(_psi_cell(psi[name].get(month), threshold) for month in report.drift_by_month)]
            for name in list(psi)[:MAX_PSI_FEATURES]
        ],
        note=f"Cells above the threshold of {threshold:g} are highlighted. The most important features "
        "come first.",
    )


def _psi_cell(value: float | None, threshold: float) -> TableCell:
    if value is None:
        return TableCell(formatting.NO_VALUE)
    level = min(int(MAX_HEAT_LEVEL * value / threshold), MAX_HEAT_LEVEL - 1)
    return TableCell(f"{value:.3f}", level=MAX_HEAT_LEVEL if value > threshold else level)
