"""Fit the pipeline of a run through dask-ml's `ParallelPostFit`.

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
from sklearn.frozen import FrozenEstimator

from toytip.core.columns import LABEL_COLUMN, ROW_ID_COLUMN
from toytip.core.model import Encoding
from toytip.core.parameters import BoosterParams
from toytip.estimators.exact_xgb import ExactXGBClassifier
from toytip.estimators.params import booster_params, constraints_by_feature, estimator_params
from toytip.estimators.pipelines import CLASSIFIER, connect_steps
from toytip.estimators.preprocessor import Preprocess
from toytip.stages.preprocess import group_similar_rows
from toytip.training.fitting import fit_booster
from toytip.training.rank import Checkpoints, RoundEvent, TrainingResult
from toytip.training.spec import TrainingSpec

# Lazy rows, and the lazy labels of the same rows.
LabeledFrame = tuple[dd.DataFrame, dd.Series]
# The column of the table `features` that identifies a trip.
ID_COLUMN = "trip_id"


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
        encoding: Encoding,
        rows: Sequence[int] | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> Self:
        """Train on the workers of the active client.

        `encoding` has computed the bin indices. `rows` has the number of rows per partition, or is
        None if unknown. `eval_set` has the bin indices and labels for early stopping. If a worker
        is lost, training resumes from the latest checkpoint in `checkpoints`. Raises ClusterError
        after three failed attempts.
        """
        names = list(encoding.feature_names)
        spec = TrainingSpec(
            params=booster_params(self),
            bin_counts=encoding.bin_counts,
            constraints=constraints_by_feature(self.monotone_constraints, names),
        )
        self.result_ = fit_booster(
            _training_parts(X, y, encoding, self.id_column),
            _training_parts(*eval_set, encoding, self.id_column) if eval_set else None,
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


def _training_parts(
    bins: dd.DataFrame, labels: dd.Series, encoding: Encoding, id_column: str | None
) -> list[Any]:
    """Return the delayed partitions of a training frame.

    The tasks do not need this module, so that workers do not import scikit-learn.
    """
    frame = bins.rename(columns={id_column: ROW_ID_COLUMN}) if id_column else bins
    frame = frame.assign(**{LABEL_COLUMN: labels})
    ordered = frame.map_partitions(group_similar_rows, encoding, meta=frame, enforce_metadata=False)
    return list(ordered.to_delayed())


def fit_in_parallel(
    encoding: Encoding,
    params: BoosterParams,
    train: LabeledFrame,
    validation: LabeledFrame | None,
    *,
    rows: Sequence[int] | None = None,
    checkpoints: Checkpoints | None = None,
    on_round: Callable[[RoundEvent], None] | None = None,
) -> TrainingResult:
    """Fit the pipeline of a run on lazy features and labels, on the workers of the active client.

    The step `preprocess` has a fitted encoding. The other arguments are those of
    `BinnedXGBClassifier.fit`. Raises ClusterError after three failed attempts.
    """
    id_column = ID_COLUMN if params.subsample < 1 else None
    preprocess = Preprocess.from_encoding(encoding, id_column)
    classifier = BinnedXGBClassifier(
        **estimator_params(params, encoding.feature_names), id_column=id_column, on_round=on_round
    )
    options = {
        "eval_set": (preprocess.transform(validation[0]), validation[1]) if validation else None,
        "encoding": encoding,
        "rows": rows,
        "checkpoints": checkpoints,
    }
    pipeline = connect_steps(FrozenEstimator(preprocess), classifier)
    ParallelPostFit(pipeline).fit(
        *train, **{f"{CLASSIFIER}__{name}": value for name, value in options.items()}
    )
    return classifier.result_
