"""Compute scores and predictions from features and a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from toytip.core.jsonable import to_json
from toytip.core.model import TrainedModel
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.splits import Split
from toytip.core.tables import FEATURES, METRIC_HISTOGRAMS, MODELS, PREDICTIONS, SCORES
from toytip.engine import graph
from toytip.evaluation.tally import Tallies, tallies_to_parquet
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.evaluate import Evaluation, evaluate_tallies, model_table, summary_builder
from toytip.pipeline.fingerprints import chain_of, code_digest, plan_file_of_input, plan_next_file
from toytip.pipeline.incremental import BuiltFiles, build_from_table, new_recipe, stored_recipe
from toytip.store.artifacts import with_split_of
from toytip.store.changes import Recipe, inputs_with_split
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.manifest import Manifest, VersionRef


def score_trips(context: RunContext, features: Manifest, model: TrainedModel) -> PublishedTables:
    """Publish `scores`: the probability of a positive label for each row of `features`."""
    context.require_usable_module(model.encoding.dataset)
    table = model.encoding.dataset.table(SCORES)

    def build_frames(files: list[DataFile]) -> dict[Table, Any]:
        frame = graph.read_version(context.store, model_table(model), features.version, files)
        return {table: graph.score_features(frame, model)}

    built = build_from_table(
        context,
        "infer",
        features,
        (table,),
        build_frames,
        plan_file=_score_planner(model),
        recipe=_recipe(SCORES, features, model),
        recipe_of=_recipe_of,
        shape=_scoring_shape(model),
    )
    parents, code = (
        [features.ref, model_reference(model)],
        code_digest(chain_of(SCORES), model.encoding.dataset),
    )
    config = {"split": asdict(model.encoding.split)}
    return {table.name: context.add_table(table, built.files[table.name], config, parents, code=code)}


def decide_scores(context: RunContext, scores: Manifest, model: TrainedModel) -> PublishedTables:
    """Publish `predictions`: the decision at the model's threshold for each row of `scores`."""
    model, dataset = with_split_of(model, scores), model.encoding.dataset
    context.require_usable_module(dataset)
    table = dataset.table(PREDICTIONS)

    def build_frames(files: list[DataFile]) -> dict[Table, Any]:
        frame = graph.read_version(context.store, dataset.table(SCORES), scores.version, files)
        return {table: graph.apply_threshold(frame, model.threshold, dataset)}

    features = context.store.require_manifest(FEATURES.name, scores.parent_version(FEATURES.name))
    built = build_from_table(
        context,
        "postprocess",
        scores,
        (table,),
        build_frames,
        plan_file=lambda file: plan_next_file("postprocess", dataset, file, model.threshold),
        recipe=_recipe(PREDICTIONS, features, model),
        recipe_of=_recipe_of,
        build_summary=summary_builder(context, features, model, [file.path for file in scores.files]),
    )
    parents = [scores.ref, model_reference(model)]
    return _publish_predictions(context, parents, model, built)[0]


def predict_trips(
    context: RunContext, features: Manifest, model: TrainedModel, champion: TrainedModel | None = None
) -> tuple[PublishedTables, Evaluation]:
    """Publish `predictions` of `features`, and return the published tables and the evaluation.

    One task per partition does infer, postprocess and summarize. The scores of training trips come
    from training, which has already computed them. A champion is evaluated on the same test trips,
    but its predictions are not published.
    """
    checkpoints, dataset = StoreCheckpoints(context.store, context.version), model.encoding.dataset
    context.require_usable_module(dataset)
    table = dataset.table(PREDICTIONS)

    def build_frames(files: list[DataFile]) -> dict[Table, Any]:
        frame = graph.read_version(context.store, model_table(model, champion), features.version, files)
        training_scores = graph.TrainingScores(checkpoints, tuple(file.path for file in files))
        scores = graph.score_features(frame, model, training_scores)
        return {table: graph.apply_threshold(scores, model.threshold, dataset)}

    paths, plan_scores = [file.path for file in features.files], _score_planner(model)
    built = build_from_table(
        context,
        "predict",
        features,
        (table,),
        build_frames,
        plan_file=lambda file: plan_next_file("postprocess", dataset, plan_scores(file), model.threshold),
        recipe=_recipe(PREDICTIONS, features, model),
        recipe_of=_recipe_of,
        build_summary=summary_builder(context, features, model, paths, champion),
        # A model of this run comes with the scores of its training trips.
        shape=f"{_scoring_shape(model, champion)}, {'new' if model.version == context.version else 'reused'}",
    )
    parents = [features.ref, model_reference(model)]
    return _publish_predictions(context, parents, model, built)


def _publish_predictions(
    context: RunContext, parents: list[VersionRef], model: TrainedModel, built: BuiltFiles
) -> tuple[PublishedTables, Evaluation]:
    with context.progress.stage("evaluate", 1) as progress:
        evaluation = evaluate_tallies(built.tallies, model)
        progress.advance()
    config = {"threshold": model.threshold, "split": asdict(model.encoding.split)}
    code = code_digest(chain_of(PREDICTIONS), model.encoding.dataset)
    # Publish the metric histograms first, so that a version with predictions is complete.
    histograms = context.add_table(
        METRIC_HISTOGRAMS, [_write_tallies(context, built.tallies)], config, parents, code=code
    )
    files, metrics = built.files[PREDICTIONS.name], to_json(evaluation.metrics)
    table = model.encoding.dataset.table(PREDICTIONS)
    predictions = context.add_table(table, files, config, parents, code=code, metrics=metrics)
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


def _score_planner(model: TrainedModel) -> Callable[[DataFile], DataFile]:
    """Return a function that describes the scores of a data file of features.

    The split of a trip depends only on the time ranges in the month of its file, so other test
    months do not change the scores of the file.
    """
    encoding = model.encoding.to_json()
    split, dataset = model.encoding.split, model.encoding.dataset
    del encoding["split"]
    fixed = [model.version, hashlib.sha256(model.booster).hexdigest(), encoding]
    return lambda file: plan_file_of_input("infer", dataset, file, [*fixed, split.within(file.key.month)])


def _recipe(table: Table, features: Manifest, model: TrainedModel) -> Recipe:
    planned = [replace(file, input_fingerprint=file.checksum) for file in features.files]
    inputs = inputs_with_split(planned, model.encoding.split)
    return new_recipe(table, model.encoding.dataset, inputs, settings={"model": model.version})


def _recipe_of(scored: Manifest) -> Recipe:
    inputs = inputs_with_split(scored.files, Split.from_json(scored.config["split"]))
    return stored_recipe(scored, inputs, settings={"model": scored.parent_version(MODELS.name)})
