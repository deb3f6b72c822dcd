"""Check the names, types and values of the columns of a source file, before a run reads the file.

The check of a file with the TLC's types needs only the footer. For other types, it also converts a
sample of the rows, because the values can then be unreadable, or times of another time zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from toytip.core.columns import ColumnValues
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import Field
from toytip.core.months import Month
from toytip.core.number_values import decode_dictionary, is_text
from toytip.core.text import join_words, plural
from toytip.core.time_pairs import find_contradiction, fix_of, meaning_of
from toytip.core.time_values import count_date_orders, other_reading, zone_place
from toytip.datasets.registry import match_dataset
from toytip.errors import SourceError
from toytip.monitoring.required_trips import SCORE_WITHOUT_LABELS
from toytip.sources.taxi_type import find_taxi
from toytip.stages.conform import (
    CONVERT,
    KIND_DESCRIPTIONS,
    WRITE_ISO_TIMES,
    RowLabel,
    describe_conversion,
    describe_day_first,
    find_unreadable,
    is_convertible,
    label_row,
    read_column,
)

ONLY_NULLS = "holds only nulls"
ADD_VALUES = "Add the values of {}."
ADD_COLUMN = "Add {} to the files, or set required=False in the field."
NAME_COLUMN = "If {} has another name in the files, add this name to the field."
DOWNLOAD_PUBLISHED = "If the TLC published the file, download it again."
# Times are in the wrong time zone if so many of them are 1 to 6 hours outside of the month of the
# file, and inside of it with another reading. In the TLC's files, these hours have at most 1 % of
# the trips of 5 usual hours, and at least 4 % after a shift by New York's UTC offset.
MAX_SHIFTED_SHARE = 0.025
MAX_SHIFTED_ROWS = 5
_SHARE_OF_5_HOURS = 5 / (30 * 24)
# An error describes at most so many problems of a file. Its hint has all columns.
MAX_PROBLEMS = 6
_HOUR = np.timedelta64(1, "h")

# Reads columns of a file, in batches.
ColumnReader = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]


class EmptyColumn(NamedTuple):
    """A required column that contains only nulls: its field, its name, and what to do."""

    field: str
    column: str
    fixes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FileColumns:
    """The columns of a source file, as toytip uses them."""

    taxi: str
    """Taxi type, `yellow`, `green` or `fhvhv`."""
    missing: tuple[str, ...]
    """Optional columns that do not exist in the file, or that contain only nulls."""
    notes: tuple[str, ...] = ()
    """Conversions of columns whose meaning depends on a rule."""
    empty: tuple[EmptyColumn, ...] = ()
    """Required columns that contain only nulls, and that can be null in the kept rows."""


def check_columns(
    name: str,
    schema: pa.Schema,
    month: Month | None,
    is_all_null: Callable[[str], bool],
    read: ColumnReader,
    label: RowLabel = label_row,
    may_have_other_numbers: Callable[[str], bool] = lambda _: True,
    dataset: Dataset | None = None,
) -> FileColumns:
    """Return the columns of a file. Raises SourceError, with the problems of the file.

    A column of a part of a month can be empty. The files of the month decide on such a problem.
    `name` is the path of the file for messages. `month` is the month in this path, if it has one.
    `read` is called only if the types of some columns are not those of the TLC. `label` names a row
    of the file. `may_have_other_numbers` tells whether floats of a column can be other numbers than
    codes. Without a data set, it is the built-in one that the columns show.
    """
    taxi = find_taxi(name, schema.names, dataset)
    dataset = match_dataset(schema.names, dataset)
    findings, columns = _Findings(dataset, label), dataset.field_names.match(schema.names)
    for field in dataset.fields:
        column = columns.get(field.name)
        if column is None or pa.types.is_null(schema.field(column).type) or is_all_null(column):
            findings.add_missing(field, column, taxi)
        else:
            findings.add_type(field, column, schema.field(column).type, may_have_other_numbers)
    if findings.unusual:
        _check_values(findings, columns, month, read)
    if findings.has_faults:
        raise SourceError(f"cannot use {name}: {findings.description}", hint=findings.hint)
    return FileColumns(
        taxi=taxi,
        missing=tuple(findings.missing),
        notes=tuple(findings.notes),
        empty=tuple(findings.empty),
    )


def error_of_empty(name: str, columns: Sequence[EmptyColumn]) -> SourceError:
    """Return the error of a file, if no file of its month has values of these columns."""
    fixes: dict[str, list[str]] = {}
    for column in columns:
        for fix in column.fixes:
            fixes.setdefault(fix, []).append(column.column)
    problems = join_words([f"column {column.column} {ONLY_NULLS}" for column in columns])
    return SourceError(f"cannot use {name}: {problems}", hint=_join_fixes(fixes))


def _join_fixes(fixes: Mapping[str, Sequence[str]]) -> str:
    """Return the fixes as text, each with all columns that it corrects."""
    return " ".join(fix.format(join_words(columns)) for fix, columns in fixes.items())


def _is_unusual(arrow_type: pa.DataType, field: Field, may_have_other_numbers: Callable[[], bool]) -> bool:
    """Return whether the meaning of a column depends on its values."""
    if pa.types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    if field.kind == "time":
        return not pa.types.is_timestamp(arrow_type) or arrow_type.tz is not None
    if field.kind == "code" and pa.types.is_floating(arrow_type):
        return may_have_other_numbers()
    return is_text(arrow_type) or (field.kind == "code" and pa.types.is_decimal(arrow_type))


class _Findings:
    """The problems of the columns of a file, with hints, and notes on conversions."""

    def __init__(self, dataset: Dataset, label: RowLabel) -> None:
        self.dataset = dataset
        self.label = label
        self.problems: list[str] = []
        self.fixes: dict[str, list[str]] = {}
        """The columns that each fix corrects, by the text of the fix."""
        self.notes: list[str] = []
        self.missing: list[str] = []
        self.empty: list[EmptyColumn] = []
        self.unusual: dict[str, Field] = {}
        """The fields of columns whose values must be checked, by column."""

    @property
    def has_faults(self) -> bool:
        """Whether the file has other problems than empty columns."""
        return len(self.problems) > len(self.empty)

    @property
    def description(self) -> str:
        """The problems as text. If there are many, only the first ones are complete."""
        others = len(self.problems) - MAX_PROBLEMS
        if others <= 1:
            return join_words(self.problems)
        return join_words([*self.problems[:MAX_PROBLEMS], plural(others, "other problem")])

    @property
    def hint(self) -> str:
        """The fixes of all problems."""
        return _join_fixes(self.fixes)

    def add_problem(self, problem: str, column: str, *fixes: str) -> None:
        self.problems.append(problem)
        for fix in fixes:
            self.fixes.setdefault(fix, []).append(column)

    def add_missing(self, field: Field, column: str | None, taxi: str) -> None:
        if not field.required:
            self.missing.append(field.name)
            return
        fixes = self._fixes_of_missing(field)
        if column is not None and field.name not in self.dataset.required_columns:
            self.empty.append(EmptyColumn(field.name, column, fixes))
        name = column or self.dataset.layout.source_column(field.name, taxi)
        cause = "is missing" if column is None else ONLY_NULLS
        self.add_problem(f"column {name} {cause}", name, *fixes)

    def _fixes_of_missing(self, field: Field) -> tuple[str, ...]:
        if self.dataset.is_own:
            return (ADD_COLUMN, NAME_COLUMN)
        fix = SCORE_WITHOUT_LABELS if field.name in self.dataset.leaking_columns else ADD_VALUES
        return fix, DOWNLOAD_PUBLISHED

    def add_type(
        self,
        field: Field,
        column: str,
        arrow_type: pa.DataType,
        may_have_other_numbers: Callable[[str], bool],
    ) -> None:
        kind = KIND_DESCRIPTIONS[field.kind]
        if not is_convertible(arrow_type, field):
            self.add_problem(f"column {column} is {arrow_type}, not {kind}", column, CONVERT[field.kind])
        elif _is_unusual(arrow_type, field, lambda: may_have_other_numbers(column)):
            self.unusual[column] = field

    def add_values(self, raw: pa.Table, column: str, converted: ColumnValues, field: Field) -> None:
        if field.kind == "time" and self.add_day_first(column, *count_date_orders(_plain(raw, column))):
            return
        if converted.conversion:
            self.notes.append(describe_conversion(column, converted.conversion))
        for unreadable in find_unreadable(raw, {field.name: converted}, self.dataset).values():
            if unreadable.is_most(len(raw)):
                self.add_problem(unreadable.describe(self.label), column, unreadable.fix)

    def add_contradiction(self, raw: pa.Table) -> None:
        """Add a problem if the pickup and dropoff times of rows contradict each other."""
        names = self.dataset.field_names.match(raw.column_names)
        if not self.has_faults and {"pickup_at", "dropoff_at"} <= names.keys():
            problem = find_contradiction(raw, names["pickup_at"], names["dropoff_at"])
            if problem is not None:
                self.add_problem(str(problem), problem.column, problem.fix)

    def add_day_first(self, column: str, day_first: int, month_first: int) -> bool:
        """Add a problem if more times have the day first than the month. Return whether they do."""
        if day_first > month_first:
            self.add_problem(describe_day_first(column), column, WRITE_ISO_TIMES)
        return day_first > month_first


def _plain(raw: pa.Table, column: str) -> pa.ChunkedArray:
    return decode_dictionary(raw.column(column))


def _columns_to_read(unusual: Mapping[str, Field], columns: Mapping[str, str]) -> list[str]:
    """Return the unusual columns, and both time columns if one of them is unusual."""
    times = [columns[name] for name in ("pickup_at", "dropoff_at") if name in columns]
    return list(dict.fromkeys([*unusual, *(times if any(name in unusual for name in times) else ())]))


def _check_values(
    findings: _Findings, columns: Mapping[str, str], month: Month | None, read: ColumnReader
) -> None:
    """Convert the first batch of unusual columns, and all times of rows if they are unusual."""
    first = pa.Table.from_batches([next(read(_columns_to_read(findings.unusual, columns)))])
    converted = {
        column: read_column(first.column(column), field, column, "")
        for column, field in findings.unusual.items()
    }
    for column, field in findings.unusual.items():
        findings.add_values(first, column, converted[column], field)
    findings.add_contradiction(first)
    time_column = findings.dataset.time_column
    name = next((column for column, field in findings.unusual.items() if field.name == time_column), None)
    if name is None or findings.has_faults:
        return
    if month is not None or is_text(first.schema.field(name).type):
        times = _count_times(name, findings.unusual[name], month, read)
        if findings.add_day_first(name, times.day_first, times.month_first):
            return
        if times.contradict_month:
            _add_zone_problem(findings, name, converted[name].conversion, times)


@dataclass(frozen=True)
class _TimeCounts:
    rows: int
    """Number of times that can be read in two ways, as instants and as local times."""
    as_read: int
    """Rows that are 1 to 6 hours outside of the month, as `read_times` reads them."""
    otherwise: int
    """The number of such rows with the other reading of the times."""
    day_first: int
    """Number of times as text with the day before the month."""
    month_first: int
    """Number of times as text with the month before the day."""

    @property
    def contradict_month(self) -> bool:
        """Whether the other reading of the times fits the month of the file much better."""
        most = max(MAX_SHIFTED_ROWS, MAX_SHIFTED_SHARE * _SHARE_OF_5_HOURS * self.rows)
        return self.as_read > most and self.otherwise < self.as_read / 2


def _count_times(name: str, field: Field, month: Month | None, read: ColumnReader) -> _TimeCounts:
    rows = as_read = otherwise = day_first = month_first = 0
    for batch in read([name]):
        column = decode_dictionary(pa.chunked_array([batch.column(0)]))
        orders = count_date_orders(column, month.month if month else None)
        day_first, month_first = day_first + orders[0], month_first + orders[1]
        other = other_reading(column, field.time_zone) if month else None
        if month is None or other is None:
            continue
        rows += len(other)
        as_read += _rows_just_outside(read_column(column, field, name, "").array, month)
        otherwise += _rows_just_outside(other, month)
    return _TimeCounts(rows, as_read, otherwise, day_first, month_first)


def _rows_just_outside(times: npt.NDArray[np.datetime64], month: Month) -> int:
    start, end = (np.datetime64(time, "us") for time in (month.start, month.next.start))
    early = (times >= start - 6 * _HOUR) & (times < start - _HOUR)
    late = (times >= end + _HOUR) & (times < end + 6 * _HOUR)
    return int(np.count_nonzero(early | late))


def _add_zone_problem(findings: _Findings, name: str, conversion: str, shifted: _TimeCounts) -> None:
    city = zone_place(findings.unusual[name].time_zone)
    findings.add_problem(
        f"column {name} contradicts the month of the file: read as {meaning_of(conversion, city)}, "
        f"{shifted.as_read:,} of {shifted.rows:,} times are in the hours before or after the month",
        name,
        fix_of(conversion, city),
    )
