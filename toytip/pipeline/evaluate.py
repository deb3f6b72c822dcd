"""Predictions to metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from toytip.core.model import TrainedModel
from toytip.core.schema import Table
from toytip.core.tables import PREDICTIONS
from toytip.engine import compute, graph
from toytip.evaluation.breakdown import evaluation_report, metrics_by_split
from toytip.evaluation.metrics import Baseline, Metrics
from toytip.evaluation.tally import Tallies, tally_of
from toytip.pipeline.context import RunContext
from toytip.sources import zones
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.store.lineage import parent_version
from toytip.store.manifest import Manifest
from toytip.store.refs import resolve_version


class Evaluation(NamedTuple):
    """The metrics of every split, of the population that was learned from; the whole report; what it was told from."""

    metrics: dict[str, Metrics]
    report: dict[str, dict[str, Any]]
    tallies: Tallies
    baseline: Baseline


def summary_inputs(
    context: RunContext,
    features: Manifest,
    model: TrainedModel,
    paths: list[str],
    champion: TrainedModel | None = None,
) -> Callable[[list[int]], graph.SummaryInputs]:
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

    def summing(numbers: list[int]) -> graph.SummaryInputs:
        parts = [by_path[paths[number]] for number in numbers]
        return graph.SummaryInputs(graph.read_version(context.store, table, features.version, parts), rule)

    return summing


def model_table(model: TrainedModel, champion: TrainedModel | None = None) -> Table:
    """Return what must be read of `features`."""
    return features_of.feature_table(
        model.encoding.feature_names, champion.encoding.feature_names if champion else ()
    )


def compute_baseline(summary: Tallies, model: TrainedModel) -> Baseline:
    """Return what the trivial predictors know: the rate of the training rows, and a threshold of the valid month."""
    rated = tally_of(summary, "validation", model.encoding.segment, "hour_zone")
    return Baseline(
        rate=model.encoding.positives / model.encoding.rows,
        threshold=decisions.best_f1_threshold(rated.negatives, rated.positives),
    )


def evaluate_tallies(summary: Tallies, model: TrainedModel) -> Evaluation:
    """Return the metrics that a summary of a model's predictions tells."""
    trivial = compute_baseline(summary, model)
    measured = metrics_by_split(summary, model.encoding.segment)
    return Evaluation(measured, evaluation_report(summary, trivial), summary, trivial)


def evaluate(
    context: RunContext, predictions: Manifest, model: TrainedModel, champion: TrainedModel | None = None
) -> Evaluation:
    """`predictions` -> the metrics of every split, of all trips and of those paid by card."""
    features = resolve_features(context, predictions)
    summing = summary_inputs(context, features, model, [part.path for part in predictions.files], champion)
    frame = graph.read_version(context.store, PREDICTIONS, predictions.version, predictions.files)
    lazy = graph.summarize_partitions(frame, summing(list(range(len(predictions.files)))))
    months = [str(part.key.month) for part in predictions.files]
    with context.progress.stage("evaluate", len(predictions.files), months) as stage:
        done = compute.compute_partitions(context.client, lazy, stage, months=months)
        return evaluate_tallies(graph.merge_tallies(done), model)


def resolve_features(context: RunContext, predictions: Manifest) -> Manifest:
    """Return the features that predictions were made of, directly or over scores."""
    behind = predictions
    if any(item.get("table") == "scores" for item in predictions.parents):
        behind = resolve_version(context.store, "scores", parent_version(predictions, "scores"))
    return resolve_version(context.store, "features", parent_version(behind, "features"))
