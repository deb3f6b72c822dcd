"""Measure each month, and decide which measurements are alerts.

An alert fires if the threshold is exceeded in the latest month and in at least `min_breaches` of
the latest `window_months` months. If fewer than `min_breaches` months exist, the threshold must be
exceeded in all of these months. toytip measures effect sizes instead of p-values, for the reason
that `toytip/monitoring/effect_sizes.py` gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from toytip.core.parameters import AlertThresholds
from toytip.evaluation.report import Metrics

if TYPE_CHECKING:
    from toytip.monitoring.attribution import ChangeParts
    from toytip.monitoring.cbpe import EstimatedMetrics
    from toytip.monitoring.drift import FeatureDrift, ReferenceRange

# The sign of the change in a metric that gives a positive effect if the metric becomes worse.
LOSS_SIGNS = {"f1": -1, "auc": -1, "log_loss": 1}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measure of one subject, such as a feature or a metric, in one month."""

    month: str
    """Month that was measured."""
    kind: str
    """Kind: `drift` of a feature, `missing` values of a feature, `rejects` by reason, `share` of
    trips, loss due to the `model`, realized `performance`, or `estimate` of the performance without
    labels."""
    name: str
    """Name of the feature, reject reason, share or metric."""
    measure: str
    """Measure. Features have `psi`, `ks`, `wasserstein`, or the share of trips in `new` or
    `vanished` categories. Missing values and reject reasons have `rate`, and shares of trips have
    `share`. Metrics have `change` (the change since the reference), `part` (the part of the change
    that is due to the model) or `segment` (the AUC of the trips in the segment)."""
    value: float
    """Value of the measure in the month."""
    reference: float | None = None
    """Value of the measure in the reference. Null if the measure itself compares the
    month with the reference."""
    effect: float | None = None
    """Effect: the number that is compared with the threshold."""
    threshold: float | None = None
    """Alert threshold: the largest effect that is not a breach. Null if the measure has no
    threshold."""

    @property
    def exceeds_threshold(self) -> bool:
        """Whether the effect is larger than the threshold."""
        return self.threshold is not None and self.effect is not None and self.effect > self.threshold

    @property
    def series_key(self) -> tuple[str, str, str]:
        """Kind, name and measure, which are the same for all months of a series."""
        return self.kind, self.name, self.measure


@dataclass(frozen=True, kw_only=True)
class Alert(Measurement):
    """A measurement that exceeds its threshold in enough months for an alert to fire."""

    breach_months: tuple[str, ...]
    """Months among the latest `window_months` in which the threshold was exceeded."""
    window_months: int
    """Number of latest months that the alert rule considered, this month included."""


def find_alerts(measurements: Sequence[Measurement], thresholds: AlertThresholds) -> list[Alert]:
    """Return the measurements of all months that are alerts, in the order of `measurements`."""
    series: dict[tuple[str, str, str], list[Measurement]] = {}
    for measurement in sorted(measurements, key=lambda measurement: measurement.month):
        series.setdefault(measurement.series_key, []).append(measurement)
    alerts = {
        (alert.series_key, alert.month): alert
        for points in series.values()
        for alert in _series_alerts(points, thresholds)
    }
    keys = [(measurement.series_key, measurement.month) for measurement in measurements]
    return [alerts[key] for key in keys if key in alerts]


def _series_alerts(series: Sequence[Measurement], thresholds: AlertThresholds) -> Iterator[Alert]:
    for index, latest in enumerate(series):
        window = series[max(index + 1 - thresholds.window_months, 0) : index + 1]
        breaches = tuple(point.month for point in window if point.exceeds_threshold)
        if latest.exceeds_threshold and len(breaches) >= min(thresholds.min_breaches, len(window)):
            yield Alert(
                **{item.name: getattr(latest, item.name) for item in fields(Measurement)},
                breach_months=breaches,
                window_months=len(window),
            )


def drift_measurements(
    month: str, drifts: Sequence[FeatureDrift], importances: Mapping[str, float], thresholds: AlertThresholds
) -> Iterator[Measurement]:
    """Yield the effect sizes of each feature.

    Features with an importance below `min_importance` have no threshold.
    """
    limits = {"psi": thresholds.psi, "ks": thresholds.ks, "wasserstein": thresholds.wasserstein}
    for drift in drifts:
        is_important = importances.get(drift.feature, 0.0) >= thresholds.min_importance
        shares = {"new": sum(drift.new.values()), "vanished": sum(drift.vanished.values())}
        effects = {"psi": drift.psi, "ks": drift.ks, "wasserstein": drift.wasserstein}
        for measure, value in {**effects, **{name: share or None for name, share in shares.items()}}.items():
            if value is not None:
                yield Measurement(
                    month=month,
                    kind="drift",
                    name=drift.feature,
                    measure=measure,
                    value=value,
                    effect=value,
                    threshold=limits.get(measure, 0.0) if is_important else None,
                )


