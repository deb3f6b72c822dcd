"""gather: what the store has of a version, as the facts that a report tells.

No trip is read again but a bounded sample for the explanation: all else is in manifests, profiles, tallies and the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from toytip.config import Settings, first_line
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.parameters import AlertThresholds
from toytip.core.tables import (
    FEATURE_HISTOGRAMS,
    FEATURES_TABLE,
    METRIC_HISTOGRAMS,
    MONITORING,
    REJECTS,
    TRIPS,
)
from toytip.errors import ConfigError, StoreError, ToytipError
from toytip.evaluation.breakdown import evaluation_report
from toytip.evaluation.report import EvaluationReport
from toytip.evaluation.tally import SEGMENTS, Tallies, Tally, slice_tallies, tally_of
from toytip.monitoring import drift
from toytip.monitoring.comparison import natural_feature_gain, run_monitoring
from toytip.monitoring.drift import FeatureHistogram
from toytip.monitoring.plan import MonitoringPlan, plan_from_manifest, plan_monitoring
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline import explain as leanings
from toytip.pipeline import fit_encoding, monitor
from toytip.pipeline.evaluate import fit_baselines
from toytip.pipeline.result import RunResult
from toytip.report import curves, facts
from toytip.report.facts import Facts, MonthRows, ZoneSummary
from toytip.report.zones import summarize_zones
from toytip.sources import zones
from toytip.stages import profile
from toytip.store import artifacts
from toytip.store.artifacts import load_tallies
from toytip.store.lineage import ancestors_and_missing, main_manifest, trace_lineage
from toytip.store.manifest import Manifest, SourceFileRef
from toytip.store.store import Store

HISTOGRAM_READER_THREADS = 8
T = TypeVar("T")
HistogramsByMonth = dict[Month, dict[str, FeatureHistogram]]


class NotInVersionError(StoreError):
    """What a version never had: no fault of it."""


@dataclass(frozen=True)
class FactSource:
    """What there is of a version, and why the rest is not there, by the section of the page that would tell it.

    `failed` are the sections that should be there: what they take is damaged, say.
    """

    store: Store
    settings: Settings
    tables: dict[str, Manifest]
    missing: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def section(self, section_id: str, compute: Callable[[], T], default: T) -> T:
        """Return what is wanted, or something else where it cannot be told: no part takes the page with it."""
        try:
            return compute()
        except NotInVersionError as error:
            self.missing.setdefault(section_id, first_line(error))
        except ToytipError as error:
            self._fail(section_id, first_line(error))
        except Exception as error:  # noqa: BLE001 - a report is worth less than the tables that it tells of
            self._fail(section_id, f"it failed: {type(error).__name__}: {first_line(error)}")
        return default

    def _fail(self, section: str, why: str) -> None:
        if section not in self.failed:
            self.failed.append(section)
            self.missing[section] = why

    def table(self, name: str, hint: str) -> Manifest:
        """Return a table of the version. Raises NotInVersionError where there is none."""
        if name not in self.tables:
            raise NotInVersionError(f"this version has no {name}; {hint}")
        return self.tables[name]


def collect_facts(
    store: Store, version: str, settings: Settings, *, run_result: RunResult | None = None
) -> Facts:
    """Return all that a report tells of a version; `run_result` is what the run itself knows, where it is still there.

    Raises StoreError where there is no such version, SourceError for a map that is none.
    """
    outlines = load_zone_outlines(settings)
    tables, gone = ancestors_and_missing(store, version)
    whole = main_manifest(store, version)
    there = FactSource(store, settings, tables)
    model = there.section("model", lambda: _load_model(there), None)
    summary = there.section("evaluation", lambda: _load_tallies(there), None)
    profiles: dict[Month, Any] = there.section("features", lambda: _load_profiles(there), {})
    monitoring = there.section("drift", lambda: _run_monitoring(there, model, summary, profiles), None)
    run_result = run_result or there.section("time", lambda: _load_run_result(store, whole.version), None)
    unexplained: tuple[list[facts.FeatureImportance], int] = ([], 0)
    leaning = there.section("leaning", lambda: _feature_importances(there, model), unexplained)
    histograms: HistogramsByMonth = there.section(
        "features", lambda: _monthly_histograms(profiles, model), {}
    )
    if gone:
        there.missing["lineage"] = f"{', '.join(map(str, gone))} is gone"
    return Facts(
        version=whole.version,
        created_at=whole.created_at,
        store=store.display_uri,
        env=store.env,
        tables={n: {"version": m.version, "rows": m.rows} for n, m in tables.items()},
        config={n: m.config for n, m in tables.items()},
        digests={n: m.config_digest for n, m in tables.items()},
        environment=whole.environment,
        sources=_sources(tables),
        rows=there.section("rows", lambda: _monthly_rows(there), {}),
        feature_distributions=there.section("features", lambda: _spreads(histograms, model), []),
        histograms=there.section("features", lambda: _total_histograms(profiles), {}),
        learning_curve=there.section("training", lambda: _learning_curve(there), {}),
        evaluation=there.section("evaluation", lambda: _evaluation(summary, model, run_result), {}),
        **_tally_facts(summary),
        feature_importance=leaning[0],
        explained_trips=leaning[1],
        leakage_aucs=fit_encoding.find_leaking_features(tables["encodings"]) if "encodings" in tables else {},
        monitoring=monitoring,
        zones=there.section("zones", lambda: _zone_facts(there, profiles, model), []),
        zone_outlines=outlines,
        run_result=run_result,
        lineage=there.section("lineage", lambda: trace_lineage(store, whole), None),
        missing_reasons=there.missing,
        failed_sections=there.failed,
        **_model_facts(model, tables),
    )  # fmt: skip


def load_zone_outlines(settings: Settings) -> dict[int, list[zones.Ring]]:
    """Return the outlines of the zones, where the settings name a map. Raises SourceError for one that is none."""
    return zones.read_outlines(Path(settings.zone_map_file)) if settings.zone_map_file else {}


def _model_facts(model: TrainedModel | None, tables: dict[str, Manifest]) -> dict[str, Any]:
    parts = next((tables[name].files for name in ("features", "trips", "predictions") if name in tables), ())
    months = [str(month) for month in dict.fromkeys(part.month for part in parts if part.month)]
    taxi = next((str(m.config["taxi"]) for m in tables.values() if "taxi" in m.config), "")
    if model is None:
        return {"months": months, "taxi": taxi}
    encoding = model.encoding
    return {
        "months": months,
        "taxi": taxi or model.taxi,
        "features": encoding.feature_names,
        "segment": encoding.segment,
        "split": {name: tuple(span) for name, span in encoding.split.time_ranges().items()},
        "threshold": model.threshold,
        "rounds": model.rounds,
    }


def _sources(tables: dict[str, Manifest]) -> list[SourceFileRef]:
    """Return the source files of a version."""
    manifests = [tables[name] for name in (TRIPS.name, FEATURES_TABLE.name, REJECTS.name) if name in tables]
    return list({file.uri: file for manifest in manifests for file in manifest.source_files}.values())


def _load_model(there: FactSource) -> TrainedModel:
    return artifacts.read_model(there.store, there.table("models", "`toytip train` makes one"))


def _load_tallies(there: FactSource) -> Tallies:
    tallies = there.table(
        METRIC_HISTOGRAMS.name, "`toytip run`, or `toytip postprocess`, leaves what metrics are told from"
    )
    return load_tallies(there.store, tallies)


def _load_profiles(there: FactSource) -> dict[Month, Any]:
    told = there.table(
        FEATURE_HISTOGRAMS.name, "features made before there was monitoring have none: `toytip run --fresh`"
    )
    months: dict[Month, list[Any]] = {}
    with ThreadPoolExecutor(HISTOGRAM_READER_THREADS) as pool:
        frames = pool.map(
            lambda part: there.store.read_data_file(FEATURE_HISTOGRAMS, told.version, part), told.files
        )
        for part, frame in zip(told.files, frames, strict=True):
            months.setdefault(part.key.month, []).append(frame)
    return {month: profile.merge_profiles(each) for month, each in months.items()}


def _monthly_histograms(profiles: Mapping[Month, Any], model: TrainedModel | None) -> HistogramsByMonth:
    population = model.encoding.segment if model else "all"
    return {month: drift.histograms_by_feature(told, population) for month, told in profiles.items()}


def _total_histograms(profiles: Mapping[Month, Any]) -> dict[str, FeatureHistogram]:
    return drift.histograms_by_feature(profile.merge_profiles(profiles.values())) if profiles else {}


def _monthly_rows(there: FactSource) -> dict[str, MonthRows]:
    kept = there.tables.get("features") or there.table("trips", "`toytip clean` or `toytip run` counts trips")
    rejects = there.tables.get(REJECTS.name)
    found: dict[str, MonthRows] = {}
    for manifest in (kept, rejects):
        for part in manifest.files if manifest else ():
            read, there_, reasons = found.get(str(part.month), MonthRows(0, 0, {}))
            more = {reason: reasons.get(reason, 0) + count for reason, count in part.rejects.items()}
            found[str(part.month)] = MonthRows(
                read + part.rows, there_ + (part.rows if manifest is kept else 0), {**reasons, **more}
            )
    if rejects is None:
        there.missing["rejects"] = "this version has no rejects: how many trips were rejected is not known"
    return dict(sorted(found.items()))


def _spreads(histograms: HistogramsByMonth, model: TrainedModel | None) -> list[facts.FeatureDistribution]:
    if not histograms:
        return []
    first = next(iter(histograms.values()))
    natural = natural_feature_gain(model) if model else {}
    names = [name for name in natural if name in first] or sorted(first)
    nothing = drift.EMPTY_HISTOGRAM
    return [
        curves.feature_distribution(name, [told.get(name, nothing) for told in histograms.values()])
        for name in names
    ]


def _learning_curve(there: FactSource) -> dict[str, list[float]]:
    told = there.table("models", "`toytip train` makes one").metrics.get("log_loss_by_round")
    if not told:
        raise NotInVersionError("this model was trained before toytip kept the loss of every round")
    return dict(told)


def _evaluation(
    summary: Tallies | None, model: TrainedModel | None, run: RunResult | None
) -> EvaluationReport:
    """Return the evaluation of a version, with the improvement over the champion from the run.

    The scores of the champion are not stored with the predictions.
    """
    if summary is None or model is None:
        return {}
    report = evaluation_report(summary, fit_baselines(summary, model))
    for split, segments in (run.evaluation if run else {}).items():
        for segment, evaluation in segments.items():
            champion = evaluation.improvement.get("champion")
            if champion and segment in report.get(split, {}):
                current = report[split][segment]
                improvement = {**current.improvement, "champion": champion}
                report[split][segment] = replace(current, improvement=improvement)
    return report


def _tally_facts(summary: Tallies | None) -> dict[str, Any]:
    """Return the tallies behind the curves, of the last split that has trips."""
    if summary is None:
        return {}
    split = next(
        (name for name in ("test", "validation", "train") if tally_of(summary, name, "all").rows), "test"
    )
    tallies = {population: tally_of(summary, split, population) for population in SEGMENTS}
    return {
        "tallies": {population: tally for population, tally in tallies.items() if tally.rows},
        "daily_tallies": {population: _daily_tallies(summary, split, population) for population in SEGMENTS},
        "hour_zone_tally": tally_of(summary, split, "all", "hour_zone"),
    }


def _daily_tallies(summary: Tallies, split: str, population: str) -> dict[str, Tally]:
    told = slice_tallies(summary, split, population)
    return {day: tally for (name, day), tally in sorted(told.items()) if name == "day"}


def _run_monitoring(
    source: FactSource, model: TrainedModel | None, tallies: Tallies | None, histograms: Mapping[Month, Any]
) -> MonitoringReport | None:
    if model is None or tallies is None or not histograms:
        raise NotInVersionError("monitoring needs a model, metric histograms and feature histograms")
    published = source.tables.get(MONITORING.name)
    thresholds = monitor.alert_thresholds(source.settings)
    # A published monitoring is repeated with its own months, reference, labels and thresholds.
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
    inputs = monitor.MonitoringInputs(
        metric_histograms=source.tables[METRIC_HISTOGRAMS.name],
        feature_histograms=source.tables[FEATURE_HISTOGRAMS.name],
        features=source.tables["features"],
        rejects=source.tables.get(REJECTS.name),
    )
    rates = monitor.reject_rates(inputs)
    report = run_monitoring(model, plan, thresholds, tallies, histograms, rates).report
    return replace(report, version=published.version) if published else report


def _feature_importances(
    there: FactSource, model: TrainedModel | None
) -> tuple[list[facts.FeatureImportance], int]:
    if model is None:
        raise NotInVersionError("this version has no model")
    if "features" not in there.tables:
        return leanings.feature_importances(model, leanings.empty_sample(model)), 0
    trips = leanings.sample_test_trips(there.store, there.tables["features"], model)
    return leanings.feature_importances(model, trips), len(trips)


def _zone_facts(
    there: FactSource, profiles: Mapping[Month, Any], model: TrainedModel | None
) -> list[ZoneSummary]:
    if not profiles:
        raise NotInVersionError("without profiles there is no count of trips by zone")
    uri = next((file.uri for file in _sources(there.tables)), None)
    path = (
        Path(there.settings.zone_lookup_file)
        if there.settings.zone_lookup_file
        else zones.find_zone_lookup(uri, there.settings.data_dir)
    )
    names, boroughs = (zones.read_zone_names(path), zones.read_boroughs(path)) if path else ((), ())
    return summarize_zones(
        profile.merge_profiles(profiles.values()),
        names,
        boroughs,
        model.encoding.zone_history if model else "",
    )


def _load_run_result(store: Store, version: str) -> RunResult:
    name = store.layout.run_result(version)
    if not store.file_io.exists(name):
        raise NotInVersionError(
            "seconds and memory are kept by `toytip run` alone, and by this toytip or a later one"
        )
    return RunResult.from_json(json.loads(store.file_io.read(name)))
