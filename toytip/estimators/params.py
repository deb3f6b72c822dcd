"""The parameters of an estimator, as the parameters of a training."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import asdict
from numbers import Integral, Real
from typing import Any

import numpy as np

from toytip.core.parameters import BoosterParams
from toytip.errors import DataError

# Parameters of the estimators that have a different name in `BoosterParams`.
_PARAM_NAMES = {"rounds": "n_estimators", "sampling_seed": "random_state"}
_SMALLEST_POSITIVE = float(np.nextafter(0, 1))
_SHARE = (_SMALLEST_POSITIVE, 1.0)
_NOT_NEGATIVE = (0.0, float("inf"))
# The limits of each parameter. XGBoost stores the number of rounds in 32 bits.
_RANGES = {
    "n_estimators": (1, 2**31 - 1),
    "max_depth": (1, 20),
    "learning_rate": _SHARE,
    "early_stopping_rounds": (0, float("inf")),
    "min_child_weight": _NOT_NEGATIVE,
    "reg_lambda": _NOT_NEGATIVE,
    "reg_alpha": _NOT_NEGATIVE,
    "gamma": _NOT_NEGATIVE,
    "subsample": _SHARE,
    "colsample_bytree": _SHARE,
    "colsample_bylevel": _SHARE,
    "random_state": (0, 2**63 - 1),
    "scale_pos_weight": (_SMALLEST_POSITIVE, 2.0**60),
    "max_bin": (2, 2**15),
}


def estimator_params(params: BoosterParams, features: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of a classifier that trains on features with parameters of a run."""
    values = {_PARAM_NAMES.get(name, name): value for name, value in asdict(params).items()}
    return values | {"monotone_constraints": params.constraints_of(features) or None}


def booster_params(estimator: Any) -> BoosterParams:
    """Return the parameters of an estimator. Raises DataError for a value that cannot be used."""
    if not isinstance(estimator.id_column, str | None):
        raise DataError(f"cannot use id_column={estimator.id_column!r}: it is not the name of a column")
    values = {}
    for name, default in asdict(BoosterParams()).items():
        own = _PARAM_NAMES.get(name, name)
        if own in _RANGES:
            values[name] = _read_number(own, getattr(estimator, own, default), type(default))
    return BoosterParams(**values)


def _read_number(name: str, value: Any, kind: type) -> Any:
    """Return a parameter as a number of Python. Raises DataError if it has another type."""
    if value is None and name == "early_stopping_rounds":
        return 0
    is_number = isinstance(value, Integral if kind is int else Real)
    if not is_number or isinstance(value, bool):
        expected = "an integer" if kind is int else "a number"
        raise DataError(f"cannot use {name}={value!r}: the value is not {expected}")
    lowest, highest = _RANGES[name]
    if not lowest <= value <= highest:
        raise DataError(f"cannot use {name}={value!r}: the value must be {_describe_range(lowest, highest)}")
    return kind(value)


def _describe_range(lowest: float, highest: float) -> str:
    """Return the limits of a parameter as text.

    >>> _describe_range(*_RANGES["subsample"])
    'above 0 and at most 1.0'
    """
    low = "above 0" if lowest == _SMALLEST_POSITIVE else f"at least {lowest}"
    return low if highest == float("inf") else f"{low} and at most {highest}"


def constraints_by_feature(value: Any, features: Sequence[str]) -> tuple[int, ...]:
    """Return the monotone constraint of each feature. Raises DataError for an unknown feature."""
    if value is None or (isinstance(value, Sized) and not len(value)):
        return ()
    if isinstance(value, dict):
        if unknown := [name for name in value if name not in features]:
            raise DataError(f"cannot use monotone constraints: there is no feature {unknown[0]!r}")
        value = tuple(value.get(name, 0) for name in features)
    directions = list(value) if isinstance(value, Sequence | np.ndarray) else []
    if len(directions) != len(features) or not all(direction in (-1, 0, 1) for direction in directions):
        raise DataError(f"cannot use monotone_constraints={value!r}: set 1, 0 or -1 for each feature")
    return tuple(int(direction) for direction in directions)
