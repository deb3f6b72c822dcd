"""Estimators for scikit-learn and dask-ml pipelines that train XGBoost on the Dask cluster.

`dask_ml.xgboost` can no longer be imported, because it re-exports the retired package dask-xgboost.
The successor of dask-xgboost is `xgboost.dask`. The ranks of `TipClassifier` use the communicator
of `xgboost.dask`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import reduce
from typing import Any, Self

import dask
import dask.dataframe as dd
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from toytip.core.dataset.dataset import Dataset
from toytip.core.parameters import BoosterParams
from toytip.core.splits import Split
from toytip.stages import infer, preprocess
from toytip.training.fitting import fit_booster
from toytip.training.rank import Checkpoints, RoundEvent


class Preprocess(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Transforms features to bin indices. Input can be a pandas or Dask frame."""

    def __init__(
        self,
        names: tuple[str, ...],
        split: Split,
        dataset: Dataset,
        segment: str = "all",
        rate_names: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self.rate_names = rate_names
        self.split = split
        self.dataset = dataset
        self.segment = segment

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's names
        """Compute the bins from the value counts of the training rows.

        Raises ConfigError if there are no training rows.
        """
        args = (self.names, self.split, self.segment, self.dataset)
        if isinstance(X, dd.DataFrame):
            tasks = [dask.delayed(preprocess.count_values)(part, *args) for part in X.to_delayed()]
            counts = dask.compute(tasks)[0]
        else:
            counts = [preprocess.count_values(X, *args)]
        total = reduce(
            preprocess.ValueCounts.merge, counts, preprocess.ValueCounts.empty(self.names, self.dataset)
        )
        self.encoding_ = preprocess.fit_encoding(
            total, self.split, self.segment, self.dataset, self.rate_names
        )
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the bin indices of all rows, as a lazy frame if the input is lazy."""
        check_is_fitted(self)
        if isinstance(X, dd.DataFrame):
            meta = preprocess.matrix_table(self.encoding_).empty()
            return X.map_partitions(preprocess.encode, self.encoding_, meta=meta, enforce_metadata=False)
        return preprocess.encode(X, self.encoding_)


class TipClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A binary XGBoost classifier on bin indices, trained on the current Dask cluster.

    On each host, at most one worker per core trains. The bytes of the model depend on the rows and
    parameters, but not on the number of workers. Each bin index is a bin, so XGBoost needs no
    distributed quantile sketch. Gradients add up without rounding (`toytip.training.boosting`).
    """

    classes_ = np.array([False, True])

    def __init__(
        self,
        rounds: int = BoosterParams.rounds,
        max_depth: int = BoosterParams.max_depth,
        learning_rate: float = BoosterParams.learning_rate,
        early_stopping_rounds: int = BoosterParams.early_stopping_rounds,
        min_child_weight: float = BoosterParams.min_child_weight,
        reg_lambda: float = BoosterParams.reg_lambda,
        gamma: float = BoosterParams.gamma,
        on_round: Callable[[RoundEvent], None] | None = None,
    ) -> None:
        self.rounds = rounds
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.early_stopping_rounds = early_stopping_rounds
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.gamma = gamma
        self.on_round = on_round

    def fit(
        self,
        X: dd.DataFrame,  # noqa: N803
        y: dd.Series,
        eval_set: tuple[dd.DataFrame, dd.Series] | None = None,
        rows: Sequence[int] | None = None,
        bin_counts: Sequence[int] | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> Self:
        """Train on lazy frames of bin indices and labels.

        `eval_set` is the validation data for early stopping. `rows` has the number of rows per
        partition, and `bin_counts` the number of bin indices per column. Both are optional. If a
        worker is lost, training resumes from the latest checkpoint in `checkpoints`. Raises
        ClusterError after three failed attempts.
        """
        result = fit_booster(
            X.assign(**{preprocess.LABEL: _as_series(X, y)}),
            None if eval_set is None else eval_set[0].assign(**{preprocess.LABEL: eval_set[1]}),
            self._booster_params(),
            bin_counts=(X.max().compute() + 1).tolist() if bin_counts is None else bin_counts,
            rows=rows,
            checkpoints=checkpoints,
            on_round=self.on_round,
        )
        self.result_ = result
        self.booster_, self.rounds_, self.curve_ = result.booster, result.rounds, result.curve
        self.n_features_in_ = len(X.columns)
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        return self

    def _booster_params(self) -> BoosterParams:
        return BoosterParams(**{field.name: getattr(self, field.name) for field in fields(BoosterParams)})

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return the probabilities of no high tip and of a high tip, as an array of two columns.

        The array is lazy if the input is lazy.
        """
        check_is_fitted(self)
        if isinstance(X, dd.DataFrame):
            meta = np.empty((0, 2), np.float32)
            return X.to_dask_array(meta=X._meta).map_blocks(  # noqa: SLF001
                _class_probabilities,
                self.booster_,
                dtype=np.float32,
                chunks=(X.to_dask_array().chunks[0], (2,)),
                meta=meta,
            )
        return _class_probabilities(X, self.booster_)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return, for each row, whether the probability of a high tip is at least 0.5."""
        return self.predict_proba(X)[:, 1] >= 0.5


def _class_probabilities(bins: Any, booster: bytes) -> npt.NDArray[np.float32]:
    positive = infer.predict_probabilities(bins, booster)
    return np.stack([1 - positive, positive], axis=1)


def _as_series(X: dd.DataFrame, y: Any) -> dd.Series:  # noqa: N803
    return y if isinstance(y, dd.Series) else dd.from_dask_array(y, index=X.index)
