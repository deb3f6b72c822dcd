"""Open the rows that a user passes to an estimator: Dask frames, pandas frames, arrays or paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
from sklearn.base import is_regressor
from sklearn.utils.validation import _check_sample_weight, validate_data

from toytip.core.columns import ROW_ID_COLUMN
from toytip.core.text import plural
from toytip.errors import DataError
from toytip.estimators.frames import Layout, RowSource, numeric_frame, require_small_values


def as_frame(features: Any) -> Any:
    """Return a path or a Dask array as a Dask frame, and other values unchanged.

    Raises DataError if the files cannot be read, or if several columns have the same name.
    """
    if isinstance(features, str | os.PathLike):
        try:
            features = dd.read_parquet(features)
        except (OSError, ValueError) as error:
            cause = str(error).strip().splitlines()[-1].removeprefix("Original Message: ")
            raise DataError(f"cannot read {os.fspath(features)}: {cause}") from None
    if isinstance(features, da.Array):
        features = dd.from_dask_array(features)
    if isinstance(features, pd.DataFrame | dd.DataFrame) and features.columns.has_duplicates:
        duplicate = features.columns[features.columns.duplicated()][0]
        raise DataError(f"cannot use the frame: several columns have the name {duplicate!r}")
    return features


def open_rows(estimator: Any, features: Any, label: Any, weight: Any, *, reset: bool) -> RowSource:
    """Return the rows of a user as partitions.

    With `reset`, the estimator learns the number and the names of its features. Raises DataError,
    or another ValueError, if the rows cannot be used.
    """
    if label is None:
        raise DataError("cannot train: the estimator requires y to be passed, but the target y is None")
    features = as_frame(features)
    special = {"label": label, "weight": weight, "row_id": estimator.id_column}
    columns = {key: name for key, name in special.items() if isinstance(name, str)}
    if columns or isinstance(features, dd.DataFrame):
        require_columns(features, list(columns.values()))
    if not isinstance(features, dd.DataFrame):
        return _open_local_rows(estimator, features, special, columns, reset=reset)
    names = feature_names(estimator, features, list(columns.values()), reset=reset)
    parts = list(features.to_delayed())
    return RowSource(
        parts=parts,
        labels=partition_values(None if "label" in columns else label, len(parts), "labels"),
        weights=partition_values(None if "weight" in columns else weight, len(parts), "weights"),
        layout=Layout(features=tuple(names), **columns),
        is_lazy=True,
    )


def require_columns(features: Any, names: Sequence[Any]) -> None:
    """Raise DataError if the rows have no columns with these names."""
    present = getattr(features, "columns", None)
    if present is None:
        raise DataError(f"cannot use column {names[0]!r}: an array has no column names")
    if missing := [name for name in names if name not in present]:
        raise DataError(f"cannot use the frame: it has no column {missing[0]!r}")


def feature_names(estimator: Any, features: dd.DataFrame, special: list[str], *, reset: bool) -> list[Any]:
    """Return the names of the features of a Dask frame, in the order of the model."""
    names = [name for name in features.columns if name not in special]
    if not reset:
        fitted = getattr(estimator, "feature_names_in_", None)
        if fitted is not None:
            require_columns(features, list(fitted))
            return list(fitted)
        if len(names) != estimator.n_features_in_:
            raise DataError(
                f"cannot use the frame: it has {plural(len(names), 'feature')}, and the model has {estimator.n_features_in_}"
            )
        return names
    if not names:
        raise DataError("cannot train: the frame has no features")
    estimator.n_features_in_ = len(names)
    vars(estimator).pop("feature_names_in_", None)
    if all(isinstance(name, str) for name in names):
        estimator.feature_names_in_ = np.array(names, dtype=object)
    return names


def partition_values(values: Any, count: int, kind: str) -> list[Any]:
    """Return the delayed labels or weights of the partitions of a frame."""
    if values is None:
        return [None] * count
    hint = f"Take features and {kind} from the same frame, or pass the name of a column."
    if not isinstance(values, dd.Series | da.Array):
        raise DataError(
            f"cannot use the {kind}: the features are a Dask frame, and the {kind} are not lazy "
            f"(a Dask series or array), but a {type(values).__name__}",
            hint=hint,
        )
    if values.ndim != 1:
        raise DataError(f"cannot use the {kind}: their array has {values.ndim} dimensions instead of one")
    parts = values.to_delayed()
    if len(parts) != count:
        raise DataError(
            f"cannot use the {kind}: the features have {plural(count, 'partition')}, and the {kind} have {len(parts)}",
            hint=hint,
        )
    return list(parts)


def _open_local_rows(
    estimator: Any, features: Any, special: dict[str, Any], columns: dict[str, str], *, reset: bool
) -> RowSource:
    """Return the rows of an array or a pandas frame as one partition."""
    values = {key: features[name] for key, name in columns.items()}
    label, weight = (values.get(key, special[key]) for key in ("label", "weight"))
    if columns:
        features = features.drop(columns=list(columns.values()))
    array, labels = validate_rows(estimator, features, label, reset=reset, y_numeric=is_regressor(estimator))
    frame = pd.DataFrame(array, copy=False)
    layout = Layout(features=tuple(frame.columns), row_id=ROW_ID_COLUMN if "row_id" in columns else None)
    if "row_id" in columns:
        frame[ROW_ID_COLUMN] = values["row_id"].array
    weights = None if weight is None else _check_sample_weight(weight, array, dtype=np.float32)
    # Series are then read like partitions, so that the model is the same.
    labels, weights = (
        own if isinstance(own, pd.Series) else checked
        for own, checked in ((label, labels), (weight, weights))
    )
    return RowSource([frame], [labels], [weights], layout, is_lazy=False)


def validate_rows(estimator: Any, features: Any, *label: Any, reset: bool, **options: Any) -> Any:
    """Return the values of an array or a pandas frame as float32, and the labels if there are any.

    Raises DataError, or another ValueError, if the values cannot be used.
    """
    if isinstance(features, pd.DataFrame):
        if features.columns.empty:
            raise DataError("cannot use the frame: it has no features")
        features = numeric_frame(features)
    options |= {"dtype": np.float32, "ensure_all_finite": "allow-nan", "reset": reset}
    with np.errstate(over="ignore"):  # after an overflow the value is infinite, and refused
        checked = validate_data(estimator, features, *label, **options)
    require_small_values(checked[0] if label else checked, "the array")
    return checked
