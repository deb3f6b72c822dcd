"""Fit the classifier through dask-ml's `ParallelPostFit`, as a run does.

This module imports scikit-learn, whose import takes as long as the other imports of a training
together. A run imports it in a thread while the workers read the source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import dask.dataframe as dd
from dask_ml.wrappers import ParallelPostFit

from toytip.core.parameters import BoosterParams
from toytip.training.estimator import TipClassifier
from toytip.training.rank import Checkpoints, RoundEvent, TrainingResult

# Lazy bin indices, and the lazy labels of the same rows.
LabeledFrame = tuple[dd.DataFrame, dd.Series]


def fit_in_parallel(
    train: LabeledFrame,
    validation: LabeledFrame | None,
    params: BoosterParams,
    *,
    bin_counts: Sequence[int],
    rows: Sequence[int] | None = None,
    checkpoints: Checkpoints | None = None,
    on_round: Callable[[RoundEvent], None] | None = None,
) -> TrainingResult:
    """Fit a classifier on the workers. The arguments are those of `TipClassifier.fit`.

    Raises ClusterError after three failed attempts.
    """
    model = ParallelPostFit(TipClassifier(**asdict(params), on_round=on_round))
    model.fit(*train, eval_set=validation, bin_counts=bin_counts, rows=rows, checkpoints=checkpoints)
    result: TrainingResult = model.result_
    return result
