"""The section about monitoring: performance, exceeded thresholds, and drift by feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from toytip.report import alerts, formatting
from toytip.report.blocks import Block, PicturesBlock, TableBlock, TableCell, TextBlock
from toytip.report.charts import daily
from toytip.report.facts import Facts
from toytip.report.sections.section import Content, missing, section

if TYPE_CHECKING:
    from toytip.monitoring.report import MonitoringReport, MonthPerformance

LEAD = (
    "This section compares the analysis months with the reference months: drift of each feature, "
    "and changes in performance."
)
MAX_PSI_FEATURES = 18
MAX_HEAT_LEVEL = 5
# The texts contain words of the data set.
PERFORMANCE_HEADER = [
    "month",
    "trips",
    "share of {segment}",
    "share of {labels} among {segment}",
    "F1",
    "estimated F1",
    "F1 of always-positive",
    "AUC",
    "AUC of {segment}",
    "change in F1",
    "due to share of {segment}",
    "due to share of {labels}",
    "due to model",
    "change in log loss due to model",
]
NO_CHANGE = [""] * 5
# The columns about the segment of the data set, which not every data set has.
SEGMENT_COLUMNS = {
    "share of {segment}",
    "share of {labels} among {segment}",
    "AUC of {segment}",
    "due to share of {segment}",
}
SEGMENT_NOTE = (
    "The parts due to the share of {segment}, the share of {labels} and the model add up to the "
    "change in F1 since the reference. The model performs worse if its part in F1 is negative, its part in "
    "log loss is positive, or AUC of {segment} falls. AUC of all trips also depends on the mix of {segment} "
    "and other trips. Estimated F1 is computed without labels."
)
WORSE_MODEL = (
    "The model performs worse if its part in F1 is negative, or its part in log loss is positive. "
    "Estimated F1 is computed without labels."
)


@section("drift", "Drift and performance")
def drift_section(facts: Facts) -> Content:
    """Return performance by day and month, exceeded thresholds, and drift by feature."""
    if facts.monitoring is None:
        reason = facts.missing_reasons.get("drift", "monitoring did not compare any month")
        return missing(LEAD, f"Monitoring results are not available: {reason}.")
    return Content(LEAD, list(_monitoring_blocks(facts.monitoring, facts.value_words)))


def _monitoring_blocks(
    report: MonitoringReport, value_words: Mapping[str, Mapping[str, str]]
) -> Iterator[Block]:
    if report.performance_by_day:
        caption = alerts.alerts_caption(report)
        yield PicturesBlock([daily.draw_daily_f1("days", report.performance_by_day, caption)])
        yield PicturesBlock(daily.draw_daily_ranking(report.performance_by_day, report.words.labels))
    if earlier := list(alerts.earlier_alerts(report)):
        yield TextBlock(f"Alerts in earlier months: {', '.join(earlier)}.")
    yield _performance_table(report)
    if report.exceeded_measurements:
        yield alerts.exceeded_table(report, value_words)
    else:
        yield TextBlock("No threshold is exceeded in any month.")
    if report.psi_by_feature:
        yield _psi_heatmap(report)


def _performance_table(report: MonitoringReport) -> TableBlock:
    reference = report.reference_performance
    name = f"{reference.month} ({', '.join(report.performance_reference)})"
    rows = [
        [name, *_performance_cells(reference), *NO_CHANGE],
        *(
            [performance.month, *_performance_cells(performance), *_change_cells(performance)]
            for performance in report.analysis_performance
        ),
    ]
    caption = "Performance by month, and causes of changes"
    words = asdict(report.words)
    header = [title.format(**words) for title in PERFORMANCE_HEADER]
    if not any(performance.segment_share for performance in (reference, *report.analysis_performance)):
        used = [index for index, title in enumerate(PERFORMANCE_HEADER) if title not in SEGMENT_COLUMNS]
        header, *rows = [[cells[index] for index in used] for cells in (header, *rows)]
        return TableBlock(caption=caption, header=header, rows=rows, note=WORSE_MODEL)
    return TableBlock(caption=caption, header=header, rows=rows, note=SEGMENT_NOTE.format(**words))


def _performance_cells(performance: MonthPerformance) -> list[str]:
    realized = performance.metrics
    return [
        formatting.format_count(performance.rows),
        formatting.format_share(performance.segment_share),
        formatting.format_share(performance.segment_prevalence),
        formatting.format_metric(realized.f1 if realized else None),
        formatting.format_metric(performance.estimated_metrics.f1),
        formatting.format_metric(performance.f1_always_positive),
        formatting.format_metric(realized.auc if realized else None),
        formatting.format_metric(performance.segment_auc),
    ]


def _change_cells(performance: MonthPerformance) -> list[str]:
    f1, log_loss = performance.f1_change, performance.log_loss_change
    if f1 is None or log_loss is None:
        return NO_CHANGE
    parts = (f1.total, f1.segment_share, f1.prevalence, f1.model, log_loss.model)
    return [formatting.format_signed(part) for part in parts]


def _psi_heatmap(report: MonitoringReport) -> TableBlock:
    threshold, psi = report.thresholds.psi, report.psi_by_feature
    return TableBlock(
        caption="Drift of each feature from the reference (PSI)",
        header=["feature", *report.drift_by_month],
        rows=[
            [name, *(_psi_cell(psi[name].get(month), threshold) for month in report.drift_by_month)]
            for name in list(psi)[:MAX_PSI_FEATURES]
        ],
        note=f"PSI values above the threshold of {threshold:g} are highlighted. The most important features "
        "come first.",
    )


def _psi_cell(value: float | None, threshold: float) -> TableCell:
    if value is None:
        return TableCell(formatting.NO_VALUE)
    level = min(int(MAX_HEAT_LEVEL * value / threshold), MAX_HEAT_LEVEL - 1)
    return TableCell(f"{value:.3f}", level=MAX_HEAT_LEVEL if value > threshold else level)
