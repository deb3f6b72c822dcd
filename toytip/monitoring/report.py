"""The report of a monitoring: alerts, drift by feature, and performance by month and day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from toytip.core.parameters import AlertThresholds
from toytip.evaluation.report import Metrics
from toytip.monitoring.alerts import Alert, Measurement
from toytip.monitoring.attribution import ChangeParts
from toytip.monitoring.cbpe import EstimatedMetrics
from toytip.monitoring.drift import FeatureDrift


@dataclass(frozen=True, kw_only=True)
class MonthPerformance:
    """Performance of a model in one month: realized, estimated, and changed since the reference."""

    month: str
    """Month, or `reference` for the months that the others are compared with."""
    rows: int
    """Number of trips of the segment."""
    card_share: float
    """Share of trips paid by card."""
    card_high_tip_share: float | None
    """Share of high tips among card trips. Null without labels."""
    metrics: Metrics | None
    """Realized metrics of the segment. Null without labels."""
    f1_always_positive: float | None
    """F1 of the always-positive baseline. Null without labels."""
    card_auc: float | None
    """AUC of card trips. Null without labels, or with one class only."""
    estimated_metrics: EstimatedMetrics
    """Metrics estimated from the predicted probabilities, without labels."""
    prevalence_change: ChangeParts | None = None
    """Change of the share of high tips since the reference. Null without labels."""
    f1_change: ChangeParts | None = None
    """Change of F1 since the reference. Null without labels."""
    log_loss_change: ChangeParts | None = None
    """Change of the log loss since the reference. Null without labels."""


@dataclass(frozen=True, kw_only=True)
class PeriodMetrics:
    """Realized metrics of a day or of a week."""

    rows: int
    """Number of trips."""
    prevalence: float | None
    """Share of high tips. Null without trips."""
    f1: float | None
    """F1. Null without trips."""
    f1_always_positive: float | None
    """F1 of the always-positive baseline. Null without trips."""
    auc: float | None
    """AUC. Null if a class has no trips."""
    log_loss: float | None
    """Log loss. Null without trips."""


# One of the metrics of a period.
PeriodMetric = Callable[[PeriodMetrics], float | None]


@dataclass(frozen=True, kw_only=True)
class DayPerformance:
    """Performance of a model on one day."""

    day: str
    """Date."""
    metrics: PeriodMetrics
    """Metrics of the day."""
    rolling: PeriodMetrics
    """Metrics of the seven days that end with this day."""


@dataclass(frozen=True, kw_only=True)
class MonitoringReport:
    """Drift and performance of a model in its analysis months, compared with its reference."""

    model: str
    """Version of the model."""
    segment: str
    """Segment of trips that the model was trained on: `all` or `card`."""
    analysis_months: tuple[str, ...]
    """Monitored months."""
    feature_reference: tuple[str, ...]
    """Months that features, missing values and rejects are compared with."""
    performance_reference: tuple[str, ...]
    """Months that shares and metrics are compared with."""
    labels_until: str | None
    """Last month with labels. Null if all months have labels."""
    warnings: tuple[str, ...]
    """Reasons why the comparison can look better than it is."""
    thresholds: AlertThresholds
    """Thresholds and alert rule."""
    active_alerts: tuple[Alert, ...]
    """Alerts of the last analysis month."""
    alert_history: tuple[Alert, ...]
    """Alerts of all analysis months."""
    exceeded_measurements: tuple[Measurement, ...]
    """Measurements that exceed their threshold."""
    feature_importance: Mapping[str, float]
    """Share of the gain of all splits by feature, largest first."""
    drift_by_month: Mapping[str, tuple[FeatureDrift, ...]]
    """Effect sizes by month, for each feature."""
    performance_by_month: tuple[MonthPerformance, ...]
    """Performance by month. The first entry is the reference."""
    performance_by_day: tuple[DayPerformance, ...]
    """Performance by day, for the reference and the analysis months that have labels."""
    quality_by_month: tuple[Measurement, ...]
    """Rates of missing values and of rejected rows by month."""
    version: str | None = None
    """Version of the table `monitoring` with the measurements. Null with `--dry-run`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Locations of the saved report by format (`json`, `png`). Empty with `--dry-run`."""

    @property
    def last_month(self) -> str:
        """The last analysis month."""
        return self.analysis_months[-1]

    @property
    def reference_performance(self) -> MonthPerformance:
        """The performance in the reference months."""
        return self.performance_by_month[0]

    @property
    def analysis_performance(self) -> tuple[MonthPerformance, ...]:
        """The performance in the analysis months that are not reference months."""
        return self.performance_by_month[1:]

    @property
    def psi_by_feature(self) -> dict[str, dict[str, float | None]]:
        """The population stability index by feature, most important feature first, and month."""
        by_month = {
            month: {drifted.feature: drifted.psi for drifted in drifts}
            for month, drifts in self.drift_by_month.items()
        }
        return {
            name: {month: psi.get(name) for month, psi in by_month.items()}
            for name in self.feature_importance
            if any(psi.get(name) is not None for psi in by_month.values())
        }
