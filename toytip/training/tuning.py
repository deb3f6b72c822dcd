"""Hyperparameter search: Optuna proposes trials, and workers run them on time-series folds.

All trials train on one matrix that the workers share.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.model import Encoding
from toytip.core.parameters import BoosterParams
from toytip.core.redact import first_line
from toytip.errors import ConfigError, ToytipError
from toytip.evaluation.metrics import auc
from toytip.evaluation.tally import PROBABILITY_BINS
from toytip.stages import preprocess
from toytip.training.boosting import boost, build_matrix, max_bin, xgboost_params

# Optuna proposes this fixed number of trials at a time, so that the result does not depend on the
# number of workers.
PARALLEL_TRIALS = 4
RANDOM_TRIALS = 10
# No trial is pruned before this many trials are complete. From then on, a trial is pruned if its
# lowest mean log loss so far is higher than the median of the complete trials after the same fold.
UNPRUNED_TRIALS = 5
# Values of the first trial: the defaults, or the nearest value in the search space (for `gamma`).
DEFAULT_PARAMS = {"min_child_weight": 1.0, "reg_lambda": 1.0, "gamma": 1e-8}
SAMPLE_HASH_FACTOR = 0x9E3779B97F4A7C15


@dataclass(frozen=True, eq=False)
class TuningMatrix:
    """The rows for all trials: bin indices, labels, and the number of the month of each row."""

    bin_indices: npt.NDArray[Any]
    label: npt.NDArray[np.bool_]
    month: npt.NDArray[np.int64]
    bin_counts: tuple[int, ...]


class FoldJob(NamedTuple):
    """Parameters to evaluate on a fold. `fold` is the number of the month of the fold."""

    fold: int
    params: dict[str, Any]


class FoldScore(NamedTuple):
    """The scores of one set of parameters on one fold."""

    log_loss: float
    auc: float
    rounds: int


class TrialResult(NamedTuple):
    """A trial: its parameters, and its scores by fold. A pruned trial lacks the later folds."""

    number: int
    params: dict[str, Any]
    fold_scores: list[FoldScore]

    @property
    def log_loss(self) -> float:
        """The mean log loss over the folds."""
        return _mean_log_loss(self.fold_scores)


def _mean_log_loss(scores: list[FoldScore]) -> float:
    return sum(score.log_loss for score in scores) / len(scores)


RunFolds = Callable[[list[FoldJob]], list[FoldScore]]


def tuning_rows(features: pd.DataFrame, encoding: Encoding, share: float) -> tuple[Any, Any, Any]:
    """Return bin indices, labels and month numbers of a share of the rows.

    A hash of the trip ID selects the rows, so the sample does not depend on the partitions.
    """
    sample = features
    if share < 1:
        hashes = features["trip_id"].to_numpy().astype(np.uint64) * np.uint64(SAMPLE_HASH_FACTOR)
        sample = features[(hashes >> np.uint64(11)) < np.uint64(share * 2**53)]
    pickup = sample["pickup_at"].dt
    bin_indices = preprocess.encode(sample.reset_index(drop=True), encoding).to_numpy()
    months = (pickup.year * 12 + pickup.month - 1).to_numpy(np.int64)
    return bin_indices, sample[encoding.dataset.label.name].to_numpy(), months


def run_fold(
    matrix: TuningMatrix, fold: int, params: dict[str, Any], rounds: int, early_stopping_rounds: int
) -> FoldScore:
    """Train on the months before a fold, and score the month of the fold.

    The month of the fold is also used for early stopping.
    """
    is_train, is_fold = matrix.month < fold, matrix.month == fold
    train, validation = (
        build_matrix(
            [(pd.DataFrame(matrix.bin_indices[rows]), matrix.label[rows].astype(np.float32))],
            matrix.bin_counts,
            1,
        )
        for rows in (is_train, is_fold)
    )
    positive_share = float(matrix.label[is_train].mean())
    booster, best = boost(
        train,
        matrix.label[is_train],
        validation,
        xgboost_params(params, max_bin(matrix.bin_counts), positive_share),
        rounds=rounds,
        early_stopping_rounds=early_stopping_rounds,
    )
    probabilities = booster[: best.round].inplace_predict(
        matrix.bin_indices[is_fold], validate_features=False
    )
    return FoldScore(best.loss, _binned_auc(probabilities, matrix.label[is_fold]), best.round)


def _binned_auc(probabilities: npt.NDArray[np.float32], label: npt.NDArray[np.bool_]) -> float:
    """Return the AUC from histograms of the probabilities, or 0.5 if a class is missing."""
    bins = np.minimum((probabilities * PROBABILITY_BINS).astype(np.int64), PROBABILITY_BINS - 1)
    negatives, positives = (
        np.bincount(bins[label == value], minlength=PROBABILITY_BINS) for value in (False, True)
    )
    return auc(negatives, positives) or 0.5


def require_writable_study(file: Path) -> None:
    """Create the folder of a study's file. Raises ToytipError if the file cannot be written."""
    probe = file.with_name(f".{file.name}.probe")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ToytipError(
            f"cannot write the study {file}: {first_line(error)}",
            hint="Set --study to a file in a writable folder.",
        ) from None


