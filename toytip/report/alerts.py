"""Alerts and exceeded thresholds in words, for the report and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from toytip.report import formatting
from toytip.report.blocks import TableBlock, TableCell

if TYPE_CHECKING:
    from toytip.monitoring.alerts import Alert, Measurement
    from toytip.monitoring.drift import FeatureDrift
    from toytip.monitoring.report import MonitoringReport

MEASURE_LABELS = {"psi": "PSI", "ks": "KS", "wasserstein": "Wasserstein distance"}
MODEL_LABELS = {
    "f1": "change of F1 due to the model",
    "log_loss": "change of log loss due to the model",
    "auc": "AUC of card trips",
}
SHARE_LABELS = {"card": "share of card trips", "high_tips_by_card": "share of high tips among card trips"}
# Rates are compared with the reference range, and any distance from it exceeds the threshold.
REFERENCE_RANGE_KINDS = ("missing", "rejects")
ALERT_LEVEL = 5


def alert_text(alert: Alert) -> str:
    """Return an alert in words."""
    breaches = f"exceeded in {len(alert.breach_months)} of the last {alert.window_months} months"
    value = _value_text(alert)
    if alert.kind == "drift":
        return (
            f"{_subject(alert)}: {_measure_label(alert)} {value}, threshold {alert.threshold:g}, {breaches}"
        )
    if _is_model_part(alert):
        return f"{_subject(alert)}: {value}, threshold {alert.threshold:g}, {breaches}"
    return f"{_subject(alert)}: {value}, {alert.reference:.4f} in the reference, {breaches}"


def earlier_alerts(report: MonitoringReport) -> Iterator[str]:
    """Yield the subjects of alerts in earlier months, with the months."""
    months: dict[str, list[str]] = {}
    for alert in report.alert_history:
        if alert.month != report.last_month:
            months.setdefault(_subject(alert), []).append(alert.month)
    for subject, names in months.items():
        yield f"{subject} ({', '.join(dict.fromkeys(names))})"


def alerts_caption(report: MonitoringReport) -> str:
    """Return the caption of the F1 chart: the alerts, and whether the model performs worse."""
    last, count = report.last_month, len(report.active_alerts)
    counted = f"{count} alert{'' if count == 1 else 's'} in {last}" if count else f"No alert in {last}"
    losses = [alert.name for alert in report.active_alerts if alert.kind == "model"]
    if losses:
        names = ", ".join("AUC of card trips" if name == "auc" else formatting.label(name) for name in losses)
        hidden = "" if "f1" in losses else " F1 alone does not show this."
        return f"{counted}. The model performs worse, by {names}.{hidden}"
    has_labels = any(
        performance.month == last and performance.metrics is not None
        for performance in report.performance_by_month
    )
    if not has_labels:
        counted = f"{counted}. Without labels, a worse model cannot be detected"
    elif count:
        counted = f"{counted}, not for a worse model"
    return (
        f"{counted}. If F1 falls together with the always-positive baseline, "
        f"there are fewer high tips.{_earlier_losses(report)}"
    )


def _earlier_losses(report: MonitoringReport) -> str:
    months = dict.fromkeys(alert.month for alert in report.alert_history if alert.kind == "model")
    return f" Earlier alerts for worse performance: {', '.join(months)}." if months else ""


def exceeded_table(report: MonitoringReport) -> TableBlock:
    """Return the exceeded thresholds by month.

    Series with an alert come first. Alerts are highlighted.
    """
    alerts = {(alert.series_key, alert.month) for alert in report.alert_history}
    series: dict[tuple[str, str, str], dict[str, Measurement]] = {}
    for measurement in report.exceeded_measurements:
        series.setdefault(measurement.series_key, {})[measurement.month] = measurement
    order = sorted(series, key=lambda key: not any((key, month) in alerts for month in series[key]))
    return TableBlock(
        caption="Exceeded thresholds by month",
        header=["measure", "reference", "threshold", *report.analysis_months],
        rows=[_exceeded_row(report, series[key], alerts) for key in order],
        note="Alerts are highlighted. An alert fires if a threshold is exceeded in enough of the last "
        "months. Rates are compared with the reference range, all other values with the reference "
        "value. Features of low importance have no threshold.",
    )


def _exceeded_row(
    report: MonitoringReport,
    by_month: Mapping[str, Measurement],
    alerts: set[tuple[tuple[str, str, str], str]],
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
    label = _row_label(first, _category_values(first, by_month, report.drift_by_month))
    return [label, reference, _threshold_text(first), *cells]


def _subject(measurement: Measurement) -> str:
    name = measurement.name
    return {
        "drift": f"drift of {name}",
        "missing": f"missing values of {name}",
        "rejects": f"trips rejected as {name}",
        "share": SHARE_LABELS.get(name, name),
        "model": MODEL_LABELS.get(name, name),
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
    return f"{measurement.threshold:g}" if measurement.threshold else "any"


def _row_label(measurement: Measurement, values: Sequence[str]) -> str:
    if measurement.kind != "drift":
        return _subject(measurement)
    suffix = f" ({', '.join(values)})" if values else ""
    return f"{measurement.name}: {_measure_label(measurement)}{suffix}"


def _category_values(
    measurement: Measurement, months: Iterable[str], drift_by_month: Mapping[str, Sequence[FeatureDrift]]
) -> list[str]:
    """Return the categories that are new, or have vanished, in some months."""
    if measurement.measure not in ("new", "vanished"):
        return []
    drifts = [d for month in months for d in drift_by_month[month] if d.feature == measurement.name]
    categories = (d.new if measurement.measure == "new" else d.vanished for d in drifts)
    return list(dict.fromkeys(value for values in categories for value in values))
