"""`toytip run`: every stage in order, from a year of files to published predictions and their metrics."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from toytip import cluster, flow
from toytip.cluster import live
from toytip.config import Settings, mask
from toytip.errors import RegistryError
from toytip.pipeline import gate, learn, monitor, plan, report, stages
from toytip.pipeline.context import Context, Published, opened
from toytip.pipeline.stages import Evaluation
from toytip.pipeline.watch import to_json
from toytip.progress import Progress
from toytip.registry import registry_of
from toytip.schema import PREDICTIONS, REJECTS
from toytip.source import Source
from toytip.splits import overlaps, plan_split
from toytip.store import Manifest
from toytip.values import Model, MonthPart, Span


def run(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Run the whole pipeline; return the summary, plain values under the keys that `--json` prints.

    Raises SourceError, ConfigError, StoreError, PlanError or ClusterError, with nothing half-published.
    """
    started = time.perf_counter()
    report.check(settings)
    found = plan.prepare(settings, progress)
    if settings.gate != "off":
        registry_of(settings, found.taxi if found else "yellow").knock()
    memory = cluster.MemoryWatch()
    memory.start()
    try:
        # A run that was killed may have published its first tables under this version: it goes on from there.
        with (
            opened(settings, (PREDICTIONS.name,), progress) as context,
            tempfile.TemporaryDirectory() as folder,
        ):
            page = Path(folder) / "dask.html"
            before = flow.bytes_read(context.client)
            with cluster.reported(page):
                source = plan.settle(context, found)
                _expect(context, source)
                published, model, evaluation, monitored, gated = _stages(context, source)
            source_bytes = max(flow.bytes_read(context.client) - before, 0)
            performance = context.store.save_report(f"{context.version}.dask.html", page.read_bytes())
            told = json.dumps(evaluation.report, indent=1).encode()
            saved = context.store.save_report(f"{context.version}.json", told)
            dashboard, workers = context.client.dashboard_link, len(cluster.workers_of(context.client))
    finally:
        peak = memory.stop()
    seconds = time.perf_counter() - started
    summary = {
        "version": context.version,
        "store": mask(settings.store),
        "env": settings.env,
        "taxi": source.taxi,
        "months": [str(month) for month in source.months],
        "source": mask(settings.source) if settings.source else "synthetic",
        "rows": _rows(source, published),
        "rejects": published[REJECTS.name].rejects,
        "tables": {name: describe(context, manifest) for name, manifest in published.items()},
        "model": {
            "version": model.version,
            "rounds": model.rounds,
            "features": list(model.encoding.names),
            "threshold": model.threshold,
            "path": mask(context.store.version_path("models", model.version)),
        },
        "metrics": evaluation.metrics,
        "stages": progress.seconds,
        "seconds": round(seconds, 3),
        "rows_per_s": round(source.rows / seconds, 1),
        "peak_memory_mb": peak,
        "workers": workers,
        "dashboard": dashboard,
        "report": None,
        "performance_report": mask(performance),
        "reasons": context.reasons,
        "source_bytes_read": source_bytes,
        "leaks": learn.leaks(published["encodings"]),
        "registry": gated,
        "evaluation": _briefly(evaluation.report),
        "evaluation_file": mask(saved),
        "monitor": monitored,
        "warnings": progress.warnings,
        "live": live.page_of(dashboard) if settings.live else None,
        "stage_rows": progress.rows,
        "stage_memory_mb": _peaks(memory, progress),
    }
    # Last, where all is published, and the workers are gone.
    summary["report"] = report.of_run(context.store, settings, progress, summary)
    seconds = time.perf_counter() - started
    return {**summary, "seconds": round(seconds, 3), "rows_per_s": round(source.rows / seconds, 1)}


def _peaks(memory: cluster.MemoryWatch, progress: Progress) -> dict[str, float]:
    """Return the peak of memory within every stage that took long enough to be seen."""
    found = {name: memory.within(*span) for name, span in progress.spans.items()}
    return {name: peak for name, peak in found.items() if peak is not None}


def _expect(context: Context, source: Source) -> None:
    """Say which stages will come, and how much work each has."""
    settings, expect = context.settings, context.progress.expect
    split = plan_split(source.months, settings.train, settings.valid, settings.test)
    parts = list(source.parts(settings.partition_rows))

    def of(*spans: Span | None) -> list[MonthPart]:
        wanted = [span for span in spans if span is not None]
        return [part for part in parts if any(overlaps(part.month, span) for span in wanted)]

    def rows(some: list[MonthPart]) -> int:
        return sum(part.rows for part in some)

    def months(some: list[MonthPart]) -> list[str]:
        return [str(part.month) for part in some]

    learned, rounds = of(split.train), settings.rounds
    expect("featurize", months(parts), work=source.rows)
    expect("preprocess", months(learned), work=rows(learned))
    expect("train", total=rounds, work=rows(learned) * rounds)
    if split.valid is not None:
        expect("tune", months(of(split.valid)), work=rows(of(split.valid)))
    expect("infer", months(parts), work=source.rows)
    for step in ("evaluate", "monitor", *(("gate",) if settings.gate != "off" else ())):
        expect(step)


def _stages(
    context: Context, source: Source
) -> tuple[Published, Model, Evaluation, dict[str, Any] | None, dict[str, Any] | None]:
    published = stages.read(context, source)
    features = published["features"]
    encoded, encoding = learn.preprocess(context, features, reuse=True)
    trained, model = learn.train(context, features, encoding, encoded["encodings"], reuse=True)
    made = {**published, **encoded, **trained}
    if context.settings.gate == "off":
        predicted, evaluation = stages.predict(context, features, model)
        watched, monitored = _monitor(context, model, evaluation)
        return {**made, **predicted, **watched}, model, evaluation, monitored, None
    registry = registry_of(context.settings, source.taxi)
    rival = gate.rival_of(registry, model)
    predicted, evaluation = stages.predict(context, features, model, rival.model)
    watched, monitored = _monitor(context, model, evaluation)
    dry = context.settings.gate == "dry-run"
    try:
        gated = gate.submit(context, registry, rival, trained["models"], model, evaluation, dry=dry)
    except RegistryError as error:
        raise RegistryError(
            f"{error} (predictions {context.version} are published; `toytip models promote {model.version}` tries again)"
        ) from None
    return {**made, **predicted, **watched}, model, evaluation, monitored, gated


def _monitor(
    context: Context, model: Model, evaluation: Evaluation
) -> tuple[Published, dict[str, Any] | None]:
    """Monitor the months after the training; none where a run has no such month, as where it is split by day."""
    found, manifest = monitor.run(context, model, summary=evaluation.summary)
    if found is None or manifest is None:
        context.progress.say("monitor: there is no month after those that were learned from")
        return {}, None
    return {manifest.table: manifest}, to_json(found)


def _briefly(report: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Leave out the long lists, which the file has."""
    long = ("calibration", "curve", "slices")
    return {
        split: {p: {k: v for k, v in told.items() if k not in long} for p, told in populations.items()}
        for split, populations in report.items()
    }


def _rows(source: Source, published: dict[str, Manifest]) -> dict[str, int]:
    return {"read": source.rows, "kept": published["features"].rows, "rejected": published["rejects"].rows}


def describe(context: Context, manifest: Manifest) -> dict[str, Any]:
    """Return what a person needs to find a version."""
    return {
        "version": manifest.version,
        "path": mask(context.store.version_path(manifest.table, manifest.version)),
        "manifest": mask(context.store.manifest_path(manifest.table, manifest.version)),
        "rows": manifest.rows,
        "bytes": manifest.bytes,
    }
