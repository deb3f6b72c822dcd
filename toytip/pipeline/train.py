"""The stages that learn: `features` to an encoding, and both to a model. What was learned from the very same is reused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any

from toytip import cluster
from toytip.config import Settings
from toytip.core.model import Encoding, TrainedModel
from toytip.core.parameters import BoosterParams
from toytip.core.partitions import DataFile
from toytip.core.splits import overlaps
from toytip.core.tables import MODELS
from toytip.engine import compute, graph
from toytip.evaluation.tally import tally_of
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.identity import code_digest, fingerprint
from toytip.pipeline.incremental import find_reusable, month_names
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.store import artifacts
from toytip.store.artifacts import read_model
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.manifest import Manifest, VersionRef
from toytip.training import estimator as training
from toytip.training.rank import RoundEvent


def train(
    context: RunContext,
    features: Manifest,
    encoding: Encoding,
    encoding_manifest: Manifest,
    *,
    reuse: bool = False,
) -> tuple[PublishedTables, TrainedModel]:
    """`features` and the encoding -> the model, with the threshold tuned on the validation rows.

    With `reuse`, a model that was trained on the very same, by the same code, is taken instead.
    """
    settings = context.settings
    params = params_from_settings(settings)
    learned = [span for name, span in encoding.split.time_ranges().items() if name != "test"]
    records = [r for r in features.files if any(overlaps(r.key.month, span) for span in learned)]
    made_from = fingerprint(
        "train", [part.checksum for part in (*encoding_manifest.files, *records)], asdict(params)
    )
    there = find_reusable(context, "train", MODELS.name, made_from) if reuse else None
    if there is not None:
        context.progress.skip("tune", "")
        return {MODELS.name: there}, read_model(context.store, there)

    def frame_of(parts: list[DataFile]) -> Any:
        return graph.read_version(
            context.store, features_of.feature_table(encoding.feature_names), features.version, parts
        )

    keeper = StoreCheckpoints(context.store, context.version, made_from)
    if settings.full_refresh:
        keeper.delete()
    elif keeper.load() is not None:
        context.progress.info("train: goes on from the checkpoint of a run that was not finished")
    fitted = fit_classifier(context, list(features.files), frame_of, encoding, params, checkpoints=keeper)
    model = TrainedModel(
        version=context.version,
        booster=fitted.booster_,
        encoding=encoding,
        rounds=fitted.rounds_,
        taxi=str(features.config["taxi"]),
    )
    model = replace(model, threshold=_tune_threshold(context, features, model))
    # What every round brought: of the booster itself, only the best ones are left.
    metrics = {"log_loss_by_round": asdict(fitted.curve_)}
    published = _publish_model(
        context,
        model,
        params,
        [features.ref, encoding_manifest.ref],
        made_from,
        metrics,
    )
    keeper.delete()
    return published, model


def params_from_settings(settings: Settings) -> BoosterParams:
    """Return what the settings say of the booster."""
    return BoosterParams(**{each.name: getattr(settings, each.name) for each in fields(BoosterParams)})


def fit_classifier(
    context: RunContext,
    parts: list[DataFile],
    frame_of: Callable[[list[DataFile]], Any],
    encoding: Encoding,
    params: BoosterParams,
    stage_name: str = "train",
    checkpoints: StoreCheckpoints | None = None,
) -> training.TipClassifier:
    """Train on the training rows of parts, and stop by their validation rows; `frame_of` gives lazy features of parts.

    What the `checkpoints` has of it, an earlier run may have left.
    """
    matrices = {}
    for name, span in encoding.split.time_ranges().items():
        records = [record for record in parts if overlaps(record.key.month, span)]
        matrices[name] = graph.encode_split(frame_of(records), encoding, name), records
    matrix, records = matrices["train"]
    with (
        cluster.hold_size(context.client),
        context.progress.stage(stage_name, params.rounds, unit="rounds") as stage,
    ):
        context.progress.curve.clear()

        def record_round(event: RoundEvent) -> None:
            stage.record_round(event.round, event.validation_loss, event.previous_train_loss)

        classifier = training.TipClassifier(**asdict(params), on_round=record_round)
        validation = matrices.get("validation")
        classifier.fit(
            matrix.drop(columns="high_tip"),
            matrix["high_tip"],
            eval_set=None
            if validation is None
            else (validation[0].drop(columns="high_tip"), validation[0]["high_tip"]),
            rows=[record.rows for record in records],
            bin_counts=encoding.bin_counts,
            checkpoints=checkpoints and replace(checkpoints, paths=tuple(record.path for record in records)),
        )
        stage.note = f"{classifier.rounds_} rounds kept"
        stage.work = sum(record.rows for record in records) * stage.done
    return classifier


def _tune_threshold(context: RunContext, features: Manifest, model: TrainedModel) -> float:
    """Return the threshold with the best F1 on the validation rows; the default where there are none."""
    span = model.encoding.split.validation
    if span is None:
        return decisions.DEFAULT_THRESHOLD
    records = [record for record in features.files if overlaps(record.key.month, span)]
    table = features_of.feature_table(model.encoding.feature_names)
    frame = graph.read_version(context.store, table, features.version, records)
    decided = graph.apply_threshold(graph.score_features(frame, model), decisions.DEFAULT_THRESHOLD)
    summing = graph.SummaryInputs(frame, graph.Summarizer(model.encoding))
    of = month_names(records)
    with context.progress.stage("tune", len(records), of) as stage:
        done = compute.compute_partitions(
            context.client, graph.summarize_partitions(decided, summing), stage, months=of
        )
    tally = tally_of(graph.merge_tallies(done), "validation", model.encoding.segment)
    return decisions.best_f1_threshold(tally.negatives, tally.positives)


def _publish_model(
    context: RunContext,
    model: TrainedModel,
    params: BoosterParams,
    parents: list[VersionRef],
    made_from: str,
    told: dict[str, Any],
) -> PublishedTables:
    metadata_file, booster_file = MODELS.artifact_files
    contents = {booster_file: model.booster, metadata_file: artifacts.model_to_json(model)}
    records = [
        context.store.write_file(MODELS.name, context.version, name, content)
        for name, content in contents.items()
    ]
    manifest = context.publish(
        MODELS,
        records,
        asdict(params),
        parents,
        code=code_digest("train"),
        fingerprint=made_from,
        metrics=told,
    )
    return {MODELS.name: manifest}
