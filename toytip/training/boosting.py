"""Boosting rounds on one rank, with sums that are exact in any order of the rows.

A rank is a process that trains. Each rank holds some of the rows as a matrix of bin indices. If
there are several ranks, XGBoost adds up their gradient histograms (allreduce).
`toytip.training.driver` assigns the rows to ranks.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple, Self

import numpy as np
import xgboost as xgb
from xgboost import collective

from toytip.core.arrays import Float32Array
from toytip.core.jsonable import dump_json
from toytip.core.parameters import BoosterParams
from toytip.errors import ConfigError
from toytip.training.objective import ExactObjective, ObjectiveConfig, exact_objective
from toytip.training.rows import TrainingRows

log = logging.getLogger(__name__)

_CHECKSUM_BYTES = sha256().digest_size
BEST_ROUND_ATTRIBUTE, BEST_LOSS_ATTRIBUTE, CURVE_ATTRIBUTE = "best_round", "best_loss", "curve"
# The name in XGBoost of each parameter that XGBoost itself applies. toytip applies the others.
XGBOOST_NAMES = {
    "max_depth": "max_depth",
    "learning_rate": "eta",
    "min_child_weight": "min_child_weight",
    "reg_lambda": "lambda",
    "gamma": "gamma",
    "reg_alpha": "alpha",
    "colsample_bytree": "colsample_bytree",
    "colsample_bylevel": "colsample_bylevel",
}


@dataclass(frozen=True, kw_only=True)
class BoostConfig:
    """The configuration of a training, which is the same on all ranks."""

    params: dict[str, Any]
    """XGBoost's parameters."""
    objective: ObjectiveConfig
    rounds: int
    early_stopping_rounds: int = 0
    threads: int = 1
    validation_weight: float = 1.0
    """The sum of the weights of the validation rows on all ranks."""

    @property
    def samples_columns(self) -> bool:
        """Whether each tree, or each level of a tree, uses only a share of the features."""
        return any(self.params.get(name, 1) < 1 for name in ("colsample_bytree", "colsample_bylevel"))


class BestRound(NamedTuple):
    """The number of the round with the lowest validation loss so far (from 1), and this loss."""

    round: int
    loss: float

    @classmethod
    def from_booster(cls, booster: xgb.Booster) -> BestRound:
        """Read the values from the booster of a checkpoint."""
        best_round = int(booster.attr(BEST_ROUND_ATTRIBUTE) or 0)
        return cls(best_round, float(booster.attr(BEST_LOSS_ATTRIBUTE) or "inf"))

    def save_to(self, booster: xgb.Booster) -> None:
        """Store the values as attributes of a booster."""
        booster.set_attr(**{BEST_ROUND_ATTRIBUTE: str(self.round), BEST_LOSS_ATTRIBUTE: repr(self.loss)})


@dataclass(frozen=True)
class LearningCurve:
    """The loss per round, on the validation rows and on a sample of the training rows.

    The loss is the log loss of a classifier, and the root mean squared error of a regressor. The
    validation loss is measured after each round, and the training loss before each round.
    """

    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)

    @classmethod
    def from_booster(cls, booster: xgb.Booster) -> Self:
        """Read the curve from a finished booster, or from the booster of a checkpoint."""
        return cls(**json.loads(booster.attr(CURVE_ATTRIBUTE) or "{}"))

    def save_to(self, booster: xgb.Booster) -> None:
        """Store the curve as an attribute of a booster."""
        booster.set_attr(**{CURVE_ATTRIBUTE: dump_json(asdict(self))})


# A function that is called after each round with the number of the round (from 1), the losses so
# far, and the booster.
RoundCallback = Callable[[int, LearningCurve, xgb.Booster], None]


def boost(
    train: TrainingRows,
    validation: TrainingRows | None,
    config: BoostConfig,
    *,
    checkpoint: bytes | None = None,
    on_round: RoundCallback | None = None,
) -> tuple[xgb.Booster, BestRound]:
    """Train up to `config.rounds` rounds.

    Training stops after `config.early_stopping_rounds` rounds without a lower validation loss (0:
    never). With a `checkpoint`, training resumes after the rounds of the checkpoint, and the model
    is the same as without an interruption. If the checkpoint is damaged, all rounds are trained.

    Returns the booster with all of its rounds, and the best round. Without early stopping, the best
    round is the last round.
    """
    matrices = [train.matrix] if validation is None else [train.matrix, validation.matrix]
    booster = xgb.Booster(
        {**config.params, "nthread": config.threads},
        matrices,
        model_file=None if checkpoint is None else read_checkpoint(checkpoint),
    )
    objective = exact_objective(config.objective, train.label, train.weight, train.row_ids)
    evaluation = None if validation is None else _Evaluation(validation, config)
    curve, best = LearningCurve.from_booster(booster), BestRound.from_booster(booster)
    stops_early = evaluation is not None and config.early_stopping_rounds > 0
    for number in range(booster.num_boosted_rounds() + 1, config.rounds + 1):
        if stops_early and best.round and number - best.round > config.early_stopping_rounds:
            break
        if config.samples_columns:
            _reset_column_sampler(booster)
        _boost_round(booster, number, train.matrix, objective, curve)
        loss = None if evaluation is None else evaluation.loss(booster)
        if loss is not None:
            curve.validation.append(loss)
        if not stops_early or (loss is not None and loss < best.loss):
            best = BestRound(number, best.loss if loss is None else loss)
            best.save_to(booster)
        if on_round is not None:
            on_round(number, curve, booster)
    curve.save_to(booster)
    return booster, best


