"""The specification of a training, without its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from toytip.core.parameters import BoosterParams
from toytip.core.text import plural
from toytip.errors import ConfigError
from toytip.training.boosting import BoostConfig, xgboost_params
from toytip.training.exact_sums import next_power_of_two
from toytip.training.matrix import max_bin
from toytip.training.objective import (
    GRADIENT_HEADROOM,
    LARGEST_MAX_WEIGHT,
    LARGEST_SQUARES,
    MAX_EXACT_ROWS,
    SMALLEST_MAX_WEIGHT,
    SMALLEST_SQUARES,
    LabelStats,
    Loss,
    ObjectiveConfig,
    gradient_scale,
)


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """The loss and the parameters of a training, and the bins of its features."""

    params: BoosterParams
    bin_counts: tuple[int, ...]
    """The number of bin indices per feature."""
    loss: Loss = Loss.LOGISTIC
    constraints: tuple[int, ...] = ()
    """The monotone constraint of each feature (1, -1 or 0), if there are any constraints."""
    missing_bin: int | None = None
    """The bin index that XGBoost treats as a missing value, if any."""


def merge_labels(stats: Iterable[LabelStats]) -> LabelStats:
    """Return the facts about the labels of all ranks."""
    return reduce(LabelStats.merge, stats)


def boost_config(
    spec: TrainingSpec, labels: LabelStats, validation_labels: LabelStats | None, threads: int
) -> BoostConfig:
    """Return the configuration of a training, which depends on the labels of all rows.

    Raises ConfigError if sums of gradients could be rounded.
    """
    _require_exact_sums(spec.loss, labels)
    if validation_labels is not None and not validation_labels.weight_sum:
        raise ConfigError("cannot measure the validation loss: no validation row has a weight above 0")
    base_score, params = labels.mean, spec.params
    objective = ObjectiveConfig(
        loss=spec.loss,
        gradient_scale=gradient_scale(spec.loss, labels, base_score),
        weight_scale=next_power_of_two(labels.max_weight),
        positive_weight=params.scale_pos_weight,
        subsample=params.subsample,
        seed=params.sampling_seed,
    )
    return BoostConfig(
        params=xgboost_params(params, max_bin(spec.bin_counts), objective, base_score, spec.constraints),
        objective=objective,
        rounds=params.rounds,
        early_stopping_rounds=params.early_stopping_rounds,
        threads=threads,
        validation_weight=validation_labels.total_weight if validation_labels else 1.0,
    )


def _require_exact_sums(loss: Loss, labels: LabelStats) -> None:
    """Raise ConfigError if sums of gradients could be rounded, or be 0 or infinite in float32."""
    limit = MAX_EXACT_ROWS // (1 if loss is Loss.LOGISTIC else GRADIENT_HEADROOM)
    if labels.rows > limit:
        raise ConfigError(
            f"cannot train exactly on {plural(labels.rows, 'row')}: sums of gradients could be rounded",
            hint=f"Use at most {limit:,} rows.",
        )
    if not SMALLEST_MAX_WEIGHT <= labels.max_weight <= LARGEST_MAX_WEIGHT:
        raise ConfigError(
            f"cannot train exactly: the largest weight is {labels.max_weight}, and must be between "
            "2^-60 and 2^60",
            hint="Multiply all weights by the same factor.",
        )
    weight_scale = next_power_of_two(labels.max_weight)
    squares = labels.rows * gradient_scale(loss, labels, labels.mean) ** 2 / weight_scale
    if loss is Loss.SQUARED_ERROR and not SMALLEST_SQUARES <= squares <= LARGEST_SQUARES:
        raise ConfigError(
            f"cannot train exactly: the labels are between {labels.lowest} and {labels.highest}, so that "
            "their squared errors are too small or too large for float32",
            hint="Multiply all labels by the same factor.",
        )
