"""Fit an estimator: read the rows of the user, fix the bins, train, and predict."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from numbers import Real
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import distributed
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb
from sklearn.utils.multiclass import check_classification_targets

from toytip.cluster.host_limits import available_cores
from toytip.core.xgboost_version import require_xgboost
from toytip.errors import ConfigError, DataError
from toytip.estimators import frames
from toytip.estimators.binning import BinTable, candidate_keys, fit_edges, merge_counts
from toytip.estimators.folder_checkpoints import FolderCheckpoints
from toytip.estimators.frames import RowSource
from toytip.estimators.params import booster_params, constraints_by_feature
from toytip.estimators.raw_booster import on_raw_values
from toytip.estimators.user_rows import as_frame, feature_names, open_rows, validate_rows
from toytip.training.boosting import LearningCurve, RoundCallback, checkpoint_bytes, model_bytes
from toytip.training.fitting import fit_booster
from toytip.training.local import train_in_process
from toytip.training.objective import Loss
from toytip.training.rank import RoundEvent
from toytip.training.spec import TrainingSpec

# Characters that XGBoost does not allow in the name of a feature.
_FORBIDDEN = "[]<"


@dataclass(frozen=True)
class FitRequest:
    """The arguments of `fit`."""

    estimator: Any
    loss: Loss
    features: Any
    label: Any
    weight: Any
    eval_set: Any


def fit_estimator(request: FitRequest) -> dict[str, Any]:
    """Train, and return the attributes of the fitted estimator by name.

    Raises DataError for rows or parameters that cannot be used, and ConfigError if toytip does not
    support the installed XGBoost.
    """
    require_xgboost(xgb.__version__)
    try:
        return _fit(request)
    except ConfigError as error:
        raise DataError(str(error), hint=error.hint) from None


def _fit(request: FitRequest) -> dict[str, Any]:
    estimator = request.estimator
    params = booster_params(estimator)
    rows = open_rows(estimator, request.features, request.label, request.weight, reset=True)
    names = _xgboost_names(estimator)
    validation = _open_eval_set(estimator, request.eval_set)
    is_classifier = request.loss is Loss.LOGISTIC
    survey = rows.reduce(frames.survey_rows, frames.Survey.merge, is_classifier)
    if not survey.rows:
        raise DataError("cannot train: there are no rows")
    classes = _find_classes(survey) if is_classifier else None
    default_names = [f"f{number}" for number in range(estimator.n_features_in_)]
    table = fit_bins(rows, survey, params.max_bin, names or default_names)
    spec = TrainingSpec(
        params=params,
        loss=request.loss,
        bin_counts=table.bin_counts,
        missing_bin=table.missing_bin,
        constraints=constraints_by_feature(estimator.monotone_constraints, table.features),
    )
    data = _EncodedData(rows, validation, table, classes, with_row_ids=params.subsample < 1)
    checkpoints = _checkpoints(estimator.checkpoint_dir, spec, data)
    booster, best_round, curve = _train(data, spec, checkpoints, estimator.on_round)
    if checkpoints:
        checkpoints.delete()
    attributes = {
        "booster_": on_raw_values(booster, table.edges, names),
        "bin_table_": table.to_frame(),
        "best_iteration_": best_round - 1,
        "learning_curve_": asdict(curve),
    }
    return attributes | ({} if classes is None else {"classes_": classes})


def _xgboost_names(estimator: Any) -> list[str]:
    """Return the names of the features, or no names. Raises DataError if XGBoost forbids a name."""
    names = [str(name) for name in getattr(estimator, "feature_names_in_", [])]
    for name in names:
        if set(name) & set(_FORBIDDEN):
            raise DataError(f"cannot use column {name!r}: XGBoost does not allow [, ] and < in a name")
    return names


def _open_eval_set(estimator: Any, eval_set: Any) -> RowSource | None:
    """Return the rows for early stopping."""
    if isinstance(eval_set, list) and len(eval_set) == 1:  # XGBoost's estimators take a list
        (eval_set,) = eval_set
    if eval_set is None:
        if estimator.early_stopping_rounds:
            raise DataError("cannot stop early: there is no eval_set")
        return None
    if not isinstance(eval_set, tuple) or len(eval_set) not in (2, 3):
        raise DataError(
            "cannot use eval_set: it is not a tuple of two or three items",
            hint="Set eval_set=(features, labels) or eval_set=(features, labels, weights).",
        )
    features, label, *weight = eval_set
    return open_rows(estimator, features, label, weight[0] if weight else None, reset=False)


def _find_classes(survey: frames.Survey) -> npt.NDArray[Any]:
    """Return the two classes, sorted. Raises DataError if there are not two classes."""
    classes = survey.classes
    if None in classes:
        raise DataError("cannot use the labels: a label is missing (Input y contains NaN)")
    if not (all(isinstance(label, str) for label in classes) or all(map(_is_real, classes))):
        raise DataError("cannot use the labels: they are neither all numbers nor all strings")
    values = np.array(sorted(classes))
    check_classification_targets(values)
    if len(classes) > 2:
        raise DataError("Only binary classification is supported. The type of the target is multiclass")
    if len(classes) < 2:
        raise DataError(
            f"cannot train a classifier: the labels have {len(classes)} class instead of 2 classes"
        )
    return values


def _is_real(label: Any) -> bool:
    return isinstance(label, Real)


def fit_bins(rows: RowSource, survey: frames.Survey, max_bin: int, names: list[str]) -> BinTable:
    """Fit the bins of all features, in another pass over the rows."""
    candidates = [candidate_keys(counts, max_bin) for counts in survey.coarse]
    fine = rows.reduce(frames.fine_counts, merge_counts, candidates)
    edges = [fit_edges(upper, near, max_bin) for upper, near in zip(survey.coarse, fine, strict=True)]
    return BinTable(tuple(names), tuple(edges))


@dataclass(frozen=True, eq=False)
class _EncodedData:
    """Rows of a user, and how they become bin indices."""

    rows: RowSource
    validation: RowSource | None
    table: BinTable
    classes: npt.NDArray[Any] | None
    with_row_ids: bool

    def delayed(self) -> tuple[list[Any], list[Any] | None]:
        """Return delayed training frames of the training rows and the validation rows."""
        args = frames.encode_rows, self.table, self.classes, self.with_row_ids
        return self.rows.delay(*args), self.validation.delay(*args) if self.validation else None

    def computed(self) -> tuple[list[pd.DataFrame], list[pd.DataFrame] | None]:
        """Return training frames of the training rows and the validation rows."""
        args = frames.encode_rows, self.table, self.classes, self.with_row_ids
        return self.rows.compute(*args), self.validation.compute(*args) if self.validation else None

    def digest(self) -> str:
        """Return a digest of the contents of all rows, which does not depend on their order."""
        sources = [self.rows, *([self.validation] if self.validation else [])]
        hashes = [sum(source.compute(frames.content_hash, self.classes)) % 2**64 for source in sources]
        edges = b"".join(edges.tobytes() for edges in self.table.edges)
        return sha256(repr((hashes, self.table.bin_counts)).encode() + edges).hexdigest()


def _checkpoints(folder: Any, spec: TrainingSpec, data: _EncodedData) -> FolderCheckpoints | None:
    """Return the checkpoints of a training with these rows and parameters."""
    if folder is None:
        return None
    if not isinstance(folder, str | os.PathLike):
        raise DataError(f"cannot use checkpoint_dir={folder!r}: it is not the path of a folder")
    content = repr((spec, xgb.__version__, data.digest()))
    checkpoints = FolderCheckpoints(Path(folder).absolute(), sha256(content.encode()).hexdigest()[:32])
    checkpoints.require_writable()
    return checkpoints


def _train(
    data: _EncodedData,
    spec: TrainingSpec,
    checkpoints: FolderCheckpoints | None,
    on_round: Callable[[RoundEvent], None] | None,
) -> tuple[xgb.Booster, int, LearningCurve]:
    """Train on the workers of the active client, or in this process. Returns the best rounds."""
    if data.rows.is_lazy and _has_client():
        train, validation = data.delayed()
        result = fit_booster(train, validation, spec, checkpoints=checkpoints, on_round=on_round)
        return xgb.Booster(model_file=bytearray(result.booster)), result.rounds, result.curve
    booster, best = train_in_process(
        *data.computed(),
        spec,
        threads=available_cores(),
        checkpoint=checkpoints.load() if checkpoints else None,
        on_round=_local_callback(checkpoints, on_round),
    )
    model = xgb.Booster(model_file=bytearray(model_bytes(booster, best.round)))
    return model, best.round, LearningCurve.from_booster(booster)


def _has_client() -> bool:
    try:
        distributed.get_client()
    except ValueError:
        return False
    return True


def _local_callback(
    checkpoints: FolderCheckpoints | None, on_round: Callable[[RoundEvent], None] | None
) -> RoundCallback:
    def finish_round(number: int, curve: LearningCurve, booster: xgb.Booster) -> None:
        if on_round is not None:
            on_round(RoundEvent(number, curve.validation[-1] if curve.validation else None, curve.train[-1]))
        if checkpoints and number % checkpoints.interval_rounds == 0:
            checkpoints.save(checkpoint_bytes(booster, curve))

    return finish_round


def predict_rows(estimator: Any, features: Any) -> Any:
    """Return XGBoost's prediction for each row, as an array, lazy if the features are lazy."""
    features = as_frame(features)
    if isinstance(features, dd.DataFrame):
        names = feature_names(estimator, features, [], reset=False)
        predictions = features[names].map_partitions(
            _predict_part, estimator.booster_, meta=(None, np.float32), enforce_metadata=False
        )
        return predictions.to_dask_array()
    if estimator.id_column is not None and estimator.id_column in getattr(features, "columns", ()):
        features = features.drop(columns=estimator.id_column)
    # dask-ml predicts partition by partition, and a partition can be empty.
    return _predict_array(
        validate_rows(estimator, features, reset=False, ensure_min_samples=0), estimator.booster_
    )


def _predict_part(part: pd.DataFrame, booster: xgb.Booster) -> pd.Series:
    values = frames.numeric_frame(part).to_numpy()
    return pd.Series(_predict_array(values, booster), part.index)


def _predict_array(values: npt.NDArray[np.float32], booster: xgb.Booster) -> npt.NDArray[np.float32]:
    if not len(values):
        return np.empty(0, np.float32)
    return np.asarray(booster.inplace_predict(values, validate_features=False), np.float32)
