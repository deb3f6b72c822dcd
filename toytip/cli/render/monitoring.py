"""The report of `toytip monitor` as text: alerts, performance by month, drift by feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from toytip.cli.render.tables import (
    format_number,
    make_console,
    new_table,
    print_wrapped,
    show_table,
)
from toytip.core.text import plural
from toytip.datasets.words import value_label
from toytip.report.alerts import alert_text, earlier_alerts

if TYPE_CHECKING:
    from toytip.monitoring.drift import FeatureDrift
    from toytip.monitoring.report import MonitoringReport, MonthPerformance

MAX_FEATURE_ROWS = 12
PERFORMANCE_TITLES = (
    "trips",
    "segment\nshare",
    "prevalence\nin segment",
    "AUC",
    "F1",
    "estimated\nF1",
    "always\npositive",
    "F1\nchange",
    "due to\nsegment",
    "due to\nlabels",
    "due to\nmodel",
)
DRIFT_TITLES = (
    "importance",
    "PSI",
    "largest\nearlier PSI",
    "KS",
    "Wasserstein",
    "mean",
    "reference\nmean",
    "missing",
    "reference\nmissing",
    "new or\nvanished",
)
# Columns to leave out on a narrow terminal, in this order.
PERFORMANCE_DROP = ("always\npositive", "estimated\nF1", "prevalence\nin segment", "segment\nshare")
DRIFT_DROP = (
    "reference\nmissing",
    "missing",
    "reference\nmean",
    "mean",
    "new or\nvanished",
    "largest\nearlier PSI",
)


def show_monitoring(report: MonitoringReport) -> None:
    """Print the reference months, the performance, the drift and the alerts."""
    console = make_console()
    print_wrapped(
        console,
        f"model {report.model}, segment {report.segment}, reference for features "
        f"{_format_span(report.feature_reference)}, for performance "
        f"{_format_span(report.performance_reference)}",
    )
    for warning in report.warnings:
        print_wrapped(console, f"warning: {warning}")
    _show_performance(console, report)
    _show_drift(console, report)
    show_alerts(report, console)
    for location in report.files.values():
        console.print(location, soft_wrap=True)


def show_alerts(report: MonitoringReport, console: Console | None = None) -> None:
    """Print the alerts of the latest analysis month, and the alerts of earlier months."""
    console = console or make_console()
    console.print(alert_count_line(report))
    for alert in report.active_alerts:
        print_wrapped(console, alert_text(alert, report.words), "    ", "  ")
    for line in earlier_alerts(report):
        print_wrapped(console, f"earlier alert: {line}", "    ", "  ")


def alert_count_line(report: MonitoringReport) -> str:
    """Return a line with the number of alerts in the latest analysis month."""
    count = len(report.active_alerts)
    alerts = plural(count, "alert") if count else "no alerts"
    return f"monitor: {alerts} in {report.last_month}"


def _format_span(months: Sequence[str]) -> str:
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"


def _show_performance(console: Console, report: MonitoringReport) -> None:
    table = new_table("month", *PERFORMANCE_TITLES)
    reference = replace(report.reference_performance, f1_change=None)
    for performance in (reference, *report.analysis_performance):
        table.add_row(performance.month, *_performance_cells(performance))
    show_table(console, table, drop=PERFORMANCE_DROP)


def _performance_cells(performance: MonthPerformance) -> list[str]:
    realized = performance.metrics
    change = performance.f1_change
    parts = (change.total, change.segment_share, change.prevalence, change.model) if change else ()
    return [
        f"{performance.rows:,}",
        f"{performance.segment_share:.3f}",
        format_number(performance.segment_prevalence),
        format_number(realized.auc if realized else None),
        format_number(realized.f1 if realized else None),
        format_number(performance.estimated_metrics.f1),
        format_number(performance.f1_always_positive),
        *(f"{part:+.4f}" for part in parts),
        *[""] * (4 - len(parts)),
    ]


def _show_drift(console: Console, report: MonitoringReport) -> None:
    """Print the drift of the most important features in the latest analysis month."""
    table = new_table("feature", *DRIFT_TITLES)
    psi_by_feature = report.psi_by_feature
    for drift in report.drift_by_month[report.last_month][:MAX_FEATURE_ROWS]:
        psi = psi_by_feature.get(drift.feature, {})
        earlier = [value for month, value in psi.items() if month != report.last_month and value is not None]
        importance = report.feature_importance[drift.feature]
        table.add_row(drift.feature, *_drift_cells(drift, importance, max(earlier, default=None)))
    show_table(console, table, drop=DRIFT_DROP)


def _drift_cells(drift: FeatureDrift, importance: float, largest_psi: float | None) -> list[str]:
    means = ["", ""]
    if drift.ks is not None:
        means = [_format_mean(drift.mean), _format_mean(drift.reference_mean)]
    return [
        f"{importance:.1%}",
        format_number(drift.psi),
        format_number(largest_psi),
        format_number(drift.ks),
        format_number(drift.wasserstein),
        *means,
        f"{drift.missing:.2%}",
        f"{drift.reference_missing:.2%}",
        ", ".join(value_label(drift.feature, value) for value in (*drift.new, *drift.vanished)),
    ]


def _format_mean(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
