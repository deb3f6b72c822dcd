"""Tuning: trials of parameters on blocks of time, proposed by Optuna, run on the workers on one matrix that all share."""

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
from toytip.errors import ConfigError
from toytip.evaluation.metrics import auc
from toytip.evaluation.tally import PROBABILITY_BINS
from toytip.stages import preprocess
from toytip.training.boosting import boost, build_matrix, max_bin, xgboost_params

# Trials are proposed so many at a time whatever the number of workers, so that it does not show in what is found.
PARALLEL_TRIALS = 4
RANDOM_TRIALS = 10
# A trial is dropped when it is worse than the median after a block; not before so many have gone through.
UNPRUNED_TRIALS = 5


@dataclass(frozen=True, eq=False)
class TuningMatrix:
    """The rows that are learned from: codes, labels, and the number of each row's month."""

    bin_indices: npt.NDArray[Any]
    label: npt.NDArray[np.bool_]
    month: npt.NDArray[np.int64]
    bin_counts: tuple[int, ...]


class FoldScore(NamedTuple):
    """How parameters did on a block of time."""

    log_loss: float
    auc: float
    rounds: int


class TrialResult(NamedTuple):
    """A trial: its parameters, and how it did on each block; fewer than all where it was dropped."""

    number: int
    params: dict[str, Any]
    fold_scores: list[FoldScore]

    @property
    def log_loss(self) -> float:
        """The mean over the blocks."""
        return sum(score.log_loss for score in self.fold_scores) / len(self.fold_scores)


def tuning_rows(features: pd.DataFrame, encoding: Encoding, share: float) -> tuple[Any, Any, Any]:
    """Return codes, labels and months of a part's rows; of many, a share, chosen by a hash of the trip's id."""
    chosen = features
    if share < 1:
        mixed = features["trip_id"].to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        chosen = features[(mixed >> np.uint64(11)) < np.uint64(share * 2**53)]
    pickup = chosen["pickup_at"].dt
    codes = preprocess.encode(chosen.reset_index(drop=True), encoding).to_numpy()
    return codes, chosen["high_tip"].to_numpy(), (pickup.year * 12 + pickup.month - 1).to_numpy(np.int64)


def run_fold(
    matrix: TuningMatrix, fold: int, params: dict[str, Any], rounds: int, early_stopping_rounds: int
) -> FoldScore:
    """Train on the months before a block (a month), stop by it, and measure on it."""
    before, inside = matrix.month < fold, matrix.month == fold
    train, valid = (
        build_matrix(
            [(pd.DataFrame(matrix.bin_indices[rows]), matrix.label[rows].astype(np.float32))],
            matrix.bin_counts,
            1,
        )
        for rows in (before, inside)
    )
    positive = float(matrix.label[before].mean())
    booster, best = boost(
        train, matrix.label[before], valid, xgboost_params(params, max_bin(matrix.bin_counts), positive),
        rounds=rounds, early_stopping_rounds=early_stopping_rounds,
    )  # fmt: skip
    chance = booster[: best.round].inplace_predict(matrix.bin_indices[inside], validate_features=False)
    place = np.minimum((chance * PROBABILITY_BINS).astype(np.int64), PROBABILITY_BINS - 1)
    sides = [np.bincount(place[matrix.label[inside] == y], minlength=PROBABILITY_BINS) for y in (False, True)]
    return FoldScore(best.loss, auc(*sides) or 0.5, best.round)


def require_writable_study(file: Path) -> None:
    """Make the folder of a study's file. Raises ConfigError where nothing can be written there."""
    probe = file.with_name(f".{file.name}.probe")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ConfigError(
            f"the study {file} cannot be written: {reason}; say with --study where to"
        ) from None


@contextlib.contextmanager
def open_study(file: Path, name: str, seed: int) -> Iterator[Any]:
    """Yield the study that a file keeps, to go on with, or a new one. Raises ConfigError where the file is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            storage = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}")
            study = optuna.create_study(
                study_name=name, storage=storage, load_if_exists=True, direction="minimize",
                pruner=optuna.pruners.MedianPruner(UNPRUNED_TRIALS),
            )  # fmt: skip
            # A study that goes on must not draw again what it has drawn before.
            study.sampler = optuna.samplers.TPESampler(
                seed=seed + len(study.trials), n_startup_trials=RANDOM_TRIALS, constant_liar=True
            )
        except (SQLAlchemyError, RuntimeError) as error:
            raise ConfigError(f"--study {file}: no study of Optuna: {str(error).splitlines()[0]}") from None
        yield study
        storage.engine.dispose()


def run_study(
    study: Any,
    trials: int,
    folds: list[int],
    run_folds: Callable[[list[tuple[int, dict[str, Any]]]], list[FoldScore]],
    on_trial: Callable[[TrialResult], None],
) -> None:
    """Try out parameters until a study has so many trials; the first are toytip's defaults.

    `run_folds` answers jobs, each a block and parameters; `on_trial` is told of each trial.
    """
    from optuna.trial import TrialState

    if not study.trials:
        default = BoosterParams()
        study.enqueue_trial(
            {name: getattr(default, name) for name in ("max_depth", "learning_rate")} | DEFAULT_PARAMS
        )
    while (left := trials - len(finished_trials(study))) > 0:
        batch = [study.ask() for _ in range(min(PARALLEL_TRIALS, left))]
        given = {trial.number: suggest_params(trial) for trial in batch}
        scores: dict[int, list[FoldScore]] = {trial.number: [] for trial in batch}
        alive = batch
        for step, block in enumerate(folds):
            for trial, score in zip(alive, run_folds([(block, given[t.number]) for t in alive]), strict=True):
                scores[trial.number].append(score)
                trial.set_user_attr("scores", scores[trial.number])
                trial.report(TrialResult(0, {}, scores[trial.number]).log_loss, step)
            dropped = [trial for trial in alive if step + 1 < len(folds) and trial.should_prune()]
            alive = [trial for trial in alive if trial not in dropped]
            for trial in dropped:
                study.tell(trial, state=TrialState.PRUNED)
        for trial in alive:
            study.tell(trial, TrialResult(0, {}, scores[trial.number]).log_loss)
        for trial in batch:
            on_trial(TrialResult(trial.number, given[trial.number], scores[trial.number]))


# Of the space's parameters those whose defaults XGBoost has at its edge: as near as the space goes.
DEFAULT_PARAMS = {"min_child_weight": 1.0, "reg_lambda": 1.0, "gamma": 1e-8}


def suggest_params(trial: Any) -> dict[str, Any]:
    """Propose parameters. No rows or columns are drawn at random: the model would depend on the workers."""
    return {
        "max_depth": trial.suggest_int("max_depth", 3, 10),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 200.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.01, 100.0, log=True),
        "gamma": trial.suggest_float("gamma", 1e-8, 10.0, log=True),
    }


def finished_trials(study: Any) -> list[Any]:
    """Return the trials that came to an end, whole or dropped."""
    return [trial for trial in study.trials if trial.state.is_finished() and "scores" in trial.user_attrs]


def trial_results(study: Any) -> list[TrialResult]:
    """Return what a study has found so far, in order."""
    return [
        TrialResult(
            trial.number, dict(trial.params), [FoldScore(*score) for score in trial.user_attrs["scores"]]
        )
        for trial in finished_trials(study)
    ]
