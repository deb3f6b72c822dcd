"""Judge predictions of any program as a run evaluates its own: on the workers, on test trips."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from toytip.config import Settings
from toytip.core.dataset.dataset import Dataset
from toytip.core.jsonable import dump_json, to_json
from toytip.core.model import TrainedModel
from toytip.core.redact import mask_credentials
from toytip.core.tables import PREDICTIONS
from toytip.datasets.words import describe_kind
from toytip.engine.graph import Summarizer
from toytip.engine.match_predictions import (
    JudgedFeatures,
    MatchedPredictions,
    match_predictions,
    summarize_matched,
)
from toytip.engine.prediction_files import PredictionFiles, find_prediction_files
from toytip.errors import ConfigError, SourceError, StoreError
from toytip.evaluation.judgment import (
    ChampionComparison,
    DecisionRule,
    DecisionSource,
    JudgedRows,
    Judgment,
    LeaderboardEntry,
    differences_to,
)
from toytip.evaluation.tally import Tallies, tally_of
from toytip.models import resolve
from toytip.models.registry import CHAMPION
from toytip.models.resolve import RegisteredMatch
from toytip.pipeline.context import RunContext, open_reader
from toytip.pipeline.evaluate import evaluate_tallies, resolve_features
from toytip.pipeline.judging import leaderboard
from toytip.pipeline.promote import incomparable_reason
from toytip.pipeline.reporting.pages import write_page
from toytip.pipeline.reporting.performance import performance_facts
from toytip.pipeline.result import metrics_by_segment
from toytip.progress.tracker import Progress
from toytip.report.facts import Facts
from toytip.report.judge_page import render_judge_page
from toytip.sources import zones
from toytip.stages.postprocess import DEFAULT_THRESHOLD, best_f1_threshold
from toytip.store.artifacts import with_split_of
from toytip.store.manifest import Manifest, utc_now
from toytip.store.refs import resolve_version
from toytip.store.reports import save_report
from toytip.store.store import Store, store_from_settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_DATA_SUFFIX = re.compile(r"\.(parquet|csv|tsv)$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class JudgeRequest:
    """The predictions to judge, and the outputs."""

    predictions: str
    """Path, folder, glob or URI of the predictions."""
    name: str | None = None
    """Name of the predictions. None for the name of their file or folder."""
    version: str | None = None
    """Version or tag whose test trips are judged. None for the current version."""
    as_of: str | None = None
    """Time at which the version was current."""
    threshold: float | None = None
    """Decision threshold. None for the decisions of the files, or a tuned threshold."""
    output: str | None = None
    """File for the report. None for a file in the store."""
    leaderboard: str | None = None
    """Folder of the leaderboard to which the judgment is added."""


@dataclass(frozen=True, kw_only=True)
class _Champion:
    """The champion, or the reason why the predictions are not compared with it."""

    match: RegisteredMatch | None
    model: TrainedModel | None
    reason: str | None

    def compare(self, tallies: Tallies) -> ChampionComparison | None:
        """Return the differences to the champion, or None if it did not score the trips."""
        if self.match is None or self.model is None:
            return None
        return ChampionComparison(
            number=self.match.model.number,
            version=self.match.model.run_version,
            differences=differences_to(tallies, "champion", self.model.encoding.dataset.segments),
        )


@dataclass(frozen=True, kw_only=True)
class _Case:
    """The inputs of a judgment."""

    request: JudgeRequest
    name: str
    version: str
    model: TrainedModel
    features: JudgedFeatures
    files: PredictionFiles
    champion: _Champion


def judge_predictions(settings: Settings, request: JudgeRequest, progress: Progress) -> Judgment:
    """Judge predictions on the test trips of a version, and write the report.

    Raises SourceError if the files cannot be read, or if they are not exactly one valid prediction
    for each test trip. Raises SchemaError for wrong columns, StoreError if the version does not
    exist, and ConfigError for an invalid name or leaderboard.
    """
    store = store_from_settings(settings)
    case = _prepare(settings, store, request)
    if request.output is None:
        store.require_writable()
    if request.leaderboard is not None:
        leaderboard.require_folder(request.leaderboard, case.name)
    with open_reader(settings, progress) as context:
        matched = _match(context, case)
        rule = _decision_rule(context, case, matched)
        boroughs = zones.read_boroughs_near(settings, _source_of(store, case.features.manifest))
        summarizer = Summarizer(case.model.encoding, boroughs, case.champion.model)
        with progress.stage("evaluate", len(case.features.files_of("test"))) as stage:
            threshold = None if rule.source is DecisionSource.COLUMN else rule.threshold
            tallies = summarize_matched(context.client, matched, "test", threshold, summarizer, stage)
    judgment = _describe(store, case, matched, rule, tallies)
    return _write(store, case, judgment, tallies)


def _prepare(settings: Settings, store: Store, request: JudgeRequest) -> _Case:
    predictions = resolve_version(store, PREDICTIONS.name, request.version, request.as_of)
    model = with_split_of(resolve.model_of(settings, predictions), predictions)
    features = JudgedFeatures(
        store=store.absolute(),
        manifest=resolve_features(store, predictions),
        dataset=model.encoding.dataset,
        split=model.encoding.split,
        segment=model.encoding.segment,
    )
    return _Case(
        request=request,
        name=_name_of(request),
        version=predictions.version,
        model=model,
        features=features,
        files=find_prediction_files(request.predictions, settings.endpoint_url),
        champion=_find_champion(settings, model),
    )


def _name_of(request: JudgeRequest) -> str:
    """Return the name of the predictions. Raises ConfigError if it cannot be a file name."""
    if request.name is None:
        stem = _DATA_SUFFIX.sub("", PurePosixPath(request.predictions).name.removeprefix("version="))
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-.") or "predictions"
    if not _NAME.fullmatch(request.name):
        raise ConfigError(
            f"cannot use --name {request.name!r}: it has characters that a file name cannot have",
            hint="Use letters, digits, hyphens, dots and underscores.",
        )
    return request.name


def _find_champion(settings: Settings, model: TrainedModel) -> _Champion:
    """Return the champion of the taxi type and segment, if it can be compared on the test trips."""
    segment = model.encoding.segment
    matches = resolve.find_registered_models(settings, CHAMPION, model.taxi, segment)
    if not matches:
        reason = f"there is no champion for {describe_kind(model.taxi)} (segment {segment})"
        return _Champion(match=None, model=None, reason=reason)
    champion = resolve.load_registered_model(matches[0])
    if reason := incomparable_reason(champion, model):
        return _Champion(match=matches[0], model=None, reason=reason)
    return _Champion(match=matches[0], model=champion, reason=None)


def _match(context: RunContext, case: _Case) -> MatchedPredictions:
    """Match the predictions with the trips. Raises SourceError if they have a fault."""
    features, name = case.features, mask_credentials(case.request.predictions)
    with context.progress.stage("match", len(features.manifest.files)) as stage:
        matched = match_predictions(context.client, features, case.files, stage)
    if matched.faults:
        faults = matched.faults.describe(f"version {case.version}")
        raise SourceError(
            f"cannot judge predictions {name}: {faults}",
            hint="Write exactly one prediction for each test trip, with a probability from 0 to 1, "
            "or select the version of these trips with --input-version.",
        )
    if not matched.counts.judged:
        raise StoreError(
            f"cannot judge predictions {name}: version {case.version} has no test trips",
            hint="Select another version with --input-version.",
        )
    return matched


def _decision_rule(context: RunContext, case: _Case, matched: MatchedPredictions) -> DecisionRule:
    """Return how the predictions become decisions. Tunes the threshold as a run does."""
    if case.request.threshold is not None:
        return DecisionRule(source=DecisionSource.OPTION, threshold=case.request.threshold)
    if case.files.has_decisions:
        return DecisionRule(source=DecisionSource.COLUMN, threshold=None)
    files = case.features.files_of("validation")
    if not files or matched.counts.unscored_validation:
        return DecisionRule(source=DecisionSource.DEFAULT, threshold=DEFAULT_THRESHOLD)
    summarizer = Summarizer(case.model.encoding)
    with context.progress.stage("tune", len(files)) as stage:
        tallies = summarize_matched(
            context.client, matched, "validation", DEFAULT_THRESHOLD, summarizer, stage
        )
    tally = tally_of(tallies, "validation", case.features.segment)
    threshold = best_f1_threshold(tally.negatives, tally.positives)
    return DecisionRule(source=DecisionSource.VALIDATION, threshold=threshold)


def _describe(
    store: Store, case: _Case, matched: MatchedPredictions, rule: DecisionRule, tallies: Tallies
) -> Judgment:
    report, counts = evaluate_tallies(tallies, case.model).report, matched.counts
    return Judgment(
        name=case.name,
        predictions=mask_credentials(case.request.predictions),
        version=case.version,
        store=store.display_uri,
        env=store.env,
        taxi=case.model.taxi,
        segment=case.features.segment,
        test=case.features.split.test,
        trips_digest=f"{counts.judged_hash:016x}",
        created_at=utc_now(),
        files=case.files.files,
        rows=JudgedRows(total=matched.rows, judged=counts.judged, other=matched.rows - counts.judged),
        decisions=rule,
        metrics=metrics_by_segment(report),
        evaluation=report,
        champion=case.champion.compare(tallies),
        not_compared_reason=case.champion.reason,
        report_path=None,
        leaderboard_path=None,
    )


def _write(store: Store, case: _Case, judgment: Judgment, tallies: Tallies) -> Judgment:
    """Write the report, and add the judgment to the leaderboard. Return it with their paths."""
    page = render_judge_page(judgment, _facts(judgment, tallies, case.features.dataset))
    output, folder = case.request.output, case.request.leaderboard
    if output is None:
        name = f"{judgment.version}.judge.{judgment.name}"
        judgment = replace(judgment, report_path=save_report(store, f"{name}.html", page.encode()))
    else:
        write_page(output, page)
        judgment = replace(judgment, report_path=output)
    if folder is not None:
        judgment = replace(judgment, leaderboard_path=leaderboard.page_path(folder))
        leaderboard.add_entry(folder, LeaderboardEntry(judgment=judgment, tallies=tallies), page)
    if output is None:
        save_report(store, f"{name}.json", dump_json(to_json(judgment), indent=1).encode())
    return judgment


def _facts(judgment: Judgment, tallies: Tallies, dataset: Dataset) -> Facts:
    """Return the facts for the sections that the report shares with the report of a run."""
    return Facts(
        version=judgment.version,
        created_at=judgment.created_at,
        store=judgment.store,
        env=judgment.env,
        taxi=judgment.taxi,
        segment=judgment.segment,
        threshold=judgment.decisions.threshold,
        evaluation=judgment.evaluation,
        **performance_facts(tallies, dataset),
    )


def _source_of(store: Store, features: Manifest) -> str | None:
    """Return a source file of features, near which the zone lookup file of their run is."""
    manifests = [features]
    manifests += [
        trips
        for parent in features.parent_versions
        if (trips := store.get_manifest(parent.table, parent.version)) is not None
    ]
    return next((file.uri for manifest in manifests for file in manifest.source_files), None)
