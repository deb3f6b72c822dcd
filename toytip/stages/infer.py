"""Predict the probability of a high tip for every trip, from bin indexes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import xgboost as xgb

from toytip.core.arrays import BinIndices, Float32Array
from toytip.core.model import TrainedModel
from toytip.core.splits import split_names
from toytip.core.tables import SCORES


@lru_cache(maxsize=4)
def _load_booster(booster: bytes, threads: int = 1) -> xgb.Booster:
    model = xgb.Booster()
    model.load_model(bytearray(booster))
    # One thread per task, because the workers already use all cores.
    model.set_param({"nthread": threads})
    return model


def predict_probabilities(matrix: pd.DataFrame | BinIndices, booster: bytes) -> Float32Array:
    """Return the probability of a high tip for every row of a matrix of bin indexes."""
    bins = np.asarray(matrix)
    if not bins.size:
        return np.empty(0, np.float32)
    probabilities: Float32Array = _load_booster(booster).inplace_predict(bins, validate_features=False)
    return probabilities.astype(np.float32, copy=False)


def shap_values(matrix: pd.DataFrame | BinIndices, booster: bytes, threads: int = 1) -> Float32Array:
    """Return the contribution of each column to the log-odds of each row (rows x columns).

    The contributions are SHAP values of trees (Lundberg et al. 2020), relative to the mean.
    """
    bins = np.asarray(matrix)
    if not bins.size:
        return np.empty(bins.shape, np.float32)
    contributions: Float32Array = _load_booster(booster, threads).predict(
        xgb.DMatrix(bins), pred_contribs=True, validate_features=False
    )
    return contributions[:, :-1]  # the last column is the mean


def gain_importance(model: TrainedModel) -> dict[str, float]:
    """Return the share of each feature in the gain of all splits of a model, by name."""
    scores = _load_booster(model.booster).get_score(importance_type="total_gain")
    gains = {name: float(scores.get(name, 0.0)) for name in model.encoding.feature_names}
    total = sum(gains.values())
    return {name: gain / total if total else 0.0 for name, gain in gains.items()}


def infer(features: pd.DataFrame, matrix: pd.DataFrame, model: TrainedModel) -> pd.DataFrame:
    """Return the `scores` of `features` with the bin indexes `matrix`, one row per trip."""
    return build_scores(features, predict_probabilities(matrix, model.booster), model)


def build_scores(features: pd.DataFrame, probabilities: Float32Array, model: TrainedModel) -> pd.DataFrame:
    """Return the `scores` of `features` with the model's `probabilities`, one row per trip."""
    scores = features[["trip_id", "pickup_at", "PULocationID", "DOLocationID"]].assign(
        probability=probabilities,
        high_tip=features["high_tip"],
        split=split_names(features, model.encoding.split, model.encoding.segment),
        model_version=pd.Series(model.version, index=features.index, dtype="str"),
    )
    return SCORES.validate(scores)
