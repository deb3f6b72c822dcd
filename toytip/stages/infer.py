"""Predict the probability of a positive label for every trip, from bin indexes."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pandas as pd
import xgboost as xgb

from toytip.core.arrays import BinIndices, Float32Array
from toytip.core.model import TrainedModel
from toytip.core.splits import split_names
from toytip.core.tables import SCORES
from toytip.core.xgboost_version import require_xgboost
from toytip.errors import RegistryError

# The last key of a booster: the version of XGBoost that wrote it, as three integers of one byte.
_WRITTEN_BY = re.compile(rb"version\[(?:\$i)?#L\x00{7}\x03i?(.)i?(.)i?(.)\}$", re.DOTALL)
# XGBoost's messages begin with a time and a line of its source code.
_LOG_PREFIX = re.compile(r"^\[[\d:]+\] \S+:\d+: ")


def booster_version(booster: bytes) -> tuple[int, int, int] | None:
    """Return the version of XGBoost that wrote a booster, or None if the booster is incomplete."""
    match = _WRITTEN_BY.search(booster, max(len(booster) - 64, 0))
    if match is None or not booster.startswith(b"{"):
        return None
    major, minor, patch = (ord(number) for number in match.groups())
    return major, minor, patch


@lru_cache(maxsize=4)
def load_booster(booster: bytes, threads: int = 1) -> xgb.Booster:
    """Return a booster that predicts with a number of threads.

    Raises ConfigError if toytip does not support the installed XGBoost, and RegistryError if this
    XGBoost cannot load the booster. XGBoost loads boosters of
    earlier versions, but does not promise it for later ones. An incomplete booster could end the
    process.
    """
    written_by, installed = booster_version(booster), xgb.__version__
    require_xgboost(installed)
    if written_by is None:
        raise RegistryError("cannot load the model: its booster is incomplete", hint="Train the model again.")
    version = ".".join(map(str, written_by))
    if written_by[:2] > tuple(map(int, installed.split(".")[:2])):
        raise RegistryError(
            f"cannot load the model: XGBoost {version} wrote it, and XGBoost {installed} is installed",
            hint=f"Install XGBoost {version}, or train the model again.",
        )
    model = xgb.Booster()
    try:
        model.load_model(bytearray(booster))
    except xgb.core.XGBoostError as error:
        cause = _LOG_PREFIX.sub("", str(error).partition("\n")[0])
        raise RegistryError(
            f"cannot load the model: XGBoost {version} wrote it, and XGBoost {installed} cannot read it ({cause})",
            hint=f"Install XGBoost {version}, or train the model again.",
        ) from None
    # One thread per task, because the workers already use all cores.
    model.set_param({"nthread": threads})
    return model


def predict_probabilities(matrix: pd.DataFrame | BinIndices, booster: bytes) -> Float32Array:
    """Return the probability of a positive label for every row of a matrix of bin indexes."""
    bins = np.asarray(matrix)
    if not bins.size:
        return np.empty(0, np.float32)
    probabilities: Float32Array = load_booster(booster).inplace_predict(bins, validate_features=False)
    return probabilities.astype(np.float32, copy=False)


def shap_values(matrix: pd.DataFrame | BinIndices, booster: bytes, threads: int = 1) -> Float32Array:
    """Return the contribution of each column to the log-odds of each row (rows x columns).

    The contributions are SHAP values of trees (Lundberg et al. 2020), relative to the mean.
    """
    bins = np.asarray(matrix)
    if not bins.size:
        return np.empty(bins.shape, np.float32)
    contributions: Float32Array = load_booster(booster, threads).predict(
        xgb.DMatrix(bins), pred_contribs=True, validate_features=False
    )
    return contributions[:, :-1]  # the last column is the mean


def gain_importance(model: TrainedModel) -> dict[str, float]:
    """Return the share of each feature in the gain of all splits of a model, by name."""
    scores = load_booster(model.booster).get_score(importance_type="total_gain")
    gains = {name: float(scores.get(name, 0.0)) for name in model.encoding.feature_names}
    total = sum(gains.values())
    return {name: gain / total if total else 0.0 for name, gain in gains.items()}


def infer(features: pd.DataFrame, matrix: pd.DataFrame, model: TrainedModel) -> pd.DataFrame:
    """Return the `scores` of `features` with the bin indexes `matrix`, one row per trip."""
    return build_scores(features, predict_probabilities(matrix, model.booster), model)


def build_scores(features: pd.DataFrame, probabilities: Float32Array, model: TrainedModel) -> pd.DataFrame:
    """Return the `scores` of `features` with the model's `probabilities`, one row per trip."""
    encoding, dataset = model.encoding, model.encoding.dataset
    scores = features[["trip_id", dataset.time_column, *dataset.score_columns]].assign(
        **{
            "probability": probabilities,
            dataset.label.name: features[dataset.label.name],
            "split": split_names(features, encoding.split, encoding.segment, dataset),
            "model_version": pd.Series(model.version, index=features.index, dtype="str"),
        }
    )
    return dataset.table(SCORES).validate(scores)
