"""Monitoring: reads the profiles and tallies of a model's months, has them watched, and keeps what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from toytip.config import Settings, mask
from toytip.errors import ConfigError, StoreError
from toytip.history import TALLIES, tallied
from toytip.pipeline import models
from toytip.pipeline.context import Context, parent
from toytip.pipeline.stages import features_behind
from toytip.pipeline.watch import Monitored, plan, to_json, watch
from toytip.progress import Progress
from toytip.schema import MONITORS, PROFILES, REJECTS
from toytip.stages import profile
from toytip.stages.monitor import Bounds, Reading
from toytip.store import Manifest, Store, new_version, store_of
from toytip.tally import Summary
from toytip.values import Model, Month, PartKey, PartRecord


def bounds_of(settings: Settings) -> Bounds:
    """Return the bounds that the settings name."""
    return Bounds(**{each.name: getattr(settings, f"alert_{each.name}") for each in fields(Bounds)})


@dataclass(frozen=True)
class Source:
    """What the store has of a model's months."""

    tallies: Manifest
    profiles: Manifest
    features: Manifest
    rejects: Manifest | None

    @property
    def months(self) -> tuple[Month, ...]:
        """The months that were scored."""
        return tuple(dict.fromkeys(part.key.month for part in self.profiles.parts))


def source_of(context: Context, model: Model) -> Source:
    """Return the newest tallies and profiles of a model's predictions. Raises StoreError where there are none."""
    store = context.store
    made = [m for m in store.versions(TALLIES) if {"table": "models", "version": model.version} in m.parents]
    if not made:
        raise StoreError(
            f"nothing in {store.shown} tells how model {model.version} did; `toytip infer --model {model.version}` "
            "and `toytip postprocess` first, or `toytip run`"
        )
    features = features_behind(context, made[-1])
    profiles = store.published(PROFILES.name, features.version)
    if profiles is None:
        raise StoreError(
            f"features {features.version} in {store.shown} have no profiles; make them anew: `toytip run --fresh`"
        )
    upstream = next((p["version"] for p in features.parents if p.get("table") == "trips"), features.version)
    return Source(made[-1], profiles, features, store.published(REJECTS.name, upstream))


def read(
    store: Store, source: Source, summary: Summary | None = None
) -> tuple[Summary, dict[Month, pd.DataFrame], dict[Month, dict[str, float]]]:
    """Read tallies, unless their summary is at hand, and profiles, and the reject rates by month."""
    if summary is None:
        summary = tallied(store, source.tallies)
    parts: dict[Month, list[pd.DataFrame]] = {}
    for part in source.profiles.parts:
        frame = store.read(PROFILES, source.profiles.version, part)
        parts.setdefault(part.key.month, []).append(frame)
    return summary, {month: profile.merge(frames) for month, frames in parts.items()}, reject_rates(source)


def reject_rates(source: Source) -> dict[Month, dict[str, float]]:
    """Return the share of the trips read that each reason has rejected, by month."""
    rows: dict[Month, int] = {}
    counts: dict[Month, dict[str, int]] = {}
    for part in (*source.features.parts, *(source.rejects.parts if source.rejects else ())):
        month = part.key.month
        rows[month] = rows.get(month, 0) + part.rows
        told = counts.setdefault(month, {})
        for reason, count in part.rejects.items():
            told[reason] = told.get(reason, 0) + count
    return {
        month: {reason: count / max(rows[month], 1) for reason, count in told.items()}
        for month, told in counts.items()
    }


def run(
    context: Context,
    model: Model,
    *,
    reference: str | None = None,
    months: str | None = None,
    labels_until: str | None = None,
    keep: bool = True,
    summary: Summary | None = None,
) -> tuple[Monitored | None, Manifest | None]:
    """Monitor a model by what the store has; keep what was read as a version of `monitors`. None: no month to watch."""
    source = source_of(context, model)
    asked = plan(model, source.months, reference, months, labels_until)
    if asked is None:
        return None, None
    with context.progress.stage("monitor", len(asked.months)) as shown:
        found = watch(model, asked, bounds_of(context.settings), *read(context.store, source, summary))
        parents = [
            parent(source.tallies), parent(source.profiles), {"table": "models", "version": model.version},
        ]  # fmt: skip
        manifest = _publish(context, found, parents) if keep else None
        shown.advance(parts=len(asked.months), note=f"{len(found.ringing)} alerts")
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
) -> tuple[Monitored, dict[str, Any]]:
    """Monitor the model of a name, without a cluster; return what was found, and that as plain values.

    Raises StoreError, ConfigError or RegistryError where there is no such model, or no such month.
    """
    store = store_of(settings)
    model = models.named(settings, name)
    context = Context(settings, store, None, progress, settings.version or new_version())

    def work() -> tuple[Monitored | None, Manifest | None]:
        return run(context, model, reference=reference, months=months, labels_until=labels_until, keep=keep)

    if keep:
        store.refuse_published(context.version, (MONITORS.name,))
        with store.making(context.version):
            found, manifest = work()
    else:
        found, manifest = work()
    if found is None:
        raise ConfigError(
            f"model {model.version} has learned from all months there are: nothing to watch; name --reference and --months"
        )
    told = to_json(found)
    if manifest is not None:
        told = {**told, "version": manifest.version, "files": _save(context, found, told)}
    return found, told


def _publish(context: Context, found: Monitored, parents: list[dict[str, Any]]) -> Manifest:
    """Keep the readings, a part for every month, as a version of the history."""
    rang = {(alert.reading.key, alert.reading.month) for alert in found.alerts}
    records = []
    for month in found.plan.months:
        key = PartKey(month, 0)
        frame = _frame([each for each in found.readings if each.month == str(month)], rang)
        record = PartRecord(path=key.path, rows=0, bytes=0, checksum="", month=month, number=0)
        records.append(context.store.write(MONITORS, context.version, record, frame))
    config = {
        "reference": [str(month) for month in found.plan.features],
        "reference_of_skill": [str(month) for month in found.plan.skill],
        "labels_until": str(found.plan.labels_until) if found.plan.labels_until else None,
        "bounds": asdict(found.bounds),
    }
    ringing = [alert.to_json() for alert in found.ringing]
    return context.publish(MONITORS, records, config, parents, metrics={"alerts": ringing})


def _frame(readings: Sequence[Reading], rang: set[Any]) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {
        name: [getattr(each, name) for each in readings]
        for name in ("kind", "name", "measure", "value", "reference", "effect", "bound", "beyond")
    }
    columns["alert"] = [(each.key, each.month) in rang for each in readings]
    return MONITORS.check(pd.DataFrame(columns).astype(MONITORS.dtypes))


def _save(context: Context, found: Monitored, told: dict[str, Any]) -> dict[str, str]:
    """Keep all of it as JSON, and the picture, beside the store's reports; return where."""
    from toytip import plots

    title = f"Monitoring of {found.model.version}"
    content = {
        "json": json.dumps(told, indent=1).encode(),
        "png": plots.monitor(found.days, found.psi, found.bounds.psi, title),
    }
    save = context.store.save_report
    return {kind: mask(save(f"{context.version}.monitor.{kind}", what)) for kind, what in content.items()}
