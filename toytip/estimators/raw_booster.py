"""Turn a booster on bin indices into a booster on the values of the features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import xgboost as xgb

from toytip.core.arrays import Float32Array
from toytip.core.jsonable import dump_json
from toytip.estimators.frames import LARGEST_VALUE

# Every value of a feature is on the same side of these conditions, because estimators refuse the
# largest float32. XGBoost can read an infinite condition, but other programs cannot read its JSON.
_LARGEST = float(LARGEST_VALUE)


def on_raw_values(booster: xgb.Booster, edges: Sequence[Float32Array], names: Sequence[str]) -> xgb.Booster:
    """Return a booster that takes values instead of bin indices.

    `edges` has the inner edges of the bins of each feature. `names` is empty for features without
    names. In a tree, the condition `bin index < k` becomes `value < edge k`. XGBoost computes both
    in float32, so that the predictions are the same.
    """
    model = json.loads(booster.save_raw("json"))
    learner = model["learner"]
    learner["feature_names"] = list(names)
    learner["feature_types"] = ["float"] * len(names)
    for tree in learner["gradient_booster"]["model"]["trees"]:
        _replace_conditions(tree, edges)
    raw = xgb.Booster()
    raw.load_model(bytearray(dump_json(model).encode()))
    return raw


def _replace_conditions(tree: dict[str, Any], edges: Sequence[Float32Array]) -> None:
    nodes = zip(tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True)
    tree["split_conditions"] = [
        condition if left_child < 0 else _raw_condition(condition, edges[feature])
        for left_child, feature, condition in nodes
    ]


def _raw_condition(condition: float, edges: Float32Array) -> float:
    """Return the condition on values. Conditions beyond the bins separate only missing values."""
    if condition > len(edges):
        return _LARGEST
    if condition <= 0:
        return -_LARGEST
    return float(edges[int(condition) - 1])