@contextlib.contextmanager
def open_study(file: Path, name: str, seed: int) -> Iterator[Any]:
    """Yield the study in a file, which is created if necessary.

    Raises ConfigError if the file exists but is not an Optuna study.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            storage = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}")
            study = optuna.create_study(
                study_name=name,
                storage=storage,
                load_if_exists=True,
                direction="minimize",
                pruner=optuna.pruners.MedianPruner(UNPRUNED_TRIALS),
            )
            # A resumed study must not repeat the random numbers of its earlier trials.
            study.sampler = optuna.samplers.TPESampler(
                seed=seed + len(study.trials), n_startup_trials=RANDOM_TRIALS, constant_liar=True
            )
        except (SQLAlchemyError, RuntimeError) as error:
            cause = str(error).splitlines()[0]
            raise ConfigError(
                f"cannot open the study {file}: it is not an Optuna study ({cause})",
                hint="Set --study to another file.",
            ) from None
        yield study
        storage.engine.dispose()


def run_study(
    study: Any,
    trials: int,
    folds: list[int],
    run_folds: RunFolds,
    on_trial: Callable[[TrialResult], None],
) -> None:
    """Run trials until the number of finished trials in a study is `trials`.

    The first trial of a new study uses toytip's default parameters. `run_folds` evaluates jobs on
    the workers. `on_trial` is called with the result of each trial.
    """
    if not study.trials:
        defaults = BoosterParams()
        tree_params = {"max_depth": defaults.max_depth, "learning_rate": defaults.learning_rate}
        study.enqueue_trial(tree_params | DEFAULT_PARAMS)
    while (remaining := trials - len(finished_trials(study))) > 0:
        for result in _run_batch(study, min(PARALLEL_TRIALS, remaining), folds, run_folds):
            on_trial(result)


def _run_batch(study: Any, size: int, folds: list[int], run_folds: RunFolds) -> list[TrialResult]:
    """Run trials in parallel, one fold after the other. Trials with a high log loss are pruned."""
    from optuna.trial import TrialState

    batch = [study.ask() for _ in range(size)]
    params = {trial.number: suggest_params(trial) for trial in batch}
    scores: dict[int, list[FoldScore]] = {trial.number: [] for trial in batch}
    active = batch
    for step, fold in enumerate(folds):
        fold_scores = run_folds([FoldJob(fold, params[trial.number]) for trial in active])
        for trial, score in zip(active, fold_scores, strict=True):
            scores[trial.number].append(score)
            trial.set_user_attr("scores", scores[trial.number])
            trial.report(_mean_log_loss(scores[trial.number]), step)
        is_last = step + 1 == len(folds)
        pruned = [] if is_last else [trial for trial in active if trial.should_prune()]
        active = [trial for trial in active if trial not in pruned]
        for trial in pruned:
            study.tell(trial, state=TrialState.PRUNED)
    for trial in active:
        study.tell(trial, _mean_log_loss(scores[trial.number]))
    return [TrialResult(trial.number, params[trial.number], scores[trial.number]) for trial in batch]


def suggest_params(trial: Any) -> dict[str, Any]:
    """Propose parameters.

    The parameters do not include row and column sampling, because the model would then depend on
    the number of workers.
    """
    return {
        "max_depth": trial.suggest_int("max_depth", 3, 10),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 200.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.01, 100.0, log=True),
        "gamma": trial.suggest_float("gamma", 1e-8, 10.0, log=True),
    }


def finished_trials(study: Any) -> list[Any]:
    """Return the trials that are complete or pruned, and have scores."""
    return [trial for trial in study.trials if trial.state.is_finished() and "scores" in trial.user_attrs]


def trial_results(study: Any) -> list[TrialResult]:
    """Return the results of a study's finished trials, in the order of their numbers."""
    results = []
    for trial in finished_trials(study):
        scores = [FoldScore(*score) for score in trial.user_attrs["scores"]]
        results.append(TrialResult(trial.number, dict(trial.params), scores))
    return results