def _boost_round(
    booster: xgb.Booster,
    number: int,
    matrix: xgb.QuantileDMatrix,
    objective: ExactObjective,
    curve: LearningCurve,
) -> None:
    """Add one tree to the booster, and the training loss before this tree to the curve."""
    margins = _predict_margins(booster, matrix)
    curve.train.append(round(objective.sampled_loss(margins), 6))
    gradient, hessian = objective.compute(margins, number)
    booster.boost(matrix, number - 1, grad=gradient, hess=hessian)


def _predict_margins(booster: xgb.Booster, matrix: xgb.QuantileDMatrix) -> Float32Array:
    """Return the margins of the rows, which XGBoost keeps for the matrices of the training."""
    margins: Float32Array = booster.predict(
        matrix, output_margin=True, training=True, validate_features=False
    )
    return margins.reshape(-1)  # without rows, XGBoost 3.4 returns an array of two dimensions


def _reset_column_sampler(booster: xgb.Booster) -> None:
    """Let XGBoost draw the features of the next tree by the seed and the number of the round only.

    XGBoost's sampler otherwise depends on all rounds of the process, so that a training that
    resumes would draw other features. With the configuration, XGBoost also loads a new sampler.
    """
    booster.load_config(booster.save_config())


class _Evaluation:
    """Computes the validation loss, which is the same for any distribution of the rows.

    XGBoost's own metrics add up rounded values, so that early stopping would depend on the ranks.
    """

    def __init__(self, rows: TrainingRows, config: BoostConfig) -> None:
        self._matrix, self._total_weight = rows.matrix, config.validation_weight
        # As in XGBoost, the weight of positive rows applies only to training.
        unsampled = replace(config.objective, positive_weight=1.0, subsample=1.0)
        self._objective = exact_objective(unsampled, rows.label, rows.weight)

    def loss(self, booster: xgb.Booster) -> float:
        """Return the loss of the booster on the validation rows of all ranks."""
        total = self._objective.total_loss(_predict_margins(booster, self._matrix))
        (all_ranks,) = collective.allreduce(np.array([total]), collective.Op.SUM)
        loss = self._objective.mean_loss(float(all_ranks), self._total_weight)
        if not math.isfinite(loss):
            raise ConfigError(
                "cannot measure the validation loss: it is too large for float32",
                hint="Check the labels of the validation rows, or set a lower learning rate.",
            )
        return loss


def checkpoint_bytes(booster: xgb.Booster, curve: LearningCurve) -> bytes:
    """Serialize a booster during training, for `boost(checkpoint=...)`."""
    curve.save_to(booster)
    content = bytes(booster.save_raw("ubj"))
    return sha256(content).digest() + content


def read_checkpoint(checkpoint: bytes) -> bytearray | None:
    """Return the booster of a checkpoint, or None if the checkpoint is damaged.

    XGBoost ends the process if it reads a damaged booster.
    """
    checksum, content = checkpoint[:_CHECKSUM_BYTES], checkpoint[_CHECKSUM_BYTES:]
    if checksum == sha256(content).digest():
        return bytearray(content)
    log.warning("the checkpoint is damaged. Training starts from the first round")
    return None


def model_bytes(booster: xgb.Booster, rounds: int) -> bytes:
    """Serialize the first rounds of a booster, without the attributes that training added."""
    model = booster[:rounds]
    model.set_attr(**dict.fromkeys(model.attributes()))
    return bytes(model.save_raw("ubj"))


def xgboost_params(
    params: BoosterParams,
    max_bin: int,
    objective: ObjectiveConfig,
    base_score: float,
    monotone_constraints: Sequence[int] = (),
) -> dict[str, Any]:
    """Return XGBoost's parameters. `base_score` is the mean of the labels of the training rows."""
    constraints = {}
    if any(monotone_constraints):
        constraints["monotone_constraints"] = f"({','.join(map(str, monotone_constraints))})"
    return {
        "objective": objective.loss.value,
        "tree_method": "hist",
        **{xgboost_name: getattr(params, name) for name, xgboost_name in XGBOOST_NAMES.items()},
        **constraints,
        "max_bin": max_bin,
        # A fixed value: XGBoost's own estimate could depend on the number of workers.
        "base_score": base_score,
        "verbosity": 0,
        "seed": params.sampling_seed,
        # The features of a tree depend on the seed and the round, on one rank as on several.
        "seed_per_iteration": True,
    }
