"""Run all stages in order, from source files to published predictions and metrics."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from toytip import cluster
from toytip.config import Settings
from toytip.core.jsonable import dump_json, to_json
from toytip.core.redact import mask_credentials
from toytip.core.tables import ENCODINGS, FEATURES, REJECTS
from toytip.dashboard import reporter
from toytip.engine import source_tasks
from toytip.evaluation.report import summarize_report
from toytip.models import resolve
from toytip.models.registry import open_registry
from toytip.pipeline.context import RunContext, open_run
from toytip.pipeline.evaluate import Evaluation
from toytip.pipeline.fit_encoding import find_leaking_features
from toytip.pipeline.plan import RunPlan, announce_stages
from toytip.pipeline.result import (
    SYNTHETIC_SOURCE,
    RowCounts,
    RunLinks,
    RunResult,
    SourceInfo,
    describe_model,
    describe_tables,
    metrics_by_segment,
    save_run_result,
)
from toytip.pipeline.run_facts import describe_facts, gate_status, run_fingerprint
from toytip.pipeline.run_meter import RunMeter
from toytip.pipeline.run_stages import ScoringModel, StageOutputs, score_months, train_and_score
from toytip.pipeline.source import complete_plan, prepare_plan
from toytip.progress.tracker import Progress
from toytip.sources.zones import read_boroughs_near, read_outlines
from toytip.store.refs import status_of_model
from toytip.store.reports import save_report
from toytip.store.run_manifest import RunManifest, RunStatus


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run that is ready to be published, before its workers stop."""

    plan: RunPlan
    outputs: StageOutputs
    manifest: RunManifest
    links: RunLinks
    source_bytes_read: int
    workers: int


def run(settings: Settings, progress: Progress, model: str | None = None) -> RunResult:
    """Run all stages in order, publish their tables in one step, and return the result.

    With `model`, the run trains no model, and scores the source with the model that has this name.
    Raises a ToytipError if a stage fails. The next run then reuses the complete tables.
    """
    with RunMeter(progress) as meter:
        if settings.zone_map_file:
            read_outlines(Path(settings.zone_map_file))  # an invalid map fails the run at its start
        read_boroughs_near(settings, settings.source)  # as does an invalid zone lookup file
        cluster_plan = cluster.plan_cluster(settings)
        plan = prepare_plan(settings, progress, cluster_plan)
        scoring = _find_scoring_model(settings, plan, model) if model else None
        if settings.gate != "off" and scoring is None:
            taxi = plan.source.taxi if plan else "yellow"
            registry = open_registry(settings, taxi, settings.segment)
            registry.require_usable(write=settings.gate == "on")
        with open_run(settings, progress, cluster_plan) as context:
            finished = _run_on_cluster(context, plan, scoring)
            result = _describe_run(context, finished, meter)
            # Saved first, so that a later run finds the result of every published run.
            save_run_result(context.store, result)
            context.store.publish(finished.manifest)
    from toytip.pipeline.reporting.pages import write_run_report

    report_path = write_run_report(context.store, progress, result, finished.outputs.prepare_report)
    return replace(
        result,
        links=replace(result.links, report_path=report_path),
        timing=meter.timing(rows=result.rows.read, workers=finished.workers),
        warnings=tuple(progress.warnings),
    )


def _find_scoring_model(settings: Settings, plan: RunPlan | None, name: str) -> ScoringModel:
    """Return the model that scores the source, and its reference.

    Raises StoreError or RegistryError if no model of the taxi type has the name.
    """
    taxi = plan.source.taxi if plan else "yellow"
    model = resolve.load_model(settings, name, taxi, segment=settings.segment)
    return ScoringModel(
        model=model,
        reference=resolve.load_reference(settings, model),
        is_champion=model.version in resolve.champion_versions(settings),
    )


def _run_on_cluster(context: RunContext, plan: RunPlan | None, scoring: ScoringModel | None) -> FinishedRun:
    """Run all stages, and save the reports."""
    client = context.client
    initial_bytes = source_tasks.worker_bytes_read(client)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "dask.html"
        with cluster.dask_report(page):
            plan = complete_plan(context, plan)
            if scoring is not None:  # the features must be those of the model
                plan = replace(plan, dataset=scoring.model.encoding.dataset)
            gate = context.settings.gate != "off"
            announce_stages(plan, context.progress, train=scoring is None, gate=gate)
            outputs = score_months(context, plan, scoring) if scoring else train_and_score(context, plan)
        bytes_read = max(source_tasks.worker_bytes_read(client) - initial_bytes, 0)
        links = _save_reports(context, outputs.evaluation, page.read_bytes())
    return FinishedRun(
        plan=plan,
        outputs=outputs,
        manifest=_describe_publication(context, plan, outputs, scoring),
        links=links,
        source_bytes_read=bytes_read,
        workers=len(cluster.workers_by_address(client)),
    )


def _describe_publication(
    context: RunContext, plan: RunPlan, outputs: StageOutputs, scoring: ScoringModel | None
) -> RunManifest:
    """Return the run manifest with all tables of the run. The status depends on the gate."""
    settings, promotion = context.settings, outputs.promotion
    checksums = {file.uri: file.checksum for file in outputs.tables[FEATURES.name].source_files}
    status = gate_status(promotion)
    if scoring is not None:
        trained = status_of_model(context.store, scoring.model.version)
        status = RunStatus.PASSED if scoring.is_champion else trained
    reasons = promotion.promotion_reasons if promotion and status == RunStatus.REFUSED else ()
    if outputs.failed_check:
        status, reasons = RunStatus.FAILED_CHECK, outputs.failed_check
    accepted = [month.month for month in outputs.data_check.months if month.accepted is not None]
    return context.run_manifest(
        "run",
        outputs.tables,
        status,
        reasons=reasons,
        fingerprint=run_fingerprint(
            settings,
            plan.source,
            plan.dataset,
            checksums,
            scoring.model.version if scoring else None,
            accepted,
        ),
        run=describe_facts(
            settings, plan.source, outputs.data_check, outputs.model, outputs.evaluation.report, promotion
        ),
    )


def _save_reports(context: RunContext, evaluation: Evaluation, dask_page: bytes) -> RunLinks:
    """Save the performance report and the evaluation. Return all addresses and paths."""
    performance = save_report(context.store, f"{context.version}.dask.html", dask_page)
    content = dump_json(to_json(evaluation.report), indent=1).encode()
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
    rejects, encodings = published[REJECTS.name], published.get(ENCODINGS.name)
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
        rows=RowCounts(read=source.rows, kept=published[FEATURES.name].rows, rejected=rejects.rows),
        rejects=rejects.rejects,
        tables=describe_tables(context, published),
        model=describe_model(context, outputs.model),
        metrics=metrics_by_segment(outputs.evaluation.report),
        promotion=outputs.promotion,
        timing=meter.timing(rows=source.rows, workers=finished.workers),
        links=finished.links,
        stage_decisions=context.stage_decisions,
        leakage_warnings=find_leaking_features(encodings) if encodings else {},
        data_check=outputs.data_check,
        evaluation=summarize_report(outputs.evaluation.report),
        monitoring=outputs.monitoring,
        warnings=tuple(context.progress.warnings),
    )
