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

from toytip.boost import bins_of, boost, booster_params, quantize
from toytip.errors import ConfigError
from toytip.metrics import auc
from toytip.stages import preprocess
from toytip.tally import BINS
from toytip.values import Encoding, Params

# Trials are proposed so many at a time whatever the number of workers, so that it does not show in what is found.
AT_ONCE = 4
FIRST_AT_RANDOM = 10
# A trial is dropped when it is worse than the median after a block; not before so many have gone through.
FIRST_WHOLE = 5


@dataclass(frozen=True, eq=False)
class Matrix:
    """The rows that are learned from: codes, labels, and the number of each row's month."""

    codes: npt.NDArray[Any]
    label: npt.NDArray[np.bool_]
    month: npt.NDArray[np.int64]
    counts: tuple[int, ...]


class Score(NamedTuple):
    """How parameters did on a block of time."""

    log_loss: float
    auc: float
    rounds: int


class Outcome(NamedTuple):
    """A trial: its parameters, and how it did on each block; fewer than all where it was dropped."""

    number: int
    params: dict[str, Any]
    scores: list[Score]

    @property
    def log_loss(self) -> float:
        """The mean over the blocks."""
        return sum(score.log_loss for score in self.scores) / len(self.scores)


def rows_of(features: pd.DataFrame, encoding: Encoding, share: float) -> tuple[Any, Any, Any]:
    """Return codes, labels and months of a part's rows; of many, a share, chosen by a hash of the trip's id."""
    chosen = features
    if share < 1:
        mixed = features["trip_id"].to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        chosen = features[(mixed >> np.uint64(11)) < np.uint64(share * 2**53)]
    pickup = chosen["pickup_at"].dt
    codes = preprocess.encode(chosen.reset_index(drop=True), encoding).to_numpy()
    return codes, chosen["high_tip"].to_numpy(), (pickup.year * 12 + pickup.month - 1).to_numpy(np.int64)


def try_out(matrix: Matrix, block: int, params: dict[str, Any], rounds: int, early_stop: int) -> Score:
    """Train on the months before a block (a month), stop by it, and measure on it."""
    before, inside = matrix.month < block, matrix.month == block
    train, valid = (
        quantize(
            [(pd.DataFrame(matrix.codes[rows]), matrix.label[rows].astype(np.float32))], matrix.counts, 1
        )
        for rows in (before, inside)
    )
    positive = float(matrix.label[before].mean())
    booster, best = boost(
        train, matrix.label[before], valid, booster_params(params, bins_of(matrix.counts), positive),
        rounds=rounds, early_stop=early_stop,
    )  # fmt: skip
    chance = booster[: best.round].inplace_predict(matrix.codes[inside], validate_features=False)
    place = np.minimum((chance * BINS).astype(np.int64), BINS - 1)
    sides = [np.bincount(place[matrix.label[inside] == y], minlength=BINS) for y in (False, True)]
    return Score(best.loss, auc(*sides) or 0.5, best.round)


def make_room(file: Path) -> None:
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
def study_in(file: Path, name: str, seed: int) -> Iterator[Any]:
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
                pruner=optuna.pruners.MedianPruner(FIRST_WHOLE),
            )  # fmt: skip
            # A study that goes on must not draw again what it has drawn before.
            study.sampler = optuna.samplers.TPESampler(
                seed=seed + len(study.trials), n_startup_trials=FIRST_AT_RANDOM, constant_liar=True
            )
        except (SQLAlchemyError, RuntimeError) as error:
            raise ConfigError(f"--study {file}: no study of Optuna: {str(error).splitlines()[0]}") from None
        yield study
        storage.engine.dispose()


def search(
    study: Any,
    trials: int,
    blocks: list[int],
    ask: Callable[[list[tuple[int, dict[str, Any]]]], list[Score]],
    seen: Callable[[Outcome], None],
) -> None:
    """Try out parameters until a study has so many trials; the first are toytip's defaults.

    `ask` answers jobs, each a block and parameters; `seen` is told of each trial.
    """
    from optuna.trial import TrialState

    if not study.trials:
        default = Params()
        study.enqueue_trial({name: getattr(default, name) for name in ("max_depth", "eta")} | DEFAULTS)
    while (left := trials - len(finished(study))) > 0:
        batch = [study.ask() for _ in range(min(AT_ONCE, left))]
        given = {trial.number: suggest(trial) for trial in batch}
        scores: dict[int, list[Score]] = {trial.number: [] for trial in batch}
        alive = batch
        for step, block in enumerate(blocks):
            for trial, score in zip(alive, ask([(block, given[t.number]) for t in alive]), strict=True):
                scores[trial.number].append(score)
                trial.set_user_attr("scores", scores[trial.number])
                trial.report(Outcome(0, {}, scores[trial.number]).log_loss, step)
            dropped = [trial for trial in alive if step + 1 < len(blocks) and trial.should_prune()]
            alive = [trial for trial in alive if trial not in dropped]
            for trial in dropped:
                study.tell(trial, state=TrialState.PRUNED)
        for trial in alive:
            study.tell(trial, Outcome(0, {}, scores[trial.number]).log_loss)
        for trial in batch:
            seen(Outcome(trial.number, given[trial.number], scores[trial.number]))


# Of the space's parameters those whose defaults XGBoost has at its edge: as near as the space goes.
DEFAULTS = {"min_child_weight": 1.0, "reg_lambda": 1.0, "gamma": 1e-8}


def suggest(trial: Any) -> dict[str, Any]:
    """Propose parameters. No rows or columns are drawn at random: the model would depend on the workers."""
    return {
        "max_depth": trial.suggest_int("max_depth", 3, 10),
        "eta": trial.suggest_float("eta", 0.02, 0.3, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 200.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.01, 100.0, log=True),
        "gamma": trial.suggest_float("gamma", 1e-8, 10.0, log=True),
    }


def finished(study: Any) -> list[Any]:
    """Return the trials that came to an end, whole or dropped."""
    return [trial for trial in study.trials if trial.state.is_finished() and "scores" in trial.user_attrs]


def outcomes(study: Any) -> list[Outcome]:
    """Return what a study has found so far, in order."""
    return [
        Outcome(trial.number, dict(trial.params), [Score(*score) for score in trial.user_attrs["scores"]])
        for trial in finished(study)
    ]
