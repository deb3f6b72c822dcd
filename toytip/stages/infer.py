"""infer: the matrix of codes and a model -> `scores`: the probability of a high tip, for every trip."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb

from toytip.schema import SCORES
from toytip.splits import assign
from toytip.values import Model


@lru_cache(maxsize=4)
def _load(booster: bytes, threads: int = 1) -> xgb.Booster:
    loaded = xgb.Booster()
    loaded.load_model(bytearray(booster))
    # One thread a task: the workers already fill the cores.
    loaded.set_param({"nthread": threads})
    return loaded


def probability(matrix: pd.DataFrame, booster: bytes) -> npt.NDArray[np.float32]:
    """Return the probability of a high tip for every row of the matrix."""
    if matrix.empty:
        return np.empty(0, np.float32)
    scored: npt.NDArray[np.float32] = _load(booster).inplace_predict(
        matrix.to_numpy(), validate_features=False
    )
    return scored.astype(np.float32, copy=False)


def contributions(matrix: pd.DataFrame, booster: bytes, threads: int = 1) -> npt.NDArray[np.float32]:
    """Return by how much each column moves the log-odds of each row from the mean (Lundberg's SHAP for trees)."""
    if matrix.empty:
        return np.empty(matrix.shape, np.float32)
    said: npt.NDArray[np.float32] = _load(booster, threads).predict(
        xgb.DMatrix(matrix.to_numpy()), pred_contribs=True, validate_features=False
    )
    return said[:, :-1]  # the last column is the mean


def gains(model: Model) -> dict[str, float]:
    """Return the share of all the gain of a model's splits that each of its features has: how much it leans on it."""
    told = _load(model.booster).get_score(importance_type="total_gain")
    found = {name: float(told.get(name, 0.0)) for name in model.encoding.names}
    whole = sum(found.values())
    return {name: gain / whole if whole else 0.0 for name, gain in found.items()}


def infer(features: pd.DataFrame, matrix: pd.DataFrame, model: Model) -> pd.DataFrame:
    """Return `scores` of `features`, whose codes are `matrix`, row for row."""
    return scores(features, probability(matrix, model.booster), model)


def scores(features: pd.DataFrame, chances: npt.NDArray[np.float32], model: Model) -> pd.DataFrame:
    """Return `scores` of `features`, of which the model says `chances`, row for row."""
    told = features[["trip_id", "pickup_at", "PULocationID", "DOLocationID"]].assign(
        probability=chances,
        high_tip=features["high_tip"],
        split=assign(features, model.encoding.split, model.encoding.population),
        model_version=pd.Series(model.version, index=features.index, dtype="str"),
    )
    return SCORES.check(told)
