"""train: XGBoost on the Dask cluster, as estimators that stand in a scikit-learn or dask-ml pipeline.

`dask_ml.xgboost` cannot be imported any more (it re-exports the retired dask-xgboost); `xgboost.dask` is its
successor, and its communicator is what the ranks of `TipClassifier` meet in.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Self

import dask
import dask.dataframe as dd
import distributed
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from toytip.core.parameters import BoosterParams
from toytip.core.splits import Split
from toytip.stages import infer, preprocess
from toytip.training.driver import TrainingJob, train_with_retries
from toytip.training.rank import Checkpoints


class Preprocess(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features to codes: fitted on the training rows of a pandas or Dask frame of `features`."""

    def __init__(
        self,
        names: tuple[str, ...],
        split: Split,
        segment: str = "all",
        rate_names: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self.rate_names = rate_names
        self.split = split
        self.segment = segment

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's names
        """Fix the bins from a census of the training rows. Raises ConfigError where there are none."""
        args = (self.names, self.split, self.segment)
        if isinstance(X, dd.DataFrame):
            parts = dask.compute(
                [dask.delayed(preprocess.count_values)(part, *args) for part in X.to_delayed()]
            )[0]
        else:
            parts = [preprocess.count_values(X, *args)]
        census = reduce(preprocess.ValueCounts.merge, parts, preprocess.ValueCounts.empty(self.names))
        self.encoding_ = preprocess.fit_encoding(census, self.split, self.segment, self.rate_names)
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the matrix of codes of all rows, lazy where the input is."""
        check_is_fitted(self)
        if isinstance(X, dd.DataFrame):
            meta = preprocess.matrix_table(self.encoding_).empty()
            return X.map_partitions(preprocess.encode, self.encoding_, meta=meta, enforce_metadata=False)
        return preprocess.encode(X, self.encoding_)


class TipClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A binary XGBoost classifier of integer codes, trained on the current Dask cluster.

    As many workers of a host train as it has cores. The same rows give the same model bytes on any number of them:
    every code is a bin, so nothing is left to a distributed quantile sketch; and the gradients add up without
    rounding (`toytip.training.boosting`).
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
        on_round: Callable[[dict[str, Any]], None] | None = None,
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
        """Train on lazy frames of codes and labels; `eval_set` is what early stopping watches.

        `rows` are the partitions' sizes, and `bin_counts` the number of codes of each column, where they are known.
        Where a worker is lost, training goes on from the last checkpoint that the `checkpoints` has. Raises ClusterError
        where it fails three times.
        """
        client = distributed.get_client()
        # Others may be training on the same scheduler, and hear what is told there.
        topic = f"toytip-round-{secrets.token_hex(8)}"
        task = TrainingJob(
            data=X.assign(high_tip=_as_series(X, y)),
            validation=None if eval_set is None else eval_set[0].assign(high_tip=eval_set[1]),
            rows=rows,
            bin_counts=tuple((X.max().compute() + 1).tolist()) if bin_counts is None else tuple(bin_counts),
            rounds=self.rounds,
            early_stopping_rounds=self.early_stopping_rounds,
            params={name: getattr(self, name) for name in _TREE_PARAMS},
            checkpoints=checkpoints,
            topic=topic,
        )
        on_round = self.on_round
        if on_round is not None:
            client.subscribe_topic(topic, lambda event: on_round(event[1]))
        try:
            self.booster_, self.rounds_, self.curve_, _ = train_with_retries(client, task)
        finally:
            if on_round is not None:
                client.unsubscribe_topic(topic)
        self.n_features_in_ = len(X.columns)
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return the probabilities of no and yes: an array (rows, 2), lazy where the input is."""
        check_is_fitted(self)
        if isinstance(X, dd.DataFrame):
            meta = np.empty((0, 2), np.float32)
            return X.to_dask_array(meta=X._meta).map_blocks(  # noqa: SLF001
                _both_probabilities,
                self.booster_,
                dtype=np.float32,
                chunks=(X.to_dask_array().chunks[0], (2,)),
                meta=meta,
            )
        return _both_probabilities(np.asarray(X), self.booster_)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return whether each row more likely has a high tip than not."""
        return self.predict_proba(X)[:, 1] >= 0.5


def _both_probabilities(codes: npt.NDArray[Any], booster: bytes) -> npt.NDArray[np.float32]:
    yes = infer.predict_probabilities(pd.DataFrame(codes), booster)
    return np.stack([1 - yes, yes], axis=1)


def _as_series(X: dd.DataFrame, y: Any) -> dd.Series:  # noqa: N803
    return y if isinstance(y, dd.Series) else dd.from_dask_array(y, index=X.index)


_TREE_PARAMS = ("max_depth", "learning_rate", "min_child_weight", "reg_lambda", "gamma")
