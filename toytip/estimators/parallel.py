"""Fit the classifier of a run through dask-ml's `ParallelPostFit`.

This module imports scikit-learn, whose import takes as long as the other imports of a training
together. A run imports it in a thread while the workers read the source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Self

import dask.dataframe as dd
import numpy as np
import xgboost as xgb
from dask_ml.wrappers import ParallelPostFit

from toytip.core.columns import LABEL_COLUMN, ROW_ID_COLUMN
from toytip.estimators.exact_xgb import ExactXGBClassifier
from toytip.estimators.fit import booster_params, constraints_by_feature, estimator_params
from toytip.training.fitting import fit_booster
from toytip.training.rank import Checkpoints, RoundEvent, TrainingResult
from toytip.training.spec import TrainingSpec

# Lazy bin indices, and the lazy labels of the same rows. With row sampling, the bin indices have
# the column `ROW_ID_COLUMN` as well.
LabeledFrame = tuple[dd.DataFrame, dd.Series]


class BinnedXGBClassifier(ExactXGBClassifier):
    """An `ExactXGBClassifier` whose features are already bin indices.

    It does not fit bins, so that it reads the rows only once. Its booster takes bin indices.
    """

    def fit(  # type: ignore[override]
        self,
        X: dd.DataFrame,  # noqa: N803 - scikit-learn's name
        y: dd.Series,
        eval_set: LabeledFrame | None = None,
        *,
        bin_counts: Sequence[int],
        rows: Sequence[int] | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> Self:
        """Train on the workers of the active client.

        `bin_counts` has the number of bin indices per feature, and `rows` the number of rows per
        partition, or None if unknown. `eval_set` has the rows for early stopping. If a worker is
        lost, training resumes from the latest checkpoint in `checkpoints`. Raises ClusterError
        after three failed attempts.
        """
        names = [name for name in X.columns if name != self.id_column]
        spec = TrainingSpec(
            params=booster_params(self),
            bin_counts=tuple(bin_counts),
            constraints=constraints_by_feature(self.monotone_constraints, names),
        )
        self.result_ = fit_booster(
            _delayed_parts(X, y),
            None if eval_set is None else _delayed_parts(*eval_set),
            spec,
            rows=rows,
            checkpoints=checkpoints,
            on_round=self.on_round,
        )
        self.n_features_in_, self.feature_names_in_ = len(names), np.array(names, dtype=object)
        self.classes_ = np.array([False, True])
        self.booster_ = xgb.Booster(model_file=bytearray(self.result_.booster))
        self.best_iteration_ = self.result_.rounds - 1
        self.learning_curve_ = asdict(self.result_.curve)
        return self


def _delayed_parts(bins: dd.DataFrame, labels: dd.Series) -> list[Any]:
    return list(bins.assign(**{LABEL_COLUMN: labels}).to_delayed())


def fit_in_parallel(
    train: LabeledFrame,
    validation: LabeledFrame | None,
    spec: TrainingSpec,
    *,
    rows: Sequence[int] | None = None,
    checkpoints: Checkpoints | None = None,
    on_round: Callable[[RoundEvent], None] | None = None,
) -> TrainingResult:
    """Fit a classifier on the workers. The arguments are those of `BinnedXGBClassifier.fit`.

    Raises ClusterError after three failed attempts.
    """
    classifier = BinnedXGBClassifier(
        **estimator_params(spec),
        id_column=ROW_ID_COLUMN if spec.params.subsample < 1 else None,
        on_round=on_round,
    )
    model = ParallelPostFit(classifier)
    model.fit(*train, eval_set=validation, bin_counts=spec.bin_counts, rows=rows, checkpoints=checkpoints)
    result: TrainingResult = model.result_
    return result
