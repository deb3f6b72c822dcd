"""Compute scores and predictions from features and a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from toytip.core.jsonable import to_json
from toytip.core.model import TrainedModel
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.tables import FEATURES_TABLE, METRIC_HISTOGRAMS, MODELS, PREDICTIONS, SCORES
from toytip.engine import graph
from toytip.evaluation.tally import Tallies, tallies_to_parquet
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.evaluate import Evaluation, evaluate_tallies, model_table, summary_builder
from toytip.pipeline.fingerprints import code_digest
from toytip.pipeline.incremental import BuiltFiles, build_from_table
from toytip.store.artifacts import with_split_of
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.manifest import Manifest, VersionRef


def score_trips(context: RunContext, features: Manifest, model: TrainedModel) -> PublishedTables:
    """Publish `scores`: the probability of a high tip for each row of `features`."""

    def build_frames(files: list[DataFile]) -> dict[Table, Any]:
        frame = graph.read_version(context.store, model_table(model), features.version, files)
        return {SCORES: graph.score_features(frame, model)}

    built = build_from_table(
        context,
        "infer",
        features,
        (SCORES,),
        build_frames,
        config_of=_config_by_file(model),
        shape=_scoring_shape(model),
    )
    parents, code = [features.ref, model_reference(model)], code_digest("infer")
    config = {"split": asdict(model.encoding.split)}
    return {SCORES.name: context.add_table(SCORES, built.files[SCORES.name], config, parents, code=code)}


def decide_scores(context: RunContext, scores: Manifest, model: TrainedModel) -> PublishedTables:
    """Publish `predictions`: the decision at the model's threshold for each row of `scores`."""
    model = with_split_of(model, scores)

    def build_frames(files: list[DataFile]) -> dict[Table, Any]:
        frame = graph.read_version(context.store, SCORES, scores.version, files)
        return {PREDICTIONS: graph.apply_threshold(frame, model.threshold)}

    features = context.store.require_manifest(FEATURES_TABLE.name, scores.parent_version(FEATURES_TABLE.name))
    built = build_from_table(
        context,
        "postprocess",
        scores,
        (PREDICTIONS,),
        build_frames,
        config_of=lambda _: model.threshold,
        build_summary=summary_builder(context, features, model, [file.path for file in scores.files]),
    )
    parents = [scores.ref, model_reference(model)]
    return _publish_predictions(context, "postprocess", parents, model, built)[0]


def predict_trips(
    context: RunContext, features: Manifest, model: TrainedModel, champion: TrainedModel | None = None
) -> tuple[PublishedTables, Evaluation]:
    """Publish `predictions` of `features`, and return the published tables and the evaluation.

    One task per partition does infer, postprocess and summarize. The scores of training trips come
    from training, which has already computed them. A champion is evaluated on the same test trips,
    but its predictions are not published.
    """
    checkpoints = StoreCheckpoints(context.store, context.version)

    def build_frames(files: list[DataFile]) -> dict[Table, Any]:
        frame = graph.read_version(context.store, model_table(model, champion), features.version, files)
        training_scores = graph.TrainingScores(checkpoints, tuple(file.path for file in files))
        scores = graph.score_features(frame, model, training_scores)
        return {PREDICTIONS: graph.apply_threshold(scores, model.threshold)}

    paths = [file.path for file in features.files]
    built = build_from_table(
        context,
        "predict",
        features,
        (PREDICTIONS,),
        build_frames,
        config_of=_config_by_file(model),
        build_summary=summary_builder(context, features, model, paths, champion),
        # A model of this run comes with the scores of its training trips.
        shape=f"{_scoring_shape(model, champion)}, {'new' if model.version == context.version else 'reused'}",
    )
    parents = [features.ref, model_reference(model)]
    return _publish_predictions(context, "predict", parents, model, built)


def _publish_predictions(
    context: RunContext, stage: str, parents: list[VersionRef], model: TrainedModel, built: BuiltFiles
) -> tuple[PublishedTables, Evaluation]:
    with context.progress.stage("evaluate", 1) as progress:
        evaluation = evaluate_tallies(built.tallies, model)
        progress.advance()
    config = {"threshold": model.threshold, "split": asdict(model.encoding.split)}
    code = code_digest(stage)
    # Publish the metric histograms first, so that a version with predictions is complete.
    histograms = context.add_table(
        METRIC_HISTOGRAMS, [_write_tallies(context, built.tallies)], config, parents, code=code
    )
    files, metrics = built.files[PREDICTIONS.name], to_json(evaluation.metrics)
    predictions = context.add_table(PREDICTIONS, files, config, parents, code=code, metrics=metrics)
    return {METRIC_HISTOGRAMS.name: histograms, PREDICTIONS.name: predictions}, evaluation


def _write_tallies(context: RunContext, tallies: Tallies) -> DataFile:
    """Write the metric histograms of the model, but not the metric histograms of a champion."""
    own = {key: tally for key, tally in tallies.items() if key.predictor != "champion"}
    content = tallies_to_parquet(own)
    name = METRIC_HISTOGRAMS.artifact_files[0]
    return context.store.write_file(METRIC_HISTOGRAMS.name, context.version, name, content)


def model_reference(model: TrainedModel) -> VersionRef:
    """Return a model as a parent in a manifest."""
    return VersionRef(MODELS.name, model.version)


def _scoring_shape(*models: TrainedModel | None) -> str:
    """Return the sizes of models, which change the time to score a trip."""
    sizes = [(len(model.encoding.features), model.rounds) for model in models if model]
    return ", ".join(f"{features} features x {rounds} rounds" for features, rounds in sizes)


def _config_by_file(model: TrainedModel) -> Callable[[DataFile], Any]:
    """Return a function that returns everything that determines the predictions of a data file.

    The split of a trip depends only on the time ranges in the month of its file, so other test
    months do not change the predictions of the file.
    """
    encoding = model.encoding.to_json()
    del encoding["split"]
    fixed = [model.version, hashlib.sha256(model.booster).hexdigest(), model.threshold, encoding]
    return lambda file: [*fixed, model.encoding.split.within(file.key.month)]
