"""Hyperparameter search: Optuna proposes trials, and workers run them on time-series folds.

All trials train on one matrix that the workers share.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.parameters import BoosterParams
from toytip.core.redact import first_line
from toytip.errors import ConfigError, ToytipError
from toytip.evaluation.metrics import auc
from toytip.evaluation.tally import PROBABILITY_BINS
from toytip.training.local import train_rows
from toytip.training.matrix import build_matrix
from toytip.training.rows import TrainingRows
from toytip.training.spec import TrainingSpec

# Optuna proposes this fixed number of trials at a time, so that the result does not depend on the
# number of workers.
PARALLEL_TRIALS = 4
RANDOM_TRIALS = 10
# No trial is pruned before this many trials are complete. From then on, a trial is pruned if its
# lowest mean log loss so far is higher than the median of the complete trials after the same fold.
UNPRUNED_TRIALS = 5


class SearchRange(NamedTuple):
    """The lowest and highest value of a parameter. A logarithmic scale cannot begin with 0."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: Any, name: str) -> Any:
        """Let a trial propose a value."""
        if isinstance(self.low, int):
            return trial.suggest_int(name, self.low, self.high)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


# The study does not search for `scale_pos_weight`, which moves the probabilities away from the
# shares of positive labels, and for `max_bin`, because all trials share one matrix.
SEARCH_SPACE = {
    "max_depth": SearchRange(3, 10),
    "learning_rate": SearchRange(0.02, 0.3, log=True),
    "min_child_weight": SearchRange(1.0, 200.0, log=True),
    "reg_lambda": SearchRange(0.01, 100.0, log=True),
    "reg_alpha": SearchRange(1e-8, 10.0, log=True),
    "gamma": SearchRange(1e-8, 10.0, log=True),
    "subsample": SearchRange(0.5, 1.0),
    "colsample_bytree": SearchRange(0.5, 1.0),
    "colsample_bylevel": SearchRange(0.5, 1.0),
}


@dataclass(frozen=True, eq=False)
class TuningMatrix:
    """The rows for all trials: bin indices, labels, and the number of the month of each row."""

    features: tuple[str, ...]
    bin_counts: tuple[int, ...]
    bin_indices: npt.NDArray[Any]
    label: npt.NDArray[np.bool_]
    month: npt.NDArray[np.int64]
    row_ids: npt.NDArray[np.int64]
    """The IDs of the rows, for row sampling."""

    def rows(self, is_selected: npt.NDArray[np.bool_]) -> TrainingRows:
        """Return the selected rows as a matrix of XGBoost."""
        bins = pd.DataFrame(self.bin_indices[is_selected])
        return TrainingRows(
            build_matrix([bins], self.bin_counts, 1),
            self.label[is_selected],
            row_ids=self.row_ids[is_selected],
        )


class FoldJob(NamedTuple):
    """Parameters to evaluate on a fold. `fold` is the number of the month of the fold."""

    fold: int
    params: BoosterParams


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


def run_fold(matrix: TuningMatrix, fold: int, params: BoosterParams) -> FoldScore:
    """Train on the months before a fold, and score the month of the fold.

    The month of the fold is also used for early stopping.
    """
    train, validation = matrix.rows(matrix.month < fold), matrix.rows(matrix.month == fold)
    constraints = params.constraints_of(matrix.features)
    spec = TrainingSpec(params=params, bin_counts=matrix.bin_counts, constraints=constraints)
    booster, best = train_rows(train, validation, spec)
    probabilities = booster[: best.round].predict(validation.matrix, validate_features=False)
    return FoldScore(best.loss, _binned_auc(probabilities, validation.label), best.round)


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
    base: BoosterParams,
    run_folds: RunFolds,
    on_trial: Callable[[TrialResult], None],
) -> None:
    """Run trials until the number of finished trials in a study is `trials`.

    The first trial of a new study uses toytip's default parameters. `base` has the parameters that
    are the same in all trials. `run_folds` evaluates jobs on the workers. `on_trial` is called with
    the result of each trial.
    """
    if not study.trials:
        study.enqueue_trial(default_params())
    while (remaining := trials - len(finished_trials(study))) > 0:
        for result in _run_batch(study, min(PARALLEL_TRIALS, remaining), folds, base, run_folds):
            on_trial(result)


def _run_batch(
    study: Any, size: int, folds: list[int], base: BoosterParams, run_folds: RunFolds
) -> list[TrialResult]:
    """Run trials in parallel, one fold after the other. Trials with a high log loss are pruned."""
    from optuna.trial import TrialState

    batch = [study.ask() for _ in range(size)]
    params = {trial.number: suggest_params(trial) for trial in batch}
    scores: dict[int, list[FoldScore]] = {trial.number: [] for trial in batch}
    active = batch
    for step, fold in enumerate(folds):
        jobs = [FoldJob(fold, replace(base, **params[trial.number])) for trial in active]
        fold_scores = run_folds(jobs)
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


def default_params() -> dict[str, Any]:
    """Return toytip's default parameters, or the nearest values in the search space."""
    defaults = asdict(BoosterParams())
    return {name: max(defaults[name], values.low) for name, values in SEARCH_SPACE.items()}


def suggest_params(trial: Any) -> dict[str, Any]:
    """Propose parameters."""
    return {name: values.suggest(trial, name) for name, values in SEARCH_SPACE.items()}


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
