"""Monitoring: reads the profiles and tallies of a model's months, has them watched, and keeps what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from toytip.config import Settings, mask_credentials
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.parameters import AlertThresholds
from toytip.core.partitions import DataFile, DataFileKey
from toytip.core.tables import FEATURE_HISTOGRAMS, MONITORING, REJECTS
from toytip.errors import ConfigError, StoreError
from toytip.evaluation.tally import Tallies
from toytip.models import resolve
from toytip.monitoring.alerts import Measurement
from toytip.monitoring.comparison import MonitoringReport, monitoring_json, run_monitoring
from toytip.monitoring.plan import plan_monitoring
from toytip.pipeline.context import RunContext
from toytip.pipeline.evaluate import resolve_features
from toytip.progress.tracker import Progress
from toytip.stages import profile
from toytip.store.artifacts import METRIC_HISTOGRAMS, load_tallies
from toytip.store.lineage import version_reference
from toytip.store.manifest import Manifest
from toytip.store.store import Store, new_version_id, store_from_settings


def alert_thresholds(settings: Settings) -> AlertThresholds:
    """Return the bounds that the settings name."""
    return AlertThresholds(
        **{each.name: getattr(settings, f"alert_{each.name}") for each in fields(AlertThresholds)}
    )


@dataclass(frozen=True)
class MonitoringInputs:
    """What the store has of a model's months."""

    tallies: Manifest
    profiles: Manifest
    features: Manifest
    rejects: Manifest | None

    @property
    def months(self) -> tuple[Month, ...]:
        """The months that were scored."""
        return tuple(dict.fromkeys(part.key.month for part in self.profiles.parts))


def find_monitoring_inputs(context: RunContext, model: TrainedModel) -> MonitoringInputs:
    """Return the newest tallies and profiles of a model's predictions. Raises StoreError where there are none."""
    store = context.store
    made = [
        m
        for m in store.list_manifests(METRIC_HISTOGRAMS)
        if {"table": "models", "version": model.version} in m.parents
    ]
    if not made:
        raise StoreError(
            f"nothing in {store.display_uri} tells how model {model.version} did; `toytip infer --model {model.version}` "
            "and `toytip postprocess` first, or `toytip run`"
        )
    features = resolve_features(context, made[-1])
    profiles = store.get_manifest(FEATURE_HISTOGRAMS.name, features.version)
    if profiles is None:
        raise StoreError(
            f"features {features.version} in {store.display_uri} have no profiles; make them anew: `toytip run --fresh`"
        )
    upstream = next((p["version"] for p in features.parents if p.get("table") == "trips"), features.version)
    return MonitoringInputs(made[-1], profiles, features, store.get_manifest(REJECTS.name, upstream))


def read_monitoring_inputs(
    store: Store, inputs: MonitoringInputs, summary: Tallies | None = None
) -> tuple[Tallies, dict[Month, pd.DataFrame], dict[Month, dict[str, float]]]:
    """Read tallies, unless their summary is at hand, and profiles, and the reject rates by month."""
    if summary is None:
        summary = load_tallies(store, inputs.tallies)
    parts: dict[Month, list[pd.DataFrame]] = {}
    for part in inputs.profiles.parts:
        frame = store.read_data_file(FEATURE_HISTOGRAMS, inputs.profiles.version, part)
        parts.setdefault(part.key.month, []).append(frame)
    return (
        summary,
        {month: profile.merge_profiles(frames) for month, frames in parts.items()},
        reject_rates(inputs),
    )


def reject_rates(inputs: MonitoringInputs) -> dict[Month, dict[str, float]]:
    """Return the share of the trips read that each reason has rejected, by month."""
    rows: dict[Month, int] = {}
    counts: dict[Month, dict[str, int]] = {}
    for part in (*inputs.features.parts, *(inputs.rejects.parts if inputs.rejects else ())):
        month = part.key.month
        rows[month] = rows.get(month, 0) + part.rows
        told = counts.setdefault(month, {})
        for reason, count in part.rejects.items():
            told[reason] = told.get(reason, 0) + count
    return {
        month: {reason: count / max(rows[month], 1) for reason, count in told.items()}
        for month, told in counts.items()
    }


