"""Try the parts of a module on a few synthetic rows, before a run starts to work."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
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
from toytip.core.dataset.declarations import Feature, Field, Reference, Rule
from toytip.core.number_values import read_amounts, replace_texts
from toytip.core.schema import Column
from toytip.core.tables import TRIPS
from toytip.datasets.project.file_access import forbid_reading
from toytip.datasets.project.parts import Declared, Parts, function_of, part_of
from toytip.datasets.project.time_limit import limit_time
from toytip.datasets.project.user_code import NUMBER_KINDS, TRUTH_KINDS

# A Wednesday. The rows are from two days.
TRIAL_START = dt.datetime(2023, 6, 14)  # noqa: DTZ001 - source files have local times
_TRIAL_YEAR_AND_MONTH = (2023, 6)
Values = npt.NDArray[Any]
Trial = tuple[tuple[str, str], ...]


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
def _on_trial(declared: Declared) -> Iterator[None]:
    """Limit the time of a part, and forbid it to read files.

    Show no warnings, which unusual values can cause.
    """
    part = part_of(declared)
    with limit_time(part), forbid_reading(part.file), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def record_needs(parts: Parts, base: Dataset) -> Parts:
    """Return the parts with the columns that each rule uses in the trial."""
    return replace(parts, rules=tuple(replace(rule, needs=_used_columns(rule, base)) for rule in parts.rules))


def _used_columns(rule: Rule, base: Dataset) -> tuple[str, ...]:
    used: set[str] = set()
    rows = _RecordedRows(trial_rows(base), used)
    with _on_trial(rule):
        rule.rejects(rows)
    # A rule can read all columns at once, for example as a frame.
    return tuple(name for name in rows if name in used) or tuple(rows)


class _RecordedRows(dict[str, Values]):
    """Columns that record which of them are used."""

    def __init__(self, columns: Columns, used: set[str]) -> None:
        super().__init__(columns)
        self._used = used

    def __getitem__(self, name: str) -> Values:
        values = super().__getitem__(name)
        self._used.add(name)
        return values

    def get(self, name: str, default: Any = None) -> Any:
        if name in self:
            self._used.add(name)
        return super().get(name, default)

    def copy(self) -> _RecordedRows:
        return _RecordedRows(self, self._used)


def try_parts(parts: Parts, dataset: Dataset) -> Trial:
    """Compute every part on a few rows, alone and together, and return digests of the values.

    Raises ConfigError for bad values.
    """
    trips, digests = trial_rows(dataset), []
    for part in parts.all:
        if not isinstance(part, Reference):
            needs = trips if isinstance(part, Rule) else part.needs
            kinds = NUMBER_KINDS if isinstance(part, Feature) else TRUTH_KINDS
            values = _try_part(part, {name: trips[name] for name in needs}, kinds)
            digests.append((part.name, _digest(values)))
    return tuple(digests)


def _digest(values: Values) -> str:
    """Return the digest of values to six digits, because processors can differ in the last one."""
    text = " ".join(f"{value:.6g}" for value in values.astype(np.float64))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def require_same_trial(dataset: Dataset, trial: Trial) -> None:
    """Raise ConfigError if a part of a module had other values in the trial of another process."""
    expected, own = dict(trial), dict(dataset.trial)
    others = [part for part in (dataset.label, dataset.segment) if part is not None]
    for part in (*dataset.features, *dataset.rules, *others):
        name = part.name
        if name in own and name in expected and own[name] != expected[name]:
            raise part_of(part).error(
                "its values differ between processes",
                "Use no random numbers, clock, environment variables or hash(), not even at the top level.",
            )


def _try_part(declared: Declared, trips: Mapping[str, Values], kinds: str) -> Values:
    """Return the values of a part. Raises ConfigError if they depend on other rows, for example."""
    compute: Callable[[Columns], Values] = function_of(declared)
    with _on_trial(declared):
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
        twice = compute({name: np.concatenate([column, column]) for name, column in trips.items()})
    _require_same(
        declared,
        values,
        again,
        "two calls with the same rows return different values ({} and {})",
        "Use no random numbers and no other state, so that every process gives the same values.",
    )
    hint = "Use only the values of the row itself, so that every partition gives the same values."
    cause = "the value of a row depends on other rows"
    _require_same(declared, values, alone, f"{cause} ({{}} with other rows, {{}} alone)", hint)
    for copies in np.split(twice, 2):
        _require_same(declared, values, copies, f"{cause} ({{}} once, {{}} with each row twice)", hint)
    return values


def _require_same(
    declared: Declared, values: Values, others: Sequence[Any] | Values, cause: str, hint: str
) -> None:
    """Raise ConfigError if two calls give a row different values."""
    for value, other in zip(values, others, strict=True):
        if not _is_same(value, other):
            raise part_of(declared).error(cause.format(value, other), hint)


def _is_same(value: Any, other: Any) -> bool:
    """Return whether two values are equal, or both missing."""
    return bool(value == other or (pd.isna(value) and pd.isna(other)))
