"""Monitor a model with the histograms in the store, and publish the measurements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from toytip.config import Settings
from toytip.core.jsonable import dump_json, to_json
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.parameters import AlertThresholds
from toytip.core.partitions import DataFile, DataFileKey
from toytip.core.tables import MODELS, MONITORING
from toytip.core.text import plural
from toytip.errors import StoreError
from toytip.models import resolve
from toytip.monitoring.alerts import Measurement
from toytip.monitoring.comparison import MonitoringResult, run_monitoring
from toytip.monitoring.plan import plan_monitoring
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline.context import RunContext
from toytip.pipeline.history import MonitoringInputs, inputs_of_model
from toytip.progress.tracker import Progress
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


def find_monitoring_inputs(settings: Settings, store: Store, model: TrainedModel) -> MonitoringInputs:
    """Return all months that a model has scored, and the reference that a registered model carries.

    Raises StoreError if the store has no predictions of the model.
    """
    inputs = inputs_of_model(store, model)
    if inputs is None:
        raise StoreError(
            f"cannot monitor model {model.version}: {store.display_uri} has no predictions of this model",
            hint=f"Score months with `toytip run --model {model.version}`.",
        )
    if all(month in inputs.months for month in _learned_months(model)):
        return inputs
    reference = resolve.load_reference(settings, model)
    return inputs.extended(reference) if reference else inputs


def _learned_months(model: TrainedModel) -> Iterator[Month]:
    """Yield the training and validation months of a model."""
    for span in model.encoding.split.fitted_ranges().values():
        month = Month.parse(span.start[:7])
        while month.start.isoformat() < span.stop:
            if model.encoding.split.fits_on(month):
                yield month
            month = month.next


def run_monitor_stage(
    context: RunContext,
    model: TrainedModel,
    inputs: MonitoringInputs,
    *,
    reference: str | None = None,
    analysis_months: str | None = None,
    labels_until: str | None = None,
    publish: bool = True,
) -> tuple[MonitoringReport | None, Manifest | None]:
    """Monitor a model, and add the measurements to the version as the table `monitoring`.

    Returns no report if there is no month to analyze, and no manifest unless `publish` is set.
    Raises StoreError, or ConfigError as `plan_monitoring` does.
    """
    plan = plan_monitoring(model, inputs.months, reference, analysis_months, labels_until)
    if plan is None:
        return None, None
    with context.progress.stage("monitor", len(plan.analysis_months)) as stage:
        result = run_monitoring(model, plan, alert_thresholds(context.settings), inputs.history)
        report, manifest = result.report, None
        if publish:
            manifest = _add_measurements(context, result, plan.analysis_months, inputs)
            report = replace(report, version=manifest.version)
        stage.advance(steps=len(plan.analysis_months), note=plural(len(report.active_alerts), "alert"))
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

    Without a name, monitor the champion, or the current model if there is no champion.

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
            find_monitoring_inputs(settings, store, model),
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
    parents = [*inputs.parents, VersionRef(MODELS.name, report.model)]
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
        "json": dump_json(to_json(report), indent=1).encode(),
        "png": png.draw_monitoring(report),
    }
    return {
        kind: save_report(context.store, f"{context.version}.monitor.{kind}", content)
        for kind, content in contents.items()
    }
