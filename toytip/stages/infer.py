"""infer: the matrix of codes and a model -> `scores`: the probability of a high tip, for every trip."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb

from toytip.core.model import TrainedModel
from toytip.core.splits import split_names
from toytip.core.tables import SCORES


@lru_cache(maxsize=4)
def _load_booster(booster: bytes, threads: int = 1) -> xgb.Booster:
    loaded = xgb.Booster()
    loaded.load_model(bytearray(booster))
    # One thread a task: the workers already fill the cores.
    loaded.set_param({"nthread": threads})
    return loaded


def predict_probabilities(matrix: pd.DataFrame, booster: bytes) -> npt.NDArray[np.float32]:
    """Return the probability of a high tip for every row of the matrix."""
    if matrix.empty:
        return np.empty(0, np.float32)
    scored: npt.NDArray[np.float32] = _load_booster(booster).inplace_predict(
        matrix.to_numpy(), validate_features=False
    )
    return scored.astype(np.float32, copy=False)


def shap_values(matrix: pd.DataFrame, booster: bytes, threads: int = 1) -> npt.NDArray[np.float32]:
    """Return by how much each column moves the log-odds of each row from the mean (Lundberg's SHAP for trees)."""
    if matrix.empty:
        return np.empty(matrix.shape, np.float32)
    said: npt.NDArray[np.float32] = _load_booster(booster, threads).predict(
        xgb.DMatrix(matrix.to_numpy()), pred_contribs=True, validate_features=False
    )
    return said[:, :-1]  # the last column is the mean


def gain_importance(model: TrainedModel) -> dict[str, float]:
    """Return the share of all the gain of a model's splits that each of its features has: how much it leans on it."""
    told = _load_booster(model.booster).get_score(importance_type="total_gain")
    found = {name: float(told.get(name, 0.0)) for name in model.encoding.feature_names}
    whole = sum(found.values())
    return {name: gain / whole if whole else 0.0 for name, gain in found.items()}


def infer(features: pd.DataFrame, matrix: pd.DataFrame, model: TrainedModel) -> pd.DataFrame:
    """Return `scores` of `features`, whose codes are `matrix`, row for row."""
    return build_scores(features, predict_probabilities(matrix, model.booster), model)


def build_scores(
    features: pd.DataFrame, probabilities: npt.NDArray[np.float32], model: TrainedModel
) -> pd.DataFrame:
    """Return `scores` of `features`, of which the model says `probabilities`, row for row."""
    told = features[["trip_id", "pickup_at", "PULocationID", "DOLocationID"]].assign(
        probability=probabilities,
        high_tip=features["high_tip"],
        split=split_names(features, model.encoding.split, model.encoding.population),
        model_version=pd.Series(model.version, index=features.index, dtype="str"),
    )
    return SCORES.validate(told)
