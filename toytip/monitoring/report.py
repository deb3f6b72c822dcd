"""Types for the monitoring report: alerts, drift by feature, performance by month and day."""

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
    """Performance of a model in one month: realized, estimated, and changes since the reference."""

    month: str
    """Month, or `reference` for all reference months together."""
    rows: int
    """Number of trips in the segment."""
    segment_share: float
    """Share of trips that are in the segment, for example card trips."""
    segment_prevalence: float | None
    """Share of high tips among the trips of the segment. Null without labels or such trips."""
    metrics: Metrics | None
    """Realized metrics of the model on the segment. Null without labels."""
    f1_always_positive: float | None
    """F1 of the always-positive baseline. Null without labels."""
    segment_auc: float | None
    """AUC of the trips of the segment. Null without labels, or if all labels are equal."""
    estimated_metrics: EstimatedMetrics
    """Metrics that toytip estimates from the predicted probabilities, without labels."""
    prevalence_change: ChangeParts | None = None
    """Change in the share of high tips since the reference. Null without labels, or if the month or
    the reference has trips of one class only."""
    f1_change: ChangeParts | None = None
    """Change in F1 since the reference. Null if `prevalence_change` is null."""
    log_loss_change: ChangeParts | None = None
    """Change in log loss since the reference. Null if `prevalence_change` is null."""


@dataclass(frozen=True, kw_only=True)
class PeriodMetrics:
    """Realized metrics of one day, or of up to seven days."""

    rows: int
    """Number of trips."""
    prevalence: float | None
    """Share of high tips. Null without trips."""
    f1: float | None
    """F1. Null if no trip has a high tip and no trip is predicted positive."""
    f1_always_positive: float | None
    """F1 of the always-positive baseline. Null without trips."""
    auc: float | None
    """AUC. Null if all trips have the same label."""
    log_loss: float | None
    """Log loss. Null without trips."""


# A function that returns one of the metrics of a period.
PeriodMetric = Callable[[PeriodMetrics], float | None]


@dataclass(frozen=True, kw_only=True)
class DayPerformance:
    """Performance of a model on one day."""

    day: str
    """Date, as YYYY-MM-DD."""
    metrics: PeriodMetrics
    """Metrics of the day."""
    rolling: PeriodMetrics
    """Metrics of up to seven days with trips, the last of which is this day."""


@dataclass(frozen=True, kw_only=True)
class MonitoringReport:
    """Drift and performance of a model in the analysis months, compared with the reference."""

    model: str
    """Version of the model."""
    segment: str
    """Segment of trips that the model was trained on: `all` or `card`."""
    declared_segment: str | None
    """Segment with separate metrics, for example `card`. Null if the data set does not declare a
    segment, as for the trips of Uber and Lyft."""
    analysis_months: tuple[str, ...]
    """Analysis months, which are compared with the reference."""
    feature_reference: tuple[str, ...]
    """Reference months for features, missing values and rejected trips."""
    performance_reference: tuple[str, ...]
    """Reference months for shares and metrics."""
    labels_until: str | None
    """Latest month whose labels are used. Null if the labels of all months are used."""
    warnings: tuple[str, ...]
    """Reasons why the comparison can be misleading."""
    thresholds: AlertThresholds
    """Alert thresholds, and the parameters of the alert rule."""
    active_alerts: tuple[Alert, ...]
    """Alerts of the latest analysis month."""
    alert_history: tuple[Alert, ...]
    """Alerts of all analysis months."""
    exceeded_measurements: tuple[Measurement, ...]
    """Measurements that exceed their threshold, from all analysis months."""
    feature_importance: Mapping[str, float]
    """Share of each feature in the gain of all tree splits, largest first."""
    drift_by_month: Mapping[str, tuple[FeatureDrift, ...]]
    """Drift of each feature by month, most important feature first."""
    performance_by_month: tuple[MonthPerformance, ...]
    """Performance in the reference months (first entry), then in each analysis month. Analysis
    months that are also in `performance_reference` are left out."""
    performance_by_day: tuple[DayPerformance, ...]
    """Performance by day, in the performance reference and in the analysis months with labels."""
    quality_by_month: tuple[Measurement, ...]
    """Measurements of missing values and of rejected trips, by analysis month."""
    version: str | None = None
    """Version of the table `monitoring` that contains all measurements. Null with `--dry-run`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Paths or URIs of the saved report, by format (`json`, `png`). Empty with `--dry-run`."""

    @property
    def last_month(self) -> str:
        """The latest analysis month."""
        return self.analysis_months[-1]

    @property
    def reference_performance(self) -> MonthPerformance:
        """The performance in the reference months."""
        return self.performance_by_month[0]

    @property
    def analysis_performance(self) -> tuple[MonthPerformance, ...]:
        """The performance in the analysis months that are not reference months for performance."""
        return self.performance_by_month[1:]

    @property
    def psi_by_feature(self) -> dict[str, dict[str, float | None]]:
        """The population stability index by feature and month, most important feature first."""
        by_month = {
            month: {drifted.feature: drifted.psi for drifted in drifts}
            for month, drifts in self.drift_by_month.items()
        }
        return {
            name: {month: psi.get(name) for month, psi in by_month.items()}
            for name in self.feature_importance
            if any(psi.get(name) is not None for psi in by_month.values())
        }
