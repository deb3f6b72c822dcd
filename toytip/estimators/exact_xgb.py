"""Estimators with the interface of scikit-learn and dask-ml, whose model depends only on the rows.

`dask_ml.xgboost` can no longer be imported, because it re-exports the retired package dask-xgboost.
The successor of dask-xgboost is `xgboost.dask`. The ranks of these estimators use the communicator
of `xgboost.dask`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from toytip.core.parameters import EXACTNESS_LIMITS
from toytip.errors import DataError
from toytip.estimators.fit import FitRequest, fit_estimator, predict_rows
from toytip.training.objective import Loss
from toytip.training.rank import RoundEvent


class _ExactXGBModel(BaseEstimator):  # type: ignore[misc]
    """The parameters of both estimators, with the names and defaults of XGBoost's estimators."""

    _loss: ClassVar[Loss]

    def __init__(
        self,
        n_estimators: int = 100,
        max_depth: int = 6,
        learning_rate: float = 0.3,
        *,
        min_child_weight: float = 1.0,
        reg_lambda: float = 1.0,
        reg_alpha: float = 0.0,
        gamma: float = 0.0,
        max_bin: int = 256,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        colsample_bylevel: float = 1.0,
        monotone_constraints: dict[str, int] | tuple[int, ...] | None = None,
        early_stopping_rounds: int | None = None,
        random_state: int = 0,
        id_column: str | None = None,
        checkpoint_dir: str | None = None,
        on_round: Callable[[RoundEvent], None] | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.reg_alpha = reg_alpha
        self.gamma = gamma
        self.max_bin = max_bin
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.colsample_bylevel = colsample_bylevel
        self.monotone_constraints = monotone_constraints
        self.early_stopping_rounds = early_stopping_rounds
        self.random_state = random_state
        self.id_column = id_column
        self.checkpoint_dir = checkpoint_dir
        self.on_round = on_round

    def set_params(self, **params: Any) -> Self:
        """Set parameters. Raises DataError, with the reason, for one that cannot be exact."""
        for name in params:
            if name in EXACTNESS_LIMITS:
                raise DataError(f"cannot set {name}: {EXACTNESS_LIMITS[name]}")
        super().set_params(**params)
        return self

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any,
        sample_weight: Any = None,
        eval_set: tuple[Any, ...] | None = None,
    ) -> Self:
        """Train on a Dask frame or array, a pandas frame, an array, or a path of Parquet files.

        `y` and `sample_weight` are values, or names of columns of `X`. `eval_set` has the features,
        the labels and optionally the weights of the rows for early stopping. A Dask frame is read
        three or four times, so persist it if it fits in memory. If a Dask client is active, its
        workers train on Dask frames. Otherwise, this process trains. Raises DataError if the data
        or a parameter cannot be used, and ClusterError if training fails three times.
        """
        request = FitRequest(self, self._loss, X, y, sample_weight, eval_set)
        for name, value in fit_estimator(request).items():
            setattr(self, name, value)
        return self

    @property
    def feature_importances_(self) -> npt.NDArray[np.float32]:
        """The share of each feature in the total gain of all splits."""
        check_is_fitted(self, "booster_")
        scores = self.booster_.get_score(importance_type="total_gain")
        names = self.booster_.feature_names or [f"f{number}" for number in range(self.n_features_in_)]
        gains = np.array([scores.get(name, 0.0) for name in names], np.float32)
        return np.asarray(gains / (gains.sum() or 1), np.float32)

    def _predict(self, X: Any) -> Any:  # noqa: N803
        check_is_fitted(self, "booster_")
        return predict_rows(self, X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class ExactXGBClassifier(ClassifierMixin, _ExactXGBModel):  # type: ignore[misc]
    """A binary XGBoost classifier whose model is the same on any number of workers.

    The bytes of the model depend on the rows and the parameters, but not on the workers, the
    partitions or the order of the rows. Parameters have the names of `xgboost.XGBClassifier`.
    `id_column` names a column that identifies the rows, for `subsample`. Without this column, rows
    with equal values are drawn together. `checkpoint_dir` is a folder that all workers can access,
    from which an interrupted training resumes. After each round, `on_round` is called.

    Attributes after `fit`: `booster_` (an `xgboost.Booster` that takes the values of the features),
    `bin_table_` (the bins, as a DataFrame), `classes_`, `n_features_in_`, `feature_names_in_`,
    `best_iteration_` and `learning_curve_`.

        ExactXGBClassifier(max_depth=8).fit(frame[features], frame["label"])
    """

    _loss = Loss.LOGISTIC

    def __init__(
        self,
        n_estimators: int = 100,
        max_depth: int = 6,
        learning_rate: float = 0.3,
        *,
        min_child_weight: float = 1.0,
        reg_lambda: float = 1.0,
        reg_alpha: float = 0.0,
        gamma: float = 0.0,
        max_bin: int = 256,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        colsample_bylevel: float = 1.0,
        scale_pos_weight: float = 1.0,
        monotone_constraints: dict[str, int] | tuple[int, ...] | None = None,
        early_stopping_rounds: int | None = None,
        random_state: int = 0,
        id_column: str | None = None,
        checkpoint_dir: str | None = None,
        on_round: Callable[[RoundEvent], None] | None = None,
    ) -> None:
        super().__init__(
            n_estimators,
            max_depth,
            learning_rate,
            min_child_weight=min_child_weight,
            reg_lambda=reg_lambda,
            reg_alpha=reg_alpha,
            gamma=gamma,
            max_bin=max_bin,
            subsample=subsample,
            colsample_bytree=colsample_bytree,
            colsample_bylevel=colsample_bylevel,
            monotone_constraints=monotone_constraints,
            early_stopping_rounds=early_stopping_rounds,
            random_state=random_state,
            id_column=id_column,
            checkpoint_dir=checkpoint_dir,
            on_round=on_round,
        )
        self.scale_pos_weight = scale_pos_weight

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return the probabilities of both classes, as an array of two columns.

        The array is lazy if the input is lazy.
        """
        positive = self._predict(X)
        if isinstance(positive, np.ndarray):
            return _both_classes(positive)
        # `dask.array.stack` needs the number of rows, which is not known.
        chunks = (*positive.chunks, (2,))
        return positive.map_blocks(_both_classes, new_axis=1, chunks=chunks, dtype=positive.dtype)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the more likely class of each row."""
        positive = self._predict(X)
        if isinstance(positive, np.ndarray):
            return _choose_class(positive, self.classes_)
        return positive.map_blocks(_choose_class, self.classes_, dtype=self.classes_.dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class ExactXGBRegressor(RegressorMixin, _ExactXGBModel):  # type: ignore[misc]
    """An XGBoost regressor for the squared error, whose model is the same on any number of workers.

    Parameters and attributes are those of `ExactXGBClassifier`, without `scale_pos_weight` and
    `classes_`.

        ExactXGBRegressor(n_estimators=200).fit("rides/*.parquet", "duration")
    """

    _loss = Loss.SQUARED_ERROR

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the prediction for each row, as a lazy array if the input is lazy."""
        return self._predict(X)


def _choose_class(positive: npt.NDArray[np.float32], classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return classes[(positive >= 0.5).astype(np.intp)]


def _both_classes(positive: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.stack([1 - positive, positive], axis=1)
