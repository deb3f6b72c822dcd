"""Run all stages in order, from source files to published predictions and metrics."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from toytip import cluster
from toytip.config import Settings
from toytip.core.jsonable import to_json
from toytip.core.model import TrainedModel
from toytip.core.redact import mask_credentials
from toytip.core.tables import (
    ENCODINGS,
    FEATURE_HISTOGRAMS,
    FEATURES_TABLE,
    METRIC_HISTOGRAMS,
    MODELS,
    REJECTS,
)
from toytip.dashboard import reporter
from toytip.engine import source_tasks
from toytip.errors import RegistryError
from toytip.evaluation.gate import GateDecision
from toytip.evaluation.report import summarize_report
from toytip.models.registry import Registry, open_registry
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline import monitor, promote
from toytip.pipeline.context import PublishedTables, RunContext, open_run
from toytip.pipeline.evaluate import Evaluation
from toytip.pipeline.fit_encoding import find_leaking_features, fit_feature_encoding
from toytip.pipeline.monitor import MonitoringInputs
from toytip.pipeline.plan import RunPlan, announce_stages
from toytip.pipeline.predict import predict_trips
from toytip.pipeline.promote import Challenger, ChampionMatch
from toytip.pipeline.read_source import read_source
from toytip.pipeline.reporting import pages
from toytip.pipeline.result import (
    SYNTHETIC_SOURCE,
    RowCounts,
    RunLinks,
    RunResult,
    SourceInfo,
    describe_model,
    describe_tables,
    metrics_by_segment,
)
from toytip.pipeline.run_facts import describe_facts, find_unchanged_run, gate_status, run_fingerprint
from toytip.pipeline.run_meter import RunMeter
from toytip.pipeline.source import complete_plan, prepare_plan
from toytip.pipeline.train import train_model
from toytip.progress.tracker import Progress
from toytip.store.reports import save_report
from toytip.store.run_manifest import RunManifest
from toytip.store.store import store_from_settings


@dataclass(frozen=True, kw_only=True)
class StageOutputs:
    """The outputs of all stages."""

    tables: PublishedTables
    model: TrainedModel
    evaluation: Evaluation
    monitoring: MonitoringReport | None
    promotion: GateDecision | None


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run that is published, before its workers stop."""

    plan: RunPlan
    outputs: StageOutputs
    manifest: RunManifest
    links: RunLinks
    source_bytes_read: int
    workers: int


def run(settings: Settings, progress: Progress) -> RunResult:
    """Run all stages in order, publish their tables in one step, and return the result.

    If an earlier run had the same source, code and settings, nothing is computed, and the result is
    that of the earlier run. Raises a ToytipError if a stage fails. The next run then reuses the
    complete tables.
    """
    with RunMeter(progress) as meter:
        pages.validate_zone_map(settings)
        cluster_plan = cluster.plan_cluster(settings)
        plan = prepare_plan(settings, progress, cluster_plan)
        unchanged = find_unchanged_run(store_from_settings(settings), settings, plan)
        if unchanged is not None:
            return replace(unchanged[1], up_to_date=True)
        if settings.gate != "off":
            taxi = plan.source.taxi if plan else "yellow"
            open_registry(settings, taxi, settings.segment).require_reachable()
        with open_run(settings, progress, cluster_plan) as context:
            finished = _run_on_cluster(context, plan)
    result = _describe_run(context, finished, meter)
    report_path = pages.write_run_report(context.store, settings, progress, result)
    return replace(
        result,
        links=replace(result.links, report_path=report_path),
        timing=meter.timing(rows=result.rows.read, workers=finished.workers),
        warnings=tuple(progress.warnings),
    )


def _run_on_cluster(context: RunContext, plan: RunPlan | None) -> FinishedRun:
    """Run all stages, save the reports, and publish the tables."""
    client = context.client
    initial_bytes = source_tasks.worker_bytes_read(client)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "dask.html"
        with cluster.dask_report(page):
            plan = complete_plan(context, plan)
            announce_stages(plan, context.progress, gate=context.settings.gate != "off")
            outputs = run_stages(context, plan)
        bytes_read = max(source_tasks.worker_bytes_read(client) - initial_bytes, 0)
        links = _save_reports(context, outputs.evaluation, page.read_bytes())
    return FinishedRun(
        plan=plan,
        outputs=outputs,
        manifest=_publish(context, plan, outputs),
        links=links,
        source_bytes_read=bytes_read,
        workers=len(cluster.workers_by_address(client)),
    )


