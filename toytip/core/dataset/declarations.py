"""The parts of a data set: fields, rules, features, the label and a segment.

A decorator turns a function of columns into a part. The name of the function is the name of the
part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toytip.core.arrays import BoolArray, Int64Array
from toytip.core.columns import Columns, row_count
from toytip.core.dataset.segments import SegmentWords, default_words
from toytip.core.dataset.words import LabelWords
from toytip.core.schema import Column
from toytip.core.time_values import NEW_YORK
from toytip.errors import SchemaError

# The names of two rules that every data set has.
MISSING_VALUE, OUT_OF_MONTH = "missing_value", "out_of_month"


@dataclass(frozen=True)
class Moment:
    """A moment in a row's life at which values become known, such as the pickup of a trip."""

    name: str
    """Name of the moment, which features declare as their availability."""
    column: str
    """Column with the time of the moment, or of the last one before it that has a column."""


@dataclass(frozen=True)
class Field:
    """A column of the source files. `docs/how-to/own-data.md` describes the arguments."""

    name: str
    """Name of the column in `trips`."""
    kind: str
    """`time`, `code` (a whole number) or `amount`."""
    aliases: tuple[str, ...] = ()
    """Other names of the column in the source files."""
    required: bool = True
    """Whether every file has the column, with values."""
    since: int | None = None
    """Year in which the publisher added the column, if files of earlier years do not have it."""
    taxis: tuple[str, ...] = ()
    """Kinds of source files that have the column. Empty for all kinds."""
    texts: tuple[tuple[str, int], ...] = ()
    """Texts that the files have for codes, in upper case, with the codes."""
    available: str = ""
    """Moment at which the value is known, or `settled` if it is known only with the label. Only a
    data set of a project uses it. Empty for the first moment."""
    time_zone: str = NEW_YORK
    """Time zone of the times. Times with another zone or a UTC offset are converted to it."""
    is_feature: bool = True
    """Whether the column is also a feature of a data set of a project."""
    example: float | str | None = None
    """A usual value. For a time, the duration since the time of the row, such as `1h`."""
    description: str = ""
    """Meaning of the column, for documentation."""

    def __post_init__(self) -> None:
        """Accept a text as one alias, and a dict as texts with their codes."""
        object.__setattr__(self, "aliases", names_of(self.aliases))
        if isinstance(self.texts, Mapping):
            object.__setattr__(self, "texts", tuple(self.texts.items()))


@dataclass(frozen=True)
class Rule:
    """A cleaning rule: `rejects` returns True for the rows to reject."""

    rejects: Callable[[Columns], npt.ArrayLike]
    needs: tuple[str, ...] = ()
    """Columns without which a server skips the rule. Empty for the rules of every data set."""

    @property
    def name(self) -> str:
        """The name of the rule, which is the reject reason."""
        return self.rejects.__name__

    @property
    def text(self) -> str:
        """The rule in words."""
        return self.rejects.__doc__ or ""

    def __call__(self, trips: Columns) -> npt.ArrayLike:
        """Return the result of the declared function."""
        return self.rejects(trips)


@dataclass(frozen=True)
class Feature:
    """A declared feature. `compute` returns one value per row of the needed columns.

    A feature has access only to the columns that it declares.
    """

    column: Column
    available_at: str
    needs: tuple[str, ...]
    compute: Callable[[Columns], npt.ArrayLike]

    @property
    def name(self) -> str:
        """The name of the feature."""
        return self.column.name

    def __call__(self, trips: Columns) -> npt.ArrayLike:
        """Return the result of the declared function."""
        return self.compute(trips)

    def values(self, trips: Columns) -> npt.NDArray[Any]:
        """Return the values of kept trips, with the declared type.

        Raises SchemaError if a whole number is missing or infinite.
        """
        array = np.asarray(self.compute({name: trips[name] for name in self.needs}))
        dtype = np.dtype(self.column.dtype)
        if dtype.kind in "iu" and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise SchemaError(
                f"cannot compute feature {self.name}: a value of type {dtype} is missing or infinite"
            )
        return array.astype(dtype, copy=False)


@dataclass(frozen=True)
class Label:
    """The value that a model predicts: whether something is true for a row."""

    needs: tuple[str, ...]
    compute: Callable[[Columns], npt.ArrayLike]
    settled: str
    """Event after which the label is known, in words."""
    leaks: tuple[str, ...] = ()
    """Columns that determine the label. Empty for the columns of the data set."""
    words: LabelWords | None = None
    """Words for positive labels. None for words with the name of the label."""

    @property
    def name(self) -> str:
        """The name of the label, which is its column in `features` and `predictions`."""
        return self.compute.__name__

    def __call__(self, trips: Columns) -> npt.ArrayLike:
        """Return the result of the declared function."""
        return self.compute(trips)

    def values(self, trips: Columns) -> BoolArray:
        """Return the label of each row."""
        return np.asarray(self.compute({name: trips[name] for name in self.needs}), bool)


