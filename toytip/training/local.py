"""Train in this process, without a cluster."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import xgboost as xgb

from toytip.training.boosting import BestRound, RoundCallback, boost
from toytip.training.objective import LabelStats, row_weights
from toytip.training.rows import TrainingRows
from toytip.training.spec import TrainingSpec, boost_config


def train_in_process(
    parts: Sequence[pd.DataFrame],
    validation_parts: Sequence[pd.DataFrame] | None,
    spec: TrainingSpec,
    *,
    threads: int = 1,
    checkpoint: bytes | None = None,
    on_round: RoundCallback | None = None,
) -> tuple[xgb.Booster, BestRound]:
    """Train on frames of bin indices, with the columns of `toytip.core.columns`.

    Returns the booster with all of its rounds, and the best round.
    """
    train = load_rows(parts, spec, threads)
    validation = None if validation_parts is None else load_rows(validation_parts, spec, threads)
    return train_rows(train, validation, spec, threads=threads, checkpoint=checkpoint, on_round=on_round)


def train_rows(
    train: TrainingRows,
    validation: TrainingRows | None,
    spec: TrainingSpec,
    *,
    threads: int = 1,
    checkpoint: bytes | None = None,
    on_round: RoundCallback | None = None,
) -> tuple[xgb.Booster, BestRound]:
    """Train on rows that are already in matrices."""
    labels = training_labels(train, spec)
    validation_labels = None if validation is None else LabelStats.of(validation.label, validation.weight)
    config = boost_config(spec, labels, validation_labels, threads)
    return boost(train, validation, config, checkpoint=checkpoint, on_round=on_round)


def load_rows(parts: Sequence[pd.DataFrame], spec: TrainingSpec, threads: int) -> TrainingRows:
    """Return frames as one matrix, with the label and the other columns."""
    return TrainingRows.of(parts, spec.bin_counts, threads, missing_bin=spec.missing_bin)


def training_labels(train: TrainingRows, spec: TrainingSpec) -> LabelStats:
    """Return the facts about labels of training rows. Weights include `scale_pos_weight`."""
    return LabelStats.of(train.label, row_weights(train.label, train.weight, spec.params.scale_pos_weight))
