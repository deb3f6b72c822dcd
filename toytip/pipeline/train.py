"""Train a model on encoded features, tune its decision threshold, and publish it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from toytip import cluster
from toytip.core.model import Encoding, TrainedModel
from toytip.core.parameters import BoosterParams
from toytip.core.partitions import DataFile
from toytip.core.tables import ENCODINGS, FEATURES, MODELS
from toytip.core.text import plural
from toytip.engine import compute, graph
from toytip.estimators.parallel import fit_in_parallel
from toytip.evaluation.tally import tally_of
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.fingerprints import code_digest, fingerprint
from toytip.pipeline.incremental import find_reusable, month_names, new_recipe, stored_recipe
from toytip.stages.postprocess import DEFAULT_THRESHOLD, best_f1_threshold
from toytip.store.artifacts import model_to_json, read_model
from toytip.store.changes import Recipe, contents_by_month
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.manifest import Manifest, digest
from toytip.training.rank import RoundEvent, TrainingResult

# Parameters that change the number of rounds, but not the time of a round.
ROUND_PARAMS = ("rounds", "early_stopping_rounds")
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

    With `reuse`, an existing model with the same fingerprint is returned instead, with the test
    months of `encoding`.
    """
    files = [*encodings.files, *_training_files(features, encoding)]
    inputs = [*(file.checksum for file in files), encoding.split.fitted_ranges()]
    input_fingerprint = fingerprint("train", encoding.dataset, inputs, asdict(params))
    existing = (
        _find_model(context, features, encoding, encodings, params, input_fingerprint) if reuse else None
    )
    if existing is not None:
        context.progress.skip("tune", "")
        return {MODELS.name: existing}, read_model(context.store, existing).with_split(encoding.split)
    checkpoints = _open_checkpoints(context, input_fingerprint)
    load_frame = _frame_loader(context, features, encoding)
    fitted = fit_model(context, features.files, load_frame, encoding, params, checkpoints=checkpoints)
    model = TrainedModel(
        version=context.version,
        booster=fitted.booster,
        encoding=encoding,
        rounds=fitted.rounds,
        taxi=str(features.config["taxi"]),
    )
    threshold, group_mean_threshold = _tune_thresholds(context, features, model)
    model = replace(model, threshold=threshold, group_mean_threshold=group_mean_threshold)
    manifest = context.add_table(
        MODELS,
        _write_model(context, model),
        asdict(params),
        [features.ref, encodings.ref],
        code=code_digest("train", encoding.dataset),
        fingerprint=input_fingerprint,
        # The losses of all rounds. The booster contains only the rounds up to the best round.
        metrics={"log_loss_by_round": asdict(fitted.curve)},
    )
    checkpoints.delete()
    return {MODELS.name: manifest}, model


def _find_model(
    context: RunContext,
    features: Manifest,
    encoding: Encoding,
    encodings: Manifest,
    params: BoosterParams,
    input_fingerprint: str,
) -> Manifest | None:
    """Return the newest model with a fingerprint."""
    inputs = contents_by_month(_training_files(features, encoding))

    def recipe_of(manifest: Manifest) -> Recipe:
        table = FEATURES.name
        trained_on = context.store.get_manifest(table, manifest.parent_version(table))
        version = manifest.parent_version(ENCODINGS.name)
        fitted = context.store.get_manifest(ENCODINGS.name, version)
        has_same_encoding = fitted is not None and fitted.fingerprint == encodings.fingerprint
        return stored_recipe(
            manifest,
            contents_by_month(trained_on.files) if trained_on else inputs,
            settings={**manifest.config, "encoding": encodings.version if has_same_encoding else version},
        )

    recipe = new_recipe(
        MODELS, encoding.dataset, inputs, settings={**asdict(params), "encoding": encodings.version}
    )
    return find_reusable(context, "train", MODELS, input_fingerprint, recipe, recipe_of)


def _training_files(features: Manifest, encoding: Encoding) -> list[DataFile]:
    """Return the data files with training or validation trips."""
    return [file for file in features.files if encoding.split.fits_on(file.key.month)]


