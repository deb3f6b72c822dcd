"""Describe alerts and exceeded thresholds in words, for the report and the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from toytip.core.parameters import AlertThresholds
from toytip.core.text import plural
from toytip.report import formatting
from toytip.report.blocks import TableBlock, TableCell

if TYPE_CHECKING:
    from toytip.core.dataset.words import ReportWords
    from toytip.monitoring.alerts import Alert, Measurement
    from toytip.monitoring.drift import FeatureDrift
    from toytip.monitoring.report import MonitoringReport

MEASURE_LABELS = {"psi": "PSI", "ks": "KS", "wasserstein": "Wasserstein distance"}
MODEL_LABELS = {
    "f1": "change in F1 due to the model",
    "log_loss": "change in log loss due to the model",
    "auc": "AUC of {segment}",
}
SHARE_LABELS = {
    "segment": "share of {segment}",
    "segment_prevalence": "share of {labels} among {segment}",
}
# Rates of these kinds have no threshold of their own. They must stay within the reference range.
REFERENCE_RANGE_KINDS = ("missing", "rejects")
ALERT_LEVEL = 5


def alert_text(alert: Alert, words: ReportWords) -> str:
    """Return the description of an alert."""
    window, count = alert.window_months, len(alert.breach_months)
    breaches = f"in {count} of the latest {window} months" if window > 1 else "in the only compared month"
    value, subject = _value_text(alert), _subject(alert, words)
    if alert.kind == "drift":
        return (
            f"{subject}: {_measure_label(alert)} {value}, threshold {alert.threshold:g} exceeded {breaches}"
        )
    if _is_model_part(alert):
        return f"{subject}: {value}, threshold {alert.threshold:g} exceeded {breaches}"
    is_rate = alert.kind in REFERENCE_RANGE_KINDS
    rule = "outside the reference range" if is_rate else f"threshold {alert.threshold:g} exceeded"
    return f"{subject}: {value}, {alert.reference:.4f} in the reference, {rule} {breaches}"


def earlier_alerts(report: MonitoringReport) -> Iterator[str]:
    """Yield each subject that had alerts in earlier months, with these months."""
    months: dict[str, list[str]] = {}
    for alert in report.alert_history:
        if alert.month != report.last_month:
            months.setdefault(_subject(alert, report.words), []).append(alert.month)
    for subject, names in months.items():
        yield f"{subject} ({', '.join(dict.fromkeys(names))})"


def alerts_caption(report: MonitoringReport) -> str:
    """Return the caption of the F1 chart: number of alerts, and whether the model is worse."""
    last, count = report.last_month, len(report.active_alerts)
    counted = f"{plural(count, 'alert')} in {last}" if count else f"No alert in {last}"
    losses = [alert.name for alert in report.active_alerts if alert.kind == "model"]
    if losses:
        segment_auc = MODEL_LABELS["auc"].format(segment=report.words.segment)
        names = ", ".join(segment_auc if name == "auc" else formatting.label(name) for name in losses)
        hidden = "" if "f1" in losses else " F1 alone does not show the loss."
        return f"{counted}. The model performs worse, as measured by {names}.{hidden}"
    has_labels = any(
        performance.month == last and performance.metrics is not None
        for performance in report.performance_by_month
    )
    if not has_labels:
        counted = f"{counted}. Without labels, toytip cannot detect that the model performs worse"
    elif count:
        counted = f"{counted}, but no alert for worse model performance"
    return (
        f"{counted}. If F1 falls together with F1 of the always-positive baseline, "
        f"the share of {report.words.labels} has fallen.{_earlier_losses(report)}"
    )


def _earlier_losses(report: MonitoringReport) -> str:
    months = dict.fromkeys(alert.month for alert in report.alert_history if alert.kind == "model")
    return f" Months with alerts for worse model performance: {', '.join(months)}." if months else ""


def _firing_rule(rule: AlertThresholds) -> str:
    """Return when an alert fires, in words."""
    if rule.window_months == 1:
        return "An alert fires if the threshold is exceeded in the month."
    few = f" If fewer than {rule.min_breaches} months exist, it must be exceeded in all of these months."
    return (
        "An alert fires if the threshold is exceeded in the month itself "
        f"and in at least {rule.min_breaches} of the {rule.window_months} months that end with it."
        f"{few if rule.min_breaches > 1 else ''}"
    )


def exceeded_table(report: MonitoringReport, value_words: Mapping[str, Mapping[str, str]]) -> TableBlock:
    """Return the table of exceeded thresholds by month.

    Rows with an alert come first. Cells with an alert are highlighted.
    """
    alerts = {(alert.series_key, alert.month) for alert in report.alert_history}
    series: dict[tuple[str, str, str], dict[str, Measurement]] = {}
    for measurement in report.exceeded_measurements:
        series.setdefault(measurement.series_key, {})[measurement.month] = measurement
    order = sorted(series, key=lambda key: not any((key, month) in alerts for month in series[key]))
    rule = report.thresholds
    return TableBlock(
        caption="Exceeded thresholds by month",
        header=["measure", "reference", "threshold", *report.analysis_months],
        rows=[_exceeded_row(report, series[key], alerts, value_words) for key in order],
        note=f"Highlighted cells are alerts. {_firing_rule(rule)} "
        "Shares of missing values and of rejected trips are compared with the reference range. "
        "All other shares, and metrics, are compared with the reference value. "
        f"A feature with less than {formatting.format_share(rule.min_importance)} of the gain of the model "
        "has no threshold.",
    )


def _exceeded_row(
    report: MonitoringReport,
    by_month: Mapping[str, Measurement],
    alerts: set[tuple[tuple[str, str, str], str]],
    value_words: Mapping[str, Mapping[str, str]],
) -> list[str | TableCell]:
    first = next(iter(by_month.values()))
    cells = [
        TableCell(
            _value_text(by_month[month]) if month in by_month else "",
            level=ALERT_LEVEL if (first.series_key, month) in alerts else 0,
        )
        for month in report.analysis_months
    ]
    reference = formatting.NO_VALUE if first.reference is None else f"{first.reference:.4f}"
    values = _category_values(first, by_month, report.drift_by_month, value_words)
    label = _row_label(first, values, report.words)
    return [label, reference, _threshold_text(first), *cells]


def _subject(measurement: Measurement, words: ReportWords) -> str:
    name = measurement.name
    return {
        "drift": f"drift of {name}",
        "missing": f"share of trips without {name}",
        "rejects": f"share of trips rejected for {name}",
        "share": SHARE_LABELS.get(name, name).format(labels=words.labels, segment=words.segment),
        "model": MODEL_LABELS.get(name, name).format(segment=words.segment),
        "estimate": f"estimated {formatting.label(name)}",
    }[measurement.kind]


def _measure_label(measurement: Measurement) -> str:
    return MEASURE_LABELS.get(measurement.measure, f"share of {measurement.measure} values")


def _value_text(measurement: Measurement) -> str:
    if measurement.kind == "drift":
        return f"{measurement.value:.3f}"
    return f"{measurement.value:+.4f}" if _is_model_part(measurement) else f"{measurement.value:.4f}"


def _is_model_part(measurement: Measurement) -> bool:
    return measurement.kind == "model" and measurement.measure == "part"


def _threshold_text(measurement: Measurement) -> str:
    if measurement.kind in REFERENCE_RANGE_KINDS:
        return "reference range"
    return f"{measurement.threshold:g}"


def _row_label(measurement: Measurement, values: Sequence[str], words: ReportWords) -> str:
    if measurement.kind != "drift":
        return _subject(measurement, words)
    suffix = f" ({', '.join(values)})" if values else ""
    return f"{measurement.name}: {_measure_label(measurement)}{suffix}"


def _category_values(
    measurement: Measurement,
    months: Iterable[str],
    drift_by_month: Mapping[str, Sequence[FeatureDrift]],
    value_words: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """Return the categories that are new or have vanished in the given months."""
    if measurement.measure not in ("new", "vanished"):
        return []
    drifts = [d for month in months for d in drift_by_month[month] if d.feature == measurement.name]
    categories = (d.new if measurement.measure == "new" else d.vanished for d in drifts)
    values = dict.fromkeys(value for values in categories for value in values)
    words = value_words.get(measurement.name, {})
    return [words.get(value, value) for value in values]