@dataclass(frozen=True)
class Segment:
    """The rows with separate metrics. A model can be trained on these rows only."""

    needs: tuple[str, ...]
    contains: Callable[[Columns], npt.ArrayLike]
    words: SegmentWords
    """Texts about the segment, for messages and reports."""
    same_slice: tuple[str, str] | None = None
    """Attribute and value of the evaluation slice that has the same rows, if any."""

    @property
    def name(self) -> str:
        """The name of the segment."""
        return self.contains.__name__

    def __call__(self, rows: Columns) -> npt.ArrayLike:
        """Return the result of the declared function."""
        return self.contains(rows)


@dataclass(frozen=True)
class Reference:
    """A declared reference table. `load` returns its rows as a data frame.

    Features get the values that were known when the feature becomes available.
    """

    key: tuple[str, ...]
    """Columns of `trips`, and of the table, that select the rows of a trip."""
    valid_at: str
    """Column with the time from which a row is valid."""
    known_at: str
    """Column with the time at which a row became known."""
    valid_for: str
    """Duration for which a row is valid, such as `1D`. Empty without a limit."""
    load: Callable[[], Any]

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.load.__name__

    def __call__(self) -> Any:
        """Return the result of the declared function."""
        return self.load()


@dataclass(frozen=True)
class Key:
    """A feature that groups rows by its values: whole numbers from 0 to `size` - 1."""

    column: str
    """Name of the feature."""
    size: int
    """Number of values. A larger value counts as the largest one."""


@dataclass(frozen=True)
class TargetRate:
    """A target-encoded feature: its name, its availability, and the keys that it depends on."""

    name: str
    available_at: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class TargetEncoding:
    """Features that are the share of positive labels among earlier rows with the same keys.

    If the data set has a segment, only the rows of the segment count.
    """

    keys: tuple[Key, ...]
    """All keys. Earlier rows are counted by their combination."""
    rates: tuple[TargetRate, ...]
    """The target-encoded features."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the target-encoded features."""
        return tuple(rate.name for rate in self.rates)


def group_index(rows: Columns, keys: Sequence[Key]) -> Int64Array:
    """Return the combination of keys of each row, as one number below `group_count(keys)`."""
    index = np.zeros(row_count(rows), np.int64)
    for key in keys:
        index = index * key.size + np.clip(rows[key.column], 0, key.size - 1).astype(np.int64)
    return index


def group_count(keys: Sequence[Key]) -> int:
    """Return the number of combinations of keys."""
    return math.prod(key.size for key in keys)


def rule(rejects: Callable[[Columns], npt.ArrayLike]) -> Rule:
    """Declare the decorated function as a cleaning rule, which returns True for rows to reject."""
    return Rule(rejects)


def feature(
    *, available: str, needs: str | Sequence[str], dtype: str, repeats: bool = True
) -> Callable[[Callable[[Columns], npt.ArrayLike]], Feature]:
    """Declare the decorated function as a feature, which returns one value per row.

    `available` is the moment at which the value is known, such as `pickup`. `needs` are the columns
    that the function gets. `repeats`: whether equal values occur often.
    """
    return lambda compute: Feature(
        Column(compute.__name__, dtype, repeats=repeats), available, names_of(needs), compute
    )


def names_of(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return names as a tuple. A text is one name."""
    return (names,) if isinstance(names, str) else tuple(names)


def reference(
    *, valid_at: str, known_at: str, key: str | Sequence[str] = (), valid_for: str = ""
) -> Callable[[Callable[[], Any]], Reference]:
    """Declare the decorated function as a reference table, whose rows it returns as a data frame.

    `key` are the columns that select the rows of a trip: columns of `trips` and of the table.
    `valid_at` and `known_at` are columns with times. A trip gets the row with the latest `valid_at`
    that is not after the time of the trip, among the rows that were known when the feature becomes
    available.
    `valid_for` is the duration for which a row is valid, such as `1D`. A feature lists the name of
    the table in `needs`, and gets its other columns as `trips["table.column"]`.
    """
    return lambda load: Reference(names_of(key), valid_at, known_at, valid_for, load)


def column_feature(available: str, column: Column) -> Feature:
    """Declare a column of `trips` as a feature."""
    return Feature(column, available, (column.name,), lambda trips: trips[column.name])


def label(
    *,
    needs: str | Sequence[str],
    settled: str = "",
    leaks: str | Sequence[str] = (),
    words: LabelWords | None = None,
) -> Callable[[Callable[[Columns], npt.ArrayLike]], Label]:
    """Declare the decorated function as the label, which returns True or False for each row.

    `settled` is the event after which the label is known, in words. `leaks` are the columns that
    determine the label, if they are not those of the data set. `words` are words for positive
    labels.
    """
    return lambda compute: Label(names_of(needs), compute, settled, names_of(leaks), words)


def segment(
    *,
    needs: str | Sequence[str],
    words: SegmentWords | None = None,
    same_slice: tuple[str, str] | None = None,
) -> Callable[[Callable[[Columns], npt.ArrayLike]], Segment]:
    """Declare the decorated function as the segment, which returns True for the rows in it.

    `needs` are features. Without `words`, texts about the segment contain its name.
    """
    return lambda contains: Segment(
        names_of(needs), contains, words or default_words(contains.__name__, names_of(needs)), same_slice
    )