def run_monitor_stage(
    context: RunContext,
    model: TrainedModel,
    *,
    reference: str | None = None,
    months: str | None = None,
    labels_until: str | None = None,
    keep: bool = True,
    summary: Tallies | None = None,
) -> tuple[MonitoringReport | None, Manifest | None]:
    """Monitor a model by what the store has; keep what was read as a version of `monitors`. None: no month to watch."""
    source = find_monitoring_inputs(context, model)
    asked = plan_monitoring(model, source.months, reference, months, labels_until)
    if asked is None:
        return None, None
    with context.progress.stage("monitor", len(asked.months)) as shown:
        found = run_monitoring(
            model,
            asked,
            alert_thresholds(context.settings),
            *read_monitoring_inputs(context.store, source, summary),
        )
        parents = [
            version_reference(source.tallies), version_reference(source.profiles), {"table": "models", "version": model.version},
        ]  # fmt: skip
        manifest = _publish_measurements(context, found, parents) if keep else None
        shown.advance(parts=len(asked.months), note=f"{len(found.current_alerts)} alerts")
    return found, manifest


def monitor_model(
    settings: Settings,
    name: str | None,
    progress: Progress,
    *,
    reference: str | None,
    months: str | None,
    labels_until: str | None,
    keep: bool,
) -> tuple[MonitoringReport, dict[str, Any]]:
    """Monitor the model of a name, without a cluster; return what was found, and that as plain values.

    Raises StoreError, ConfigError or RegistryError where there is no such model, or no such month.
    """
    store = store_from_settings(settings)
    model = resolve.load_model(settings, name)
    context = RunContext(settings, store, None, progress, settings.version_id or new_version_id())

    def work() -> tuple[MonitoringReport | None, Manifest | None]:
        return run_monitor_stage(
            context, model, reference=reference, months=months, labels_until=labels_until, keep=keep
        )

    if keep:
        store.require_unpublished(context.version, (MONITORING.name,))
        with store.write_version(context.version):
            found, manifest = work()
    else:
        found, manifest = work()
    if found is None:
        raise ConfigError(
            f"model {model.version} has learned from all months there are: nothing to watch; name --reference and --months"
        )
    told = monitoring_json(found)
    if manifest is not None:
        told = {**told, "version": manifest.version, "files": _save_reports(context, found, told)}
    return found, told


def _publish_measurements(
    context: RunContext, found: MonitoringReport, parents: list[dict[str, Any]]
) -> Manifest:
    """Keep the readings, a part for every month, as a version of the history."""
    rang = {(alert.measurement.series_key, alert.measurement.month) for alert in found.all_alerts}
    records = []
    for month in found.plan.months:
        key = DataFileKey(month, 0)
        frame = _measurement_frame([each for each in found.measurements if each.month == str(month)], rang)
        record = DataFile(path=key.path, rows=0, bytes=0, checksum="", month=month, number=0)
        records.append(context.store.write_data_file(MONITORING, context.version, record, frame))
    config = {
        "reference": [str(month) for month in found.plan.feature_reference],
        "reference_of_skill": [str(month) for month in found.plan.performance_reference],
        "labels_until": str(found.plan.labels_until) if found.plan.labels_until else None,
        "bounds": asdict(found.thresholds),
    }
    ringing = [alert.to_json() for alert in found.current_alerts]
    return context.publish(MONITORING, records, config, parents, metrics={"alerts": ringing})


def _measurement_frame(readings: Sequence[Measurement], rang: set[Any]) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {
        name: [getattr(each, name) for each in readings]
        for name in ("kind", "name", "measure", "value", "reference", "effect", "bound")
    }
    columns["beyond"] = [each.exceeded for each in readings]
    columns["alert"] = [(each.series_key, each.month) in rang for each in readings]
    return MONITORING.validate(pd.DataFrame(columns).astype(MONITORING.dtypes))


def _save_reports(context: RunContext, found: MonitoringReport, told: dict[str, Any]) -> dict[str, str]:
    """Keep all of it as JSON, and the picture, beside the store's reports; return where."""
    from toytip.report.charts import png

    title = f"Monitoring of {found.model.version}"
    content = {
        "json": json.dumps(told, indent=1).encode(),
        "png": png.draw_monitoring(found.days, found.psi, found.thresholds.psi, title),
    }
    save = context.store.save_report
    return {
        kind: mask_credentials(save(f"{context.version}.monitor.{kind}", what))
        for kind, what in content.items()
    }
