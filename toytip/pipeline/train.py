"""Features and an encoding to a model, with its decision threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from toytip import cluster
from toytip.core.model import Encoding, TrainedModel
from toytip.core.parameters import BoosterParams
from toytip.core.partitions import DataFile
from toytip.core.splits import overlaps
from toytip.core.tables import MODELS
from toytip.engine import compute, graph
from toytip.evaluation.tally import tally_of
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.fingerprints import code_digest, fingerprint
from toytip.pipeline.incremental import find_reusable, month_names
from toytip.stages.featurize import feature_table
from toytip.stages.postprocess import DEFAULT_THRESHOLD, best_f1_threshold
from toytip.store.artifacts import model_to_json, read_model
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.manifest import Manifest, VersionRef
from toytip.training.estimator import TipClassifier
from toytip.training.rank import RoundEvent

# Returns lazy features of data files.
FrameLoader = Callable[[list[DataFile]], Any]


def train_model(
    context: RunContext,
    features: Manifest,
    encoding: Encoding,
    encodings: Manifest,
    params: BoosterParams,
    *,
    reuse: bool = False,
) -> tuple[PublishedTables, TrainedModel]:
    """Publish a model of `features`, with the threshold tuned on the validation trips.

    With `reuse`, a model with the same fingerprint is returned instead.
    """
    inputs = [*encodings.files, *_training_files(features, encoding)]
    input_fingerprint = fingerprint("train", [file.checksum for file in inputs], asdict(params))
    existing = find_reusable(context, "train", MODELS.name, input_fingerprint) if reuse else None
    if existing is not None:
        context.progress.skip("tune", "")
        return {MODELS.name: existing}, read_model(context.store, existing)
    checkpoints = _open_checkpoints(context, input_fingerprint)
    load_frame = _frame_loader(context, features, encoding)
    fitted = fit_classifier(context, features.files, load_frame, encoding, params, checkpoints=checkpoints)
    model = TrainedModel(
        version=context.version,
        booster=fitted.booster_,
        encoding=encoding,
        rounds=fitted.rounds_,
        taxi=str(features.config["taxi"]),
    )
    model = replace(model, threshold=_tune_threshold(context, features, model))
    parents = [features.ref, encodings.ref]
    # The losses of all rounds: the booster has only those up to the best one.
    losses = {"log_loss_by_round": asdict(fitted.curve_)}
    published = _publish_model(context, model, params, parents, input_fingerprint, losses)
    checkpoints.delete()
    return published, model


def _training_files(features: Manifest, encoding: Encoding) -> list[DataFile]:
    """Return the data files with training or validation trips."""
    ranges = [span for name, span in encoding.split.time_ranges().items() if name != "test"]
    return [file for file in features.files if any(overlaps(file.key.month, span) for span in ranges)]


def _frame_loader(context: RunContext, features: Manifest, encoding: Encoding) -> FrameLoader:
    table = feature_table(encoding.feature_names)
    return lambda files: graph.read_version(context.store, table, features.version, files)


def _open_checkpoints(context: RunContext, input_fingerprint: str) -> StoreCheckpoints:
    """Return the checkpoints of the training with that fingerprint."""
    checkpoints = StoreCheckpoints(context.store, context.version, input_fingerprint)
    if context.settings.full_refresh:
        checkpoints.delete()
    elif checkpoints.load() is not None:
        context.progress.info("train: resumes from the checkpoint of an incomplete run")
    return checkpoints


def fit_classifier(
    context: RunContext,
    files: Sequence[DataFile],
    load_frame: FrameLoader,
    encoding: Encoding,
    params: BoosterParams,
    stage_name: str = "train",
    checkpoints: StoreCheckpoints | None = None,
) -> TipClassifier:
    """Train on the training trips of data files; early stopping uses their validation trips.

    Training resumes from the last of the `checkpoints`.
    """
    files_by_split, matrices = {}, {}
    for split, span in encoding.split.time_ranges().items():
        files_by_split[split] = [file for file in files if overlaps(file.key.month, span)]
        matrices[split] = graph.encode_split(load_frame(files_by_split[split]), encoding, split)
    training, validation = files_by_split["train"], matrices.get("validation")
    if checkpoints:
        checkpoints = replace(checkpoints, paths=tuple(file.path for file in training))
    stage = context.progress.stage(stage_name, params.rounds, unit="rounds")
    with cluster.hold_size(context.client), stage as progress:

        def record_round(event: RoundEvent) -> None:
            progress.record_round(event.round, event.validation_loss, event.previous_train_loss)

        classifier = TipClassifier(**asdict(params), on_round=record_round)
        classifier.fit(
            *_codes_and_labels(matrices["train"]),
            eval_set=None if validation is None else _codes_and_labels(validation),
            rows=[file.rows for file in training],
            bin_counts=encoding.bin_counts,
            checkpoints=checkpoints,
        )
        progress.set_note(f"{classifier.rounds_} rounds kept")
        progress.set_work(sum(file.rows for file in training) * progress.done)
    return classifier


def _codes_and_labels(matrix: Any) -> tuple[Any, Any]:
    return matrix.drop(columns="high_tip"), matrix["high_tip"]


def _tune_threshold(context: RunContext, features: Manifest, model: TrainedModel) -> float:
    """Return the threshold with the best F1 on the validation trips, or the default without any."""
    span = model.encoding.split.validation
    if span is None:
        return DEFAULT_THRESHOLD
    files = [file for file in features.files if overlaps(file.key.month, span)]
    frame = _frame_loader(context, features, model.encoding)(files)
    predictions = graph.apply_threshold(graph.score_features(frame, model), DEFAULT_THRESHOLD)
    inputs = graph.SummaryInputs(frame, graph.Summarizer(model.encoding))
    summaries, months = graph.summarize_partitions(predictions, inputs), month_names(files)
    with context.progress.stage("tune", len(files), months) as stage:
        results = compute.compute_partitions(context.client, summaries, stage, months=months)
    tally = tally_of(graph.merge_tallies(results), "validation", model.encoding.segment)
    return best_f1_threshold(tally.negatives, tally.positives)


def _publish_model(
    context: RunContext,
    model: TrainedModel,
    params: BoosterParams,
    parents: list[VersionRef],
    input_fingerprint: str,
    metrics: dict[str, Any],
) -> PublishedTables:
    metadata_file, booster_file = MODELS.artifact_files
    contents = {booster_file: model.booster, metadata_file: model_to_json(model)}
    store, version = context.store, context.version
    manifest = context.publish(
        MODELS,
        [store.write_file(MODELS.name, version, name, content) for name, content in contents.items()],
        asdict(params),
        parents,
        code=code_digest("train"),
        fingerprint=input_fingerprint,
        metrics=metrics,
    )
    return {MODELS.name: manifest}