def _frame_loader(context: RunContext, features: Manifest, encoding: Encoding) -> FrameLoader:
    table = encoding.dataset.feature_table(*encoding.feature_names)
    return lambda files: graph.read_version(context.store, table, features.version, files)


def _open_checkpoints(context: RunContext, input_fingerprint: str) -> StoreCheckpoints:
    """Return the checkpoints of the training with a fingerprint."""
    checkpoints = StoreCheckpoints(context.store, context.version, input_fingerprint)
    if context.settings.full_refresh:
        checkpoints.delete()
    elif checkpoints.load() is not None:
        context.progress.info("train: resumes from the checkpoint of an incomplete run")
    return checkpoints


def fit_model(
    context: RunContext,
    files: Sequence[DataFile],
    load_frame: FrameLoader,
    encoding: Encoding,
    params: BoosterParams,
    stage_name: str = "train",
    checkpoints: StoreCheckpoints | None = None,
) -> TrainingResult:
    """Train on the training trips of data files, with early stopping on validation trips.

    Training resumes from the last checkpoint in `checkpoints`.
    """
    files_by_split = {
        split: [file for file in files if encoding.split.covers(file.key.month, split)]
        for split in encoding.split.time_ranges()
    }
    context.require_usable_module(encoding.dataset)
    params.require_known_constraints(tuple(encoding.dataset.feature_availability))
    rows_by_split = {
        split: graph.select_split(load_frame(split_files), encoding, split)
        for split, split_files in files_by_split.items()
    }
    training = files_by_split["train"]
    if checkpoints:
        checkpoints = replace(checkpoints, paths=tuple(file.path for file in training))
    progress = context.progress.stage(stage_name, params.rounds, unit="rounds")
    with cluster.hold_size(context.client), progress as stage:

        def record_round(event: RoundEvent) -> None:
            stage.record_round(event.round, event.validation_loss, event.previous_train_loss)

        result = fit_in_parallel(
            encoding,
            params,
            rows_by_split["train"],
            rows_by_split.get("validation"),
            rows=[file.rows for file in training],
            checkpoints=checkpoints,
            on_round=record_round,
        )
        stage.set_note(f"{plural(result.rounds, 'round')} kept")
        stage.set_work(sum(file.rows for file in training) * stage.done)
        stage.set_shape(_training_shape(encoding, params))
    return result


def _training_shape(encoding: Encoding, params: BoosterParams) -> str:
    """Return a digest of the features and parameters that change the time of a round."""
    others = {name: value for name, value in asdict(params).items() if name not in ROUND_PARAMS}
    return digest([encoding.feature_names, encoding.segment, others])


def _tune_thresholds(context: RunContext, features: Manifest, model: TrainedModel) -> tuple[float, float]:
    """Return the thresholds of the model and of the group mean with the best F1.

    The thresholds are tuned on validation trips. Without these trips, they have the default.
    """
    split = model.encoding.split
    if split.validation is None:
        return DEFAULT_THRESHOLD, DEFAULT_THRESHOLD
    files = [file for file in features.files if split.covers(file.key.month, "validation")]
    frame = _frame_loader(context, features, model.encoding)(files)
    predictions = graph.apply_threshold(
        graph.score_features(frame, model), DEFAULT_THRESHOLD, model.encoding.dataset
    )
    inputs = graph.SummaryInputs(frame, graph.Summarizer(model.encoding))
    summaries, months = graph.summarize_partitions(predictions, inputs), month_names(files)
    with context.progress.stage("tune", len(files), months) as stage:
        results = compute.compute_partitions(context.client, summaries, stage, months=months)
    merged, segment = graph.merge_tallies(results), model.encoding.segment
    own, group_mean = (tally_of(merged, "validation", segment, name) for name in ("model", "group_mean"))
    return (
        best_f1_threshold(own.negatives, own.positives),
        best_f1_threshold(group_mean.negatives, group_mean.positives),
    )


def _write_model(context: RunContext, model: TrainedModel) -> list[DataFile]:
    metadata_file, booster_file = MODELS.artifact_files
    contents = {booster_file: model.booster, metadata_file: model_to_json(model)}
    return [
        context.store.write_file(MODELS.name, context.version, name, content)
        for name, content in contents.items()
    ]
