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
    MAX_EXACT_ROWS,
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
    """Raise ConfigError if there are so many rows that sums of gradients could be rounded."""
    limit = MAX_EXACT_ROWS // (1 if loss is Loss.LOGISTIC else GRADIENT_HEADROOM)
    if labels.rows > limit:
        raise ConfigError(
            f"cannot train exactly on {plural(labels.rows, 'row')}: sums of gradients could be rounded",
            hint=f"Use at most {limit:,} rows.",
        )
