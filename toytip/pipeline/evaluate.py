"""Compute metrics from predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toytip.core.model import TrainedModel
from toytip.core.schema import Table
from toytip.core.tables import FEATURES, PREDICTIONS, SCORES
from toytip.engine import compute, graph
from toytip.evaluation.breakdown import evaluation_report, metrics_by_split
from toytip.evaluation.metrics import FittedBaselines
from toytip.evaluation.report import EvaluationReport, Metrics
from toytip.evaluation.tally import Tallies
from toytip.pipeline.context import RunContext
from toytip.pipeline.incremental import SummaryBuilder, month_names
from toytip.sources import zones
from toytip.store.artifacts import with_split_of
from toytip.store.manifest import Manifest
from toytip.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluation, and the metric histograms and baselines that it is computed from."""

    metrics: dict[str, Metrics]
    """Metrics by split, for the segment that the model was trained on."""
    report: EvaluationReport
    """Complete evaluation by split and segment."""
    tallies: Tallies
    """Metric histograms of the model, the group mean and the champion."""
    baselines: FittedBaselines
    """Fitted values of the baselines."""


def summary_builder(
    context: RunContext,
    features: Manifest,
    model: TrainedModel,
    paths: Sequence[str],
    champion: TrainedModel | None = None,
) -> SummaryBuilder:
    """Return a function that returns the inputs for the summary of some predictions.

    `paths` are the paths of all data files of the predictions. The function takes the numbers of
    the files to summarize, which are positions in `paths`.
    """
    summarizer = graph.Summarizer(
        model.encoding, zones.read_boroughs_near(context.settings, context.settings.source), champion
    )
    table, store = model_table(model, champion), context.store
    files_by_path = {file.path: file for file in features.files}

    def build_summary(numbers: Sequence[int]) -> graph.SummaryInputs:
        files = [files_by_path[paths[number]] for number in numbers]
        frame = graph.read_version(store, table, features.version, files)
        return graph.SummaryInputs(frame, summarizer)

    return build_summary


def model_table(model: TrainedModel, champion: TrainedModel | None = None) -> Table:
    """Return the columns of `features` that a model and the champion, if there is one, need."""
    champion_features = champion.encoding.feature_names if champion else ()
    return model.encoding.dataset.feature_table(*model.encoding.feature_names, *champion_features)


def fitted_baselines(model: TrainedModel) -> FittedBaselines:
    """Return the fitted baselines: a constant probability, and a threshold.

    The probability is the rate of positive labels of the training rows. The threshold of the
    group mean was tuned on the validation month.
    """
    return FittedBaselines(
        rate=model.encoding.positives / model.encoding.rows, group_mean_threshold=model.group_mean_threshold
    )


def evaluate_tallies(tallies: Tallies, model: TrainedModel) -> Evaluation:
    """Return the evaluation of a model from the metric histograms of its predictions."""
    baselines = fitted_baselines(model)
    return Evaluation(
        metrics=metrics_by_split(tallies, model.encoding.segment),
        report=evaluation_report(tallies, baselines, model.encoding.dataset),
        tallies=tallies,
        baselines=baselines,
    )


def evaluate_predictions(
    context: RunContext, predictions: Manifest, model: TrainedModel, champion: TrainedModel | None = None
) -> Evaluation:
    """Return the evaluation of published predictions, by split and segment."""
    model = with_split_of(model, predictions)
    features, files = resolve_features(context.store, predictions), predictions.files
    build_summary = summary_builder(context, features, model, [file.path for file in files], champion)
    table = model.encoding.dataset.table(PREDICTIONS)
    frame = graph.read_version(context.store, table, predictions.version, files)
    summaries = graph.summarize_partitions(frame, build_summary(range(len(files))))
    months = month_names(files)
    with context.progress.stage("evaluate", len(files), months) as stage:
        results = compute.compute_partitions(context.client, summaries, stage, months=months)
        return evaluate_tallies(graph.merge_tallies(results), model)


def resolve_features(store: Store, predictions: Manifest) -> Manifest:
    """Return the features from which predictions were computed, directly or through scores."""
    parent = predictions
    if any(reference.table == SCORES.name for reference in predictions.parent_versions):
        parent = store.require_manifest(SCORES.name, predictions.parent_version(SCORES.name))
    return store.require_manifest(FEATURES.name, parent.parent_version(FEATURES.name))