def rate_measurements(
    month: str, kind: str, rates: Mapping[str, float], reference_ranges: Mapping[str, ReferenceRange]
) -> Iterator[Measurement]:
    """Yield the rates of missing values or rejected trips.

    The effect is the distance of the rate from the reference range.
    """
    for name, limits in reference_ranges.items():
        rate = rates.get(name, 0.0)
        yield Measurement(
            month=month,
            kind=kind,
            name=name,
            measure="rate",
            value=rate,
            reference=limits.mean,
            effect=limits.distance_outside(rate),
            threshold=0.0,
        )


def share_measurements(
    month: str, current: Mapping[str, float], reference: Mapping[str, float], thresholds: AlertThresholds
) -> Iterator[Measurement]:
    """Yield the shares that both the month and the reference have.

    The shares are the share of the trips in the segment, and the share of positive labels among
    these trips. Without such trips, the second share does not exist.
    """
    for name, value in current.items():
        if name not in reference:
            continue
        yield Measurement(
            month=month,
            kind="share",
            name=name,
            measure="share",
            value=value,
            reference=reference[name],
            effect=abs(value - reference[name]),
            threshold=thresholds.max_share_shift,
        )


def performance_measurements(month: str, current: Metrics, reference: Metrics) -> Iterator[Measurement]:
    """Yield the realized metrics.

    Realized metrics have no threshold, because they change with the mix of trips.
    """
    realized, expectations = _loss_metrics(current), _loss_metrics(reference)
    for name, sign in LOSS_SIGNS.items():
        value, expected = realized[name], expectations[name]
        if value is not None and expected is not None:
            yield Measurement(
                month=month,
                kind="performance",
                name=name,
                measure="change",
                value=value,
                reference=expected,
                effect=sign * (value - expected),
            )


def model_measurements(
    month: str,
    f1_change: ChangeParts | None,
    log_loss_change: ChangeParts | None,
    segment_auc: tuple[float | None, float | None],
    thresholds: AlertThresholds,
) -> Iterator[Measurement]:
    """Yield the losses due to the model: parts of the changes in F1 and log loss, and an AUC.

    `segment_auc` is the AUC of the trips in the segment, in the month and in the reference. The AUC
    of all trips changes with the share of the segment, but the AUC of the segment does not.
    """
    for name, change, limit in (
        ("f1", f1_change, thresholds.max_f1_loss),
        ("log_loss", log_loss_change, thresholds.max_log_loss_increase),
    ):
        if change is not None:
            yield Measurement(
                month=month,
                kind="model",
                name=name,
                measure="part",
                value=change.model,
                effect=LOSS_SIGNS[name] * change.model,
                threshold=limit,
            )
    current, reference = segment_auc
    if current is not None and reference is not None:
        yield Measurement(
            month=month,
            kind="model",
            name="auc",
            measure="segment",
            value=current,
            reference=reference,
            effect=reference - current,
            threshold=thresholds.max_auc_loss,
        )


def estimate_measurements(
    month: str,
    estimated: EstimatedMetrics,
    reference: Metrics,
    thresholds: AlertThresholds,
    *,
    has_labels: bool,
) -> Iterator[Measurement]:
    """Yield the estimated metrics.

    F1 and log loss have a threshold in months without labels only. AUC never has a threshold,
    because it changes with the mix of trips.
    """
    values, expectations = _loss_metrics(estimated), _loss_metrics(reference)
    limits = (
        {} if has_labels else {"f1": thresholds.max_f1_loss, "log_loss": thresholds.max_log_loss_increase}
    )
    for name, sign in LOSS_SIGNS.items():
        value, expected = values[name], expectations[name]
        if value is not None and expected is not None:
            yield Measurement(
                month=month,
                kind="estimate",
                name=name,
                measure="change",
                value=value,
                reference=expected,
                effect=sign * (value - expected),
                threshold=limits.get(name),
            )


def _loss_metrics(metrics: Metrics | EstimatedMetrics) -> dict[str, float | None]:
    return {"f1": metrics.f1, "auc": metrics.auc, "log_loss": metrics.log_loss}
