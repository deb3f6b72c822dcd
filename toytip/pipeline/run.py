"""`toytip run`: every stage in order, from a year of files to published predictions and their metrics."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from toytip import cluster
from toytip.config import Settings, mask_credentials
from toytip.core.model import TrainedModel
from toytip.core.partitions import SourcePartition
from toytip.core.splits import TimeRange, overlaps, plan_split
from toytip.core.tables import PREDICTIONS, REJECTS
from toytip.dashboard import reporter
from toytip.engine import source_tasks
from toytip.errors import RegistryError
from toytip.models.registry import open_registry
from toytip.monitoring.comparison import monitoring_json
from toytip.pipeline import fit_encoding, monitor, predict, promote, read_source, report, train
from toytip.pipeline.context import PublishedTables, RunContext, open_run
from toytip.pipeline.evaluate import Evaluation
from toytip.pipeline.result import describe_table
from toytip.pipeline.source import ensure_source, find_source
from toytip.progress.tracker import Progress
from toytip.sources.discovery import Source
from toytip.store.manifest import Manifest


def run(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Run the whole pipeline; return the summary, plain values under the keys that `--json` prints.

    Raises SourceError, ConfigError, StoreError, PlanError or ClusterError, with nothing half-published.
    """
    started = time.perf_counter()
    report.validate_zone_map(settings)
    found = find_source(settings, progress)
    if settings.gate != "off":
        open_registry(settings, found.taxi if found else "yellow").require_reachable()
    memory = cluster.MemorySampler()
    memory.start()
    try:
        # A run that was killed may have published its first tables under this version: it goes on from there.
        with (
            open_run(settings, (PREDICTIONS.name,), progress) as context,
            tempfile.TemporaryDirectory() as folder,
        ):
            page = Path(folder) / "dask.html"
            before = source_tasks.worker_bytes_read(context.client)
            with cluster.dask_report(page):
                source = ensure_source(context, found)
                _announce_stages(context, source)
                published, model, evaluation, monitored, gated = _run_stages(context, source)
            source_bytes = max(source_tasks.worker_bytes_read(context.client) - before, 0)
            performance = context.store.save_report(f"{context.version}.dask.html", page.read_bytes())
            told = json.dumps(evaluation.report, indent=1).encode()
            saved = context.store.save_report(f"{context.version}.json", told)
            dashboard, workers = (
                context.client.dashboard_link,
                len(cluster.workers_by_address(context.client)),
            )
    finally:
        peak = memory.stop()
    seconds = time.perf_counter() - started
    summary = {
        "version": context.version,
        "store": mask_credentials(settings.store),
        "env": settings.env,
        "taxi": source.taxi,
        "months": [str(month) for month in source.months],
        "source": mask_credentials(settings.source) if settings.source else "synthetic",
        "rows": _row_counts(source, published),
        "rejects": published[REJECTS.name].rejects,
        "tables": {name: describe_table(context, manifest) for name, manifest in published.items()},
        "model": {
            "version": model.version,
            "rounds": model.rounds,
            "features": list(model.encoding.feature_names),
            "threshold": model.threshold,
            "path": mask_credentials(context.store.version_uri("models", model.version)),
        },
        "metrics": evaluation.metrics,
        "stages": progress.stage_seconds,
        "seconds": round(seconds, 3),
        "rows_per_s": round(source.rows / seconds, 1),
        "peak_memory_mb": peak,
        "workers": workers,
        "dashboard": dashboard,
        "report": None,
        "performance_report": mask_credentials(performance),
        "reasons": context.reasons,
        "source_bytes_read": source_bytes,
        "leaks": fit_encoding.find_leaking_features(published["encodings"]),
        "registry": gated,
        "evaluation": _without_long_lists(evaluation.report),
        "evaluation_file": mask_credentials(saved),
        "monitor": monitored,
        "warnings": progress.warnings,
        "live": reporter.dashboard_url(dashboard) if settings.live_dashboard else None,
        "stage_rows": progress.stage_rows,
        "stage_memory_mb": _peak_memory_by_stage(memory, progress),
    }
    # Last, where all is published, and the workers are gone.
    summary["report"] = report.write_run_report(context.store, settings, progress, summary)
    seconds = time.perf_counter() - started
    return {**summary, "seconds": round(seconds, 3), "rows_per_s": round(source.rows / seconds, 1)}


def _peak_memory_by_stage(memory: cluster.MemorySampler, progress: Progress) -> dict[str, float]:
    """Return the peak of memory within every stage that took long enough to be seen."""
    found = {name: memory.peak_between(*span) for name, span in progress.stage_intervals.items()}
    return {name: peak for name, peak in found.items() if peak is not None}


def _announce_stages(context: RunContext, source: Source) -> None:
    """Say which stages will come, and how much work each has."""
    settings, expect = context.settings, context.progress.expect
    split = plan_split(source.months, settings.train_months, settings.validation_month, settings.test_months)
    parts = list(source.partitions(settings.partition_rows))

    def of(*spans: TimeRange | None) -> list[SourcePartition]:
        wanted = [span for span in spans if span is not None]
        return [part for part in parts if any(overlaps(part.month, span) for span in wanted)]

    def rows(some: list[SourcePartition]) -> int:
        return sum(part.rows for part in some)

    def months(some: list[SourcePartition]) -> list[str]:
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


def _run_stages(
    context: RunContext, source: Source
) -> tuple[PublishedTables, TrainedModel, Evaluation, dict[str, Any] | None, dict[str, Any] | None]:
    published = read_source.read_source(context, source)
    features = published["features"]
    encoded, encoding = fit_encoding.preprocess(context, features, reuse=True)
    trained, model = train.train(context, features, encoding, encoded["encodings"], reuse=True)
    made = {**published, **encoded, **trained}
    if context.settings.gate == "off":
        predicted, evaluation = predict.predict(context, features, model)
        watched, monitored = _run_monitoring(context, model, evaluation)
        return {**made, **predicted, **watched}, model, evaluation, monitored, None
    registry = open_registry(context.settings, source.taxi)
    rival = promote.match_champion(registry, model)
    predicted, evaluation = predict.predict(context, features, model, rival.model)
    watched, monitored = _run_monitoring(context, model, evaluation)
    dry = context.settings.gate == "dry-run"
    try:
        gated = promote.judge_and_register(
            context, registry, rival, trained["models"], model, evaluation, dry_run=dry
        )
    except RegistryError as error:
        raise RegistryError(
            f"{error} (predictions {context.version} are published; `toytip models promote {model.version}` tries again)"
        ) from None
    return {**made, **predicted, **watched}, model, evaluation, monitored, gated


def _run_monitoring(
    context: RunContext, model: TrainedModel, evaluation: Evaluation
) -> tuple[PublishedTables, dict[str, Any] | None]:
    """Monitor the months after the training; none where a run has no such month, as where it is split by day."""
    found, manifest = monitor.run_monitor_stage(context, model, summary=evaluation.tallies)
    if found is None or manifest is None:
        context.progress.info("monitor: there is no month after those that were learned from")
        return {}, None
    return {manifest.table: manifest}, monitoring_json(found)


def _without_long_lists(report: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Leave out the long lists, which the file has."""
    long = ("calibration", "curve", "slices")
    return {
        split: {p: {k: v for k, v in told.items() if k not in long} for p, told in populations.items()}
        for split, populations in report.items()
    }


def _row_counts(source: Source, published: dict[str, Manifest]) -> dict[str, int]:
    return {"read": source.rows, "kept": published["features"].rows, "rejected": published["rejects"].rows}
