"""Features and a model to predictions."""

from __future__ import annotations

import hashlib
from typing import Any

from toytip.core.jsonable import to_json
from toytip.core.model import TrainedModel
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.tables import FEATURES_TABLE, METRIC_HISTOGRAMS, MODELS, PREDICTIONS, SCORES
from toytip.engine import graph
from toytip.evaluation.tally import Tallies, tallies_to_parquet
from toytip.pipeline import incremental
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.evaluate import Evaluation, evaluate_tallies, model_table, summary_inputs
from toytip.pipeline.identity import code_digest
from toytip.pipeline.incremental import build_from_parts
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.manifest import Manifest, VersionRef
from toytip.store.refs import resolve_version


def infer(context: RunContext, features: Manifest, model: TrainedModel) -> PublishedTables:
    """`features` and the model -> `scores`."""

    def frames(parts: list[DataFile]) -> dict[Table, Any]:
        read = graph.read_version(context.store, model_table(model), features.version, parts)
        return {SCORES: graph.score_features(read, model)}

    written, _ = build_from_parts(context, "infer", features, (SCORES,), frames, _prediction_config(model))
    parents, records = [features.ref, model_parent(model)], written[SCORES.name]
    return {SCORES.name: context.publish(SCORES, records, {}, parents, code=code_digest("infer"))}


def postprocess(context: RunContext, scores: Manifest, model: TrainedModel) -> PublishedTables:
    """`scores` -> `predictions`."""

    def frames(parts: list[DataFile]) -> dict[Table, Any]:
        read = graph.read_version(context.store, SCORES, scores.version, parts)
        return {PREDICTIONS: graph.apply_threshold(read, model.threshold)}

    features = resolve_version(context.store, FEATURES_TABLE.name, scores.parent_version(FEATURES_TABLE.name))
    made = build_from_parts(
        context, "postprocess", scores, (PREDICTIONS,), frames, model.threshold,
        summing=summary_inputs(context, features, model, [part.path for part in scores.files]),
    )  # fmt: skip
    parents = [scores.ref, model_parent(model)]
    return _publish_predictions(context, "postprocess", parents, model, *made)[0]


def predict(
    context: RunContext, features: Manifest, model: TrainedModel, champion: TrainedModel | None = None
) -> tuple[PublishedTables, Evaluation]:
    """`features` and the model -> `predictions`: infer, postprocess and summary in one task a partition.

    What training left of its own rows' scores is taken as it is. A champion is evaluated on the same test rows; nothing
    of it is published.
    """
    keeper = StoreCheckpoints(context.store, context.version)

    def frames(parts: list[DataFile]) -> dict[Table, Any]:
        read = graph.read_version(context.store, model_table(model, champion), features.version, parts)
        known = graph.TrainingScores(keeper, tuple(part.path for part in parts))
        return {PREDICTIONS: graph.apply_threshold(graph.score_features(read, model, known), model.threshold)}

    made = build_from_parts(
        context, "predict", features, (PREDICTIONS,), frames, _prediction_config(model),
        summing=summary_inputs(context, features, model, [part.path for part in features.files], champion),
    )  # fmt: skip
    return _publish_predictions(context, "predict", [features.ref, model_parent(model)], model, *made)


def _publish_predictions(
    context: RunContext,
    stage: str,
    parents: list[VersionRef],
    model: TrainedModel,
    written: incremental.RecordsByTable,
    summary: Tallies,
) -> tuple[PublishedTables, Evaluation]:
    with context.progress.stage("evaluate", 1) as shown:
        found = evaluate_tallies(summary, model)
        shown.advance()
    config, code = {"threshold": model.threshold}, code_digest(stage)
    # The tallies first: where predictions are, a run is whole. What a champion said beside is no part of the version.
    own = {cell: tally for cell, tally in summary.items() if cell.predictor != "champion"}
    record = context.store.write_file(
        METRIC_HISTOGRAMS.name, context.version, METRIC_HISTOGRAMS.artifact_files[0], tallies_to_parquet(own)
    )
    tallies = context.publish(METRIC_HISTOGRAMS, [record], config, parents, code=code)
    manifest = context.publish(
        PREDICTIONS, written[PREDICTIONS.name], config, parents, code=code, metrics=to_json(found.metrics)
    )
    return {METRIC_HISTOGRAMS.name: tallies, PREDICTIONS.name: manifest}, found


def model_parent(model: TrainedModel) -> VersionRef:
    """Return the reference by which a manifest names the model as its parent."""
    return VersionRef(MODELS.name, model.version)


def _prediction_config(model: TrainedModel) -> list[Any]:
    """Return what of a model decides its predictions."""
    return [
        model.version,
        hashlib.sha256(model.booster).hexdigest(),
        model.threshold,
        model.encoding.to_json(),
    ]
