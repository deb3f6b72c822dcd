"""Try the parts of a module on a few synthetic rows, before a run starts to work."""

from __future__ import annotations

import contextlib
import datetime as dt
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toytip.core.columns import Columns
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import Field, Rule
from toytip.core.number_values import read_amounts, replace_texts
from toytip.core.schema import Column
from toytip.core.tables import TRIPS
from toytip.datasets.project.file_access import FileAccessError, forbid_reading
from toytip.datasets.project.parts import Declared, Parts, function_of, part_of
from toytip.datasets.project.time_limit import limit_time
from toytip.datasets.project.user_code import NUMBER_KINDS, TRUTH_KINDS, line_in

# A Wednesday. The rows are from two days.
TRIAL_START = dt.datetime(2023, 6, 14)  # noqa: DTZ001 - source files have local times
_TRIAL_YEAR_AND_MONTH = (2023, 6)
Values = npt.NDArray[Any]


def trial_rows(dataset: Dataset) -> dict[str, Values]:
    """Return the columns of a few kept trips, with usual, missing and unusual values."""
    rows = dataset.golden_rows(TRIAL_START)
    kind = next(iter(dataset.kinds))
    ids = dataset.first_trip_id(kind, *_TRIAL_YEAR_AND_MONTH) + np.arange(len(rows))
    columns = {"trip_id": ids}
    for column in dataset.table(TRIPS).columns:
        if column.name not in columns:
            columns[column.name] = _values_of(column, dataset.fields_by_name[column.name], rows)
    for values in columns.values():
        values.flags.writeable = False  # no part may change the rows
    return columns


def _values_of(column: Column, field: Field, rows: Sequence[Mapping[str, Any]]) -> Values:
    """Return the values of a column. Amounts that the rows do not have are 0, 1, 2 and so on."""
    values = [row.get(column.name, index) for index, row in enumerate(rows)]
    if field.kind == "time":
        return np.array(values, column.dtype)
    texts = pa.chunked_array([[None if value is None else str(value) for value in values]], pa.string())
    if field.texts:
        texts = replace_texts(texts, field.texts)
    return read_amounts(texts).array.astype(column.dtype)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Show no warnings, which unusual values can cause."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _watched(declared: Declared) -> Iterator[None]:
    """Raise ConfigError if a part takes too long, or reads a file. Show no warnings."""
    part = part_of(declared)
    try:
        with _quiet(), limit_time(part), forbid_reading(part.file):
            yield
    except FileAccessError as error:
        raise part.error(str(error), error.hint, line_in(error, part.file)) from error


def record_needs(parts: Parts, base: Dataset) -> Parts:
    """Return the parts with the columns that each rule uses in the trial."""
    return replace(parts, rules=tuple(replace(rule, needs=_used_columns(rule, base)) for rule in parts.rules))


def _used_columns(rule: Rule, base: Dataset) -> tuple[str, ...]:
    rows = _RecordedRows(trial_rows(base))
    with _watched(rule):
        rule.rejects(rows)
    # A rule can read all columns at once, for example as a frame.
    return tuple(name for name in rows if name in rows.used) or tuple(rows)


class _RecordedRows(dict[str, Values]):
    """Columns that record which of them are used."""

    def __init__(self, columns: Columns) -> None:
        super().__init__(columns)
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Values:
        values = super().__getitem__(name)
        self.used.add(name)
        return values


def try_parts(parts: Parts, dataset: Dataset) -> None:
    """Compute every part on a few rows, alone and together. Raises ConfigError for bad values."""
    trips = trial_rows(dataset)
    for feature in parts.features:
        _try_part(feature, {name: trips[name] for name in feature.needs}, NUMBER_KINDS)
    for rule in parts.rules:
        _try_part(rule, trips, TRUTH_KINDS)
    if parts.label:
        _try_part(parts.label, {name: trips[name] for name in parts.label.needs}, TRUTH_KINDS)
    if parts.segment:
        _try_part(parts.segment, {name: trips[name] for name in parts.segment.needs}, TRUTH_KINDS)


def _try_part(declared: Declared, trips: Mapping[str, Values], kinds: str) -> None:
    """Raise ConfigError if the values of a part have another kind, or depend on other rows."""
    compute: Callable[[Columns], Values] = function_of(declared)
    with _watched(declared):
        values = compute(trips)
        if values.dtype.kind not in kinds:
            numbers = "True or False" if kinds == TRUTH_KINDS else "numbers"
            raise part_of(declared).error(
                f"it returns values of type {values.dtype}, not {numbers}", f"Return {numbers} for each row."
            )
        again = compute(trips)
        compute({name: column[:0] for name, column in trips.items()})
        alone = [
            compute({name: column[row : row + 1] for name, column in trips.items()})[0]
            for row in range(len(values))
        ]
    for row, value in enumerate(again):
        if not _is_same(value, values[row]):
            raise part_of(declared).error(
                f"two calls with the same rows return different values ({values[row]} and {value})",
                "Use no random numbers and no other state, so that every process gives the same values.",
            )
    for row, value in enumerate(alone):
        if not _is_same(value, values[row]):
            raise part_of(declared).error(
                f"the value of a row depends on other rows ({values[row]} with other rows, {value} alone)",
                "Use only the values of the row itself, so that every partition gives the same values.",
            )


def _is_same(value: Any, other: Any) -> bool:
    """Return whether two values are equal, or both missing."""
    return bool(value == other or (pd.isna(value) and pd.isna(other)))
