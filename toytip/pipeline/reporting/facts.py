"""Collect the facts about a version for its report.

The facts come from manifests, histograms, the model, and a small sample of trips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from toytip.config import Settings
from toytip.core.dataset.dataset import Dataset
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.parameters import AlertThresholds
from toytip.core.tables import (
    ENCODINGS,
    FEATURE_HISTOGRAMS,
    FEATURES,
    METRIC_HISTOGRAMS,
    MODELS,
    MONITORING,
    PREDICTIONS,
    REJECTS,
    TRIPS,
)
from toytip.errors import ConfigError
from toytip.evaluation.breakdown import evaluation_report
from toytip.evaluation.report import EvaluationReport
from toytip.evaluation.tally import Tallies
from toytip.monitoring import drift
from toytip.monitoring.comparison import natural_feature_gain, run_monitoring
from toytip.monitoring.drift import FeatureHistogram
from toytip.monitoring.history import MonitoringHistory
from toytip.monitoring.plan import MonitoringPlan, plan_from_manifest, plan_monitoring
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline import fit_encoding, monitor
from toytip.pipeline.evaluate import fitted_baselines
from toytip.pipeline.history import count_months, read_histograms
from toytip.pipeline.reporting import explain
from toytip.pipeline.reporting.performance import performance_facts
from toytip.pipeline.result import RunResult, read_run_result
from toytip.pipeline.startup.project import dataset_of_tables
from toytip.report import curves, facts
from toytip.report.fact_source import FactSource, NotInVersionError
from toytip.report.facts import Facts, MonthRows, ZoneSummary
from toytip.report.zones import summarize_zones
from toytip.sources import zones
from toytip.stages import profile
from toytip.store import artifacts
from toytip.store.artifacts import load_tallies
from toytip.store.lineage import ancestors_and_missing, most_important, trace_lineage
from toytip.store.manifest import Manifest, SourceFileRef, VersionRef
from toytip.store.refs import manifests_of
from toytip.store.store import Store

MonthlyFrames = Mapping[Month, pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class KnownResults:
    """The results of a version that its report does not have to compute again."""

    evaluation: EvaluationReport | None = None
    monitoring: MonitoringReport | None = None
    run_result: RunResult | None = None


def collect_facts(store: Store, version: str, settings: Settings) -> Facts:
    """Return all facts about a published version.

    Raises StoreError if the version does not exist, and SourceError for an invalid map.
    """
    outlines, manifests = load_zone_outlines(settings), manifests_of(store, version)
    tables, deleted = ancestors_and_missing(store, manifests)
    source = FactSource(store, settings, tables)
    result = source.section("time", lambda: _load_run_result(store, most_important(manifests).version), None)
    results = KnownResults(monitoring=result.monitoring if result else None, run_result=result)
    facts = _collect(source, most_important(manifests), deleted, results)
    return replace(facts, zone_outlines=outlines, run_result=result)


def collect_run_facts(
    store: Store, manifests: Sequence[Manifest], settings: Settings, results: KnownResults
) -> Facts:
    """Return all facts about a version that a run will publish, except the result of the run.

    `manifests` are the tables that the run has written. Raises SourceError for an invalid map.
    """
    outlines = load_zone_outlines(settings)
    tables, deleted = ancestors_and_missing(store, manifests)
    source = FactSource(store, settings, tables)
    return replace(_collect(source, most_important(manifests), deleted, results), zone_outlines=outlines)


def _collect(
    source: FactSource, manifest: Manifest, deleted: Sequence[VersionRef], results: KnownResults
) -> Facts:
    store, tables, dataset = source.store, source.tables, dataset_of_tables(source.tables)
    model = source.section("model", lambda: _load_model(source), None)
    tallies = source.section("evaluation", lambda: _load_tallies(source), None)
    histograms: MonthlyFrames = source.section("features", lambda: _load_histograms(source), {})
    monitoring = results.monitoring or source.section(
        "drift", lambda: _run_monitoring(source, model, tallies, histograms), None
    )
    no_evaluation: EvaluationReport = {}
    evaluation = results.evaluation or source.section(
        "evaluation", lambda: _evaluation(tallies, model, results.run_result), no_evaluation
    )
    unexplained: tuple[list[facts.FeatureImportance], int] = ([], 0)
    importance, explained = source.section(
        "importance", lambda: _feature_importances(source, model), unexplained
    )
    if deleted:
        source.missing["lineage"] = f"{', '.join(map(str, deleted))} was deleted"
    return Facts(
        version=manifest.version,
        created_at=manifest.created_at,
        store=store.display_uri,
        env=store.env,
        tables={name: {"version": table.version, "rows": table.rows} for name, table in tables.items()},
        config={name: table.config for name, table in tables.items()},
        digests={name: table.config_digest for name, table in tables.items()},
        environment=manifest.environment,
        sources=_sources(tables),
        rows=source.section("rows", lambda: _monthly_rows(source), {}),
        feature_distributions=source.section(
            "features", lambda: _distributions(histograms, model, dataset), []
        ),
        histograms=source.section("features", lambda: _total_histograms(histograms, dataset), {}),
        learning_curve=source.section("training", lambda: _learning_curve(source), {}),
        evaluation=evaluation,
        **performance_facts(tallies, dataset),
        feature_importance=importance,
        explained_trips=explained,
        leakage_aucs=fit_encoding.find_leaking_features(tables[ENCODINGS.name])
        if ENCODINGS.name in tables
        else {},
        monitoring=monitoring,
        has_zones=bool(dataset.zone_columns),
        zones=source.section("zones", lambda: _zone_facts(source, histograms, model, dataset), []),
        lineage=source.section("lineage", lambda: trace_lineage(store, manifest), None),
        missing_reasons=source.missing,
        failed_sections=source.failed,
        **_model_facts(model, tables),
    )


def load_zone_outlines(settings: Settings) -> dict[int, list[zones.Ring]]:
    """Return the outlines of the zones if a zone map is set, else an empty dict.

    Raises SourceError for an invalid map.
    """
    return zones.read_outlines(Path(settings.zone_map_file)) if settings.zone_map_file else {}


def _model_facts(model: TrainedModel | None, tables: dict[str, Manifest]) -> dict[str, Any]:
    files = next(
        (tables[name].files for name in (FEATURES.name, TRIPS.name, PREDICTIONS.name) if name in tables),
        (),
    )
    months = [str(month) for month in dict.fromkeys(file.month for file in files if file.month)]
    taxi = _taxi_of(tables)
    if model is None:
        return {"months": months, "taxi": taxi}
    encoding = model.encoding
    return {
        "months": months,
        "taxi": taxi,
        "features": encoding.feature_names,
        "segment": encoding.segment,
        "split": {name: tuple(period) for name, period in encoding.split.time_ranges().items()},
        "threshold": model.threshold,
        "rounds": model.rounds,
    }


def _taxi_of(tables: dict[str, Manifest]) -> str:
    return next(str(table.config["taxi"]) for table in tables.values() if "taxi" in table.config)


def _sources(tables: dict[str, Manifest]) -> list[SourceFileRef]:
    """Return the source files of the tables that were read from them."""
    manifests = [tables[name] for name in (TRIPS.name, FEATURES.name, REJECTS.name) if name in tables]
    return list({file.uri: file for manifest in manifests for file in manifest.source_files}.values())


def _load_model(source: FactSource) -> TrainedModel:
    """Return the model, with the split of the predictions if the version has predictions."""
    model = artifacts.read_model(source.store, source.table(MODELS.name, "run `toytip stage train`"))
    scored = source.tables.get(METRIC_HISTOGRAMS.name)
    return artifacts.with_split_of(model, scored) if scored else model


def _load_tallies(source: FactSource) -> Tallies:
    manifest = source.table(METRIC_HISTOGRAMS.name, "which `toytip run` and `toytip stage postprocess` write")
    return load_tallies(source.store, manifest)


def _load_histograms(source: FactSource) -> MonthlyFrames:
    manifest = source.table(FEATURE_HISTOGRAMS.name, "run `toytip run --full-refresh`")
    return read_histograms(source.store, manifest)


def _total_histograms(frames: MonthlyFrames, dataset: Dataset) -> dict[str, FeatureHistogram]:
    return drift.histograms_by_feature(profile.merge_profiles(frames.values()), dataset) if frames else {}


def _monthly_rows(source: FactSource) -> dict[str, MonthRows]:
    accepted = source.tables.get(FEATURES.name) or source.table(TRIPS.name, "run `toytip stage clean`")
    rejects = source.tables.get(REJECTS.name)
    months: dict[str, MonthRows] = {}
    for manifest in (accepted, rejects):
        for file in manifest.files if manifest else ():
            counts = months.get(str(file.month), MonthRows(0, 0, {}))
            rejected = {reason: counts.rejects.get(reason, 0) + rows for reason, rows in file.rejects.items()}
            months[str(file.month)] = MonthRows(
                counts.read + file.rows,
                counts.accepted + (file.rows if manifest is accepted else 0),
                {**counts.rejects, **rejected},
            )
    if rejects is None:
        source.missing["rejects"] = "this version has no table of rejected trips"
    return dict(sorted(months.items()))


def _distributions(
    frames: MonthlyFrames, model: TrainedModel | None, dataset: Dataset
) -> list[facts.FeatureDistribution]:
    segment = model.encoding.segment if model else "all"
    histograms = [drift.histograms_by_feature(frame, dataset, segment) for frame in frames.values()]
    if not histograms:
        return []
    importance = natural_feature_gain(model) if model else {}
    names = [name for name in importance if name in histograms[0]] or sorted(histograms[0])
    return [
        curves.feature_distribution(
            name,
            [month.get(name, drift.EMPTY_HISTOGRAM) for month in histograms],
            dataset.value_words.get(name, {}),
        )
        for name in names
    ]


def _learning_curve(source: FactSource) -> dict[str, list[float]]:
    losses = source.table(MODELS.name, "run `toytip stage train`").metrics.get("log_loss_by_round")
    if not losses:
        raise NotInVersionError("the model has no stored log loss by round")
    return dict(losses)


def _evaluation(
    tallies: Tallies | None, model: TrainedModel | None, run: RunResult | None
) -> EvaluationReport:
    """Return the evaluation of a version.

    The improvement over the champion comes from the result of the run, because the scores of the
    champion are not stored.
    """
    if tallies is None or model is None:
        return {}
    report = evaluation_report(tallies, fitted_baselines(model), model.encoding.dataset)
    for split, segments in (run.evaluation if run else {}).items():
        for segment, evaluation in segments.items():
            champion = evaluation.improvement.get("champion")
            if champion and segment in report.get(split, {}):
                current = report[split][segment]
                improvement = {**current.improvement, "champion": champion}
                report[split][segment] = replace(current, improvement=improvement)
    return report


def _run_monitoring(
    source: FactSource, model: TrainedModel | None, tallies: Tallies | None, histograms: MonthlyFrames
) -> MonitoringReport | None:
    if model is None or tallies is None or not histograms:
        raise NotInVersionError("monitoring needs a model, metric histograms and feature histograms")
    published = source.tables.get(MONITORING.name)
    thresholds = monitor.alert_thresholds(source.settings)
    # Published monitoring is computed again with the same months, reference, labels and thresholds.
    try:
        if published:
            months = [file.key.month for file in published.files]
            plan: MonitoringPlan | None = plan_from_manifest(model, published.config, months)
            thresholds = AlertThresholds(**published.config["thresholds"])
        else:
            plan = plan_monitoring(model, tuple(histograms))
    except ConfigError as error:
        raise NotInVersionError(str(error)) from None
    if plan is None:
        raise NotInVersionError("there is no month after the training months")
    history = MonitoringHistory(months=count_months(source.tables, histograms), tallies=tallies)
    report = run_monitoring(model, plan, thresholds, history).report
    return replace(report, version=published.version) if published else report


def _feature_importances(
    source: FactSource, model: TrainedModel | None
) -> tuple[list[facts.FeatureImportance], int]:
    if model is None:
        raise NotInVersionError("this version has no model")
    if FEATURES.name not in source.tables:
        return explain.feature_importances(model, explain.empty_sample(model)), 0
    trips = explain.sample_test_trips(source.store, source.tables[FEATURES.name], model)
    return explain.feature_importances(model, trips), len(trips)


def _zone_facts(
    source: FactSource, histograms: MonthlyFrames, model: TrainedModel | None, dataset: Dataset
) -> list[ZoneSummary]:
    if not histograms:
        raise NotInVersionError("there are no feature histograms to count the trips by zone")
    uri = next((file.uri for file in _sources(source.tables)), None)
    path = zones.find_zone_lookup(source.settings, uri)
    names, boroughs = (zones.read_zone_names(path), zones.read_boroughs(path)) if path else ((), ())
    merged = profile.merge_profiles(histograms.values())
    return summarize_zones(merged, names, boroughs, dataset, model.encoding.target_history if model else "")


def _load_run_result(store: Store, version: str) -> RunResult:
    """Return the stored result of a run. Raises NotInVersionError if no result is stored."""
    result = read_run_result(store, version)
    if result is None:
        raise NotInVersionError("only `toytip run` measures time and memory")
    return result
