"""Hyperparameter search: trials on time-series folds, which run on all workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from toytip.cluster import workers_by_address
from toytip.config import Settings
from toytip.core.model import Encoding
from toytip.core.months import Month
from toytip.core.parameters import BoosterParams
from toytip.core.partitions import DataFile
from toytip.core.redact import first_line
from toytip.core.splits import Split, overlaps, plan_split, split_names
from toytip.core.tables import FEATURES
from toytip.core.text import plural
from toytip.engine import compute, graph
from toytip.errors import ConfigError, PlanError, ToytipError
from toytip.pipeline.context import RunContext
from toytip.pipeline.fingerprints import code_digest, package_versions
from toytip.pipeline.fit_encoding import count_training_values, split_features
from toytip.pipeline.plan import booster_params
from toytip.pipeline.startup.project import dataset_of_features
from toytip.progress.tracker import StageProgress
from toytip.stages import preprocess
from toytip.store.manifest import Manifest, digest
from toytip.store.store import Store
from toytip.training import tuning
from toytip.training.tuning import FoldJob, FoldScore, TrialResult, TuningMatrix

# Memory of a worker for the matrix, the copy in XGBoost and the bin indexes, as a multiple of the
# size of the matrix.
MATRIX_COPIES = 4
BIN_INDEX_BYTES = 2
# Largest share of a worker's memory that a matrix and its copies may need.
MAX_MATRIX_MEMORY_SHARE = 0.5
# The final model has more training months than the folds, and may therefore need more rounds.
ROUNDS_FACTOR = 1.2
SAMPLE_HASH_FACTOR = 0x9E3779B97F4A7C15


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """The trials of a study."""

    best: TrialResult
    """Trial with the lowest mean log loss."""
    default: TrialResult
    """Trial with the default parameters."""
    trials: list[TrialResult]
    """All trials, in order."""
    fold_months: list[str]
    """Test month of each fold."""
    rows: int
    """Number of rows that each trial uses, for training and testing together."""
    resumed_trials: int
    """Number of trials that the study already had."""
    max_rounds: int
    """Maximum number of rounds of each trial."""
    max_rounds_trials: list[TrialResult]
    """Trials in which the training of a fold ended at the maximum number of rounds."""


class TimeFolds(NamedTuple):
    """The test months of the folds, and the training months before the first test month."""

    training_months: tuple[Month, ...]
    fold_months: tuple[Month, ...]

    @property
    def months(self) -> tuple[Month, ...]:
        """All months, in order."""
        return (*self.training_months, *self.fold_months)


def make_time_folds(months: Sequence[Month], split: Split, count: int) -> TimeFolds:
    """Return folds on the last `count` of the training and validation months, without test months.

    Raises ConfigError if there are too few months.
    """
    ranges = [span for name, span in split.time_ranges().items() if name != "test"]
    usable = tuple(
        month
        for month in months
        if not overlaps(month, split.test) and any(overlaps(month, span) for span in ranges)
    )
    if len(usable) <= count:
        raise ConfigError(
            f"cannot make {plural(count, 'fold')}: the training and validation periods have only {plural(len(usable), 'month')}, "
            "and the first fold needs an earlier month for training",
            hint="Set fewer --folds, or read more months.",
        )
    return TimeFolds(usable[:-count], usable[-count:])


def tune(
    context: RunContext,
    features: Manifest,
    *,
    trials: int,
    folds: int,
    max_rows: int,
    study: str | None,
    seed: int,
) -> TuningResult:
    """Search for the parameters with the lowest mean log loss over the folds.

    Raises ConfigError if there are too few months, ToytipError if the study cannot be written, and
    PlanError if the workers do not have enough memory.
    """
    settings, split = context.settings, split_features(context.settings, features)
    dataset = dataset_of_features(settings, features)
    names = (*dataset.feature_set(settings.feature_set), *dataset.target_rate_set(settings.feature_set))
    booster_params(settings).require_known_constraints(names)
    months = tuple(dict.fromkeys(file.key.month for file in features.files))
    time_folds = make_time_folds(months, split, folds)
    name = _study_name(context.settings, features, split, folds, max_rows)
    file = Path(study) if study else _default_study_file(context.store, name)
    tuning.require_writable_study(file)  # before the work, not after it
    matrix = _training_matrix(context, features, time_folds, max_rows)
    with tuning.open_study(file, name, seed) as open_study:
        resumed_trials = len(tuning.finished_trials(open_study))
        if resumed_trials:
            context.progress.info(f"resuming study {file}, which has {plural(resumed_trials, 'trial')}")
        _run_study(context, open_study, time_folds, matrix, trials, resumed_trials)
        results = tuning.trial_results(open_study)
    complete = [trial for trial in results if len(trial.fold_scores) == folds]
    return TuningResult(
        best=min(complete, key=lambda trial: trial.log_loss),
        default=results[0],
        trials=results,
        fold_months=[str(month) for month in time_folds.fold_months],
        rows=len(matrix.label),
        resumed_trials=resumed_trials,
        max_rounds=context.settings.rounds,
        max_rounds_trials=[trial for trial in results if reached_max_rounds(trial, context.settings)],
    )


def reached_max_rounds(trial: TrialResult, settings: Settings) -> bool:
    """Return whether the training of a fold ended at the maximum number of rounds.

    Early stopping ends the training a fixed number of rounds after the best round.
    """
    patience = max(settings.early_stopping_rounds, 1)
    return any(score.rounds + patience > settings.rounds for score in trial.fold_scores)


def _run_study(
    context: RunContext,
    study: Any,
    time_folds: TimeFolds,
    matrix: TuningMatrix,
    trials: int,
    resumed_trials: int,
) -> None:
    """Run trials until a study has `trials` trials."""
    numbers = [month.year * 12 + month.month - 1 for month in time_folds.fold_months]
    with context.progress.stage("tune", trials) as stage:
        if resumed_trials:
            stage.advance(steps=min(resumed_trials, trials))
        show_trial = _trial_display(stage, len(numbers))
        base, run_folds = booster_params(context.settings), _fold_runner(context, matrix)
        tuning.run_study(study, trials, numbers, base, run_folds, show_trial)


def _fold_runner(context: RunContext, matrix: TuningMatrix) -> Callable[[list[FoldJob]], list[FoldScore]]:
    """Return a function that runs folds on the workers, which share one matrix."""
    client = context.client
    shared = client.scatter(matrix, broadcast=True)

    def run_folds(jobs: list[FoldJob]) -> list[FoldScore]:
        futures = [client.submit(tuning.run_fold, shared, *job, pure=False) for job in jobs]
        return list(client.gather(futures))

    return run_folds


def _trial_display(stage: StageProgress, folds: int) -> Callable[[TrialResult], None]:
    """Return a function that shows the lowest log loss of the complete trials."""
    losses: list[float] = []

    def show(trial: TrialResult) -> None:
        if len(trial.fold_scores) == folds:
            losses.append(trial.log_loss)
        stage.advance(note=f"best log loss {min(losses):.5f}" if losses else "")

    return show


def _training_matrix(
    context: RunContext, features: Manifest, time_folds: TimeFolds, max_rows: int
) -> TuningMatrix:
    """Return about `max_rows` rows or fewer, in bins of the months before the first fold."""
    encoding = _fit_fold_encoding(context, features, time_folds)
    files = [file for file in features.files if file.key.month in time_folds.months]
    rows = sum(file.rows for file in files)
    share = min(1.0, max_rows / max(rows, 1))
    if share < 1:
        context.progress.info(f"trials use about {max_rows:,} of {rows:,} rows (--max-rows)")
    _require_enough_memory(context, share * rows * len(encoding.feature_names))
    frame = graph.read_version(context.store, encoding.dataset.table(FEATURES), features.version, files)
    with context.progress.stage("read", len(files)) as stage:
        samples = compute.map_partitions(
            context.client, frame, _sample_rows, encoding, share, context.settings.segment, stage=stage
        )
    bin_indices, label, month, row_ids = map(np.concatenate, zip(*samples, strict=True))
    return TuningMatrix(encoding.feature_names, encoding.bin_counts, bin_indices, label, month, row_ids)


def _require_enough_memory(context: RunContext, values: float) -> None:
    """Raise PlanError if a worker does not have enough memory for a matrix of `values` values."""
    needed = values * BIN_INDEX_BYTES * MATRIX_COPIES
    workers = workers_by_address(context.client).values()
    limits = [worker.memory_limit for worker in workers if worker.memory_limit]
    if limits and needed > MAX_MATRIX_MEMORY_SHARE * min(limits):
        raise PlanError(
            f"cannot tune with these workers: each needs about {needed / 1e6:,.0f} MB "
            f"and has {min(limits) / 1e6:,.0f} MB, of which {100 * MAX_MATRIX_MEMORY_SHARE:.0f} % are usable",
            hint="Try a smaller --max-rows, or fewer --workers.",
        )


def _sample_rows(features: Any, encoding: Encoding, share: float, segment: str) -> Any:
    inside = split_names(features, encoding.split, segment, encoding.dataset) != "other"
    return sample_rows(features[inside], encoding, share)


def sample_rows(features: pd.DataFrame, encoding: Encoding, share: float) -> tuple[Any, Any, Any, Any]:
    """Return bin indices, labels, month numbers and trip IDs of a share of the rows.

    A hash of the trip ID selects the rows, so the sample does not depend on the partitions.
    """
    sample = features
    if share < 1:
        hashes = features["trip_id"].to_numpy().astype(np.uint64) * np.uint64(SAMPLE_HASH_FACTOR)
        sample = features[(hashes >> np.uint64(11)) < np.uint64(share * 2**53)]
    time = sample[encoding.dataset.time_column].dt
    bin_indices = preprocess.encode(sample.reset_index(drop=True), encoding).to_numpy()
    months = (time.year * 12 + time.month - 1).to_numpy(np.int64)
    return bin_indices, sample[encoding.dataset.label.name].to_numpy(), months, sample["trip_id"].to_numpy()


def _fit_fold_encoding(context: RunContext, features: Manifest, time_folds: TimeFolds) -> Encoding:
    """Fit the encoding on the months before the first fold."""
    settings, (training, folds) = context.settings, time_folds
    dataset = dataset_of_features(context.settings, features)
    names = dataset.feature_set(settings.feature_set)
    split = plan_split(time_folds.months, f"{training[0]}:{training[-1]}", "none", f"{folds[0]}:{folds[-1]}")
    files: list[DataFile] = [file for file in features.files if file.key.month in training]
    frame = graph.read_version(context.store, dataset.table(FEATURES), features.version, files)
    counts = count_training_values(context, frame, files, names, split, dataset)
    rate_names = dataset.target_rate_set(settings.feature_set)
    return preprocess.fit_encoding(counts, split, settings.segment, dataset, rate_names, settings.max_bin)


def _study_name(settings: Settings, features: Manifest, split: Split, folds: int, rows: int) -> str:
    """Return the digest of the data, code and settings on which trials depend."""
    dataset = dataset_of_features(settings, features)
    return digest(
        {
            "files": [file.checksum for file in features.files],
            "code": code_digest("train", dataset),
            "packages": package_versions(),
            "split": asdict(split),
            "folds": folds,
            "rows": rows,
            "feature_set": dataset.feature_set_name(settings.feature_set),
            "segment": settings.segment,
            "params": asdict(booster_params(settings)),
        }
    )


def _default_study_file(store: Store, name: str) -> Path:
    """Return a file in a local store. For an object store, return a file in the current folder."""
    return store.file_io.local_path(store.layout.study(name)) or Path(f"toytip-study-{name}.db")


def _limit_comment(result: TuningResult) -> str:
    return f"# The training ended at the maximum of {plural(result.max_rounds, 'round')}. More rounds may be better."


def write_params_file(result: TuningResult, path: Path, features: Manifest, base: BoosterParams) -> None:
    """Write the best parameters to a file for `--params`.

    `base` has the parameters that are the same in all trials. Raises ToytipError if the file cannot
    be written.
    """
    scores = result.best.fold_scores
    rounds = round(sum(score.rounds for score in scores) / len(scores) * ROUNDS_FACTOR)
    defaults = asdict(BoosterParams())
    fixed = {name: value for name, value in asdict(base).items() if value != defaults[name]}
    early_stopping = {"early_stopping_rounds": base.early_stopping_rounds}
    params = {**fixed, **early_stopping, **result.best.params, "rounds": max(rounds, 1)}
    lines = [
        f"# Best of {plural(len(result.trials), 'trial')} on features {features.version}.",
        f"# Mean log loss of the folds ({', '.join(result.fold_months)}): {result.best.log_loss:.5f}",
        f"# with these parameters, {result.default.log_loss:.5f} with the default parameters.",
        "# `rounds` is the mean number of rounds of the folds plus 20 %, because the final model has",
        "# more training months.",
        *([_limit_comment(result)] if result.best in result.max_rounds_trials else []),
        *(f"{name} = {value!r}" for name, value in params.items()),
    ]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ToytipError(
            f"cannot write the parameters to {path}: {first_line(error)}",
            hint="Set --output to a file in a writable folder.",
        ) from None
