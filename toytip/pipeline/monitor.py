"""Monitor a model with the histograms in the store, and publish the measurements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from toytip.config import Settings
from toytip.core.jsonable import to_json
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.parameters import AlertThresholds
from toytip.core.partitions import DataFile, DataFileKey
from toytip.core.tables import FEATURE_HISTOGRAMS, METRIC_HISTOGRAMS, MODELS, MONITORING, REJECTS, TRIPS
from toytip.errors import StoreError
from toytip.evaluation.tally import Tallies
from toytip.models import resolve
from toytip.monitoring.alerts import Measurement
from toytip.monitoring.comparison import MonitoringResult, run_monitoring
from toytip.monitoring.plan import plan_monitoring
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline.context import RunContext
from toytip.pipeline.evaluate import resolve_features
from toytip.progress.tracker import Progress
from toytip.stages import profile
from toytip.store.artifacts import load_tallies
from toytip.store.layout import new_version_id
from toytip.store.manifest import Manifest, VersionRef
from toytip.store.refs import status_of_model
from toytip.store.reports import save_report
from toytip.store.store import Store, store_from_settings


def alert_thresholds(settings: Settings) -> AlertThresholds:
    """Return the alert thresholds that the settings contain."""
    return AlertThresholds(
        psi=settings.alert_psi,
        ks=settings.alert_ks,
        wasserstein=settings.alert_wasserstein,
        min_importance=settings.alert_min_importance,
        max_share_shift=settings.alert_max_share_shift,
        max_f1_loss=settings.alert_max_f1_loss,
        max_log_loss_increase=settings.alert_max_log_loss_increase,
        max_auc_loss=settings.alert_max_auc_loss,
        min_breaches=settings.alert_min_breaches,
        window_months=settings.alert_window_months,
    )


@dataclass(frozen=True, kw_only=True)
class MonitoringInputs:
    """The versions that the monitoring of a model reads."""

    metric_histograms: Manifest
    feature_histograms: Manifest
    features: Manifest
    rejects: Manifest | None

    @property
    def months(self) -> tuple[Month, ...]:
        """The months with predictions."""
        return tuple(dict.fromkeys(file.key.month for file in self.feature_histograms.files))


def find_monitoring_inputs(store: Store, model: TrainedModel) -> MonitoringInputs:
    """Return the inputs for monitoring the newest published predictions of a model.

    Raises StoreError if the store does not have a required input.
    """
    scored = [
        manifest
        for manifest in store.list_manifests(METRIC_HISTOGRAMS.name)
        if VersionRef(MODELS.name, model.version) in manifest.parents
    ]
    if not scored:
        raise StoreError(
            f"cannot monitor model {model.version}: {store.display_uri} has no predictions of this model",
            hint=f"Run `toytip stage infer --model {model.version}` and `toytip stage postprocess`.",
        )
    features = resolve_features(store, scored[-1])
    feature_histograms = store.get_manifest(FEATURE_HISTOGRAMS.name, features.version)
    if feature_histograms is None:
        raise StoreError(
            f"cannot monitor model {model.version}: features {features.version} in {store.display_uri} "
            "have no feature histograms",
            hint="Run `toytip run --full-refresh`.",
        )
    trips = next(
        (ref.version for ref in features.parent_versions if ref.table == TRIPS.name), features.version
    )
    return MonitoringInputs(
        metric_histograms=scored[-1],
        feature_histograms=feature_histograms,
        features=features,
        rejects=store.get_manifest(REJECTS.name, trips),
    )


def read_monitoring_inputs(
    store: Store, inputs: MonitoringInputs, tallies: Tallies | None = None
) -> tuple[Tallies, dict[Month, pd.DataFrame], dict[Month, dict[str, float]]]:
    """Return metric histograms, feature histograms by month, and reject rates by month.

    `tallies` replaces the metric histograms of the store.
    """
    if tallies is None:
        tallies = load_tallies(store, inputs.metric_histograms)
    frames: dict[Month, list[pd.DataFrame]] = {}
    for file in inputs.feature_histograms.files:
        frame = store.read_data_file(FEATURE_HISTOGRAMS, inputs.feature_histograms.version, file)
        frames.setdefault(file.key.month, []).append(frame)
    histograms = {month: profile.merge_profiles(pieces) for month, pieces in frames.items()}
    return tallies, histograms, reject_rates(inputs)


def reject_rates(inputs: MonitoringInputs) -> dict[Month, dict[str, float]]:
    """Return the share of rejected rows by month and reason."""
    rows: dict[Month, int] = {}
    rejects: dict[Month, dict[str, int]] = {}
    for file in (*inputs.features.files, *(inputs.rejects.files if inputs.rejects else ())):
        month = file.key.month
        rows[month] = rows.get(month, 0) + file.rows
        counts = rejects.setdefault(month, {})
        for reason, count in file.rejects.items():
            counts[reason] = counts.get(reason, 0) + count
    return {
        month: {reason: count / max(rows[month], 1) for reason, count in counts.items()}
        for month, counts in rejects.items()
    }


def run_monitor_stage(
    context: RunContext,
    model: TrainedModel,
    inputs: MonitoringInputs,
    *,
    reference: str | None = None,
    analysis_months: str | None = None,
    labels_until: str | None = None,
    publish: bool = True,
    tallies: Tallies | None = None,
) -> tuple[MonitoringReport | None, Manifest | None]:
    """Monitor a model, and add the measurements to the version as the table `monitoring`.

    Returns no report if there is no month to analyze, and no manifest unless `publish` is set.
    `tallies` replaces the metric histograms of the store. Raises StoreError, or ConfigError as
    `plan_monitoring` does.
    """
    plan = plan_monitoring(model, inputs.months, reference, analysis_months, labels_until)
    if plan is None:
        return None, None
    with context.progress.stage("monitor", len(plan.analysis_months)) as stage:
        result = run_monitoring(
            model,
            plan,
            alert_thresholds(context.settings),
            *read_monitoring_inputs(context.store, inputs, tallies),
        )
        report, manifest = result.report, None
        if publish:
            manifest = _add_measurements(context, result, plan.analysis_months, inputs)
            report = replace(report, version=manifest.version)
        alerts = len(report.active_alerts)
        stage.advance(steps=len(plan.analysis_months), note=f"{alerts} alert{'' if alerts == 1 else 's'}")
    return report, manifest


def monitor_model(
    settings: Settings,
    name: str | None,
    progress: Progress,
    *,
    reference: str | None,
    analysis_months: str | None,
    labels_until: str | None,
    publish: bool,
    taxi: str | None = None,
    segment: str | None = None,
) -> MonitoringReport:
    """Monitor the model with a version, tag, alias or model number, without a cluster.

    Without a name, monitor the champion, or the newest model if there is no champion.

    Raises StoreError if the model or its predictions are not in the store, RegistryError if the
    registry does not have the model or has several, and ConfigError if a month is invalid.
    """
    store = store_from_settings(settings)
    model = resolve.load_champion_or_model(settings, name, taxi, segment)
    context = RunContext(settings, store, None, progress, settings.version_id or new_version_id())

    def run_stage() -> tuple[MonitoringReport | None, Manifest | None]:
        return run_monitor_stage(
            context,
            model,
            find_monitoring_inputs(store, model),
            reference=reference,
            analysis_months=analysis_months,
            labels_until=labels_until,
            publish=publish,
        )

    if publish:
        store.require_unpublished(context.version)
        with store.write_version(context.version):
            report, manifest = run_stage()
            if manifest is not None:
                status = status_of_model(store, model.version)
                context.publish("monitor", {MONITORING.name: manifest}, status)
    else:
        report, _ = run_stage()
    if report is None:
        raise StoreError(
            f"cannot monitor model {model.version}: there are no predictions after its training months",
            hint="Select months with --reference and --analysis-months.",
        )
    return replace(report, files=_save_report(context, report)) if publish else report


def _add_measurements(
    context: RunContext, result: MonitoringResult, months: Sequence[Month], inputs: MonitoringInputs
) -> Manifest:
    """Add the measurements to the version, one file per month."""
    report = result.report
    alerts = {(alert.series_key, alert.month) for alert in report.alert_history}
    files = []
    for month in months:
        measurements = [item for item in result.measurements if item.month == str(month)]
        path = DataFileKey(month, 0).path
        file = DataFile(path=path, rows=0, bytes=0, checksum="", month=month, number=0)
        frame = _measurement_frame(measurements, alerts)
        files.append(context.store.write_data_file(MONITORING, context.version, file, frame))
    parents = [
        inputs.metric_histograms.ref,
        inputs.feature_histograms.ref,
        VersionRef(MODELS.name, report.model),
    ]
    config = {
        "feature_reference": list(report.feature_reference),
        "performance_reference": list(report.performance_reference),
        "labels_until": report.labels_until,
        "thresholds": to_json(report.thresholds),
    }
    metrics = {"active_alerts": to_json(report.active_alerts)}
    return context.add_table(MONITORING, files, config, parents, metrics=metrics)


def _measurement_frame(
    measurements: Sequence[Measurement], alerts: set[tuple[tuple[str, str, str], str]]
) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {
        "kind": [item.kind for item in measurements],
        "name": [item.name for item in measurements],
        "measure": [item.measure for item in measurements],
        "value": [item.value for item in measurements],
        "reference": [item.reference for item in measurements],
        "effect": [item.effect for item in measurements],
        "threshold": [item.threshold for item in measurements],
        "exceeds_threshold": [item.exceeds_threshold for item in measurements],
        "alert": [(item.series_key, item.month) in alerts for item in measurements],
    }
    return MONITORING.validate(pd.DataFrame(columns).astype(MONITORING.dtypes))


def _save_report(context: RunContext, report: MonitoringReport) -> dict[str, str]:
    """Save the report as JSON and as a chart, and return their locations by format."""
    from toytip.report.charts import png

    contents = {
        "json": json.dumps(to_json(report), indent=1).encode(),
        "png": png.draw_monitoring(report),
    }
    return {
        kind: save_report(context.store, f"{context.version}.monitor.{kind}", content)
        for kind, content in contents.items()
    }
