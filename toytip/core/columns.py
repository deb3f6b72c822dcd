"""Trips as columns: one NumPy array per column, by name.

Rules and features are functions of columns, so that they need no frame for a single trip.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BoolArray

# A frame is a mapping of this kind as well, if only its columns are read.
Columns = Mapping[str, npt.NDArray[Any]]

# The columns of a training frame that are not features. The features are bin indices. The names
# cannot be those of features, which begin with a letter in toytip's own frames, and with `f` and a
# number in frames of the estimators.
LABEL_COLUMN = "__label__"
"""The label: bool for a classifier, float32 for a regressor."""
WEIGHT_COLUMN = "__weight__"
"""The weight of the row, as float32. Without this column, all weights are 1."""
ROW_ID_COLUMN = "__row_id__"
"""A number (uint64 or int64) that identifies the row in any order. Only row sampling needs it."""
EXTRA_COLUMNS = (LABEL_COLUMN, WEIGHT_COLUMN, ROW_ID_COLUMN)


@dataclass(frozen=True)
class ColumnValues:
    """The values of a column of a file, converted to the dtype of `trips`."""

    array: npt.NDArray[Any]
    """The converted values. Missing and unreadable values are NaN or NaT."""
    unreadable: BoolArray | None = None
    """Which values cannot be read. None if all values can be read."""
    conversion: str = ""
    """How the values were converted, if their meaning depends on a rule."""


def row_count(rows: Columns) -> int:
    """Return the number of rows, given at least one column."""
    return len(next(iter(rows.items()))[1])


def columns_of(frame: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a frame, without a copy."""
    return {str(name): series.to_numpy() for name, series in frame.items()}


def on_frame(compute: Callable[[pd.DataFrame], Any]) -> Callable[[Columns], Any]:
    """Return a function of columns that calls a function of a frame.

    A rule or a feature can then use all methods of pandas. For a single trip, it is slower.
    """

    @functools.wraps(compute)
    def compute_on_columns(trips: Columns) -> Any:
        return compute(pd.DataFrame(dict(trips)))

    return compute_on_columns
