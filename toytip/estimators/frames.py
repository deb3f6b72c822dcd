"""The rows of a user: features, labels and weights, in this process or as Dask partitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import dask
import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import Float32Array
from toytip.core.columns import LABEL_COLUMN, ROW_ID_COLUMN, WEIGHT_COLUMN
from toytip.core.text import plural
from toytip.errors import DataError
from toytip.estimators.binning import (
    BinTable,
    KeyCounts,
    count_coarse,
    count_near_quantiles,
    merge_counts,
)
from toytip.training.sampling import UInt64Array, mix_bits, row_hashes

# Partial results are merged in groups of this size, on the workers.
MERGE_GROUP = 8
# A classifier has two classes. With more of them, the others are not counted.
MAX_DISTINCT_LABELS = 10
# Features cannot have this value or a larger one.
LARGEST_VALUE = np.finfo(np.float32).max


@dataclass(frozen=True)
class Layout:
    """Which columns of a frame have which meaning."""

    features: tuple[Any, ...]
    label: Any = None
    """The column with the label, or None if the labels are separate."""
    weight: Any = None
    """The column with the weights, or None."""
    row_id: Any = None
    """The column that identifies the rows, or None."""


class RawPart(NamedTuple):
    """Rows of a partition."""

    columns: list[Float32Array]
    """The values of the features. Missing values are NaN."""
    label: Any
    """A series or an array, in any type."""
    weight: Float32Array | None
    row_id: npt.NDArray[Any] | None


@dataclass(frozen=True)
class RowSource:
    """Partitions of rows, which are values in this process or delayed values of Dask."""

    parts: list[Any]
    """Frames of features."""
    labels: list[Any]
    """Arrays, or Nones if the label is a column."""
    weights: list[Any]
    """Arrays, or Nones if there are no weights or they are a column."""
    layout: Layout
    is_lazy: bool

    def compute(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Call a function of a `RawPart` for each partition. Returns the results."""
        if not self.is_lazy:
            return [function(part, *args) for part in self._raw_parts()]
        return list(dask.compute(self.delay(function, *args))[0])

    def reduce(self, function: Callable[..., Any], merge: Callable[[Any, Any], Any], *args: Any) -> Any:
        """Call a function of a `RawPart` for each partition, and merge the results."""
        if not self.is_lazy:
            return _merge_group(merge, [function(part, *args) for part in self._raw_parts()])
        return merge_delayed(self.delay(function, *args), merge)

    def delay(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Return delayed results of a function of a `RawPart`, one per partition."""
        call, shared = dask.delayed(_call_on_part, pure=True), dask.delayed(args, pure=True)
        return [
            call(function, part, label, weight, self.layout, shared)
            for part, label, weight in zip(self.parts, self.labels, self.weights, strict=True)
        ]

    def _raw_parts(self) -> list[RawPart]:
        return [
            read_part(part, label, weight, self.layout)
            for part, label, weight in zip(self.parts, self.labels, self.weights, strict=True)
        ]


def _call_on_part(
    function: Callable[..., Any], part: Any, label: Any, weight: Any, layout: Layout, args: tuple[Any, ...]
) -> Any:
    return function(read_part(part, label, weight, layout), *args)


def merge_delayed(results: Sequence[Any], merge: Callable[[Any, Any], Any]) -> Any:
    """Return the merged value of delayed results. Tasks merge the results in groups."""
    merge_group = dask.delayed(_merge_group, pure=True)
    while len(results) > 1:
        groups = [results[start : start + MERGE_GROUP] for start in range(0, len(results), MERGE_GROUP)]
        results = [merge_group(merge, group) for group in groups]
    return dask.compute(results[0])[0]


def _merge_group(merge: Callable[[Any, Any], Any], results: Sequence[Any]) -> Any:
    merged = results[0]
    for result in results[1:]:
        merged = merge(merged, result)
    return merged


def read_part(frame: Any, label: Any, weight: Any, layout: Layout) -> RawPart:
    """Return the rows of a partition, without rows of weight 0.

    Raises DataError if a column cannot be used.
    """
    frame = pd.DataFrame(frame, copy=False)
    labels = frame[layout.label] if layout.label is not None else label
    if layout.weight is not None:
        weight = frame[layout.weight]
    for name, values in (("label", labels), ("weight", weight)):
        if values is not None and len(values) != len(frame):
            raise DataError(
                f"cannot train: a partition has {plural(len(frame), 'row')}, but {plural(len(values), name)}"
            )
    weights = None if weight is None else _read_weights(weight)
    if weights is not None and not weights.all():
        frame, labels, weights = frame[weights > 0], labels[weights > 0], weights[weights > 0]
    return RawPart(
        columns=[numeric_values(frame[name], f"column {name!r}") for name in layout.features],
        label=labels,
        weight=weights,
        row_id=None if layout.row_id is None else _read_row_ids(frame[layout.row_id]),
    )


def numeric_values(values: Any, kind: str) -> Float32Array:
    """Return values as float32, with NaN for missing ones. Raises DataError for other values.

    `kind` names the values in the error. No value is infinite or the largest float32, which a
    condition of a tree cannot separate from missing values.
    """
    values = pd.Series(values, copy=False)
    dtype = values.dtype
    is_number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)
    if not (is_number or pd.api.types.is_bool_dtype(dtype)) or isinstance(dtype, pd.CategoricalDtype):
        raise DataError(
            f"cannot use {kind}: its type is {dtype}, which is not a number",
            hint="Convert the values to numbers.",
        )
    with np.errstate(over="ignore"):  # after an overflow the value is infinite
        numbers = np.asarray(values.to_numpy(np.float32, na_value=np.nan), np.float32)
    require_small_values(numbers, kind)
    return numbers


def require_small_values(numbers: Float32Array, kind: str) -> None:
    """Raise DataError if values are infinite or too large."""
    if (numbers >= LARGEST_VALUE).any() or (numbers == -np.inf).any():
        raise DataError(
            f"cannot use {kind}: it contains infinity or a value too large for float32",
            hint="Replace these values, for example by NaN.",
        )


def numeric_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of float32 values. Raises DataError for a column that cannot be used."""
    values = np.empty(frame.shape, np.float32, order="F")
    for position, name in enumerate(frame.columns):
        values[:, position] = numeric_values(frame.iloc[:, position], f"column {name!r}")
    return pd.DataFrame(values, columns=frame.columns, copy=False)


def _read_weights(values: Any) -> Float32Array:
    weights = numeric_values(values, "the column of sample weights")
    if np.isnan(weights).any() or (weights < 0).any():
        raise DataError("cannot use the sample weights: a weight is negative or missing")
    return weights


def _read_row_ids(values: pd.Series) -> UInt64Array:
    if values.isna().any():
        raise DataError(f"cannot use the IDs in column {values.name!r}: an ID is missing")
    if pd.api.types.is_integer_dtype(values.dtype):
        return np.asarray(values.to_numpy().astype(np.uint64))
    return np.asarray(pd.util.hash_array(values.to_numpy(), categorize=False))


def class_indices(label: Any, classes: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return whether each label is the second class. Raises DataError for an unknown label."""
    labels = np.asarray(label)
    if pd.isna(labels).any():
        raise DataError("cannot use the labels: a label is missing")
    first, second = classes.tolist()
    is_second = np.asarray(labels == second)
    if not (is_second | (labels == first)).all():
        raise DataError(f"cannot use the labels: a label is neither {first!r} nor {second!r}")
    return is_second


def label_values(label: Any, classes: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """Return the labels of a classifier as bool, and the labels of a regressor as float32."""
    if classes is not None:
        return class_indices(label, classes)
    numbers = numeric_values(label, "the column of labels")
    if np.isnan(numbers).any():
        raise DataError("cannot use the labels: a label is missing")
    return numbers


class Survey(NamedTuple):
    """Facts about rows before their bins are fitted."""

    rows: int
    coarse: list[KeyCounts]
    """The upper bits of the values, by feature."""
    classes: frozenset[Any]
    """Different labels of a classifier, with None for a missing label."""

    def merge(self, other: Survey) -> Survey:
        """Return the facts about both sets of rows."""
        return Survey(
            self.rows + other.rows,
            merge_counts(self.coarse, other.coarse),
            self.classes | other.classes,
        )


def survey_rows(part: RawPart, is_classifier: bool) -> Survey:
    """Return the facts about the rows of a partition."""
    return Survey(
        rows=len(part.label),
        coarse=count_coarse(part.columns),
        classes=_distinct_labels(np.asarray(part.label)) if is_classifier else frozenset(),
    )


def _distinct_labels(label: npt.NDArray[Any]) -> frozenset[Any]:
    """Return different labels, or at least three of them if there are more."""
    if label.dtype.kind not in "biufOU":
        raise DataError(
            f"cannot use the labels: their type is {label.dtype}, which is not a number or a string"
        )
    is_missing = pd.isna(label)
    distinct = pd.unique(label[~is_missing])[:MAX_DISTINCT_LABELS].tolist()
    return frozenset([*distinct, *([None] if is_missing.any() else [])])


def fine_counts(part: RawPart, candidates: Sequence[npt.NDArray[np.uint32]]) -> list[KeyCounts]:
    """Count the values near the quantiles."""
    return count_near_quantiles(part.columns, candidates)


def content_hash(part: RawPart, classes: npt.NDArray[Any] | None) -> int:
    """Return a hash of the rows of a partition, which does not depend on their order.

    The hash of all rows is the sum of the hashes of the partitions, modulo 2^64.
    """
    hashes = _value_hashes(part, label_values(part.label, classes))
    if part.row_id is not None:
        hashes += mix_bits(part.row_id.astype(np.uint64))
    return int(mix_bits(hashes).sum(dtype=np.uint64))


def _value_hashes(part: RawPart, label: npt.NDArray[Any]) -> UInt64Array:
    weights = [] if part.weight is None else [part.weight]
    return row_hashes([*part.columns, label.astype(np.float32), *weights])


def encode_rows(
    part: RawPart, table: BinTable, classes: npt.NDArray[Any] | None, with_row_ids: bool
) -> pd.DataFrame:
    """Return a training frame (see `toytip.core.columns`).

    Without an ID column, a hash of its values identifies a row.
    """
    label = label_values(part.label, classes)
    frame = pd.DataFrame(
        table.encode(part.columns).T, columns=[f"f{number}" for number in range(len(part.columns))]
    )
    extra: dict[str, npt.NDArray[Any]] = {LABEL_COLUMN: label}
    if part.weight is not None:
        extra[WEIGHT_COLUMN] = part.weight
    if with_row_ids:
        extra[ROW_ID_COLUMN] = _value_hashes(part, label) if part.row_id is None else part.row_id
    return frame.assign(**extra).set_axis(pd.RangeIndex(len(label)), axis=0)
