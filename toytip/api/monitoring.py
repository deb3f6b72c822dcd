"""Monitoring for programs: the report of `toytip monitor` as DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from toytip.api.settings import (
    SettingText,
    make_progress,
    resolve_call_settings,
    to_model_name,
    to_setting_text,
)
from toytip.api.wording import with_python_errors
from toytip.config import Settings
from toytip.core.jsonable import to_json
from toytip.core.text import plural

if TYPE_CHECKING:
    from toytip.monitoring.alerts import Alert
    from toytip.monitoring.attribution import ChangeParts
    from toytip.monitoring.report import MonitoringReport, MonthPerformance


@dataclass(frozen=True, repr=False)
class Monitoring:
    """The monitoring report of a model, as DataFrames and as JSON."""

    report: MonitoringReport

    @property
    def model(self) -> str:
        """The version of the monitored model."""
        return self.report.model

    @property
    def version(self) -> str | None:
        """The version of the published table `monitoring`. None without publication."""
        return self.report.version

    @property
    def alerts(self) -> pd.DataFrame:
        """The alerts of the latest analysis month, one row per alert.

        The columns are the keys of an alert in `toytip monitor --json`: `month`, `kind`, `name`,
        `measure`, `value`, `reference`, `effect`, `threshold`, and more.
        """
        return _alert_frame(self.report.active_alerts)

    @property
    def alert_history(self) -> pd.DataFrame:
        """The alerts of all analysis months, with the same columns as `alerts`."""
        return _alert_frame(self.report.alert_history)

    @property
    def performance(self) -> pd.DataFrame:
        """The performance of the model by month. The first row covers the reference months.

        Columns are counts and shares (`rows`, `segment_share`, `segment_prevalence`), the realized
        metrics, and the metrics that are estimated without labels (`estimated_f1`, ...). The change
        of a metric since the reference (`f1_change`) is the sum of its parts:
        `f1_by_segment_share`, `f1_by_prevalence` and `f1_by_model`. In a month without labels,
        values that need labels are NaN.
        """
        rows = [_performance_row(row) for row in self.report.performance_by_month]
        return pd.DataFrame(rows).set_index("month")

    @property
    def days(self) -> pd.DataFrame:
        """The performance of the model by day, for the reference and the months with labels.

        Columns: `rows`, `prevalence`, `f1`, `f1_always_positive`, `auc` and `log_loss`. Columns
        that start with `rolling_` cover up to seven days with trips, the last of which is the day
        of the row.
        """
        rows = [
            {
                "day": row.day,
                **asdict(row.metrics),
                **{f"rolling_{name}": value for name, value in asdict(row.rolling).items()},
            }
            for row in self.report.performance_by_day
        ]
        return pd.DataFrame(rows).astype({"day": "datetime64[us]"}).set_index("day")

    @property
    def drift(self) -> pd.DataFrame:
        """The drift by month and feature. In each month, the most important feature is first.

        Effect sizes: `psi` (population stability index), `ks` (Kolmogorov-Smirnov statistic),
        `wasserstein` (in robust standard deviations of the reference) and `distance` (in the unit
        of the feature). Categorical features have only a PSI. `mean` and `missing` (a share)
        describe the month, and `reference_mean` and `reference_missing` describe the reference.
        `new` and `vanished` contain the new and vanished categories with their shares of the trips.
        """
        rows = [
            {
                "month": month,
                "feature": drift.feature,
                "importance": self.report.feature_importance[drift.feature],
                **asdict(drift),
            }
            for month, drifts in self.report.drift_by_month.items()
            for drift in drifts
        ]
        return pd.DataFrame(rows).set_index(["month", "feature"])

    def json(self) -> dict[str, Any]:
        """Return the report with the keys of `toytip monitor --json`."""
        return dict(to_json(self.report))

    def __repr__(self) -> str:
        first, last = self.report.analysis_months[0], self.report.last_month
        alerts = plural(len(self.report.active_alerts), "alert")
        return f"<toytip monitoring of {self.model}, {first} to {last}: {alerts} in {last}>"


def _alert_frame(alerts: Sequence[Alert]) -> pd.DataFrame:
    from toytip.monitoring.alerts import Alert

    columns = [item.name for item in fields(Alert)]
    return pd.DataFrame([asdict(alert) for alert in alerts], columns=columns)


def _performance_row(performance: MonthPerformance) -> dict[str, Any]:
    realized = asdict(performance.metrics) if performance.metrics else {}
    estimated = asdict(performance.estimated_metrics)
    return {
        "month": performance.month,
        "rows": performance.rows,
        "segment_share": performance.segment_share,
        "segment_prevalence": performance.segment_prevalence,
        "segment_auc": performance.segment_auc,
        **{name: value for name, value in realized.items() if name != "rows"},
        "f1_always_positive": performance.f1_always_positive,
        **{f"estimated_{name}": value for name, value in estimated.items()},
        **_change_columns("prevalence", performance.prevalence_change),
        **_change_columns("f1", performance.f1_change),
        **_change_columns("log_loss", performance.log_loss_change),
    }


def _change_columns(metric: str, change: ChangeParts | None) -> dict[str, float]:
    """Return a change and its parts as columns.

    The change of the prevalence has no model part, because labels do not depend on the model.
    """
    if change is None:
        return {}
    columns = {
        f"{metric}_change": change.total,
        f"{metric}_by_segment_share": change.segment_share,
        f"{metric}_by_prevalence": change.prevalence,
    }
    return columns if metric == "prevalence" else {**columns, f"{metric}_by_model": change.model}


@with_python_errors
def monitor(
    model: str | int | None = None,
    *,
    store: str | Path | None = None,
    env: str | None = None,
    reference: SettingText | None = None,
    analysis_months: SettingText | None = None,
    labels_until: str | None = None,
    taxi: str | None = None,
    segment: str | None = None,
    publish: bool = True,
    progress: bool = False,
    **settings: Any,
) -> Monitoring:
    """Monitor a model as `toytip monitor` does: data drift, and changes in performance.

    `model` is the version or tag of a run, `champion`, `challenger`, or a model number in the
    registry. The default is the champion, or the current model if there is no champion. Set `taxi`
    or `segment` if several registered models have this name. `reference` and `analysis_months` are
    a range such as `"2023-10:2023-12"` or a list of months. `labels_until` is the latest month with
    labels. The measurements are published as a version of the table `monitoring`, unless `publish`
    is false. You can set thresholds, for example `alert_psi=0.1`. The function reads histograms,
    not trips, and starts no cluster.

    Raises StoreError if the model or its predictions are not in the store, RegistryError if the
    registry does not have the model, and ConfigError if a month or a setting is invalid.
    """
    resolved = resolve_call_settings({**settings, "store": store, "env": env})
    return monitor_store(
        resolved,
        model,
        reference=reference,
        analysis_months=analysis_months,
        labels_until=labels_until,
        taxi=taxi,
        segment=segment,
        publish=publish,
        show_progress=progress,
    )


def monitor_store(
    settings: Settings,
    model: str | int | None,
    *,
    reference: SettingText | None,
    analysis_months: SettingText | None,
    labels_until: str | None,
    taxi: str | None,
    segment: str | None,
    publish: bool,
    show_progress: bool = False,
) -> Monitoring:
    """Monitor a model as `monitor` does, in the store that the settings name."""
    from toytip.pipeline.monitor import monitor_model

    progress = make_progress(show_progress)
    with progress.show_live():
        report = monitor_model(
            settings,
            to_model_name(model),
            progress,
            reference=to_setting_text(reference),
            analysis_months=to_setting_text(analysis_months),
            labels_until=labels_until,
            publish=publish,
            taxi=taxi,
            segment=segment,
        )
    return Monitoring(report)