def _publish(context: RunContext, plan: RunPlan, outputs: StageOutputs) -> RunManifest:
    """Publish all tables of the run, with the status that the promotion gate gives it."""
    settings, promotion = context.settings, outputs.promotion
    checksums = {file.uri: file.checksum for file in outputs.tables[FEATURES_TABLE.name].source_files}
    return context.publish(
        "run",
        outputs.tables,
        gate_status(promotion),
        reasons=promotion.promotion_reasons if promotion and promotion.is_rejected else (),
        fingerprint=run_fingerprint(settings, plan, checksums),
        run=describe_facts(settings, plan, outputs.model, outputs.evaluation.report, promotion),
    )


def run_stages(context: RunContext, plan: RunPlan) -> StageOutputs:
    """Run all stages on a source, and return their outputs."""
    published = read_source(context, plan)
    features = published[FEATURES_TABLE.name]
    encoded, encoding = fit_feature_encoding(context, features, plan.split, reuse=True)
    trained, model = train_model(
        context, features, encoding, encoded[ENCODINGS.name], plan.params, reuse=True
    )
    registry = _open_registry(context.settings, model)
    champion = promote.match_champion(registry, model) if registry else ChampionMatch()
    predicted, evaluation = predict_trips(context, features, model, champion.model)
    inputs = _monitoring_inputs({**published, **predicted})
    monitored, monitoring = _monitor_months(context, model, inputs, evaluation)
    promotion = None
    if registry:
        challenger = Challenger(model=model, manifest=trained[MODELS.name], evaluation=evaluation)
        promotion = _promote(context, registry, champion, challenger)
    return StageOutputs(
        tables={**published, **encoded, **trained, **predicted, **monitored},
        model=model,
        evaluation=evaluation,
        monitoring=monitoring,
        promotion=promotion,
    )


def _monitoring_inputs(tables: PublishedTables) -> MonitoringInputs:
    return MonitoringInputs(
        metric_histograms=tables[METRIC_HISTOGRAMS.name],
        feature_histograms=tables[FEATURE_HISTOGRAMS.name],
        features=tables[FEATURES_TABLE.name],
        rejects=tables[REJECTS.name],
    )


def _open_registry(settings: Settings, model: TrainedModel) -> Registry | None:
    """Return the registry for the taxi type and segment of a model, or None without the gate."""
    return None if settings.gate == "off" else open_registry(settings, model.taxi, model.encoding.segment)


def _monitor_months(
    context: RunContext, model: TrainedModel, inputs: MonitoringInputs, evaluation: Evaluation
) -> tuple[PublishedTables, MonitoringReport | None]:
    """Monitor the months after the training months. A split by day has no such months."""
    monitoring, manifest = monitor.run_monitor_stage(context, model, inputs, tallies=evaluation.tallies)
    if monitoring is None or manifest is None:
        context.progress.info("monitor: no months after the training months")
        return {}, None
    return {manifest.table: manifest}, monitoring


def _promote(
    context: RunContext, registry: Registry, champion: ChampionMatch, challenger: Challenger
) -> GateDecision:
    """Run the promotion gate on the model of the run."""
    dry_run = context.settings.gate == "dry-run"
    try:
        return promote.run_gate(context, registry, champion, challenger, dry_run=dry_run)
    except RegistryError as error:
        raise RegistryError(
            str(error),
            hint="Run the command again. It reuses all complete outputs.",
        ) from None


def _save_reports(context: RunContext, evaluation: Evaluation, dask_page: bytes) -> RunLinks:
    """Save the performance report and the evaluation. Return all addresses and paths."""
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


def _describe_run(context: RunContext, finished: FinishedRun, meter: RunMeter) -> RunResult:
    settings, source, outputs = context.settings, finished.plan.source, finished.outputs
    published = outputs.tables
    rejects = published[REJECTS.name]
    return RunResult(
        version=context.version,
        store=mask_credentials(settings.store),
        env=settings.env,
        status=finished.manifest.status,
        reasons=finished.manifest.reasons,
        up_to_date=False,
        origin=SourceInfo(
            taxi=source.taxi,
            months=tuple(map(str, source.months)),
            source=mask_credentials(settings.source) if settings.source else SYNTHETIC_SOURCE,
            source_bytes_read=finished.source_bytes_read,
        ),
        rows=RowCounts(read=source.rows, kept=published[FEATURES_TABLE.name].rows, rejected=rejects.rows),
        rejects=rejects.rejects,
        tables=describe_tables(context, published),
        model=describe_model(context, outputs.model),
        metrics=metrics_by_segment(outputs.evaluation.report),
        promotion=outputs.promotion,
        timing=meter.timing(rows=source.rows, workers=finished.workers),
        links=finished.links,
        stage_decisions=context.stage_decisions,
        leakage_warnings=find_leaking_features(published[ENCODINGS.name]),
        evaluation=summarize_report(outputs.evaluation.report),
        monitoring=outputs.monitoring,
        warnings=tuple(context.progress.warnings),
    )
