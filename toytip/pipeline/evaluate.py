"""Predictions to metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toytip.core.model import TrainedModel
from toytip.core.schema import Table
from toytip.core.tables import FEATURES_TABLE, PREDICTIONS, SCORES
from toytip.engine import compute, graph
from toytip.evaluation.breakdown import evaluation_report, metrics_by_split
from toytip.evaluation.metrics import FittedBaselines
from toytip.evaluation.report import EvaluationReport, Metrics
from toytip.evaluation.tally import Tallies, tally_of
from toytip.pipeline.context import RunContext
from toytip.pipeline.incremental import SummaryBuilder
from toytip.sources import zones
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.store.manifest import Manifest
from toytip.store.refs import resolve_version


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluation, and the score histograms and baselines that it is computed from."""

    metrics: dict[str, Metrics]
    """Metrics by split, of the segment that the model was trained on."""
    report: EvaluationReport
    """Complete evaluation by split and segment."""
    tallies: Tallies
    """Score histograms of the model, the hour-and-zone mean and the champion."""
    baselines: FittedBaselines
    """Fitted values of the baselines."""


def summary_builder(
    context: RunContext,
    features: Manifest,
    model: TrainedModel,
    paths: list[str],
    champion: TrainedModel | None = None,
) -> SummaryBuilder:
    """Return what sums up the parts of those paths: the features that they were made of, and the rule."""
    settings = context.settings
    found = (
        Path(settings.zone_lookup_file)
        if settings.zone_lookup_file
        else zones.find_zone_lookup(settings.source, settings.data_dir)
    )
    rule = graph.Summarizer(model.encoding, zones.read_boroughs(found) if found else (), champion)
    table = model_table(model, champion)
    by_path = {part.path: part for part in features.files}

    def summing(numbers: Sequence[int]) -> graph.SummaryInputs:
        parts = [by_path[paths[number]] for number in numbers]
        return graph.SummaryInputs(graph.read_version(context.store, table, features.version, parts), rule)

    return summing


def model_table(model: TrainedModel, champion: TrainedModel | None = None) -> Table:
    """Return what must be read of `features`."""
    return features_of.feature_table(
        model.encoding.feature_names, champion.encoding.feature_names if champion else ()
    )


def fit_baselines(tallies: Tallies, model: TrainedModel) -> FittedBaselines:
    """Return the rate of the training rows and the threshold tuned on the validation month."""
    hour_zone = tally_of(tallies, "validation", model.encoding.segment, "hour_zone")
    return FittedBaselines(
        rate=model.encoding.positives / model.encoding.rows,
        hour_zone_threshold=decisions.best_f1_threshold(hour_zone.negatives, hour_zone.positives),
    )


def evaluate_tallies(tallies: Tallies, model: TrainedModel) -> Evaluation:
    """Return the evaluation of a model from the score histograms of its predictions."""
    baselines = fit_baselines(tallies, model)
    return Evaluation(
        metrics=metrics_by_split(tallies, model.encoding.segment),
        report=evaluation_report(tallies, baselines),
        tallies=tallies,
        baselines=baselines,
    )


def evaluate(
    context: RunContext, predictions: Manifest, model: TrainedModel, champion: TrainedModel | None = None
) -> Evaluation:
    """`predictions` -> the metrics of every split, of all trips and of those paid by card."""
    features = resolve_features(context, predictions)
    summing = summary_builder(context, features, model, [part.path for part in predictions.files], champion)
    frame = graph.read_version(context.store, PREDICTIONS, predictions.version, predictions.files)
    lazy = graph.summarize_partitions(frame, summing(list(range(len(predictions.files)))))
    months = [str(part.key.month) for part in predictions.files]
    with context.progress.stage("evaluate", len(predictions.files), months) as stage:
        done = compute.compute_partitions(context.client, lazy, stage, months=months)
        return evaluate_tallies(graph.merge_tallies(done), model)


def resolve_features(context: RunContext, predictions: Manifest) -> Manifest:
    """Return the features that predictions were made of, directly or over scores."""
    child = predictions
    if any(parent.table == SCORES.name for parent in predictions.parent_versions):
        child = resolve_version(context.store, SCORES.name, predictions.parent_version(SCORES.name))
    return resolve_version(context.store, FEATURES_TABLE.name, child.parent_version(FEATURES_TABLE.name))
