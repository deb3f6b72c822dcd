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
from toytip.core.tables import ENCODINGS, FEATURES_TABLE, MODELS, PREDICTIONS, REJECTS
from toytip.dashboard import reporter
from toytip.engine import source_tasks
from toytip.errors import RegistryError
from toytip.evaluation.gate import GateDecision
from toytip.evaluation.report import summarize_report
from toytip.models.registry import Registry, open_registry
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline import monitor, promote, report
from toytip.pipeline.context import PublishedTables, RunContext, open_run
from toytip.pipeline.evaluate import Evaluation
from toytip.pipeline.fit_encoding import find_leaking_features, fit_feature_encoding
from toytip.pipeline.plan import RunPlan, announce_stages
from toytip.pipeline.predict import predict_trips
from toytip.pipeline.promote import Challenger, ChampionMatch
from toytip.pipeline.read_source import read_source
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
from toytip.pipeline.run_meter import RunMeter
from toytip.pipeline.source import complete_plan, prepare_plan
from toytip.pipeline.train import train_model
from toytip.progress.tracker import Progress
from toytip.store.reports import save_report


@dataclass(frozen=True, kw_only=True)
class StageOutputs:
    """The outputs of all stages."""

    published: PublishedTables
    model: TrainedModel
    evaluation: Evaluation
    monitoring: MonitoringReport | None
    promotion: GateDecision | None


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run whose tables are published, before its workers stop."""

    plan: RunPlan
    outputs: StageOutputs
    links: RunLinks
    source_bytes_read: int
    workers: int


def run(settings: Settings, progress: Progress) -> RunResult:
    """Run all stages in order, and return the result.

    Raises a ToytipError if a stage fails. Tables that earlier stages published stay published.
    """
    with RunMeter(progress) as meter:
        report.validate_zone_map(settings)
        cluster_plan = cluster.plan_cluster(settings)
        plan = prepare_plan(settings, progress, cluster_plan)
        if settings.gate != "off":
            open_registry(
                settings, plan.source.taxi if plan else "yellow", settings.segment
            ).require_reachable()
        # If a killed run has already published some tables of this version, they are reused.
        with open_run(settings, (PREDICTIONS.name,), progress, cluster_plan) as context:
            finished = _run_on_cluster(context, plan)
    result = _describe_run(context, finished, meter)
    report_path = report.write_run_report(context.store, settings, progress, result)
    return replace(
        result,
        links=replace(result.links, report_path=report_path),
        timing=meter.timing(rows=result.rows.read, workers=finished.workers),
        warnings=tuple(progress.warnings),
    )


def _run_on_cluster(context: RunContext, plan: RunPlan | None) -> FinishedRun:
    """Run all stages, record Dask's performance report, and save the reports."""
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
    workers = len(cluster.workers_by_address(client))
    return FinishedRun(plan=plan, outputs=outputs, links=links, source_bytes_read=bytes_read, workers=workers)


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
    monitored, monitoring = _monitor_months(context, model, evaluation)
    promotion = None
    if registry:
        challenger = Challenger(model=model, manifest=trained[MODELS.name], evaluation=evaluation)
        promotion = _promote(context, registry, champion, challenger)
    return StageOutputs(
        published={**published, **encoded, **trained, **predicted, **monitored},
        model=model,
        evaluation=evaluation,
        monitoring=monitoring,
        promotion=promotion,
    )


def _open_registry(settings: Settings, model: TrainedModel) -> Registry | None:
    """Return the registry for the taxi type and segment of a model, or None without the gate."""
    return None if settings.gate == "off" else open_registry(settings, model.taxi, model.encoding.segment)


def _monitor_months(
    context: RunContext, model: TrainedModel, evaluation: Evaluation
) -> tuple[PublishedTables, MonitoringReport | None]:
    """Monitor the months after the training months. A split by day has no such months."""
    monitoring, manifest = monitor.run_monitor_stage(context, model, tallies=evaluation.tallies)
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
            hint=f"Predictions {context.version} are published. "
            f"Promote the model with `toytip model promote {challenger.model.version}`.",
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
    published = outputs.published
    rejects = published[REJECTS.name]
    return RunResult(
        version=context.version,
        store=mask_credentials(settings.store),
        env=settings.env,
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
