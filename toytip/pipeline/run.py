"""`toytip run`: every stage in order, from a year of files to published predictions and their metrics."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from toytip import cluster
from toytip.config import Settings, mask_credentials
from toytip.core.jsonable import to_json
from toytip.core.model import TrainedModel
from toytip.core.partitions import SourcePartition
from toytip.core.splits import TimeRange, overlaps, plan_split
from toytip.core.tables import PREDICTIONS, REJECTS
from toytip.dashboard import reporter
from toytip.engine import source_tasks
from toytip.errors import RegistryError
from toytip.evaluation.report import summarize_report
from toytip.models.registry import open_registry
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline import fit_encoding, monitor, predict, promote, read_source, report, train
from toytip.pipeline.context import PublishedTables, RunContext, open_run
from toytip.pipeline.evaluate import Evaluation
from toytip.pipeline.promote import ChampionMatch
from toytip.pipeline.result import (
    SYNTHETIC_SOURCE,
    ModelInfo,
    RowCounts,
    RunLinks,
    RunResult,
    RunTiming,
    SourceInfo,
    describe_tables,
    metrics_by_segment,
)
from toytip.pipeline.source import ensure_source, find_source
from toytip.progress.tracker import Progress
from toytip.sources.discovery import Source
from toytip.store.reports import save_report


@dataclass(frozen=True, kw_only=True)
class RunOutputs:
    """The outputs of all stages of a run."""

    published: PublishedTables
    model: TrainedModel
    evaluation: Evaluation
    monitoring: MonitoringReport | None
    promotion: dict[str, Any] | None


def run(settings: Settings, progress: Progress) -> RunResult:
    """Run every stage in order; return what was published and measured.

    Raises SourceError, ConfigError, StoreError, PlanError or ClusterError. Nothing is published
    partially.
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
                outputs = _run_stages(context, source)
            source_bytes = max(source_tasks.worker_bytes_read(context.client) - before, 0)
            links = _save_run_files(context, outputs.evaluation, page.read_bytes())
            workers = len(cluster.workers_by_address(context.client))
    finally:
        memory.stop()
    measure = partial(_measure_timing, progress, memory, workers=workers, rows=source.rows, started=started)
    result = RunResult(
        version=context.version,
        store=mask_credentials(settings.store),
        env=settings.env,
        origin=SourceInfo(
            taxi=source.taxi,
            months=tuple(map(str, source.months)),
            source=mask_credentials(settings.source) if settings.source else SYNTHETIC_SOURCE,
            source_bytes_read=source_bytes,
        ),
        rows=_row_counts(source, outputs.published),
        rejects=outputs.published[REJECTS.name].rejects,
        tables=describe_tables(context, outputs.published),
        model=_model_info(context, outputs.model),
        metrics=metrics_by_segment(outputs.evaluation.report),
        promotion=outputs.promotion,
        timing=measure(),
        links=links,
        stage_decisions=context.stage_decisions,
        leakage_warnings=fit_encoding.find_leaking_features(outputs.published["encodings"]),
        evaluation=summarize_report(outputs.evaluation.report),
        monitoring=outputs.monitoring,
        warnings=tuple(progress.warnings),
    )
    # Last, when all tables are published and the workers are gone.
    path = report.write_run_report(context.store, settings, progress, result)
    return replace(
        result,
        links=replace(links, report_path=path),
        timing=measure(),
        warnings=tuple(progress.warnings),
    )


def _measure_timing(
    progress: Progress, memory: cluster.MemorySampler, *, workers: int, rows: int, started: float
) -> RunTiming:
    """Return duration, throughput and memory up to now."""
    seconds = time.perf_counter() - started
    return RunTiming(
        elapsed_seconds=round(seconds, 3),
        rows_per_second=round(rows / seconds, 1),
        stage_seconds=dict(progress.stage_seconds),
        stage_rows=dict(progress.stage_rows),
        stage_memory_mb=_peak_memory_by_stage(memory, progress),
        peak_memory_mb=memory.stop(),
        workers=workers,
    )


def _save_run_files(context: RunContext, evaluation: Evaluation, dask_page: bytes) -> RunLinks:
    """Save Dask's performance report and the complete evaluation; return all addresses and paths."""
    performance = save_report(context.store, f"{context.version}.dask.html", dask_page)
    content = json.dumps(to_json(evaluation.report), indent=1).encode()
    saved = save_report(context.store, f"{context.version}.json", content)
    dashboard = context.client.dashboard_link
    return RunLinks(
        dashboard_url=dashboard,
        live_dashboard_url=reporter.dashboard_url(dashboard) if context.settings.live_dashboard else None,
        report_path=None,
        performance_report_path=mask_credentials(performance),
        evaluation_path=mask_credentials(saved),
    )


def _model_info(context: RunContext, model: TrainedModel) -> ModelInfo:
    return ModelInfo(
        version=model.version,
        rounds=model.rounds,
        features=tuple(model.encoding.feature_names),
        threshold=model.threshold,
        path=mask_credentials(context.store.version_uri("models", model.version)),
    )


def _peak_memory_by_stage(memory: cluster.MemorySampler, progress: Progress) -> dict[str, float]:
    """Return the peak memory in MB of each stage that lasted at least one sample."""
    peaks = {name: memory.peak_between(*span) for name, span in progress.stage_intervals.items()}
    return {name: peak for name, peak in peaks.items() if peak is not None}


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
    if split.validation is not None:
        expect("tune", months(of(split.validation)), work=rows(of(split.validation)))
    expect("infer", months(parts), work=source.rows)
    for step in ("evaluate", "monitor", *(("gate",) if settings.gate != "off" else ())):
        expect(step)


def _run_stages(context: RunContext, source: Source) -> RunOutputs:
    published = read_source.read_source(context, source)
    features = published["features"]
    encoded, encoding = fit_encoding.preprocess(context, features, reuse=True)
    trained, model = train.train(context, features, encoding, encoded["encodings"], reuse=True)
    registry = None if context.settings.gate == "off" else open_registry(context.settings, source.taxi)
    champion = promote.match_champion(registry, model) if registry else ChampionMatch()
    predicted, evaluation = predict.predict(context, features, model, champion.model)
    watched, monitored = _run_monitoring(context, model, evaluation)
    gated = None
    if registry:
        try:
            gated = promote.judge_and_register(
                context,
                registry,
                champion,
                trained["models"],
                model,
                evaluation,
                dry_run=context.settings.gate == "dry-run",
            )
        except RegistryError as error:
            raise RegistryError(
                f"{error} (predictions {context.version} are published; `toytip models promote {model.version}` tries again)"
            ) from None
    return RunOutputs(
        published={**published, **encoded, **trained, **predicted, **watched},
        model=model,
        evaluation=evaluation,
        monitoring=monitored,
        promotion=gated,
    )


def _run_monitoring(
    context: RunContext, model: TrainedModel, evaluation: Evaluation
) -> tuple[PublishedTables, MonitoringReport | None]:
    """Monitor the months after the training months. Returns no report if there is no such month."""
    report, manifest = monitor.run_monitor_stage(context, model, tallies=evaluation.tallies)
    if report is None or manifest is None:
        context.progress.info("monitor: no months after the training months")
        return {}, None
    return {manifest.table: manifest}, report


def _row_counts(source: Source, published: PublishedTables) -> RowCounts:
    return RowCounts(read=source.rows, kept=published["features"].rows, rejected=published[REJECTS.name].rows)
