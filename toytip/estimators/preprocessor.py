"""A transformer for scikit-learn and dask-ml pipelines that replaces features with bin indices."""

from __future__ import annotations

from typing import Any, Self

import dask
import dask.dataframe as dd
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from toytip.core.arrays import BoolArray
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.model import Encoding
from toytip.core.splits import Split, TimeRange
from toytip.core.text import plural
from toytip.errors import DataError
from toytip.estimators.frames import merge_delayed
from toytip.estimators.user_rows import partition_values, require_columns
from toytip.stages import preprocess

# All times that every unit of NumPy's times can represent.
_ALL_TIME = TimeRange("1700-01-01T00:00:00", "2200-01-01T00:00:00")
_ALL_PERIODS = Split(train=_ALL_TIME, validation=None, test=TimeRange(_ALL_TIME.stop, _ALL_TIME.stop))


class Preprocess(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Transforms features to bin indices. Input can be a pandas or Dask frame.

    The names in `names` are columns of the input. Those in `rate_names` are target-encoded features
    of the data set. Without a split, all rows are training rows. If the input has the column
    `id_column`, this column is also the last column of the output.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        dataset: Dataset,
        split: Split | None = None,
        segment: str = ALL_ROWS,
        rate_names: tuple[str, ...] = (),
        id_column: str | None = None,
    ) -> None:
        self.names = names
        self.rate_names = rate_names
        self.dataset = dataset
        self.split = split
        self.segment = segment
        self.id_column = id_column

    @classmethod
    def from_encoding(cls, encoding: Encoding, id_column: str | None = None) -> Self:
        """Return a fitted transformer."""
        dataset = encoding.dataset
        rate_names = tuple(name for name in encoding.feature_names if name in dataset.target_rates)
        names = tuple(name for name in encoding.feature_names if name not in rate_names)
        fitted = cls(names, dataset, encoding.split, encoding.segment, rate_names, id_column)
        fitted.encoding_ = encoding
        return fitted

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Compute the bins from the value counts of the training rows.

        Without `y`, the labels are the column of the input that has the name of the label. Raises
        DataError if the columns or the labels cannot be used, or if all labels of the training rows
        are equal.
        """
        if isinstance(y, str):
            raise DataError("cannot use the labels: they are the name of a column", hint="Pass the column.")
        label = [self.dataset.label.name] if y is None else []
        columns = list(dict.fromkeys([*self.names, *_counted_columns(self.dataset), *label]))
        _require_features(X, columns, self.dataset)
        args = (self.names, self.split or _ALL_PERIODS, self.segment, self.dataset)
        if isinstance(X, dd.DataFrame):
            parts = X[columns].to_delayed()
            labels = partition_values(y, len(parts), "labels")
            count = dask.delayed(_count_values, pure=True)
            tasks = [count(part, label, *args) for part, label in zip(parts, labels, strict=True)]
            total = merge_delayed(tasks, preprocess.ValueCounts.merge)
        else:
            total = _count_values(X[columns], y, *args)
        if not 0 < total.positives < total.rows:
            raise DataError(
                f"cannot fit the bins: {total.positives:,} of {total.rows:,} training rows have a positive label",
                hint="Fit on rows with both labels.",
            )
        self.encoding_ = preprocess.fit_encoding(total, args[1], self.segment, self.dataset, self.rate_names)
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the bin indices of all rows, as a lazy frame if the input is lazy.

        Raises DataError if a column is missing or has no numbers.
        """
        check_is_fitted(self)
        binned = [name for name in self.encoding_.feature_names if name not in self.rate_names]
        keys = [key.column for key in self.dataset.encoding_keys] if self.rate_names else []
        columns = list(dict.fromkeys([*binned, self.dataset.time_column, *keys]))
        _require_features(X, columns, self.dataset)
        id_columns = [name for name in (self.id_column,) if name is not None and name in X.columns]
        rows = X[list(dict.fromkeys([*columns, *id_columns]))]
        if not isinstance(X, dd.DataFrame):
            return preprocess.encode(rows, self.encoding_, id_columns)
        meta = preprocess.matrix_table(self.encoding_).empty()
        meta = meta.assign(**{name: pd.Series(dtype=X.dtypes[name]) for name in id_columns})
        return rows.map_partitions(
            preprocess.encode, self.encoding_, id_columns, meta=meta, enforce_metadata=False
        )


def _counted_columns(dataset: Dataset) -> list[str]:
    """Return the columns that value counts need in addition to the features.

    They also count rows by the keys of the baseline and of the target encoding, and by segment.
    """
    keys = [key.column for key in (*dataset.baseline, *dataset.encoding_keys)]
    return [dataset.time_column, *keys, *(dataset.segment.needs if dataset.segment else ())]


def _require_features(frame: Any, names: list[str], dataset: Dataset) -> None:
    """Raise DataError if one of these columns is missing, or has a type that cannot be used."""
    require_columns(frame, names)
    for name in names:
        dtype = frame.dtypes[name]
        is_time = name == dataset.time_column
        kinds, expected = ("M", "a time without a time zone") if is_time else ("biuf", "a NumPy number")
        if not isinstance(dtype, np.dtype) or dtype.kind not in kinds:
            raise DataError(f"cannot use column {name!r}: its type is {dtype}, which is not {expected}")


def _count_values(
    part: pd.DataFrame, label: Any, names: tuple[str, ...], split: Split, segment: str, dataset: Dataset
) -> preprocess.ValueCounts:
    """Count the values of the training rows of a partition. Without labels, the part has them."""
    name = dataset.label.name
    labels = _read_labels(part[name] if label is None else label, len(part))
    return preprocess.count_values(part.assign(**{name: labels}), names, split, segment, dataset)


def _read_labels(label: Any, rows: int) -> BoolArray:
    """Return labels as bool. Raises DataError if there are other labels than two."""
    values: npt.NDArray[Any] = np.asarray(label)
    if values.shape != (rows,):
        raise DataError(
            f"cannot use the labels: the frame has {plural(rows, 'row')}, and the labels have the shape {values.shape}"
        )
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise DataError("cannot use the labels: a label is not True, False, 1 or 0")
    return values.astype(bool)
