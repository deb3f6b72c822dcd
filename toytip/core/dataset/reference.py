"""Reference tables: small tables that features join as of the time at which rows were known.

A row has a key, the time from which it is valid, the time at which it became known, and values.
All values are numbers, so that a table is one value of a few bytes per row.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from toytip.core.arrays import Float64Array, Int64Array
from toytip.core.dataset.block_minima import block_minima, last_at_most
from toytip.errors import ConfigError

_BYTES_PER_VALUE = 8
_TIME_TYPE = "datetime64[us]"


@dataclass(frozen=True, kw_only=True)
class ReferenceRows:
    """The rows of a reference table. They travel to workers, and into models, as a value."""

    name: str
    """Name of the table."""
    key: tuple[str, ...]
    """Columns of `trips` that select the rows of a trip. Empty if all rows are for all trips."""
    valid_for: int
    """Microseconds for which a row is valid. 0 without a limit."""
    values: tuple[str, ...]
    """Names of the columns that features get."""
    rows: int
    """Number of rows."""
    checksum: str
    """SHA-256 checksum of the rows."""
    content: str = ""
    """Columns as compressed text: the key, `valid_at`, `known_at` and the values. Empty in a
    manifest."""

    @classmethod
    def of(
        cls,
        name: str,
        key: Sequence[str],
        valid_for: int,
        times: Sequence[npt.NDArray[Any]],
        numbers: Mapping[str, Float64Array],
    ) -> Self:
        """Return rows, given the two times of each row, and the numbers: the key and the values."""
        keys = [numbers[column] for column in key]
        values = {column: array for column, array in numbers.items() if column not in key}
        columns = [*keys, *(time.astype(_TIME_TYPE) for time in times), *values.values()]
        content = b"".join(np.ascontiguousarray(column).tobytes() for column in columns)
        return cls(
            name=name,
            key=tuple(key),
            valid_for=valid_for,
            values=tuple(values),
            rows=len(times[0]),
            checksum=f"sha256:{hashlib.sha256(content).hexdigest()}",
            content=base64.b64encode(zlib.compress(content)).decode(),
        )

    @property
    def digest(self) -> str:
        """The digest of everything that determines the joined values."""
        text = repr((self.name, self.key, self.valid_for, self.values, self.checksum))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names under which features get the values, such as `weather.rain`."""
        return tuple(f"{self.name}.{value}" for value in self.values)

    def to_json(self) -> dict[str, Any]:
        """Return the rows as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the rows of the JSON values that `to_json` returned."""
        return cls(**{**record, "key": tuple(record["key"]), "values": tuple(record["values"])})

    @property
    def is_complete(self) -> bool:
        """Whether the value has the rows, and not only their checksum."""
        return bool(self.content)

    def require_complete(self) -> None:
        """Raise ConfigError if the value does not have the rows."""
        if not self.is_complete:
            raise ConfigError(
                f"cannot join the reference {self.name}: the project does not have the rows with the "
                f"checksum {self.checksum[:19]}",
                hint="Restore the rows, or compute the features again.",
            )

    def decode(self) -> ReferenceIndex:
        """Return the rows in an order in which they can be joined.

        Raises ConfigError if the value does not have the rows.
        """
        self.require_complete()
        data = zlib.decompress(base64.b64decode(self.content))
        size = self.rows * _BYTES_PER_VALUE
        arrays = [data[start : start + size] for start in range(0, len(data), size)] if size else []
        arrays += [b""] * (len(self.key) + 2 + len(self.values) - len(arrays))
        times = slice(len(self.key), len(self.key) + 2)
        numbers = [np.frombuffer(part, np.float64) for part in arrays]
        valid_at, known_at = (np.frombuffer(part, np.int64) for part in arrays[times])
        return ReferenceIndex.of(numbers[: times.start], valid_at, known_at, numbers[times.stop :])


@dataclass(frozen=True)
class ReferenceIndex:
    """Rows by group of equal keys, and by time in each group."""

    keys: tuple[Float64Array, ...]
    """Distinct values of each column of the key."""
    times: Int64Array
    """Distinct times from which rows are valid."""
    position: Int64Array
    """Group and time of each row as one number, in ascending order."""
    group: Int64Array
    """Group of each row."""
    valid_at: Int64Array
    """Time from which each row is valid, in microseconds."""
    known_at: Int64Array
    """Time at which each row became known, in microseconds."""
    known_minima: tuple[Int64Array, ...]
    """Earliest `known_at` of blocks of rows. A join skips blocks of rows that were not known."""
    values: tuple[Float64Array, ...]
    """Values of each row, by column."""

    @classmethod
    def of(
        cls,
        keys: Sequence[Float64Array],
        valid_at: Int64Array,
        known_at: Int64Array,
        values: Sequence[Float64Array],
    ) -> Self:
        """Sort rows by key, and then by the times from which they are valid and known."""
        distinct, times = tuple(np.unique(column) for column in keys), np.unique(valid_at)
        group = _group_of(keys, distinct, len(valid_at))
        order = np.lexsort((known_at, valid_at, group))
        group, valid_at, known_at = group[order], valid_at[order], known_at[order]
        position = group * (len(times) + 1) + np.searchsorted(times, valid_at) + 1
        return cls(
            distinct,
            times,
            position,
            group,
            valid_at,
            known_at,
            block_minima(known_at),
            tuple(column[order] for column in values),
        )

    def join(
        self, keys: Sequence[npt.NDArray[Any]], event: Int64Array, moment: Int64Array, valid_for: int
    ) -> list[Float64Array]:
        """Return the values that were known for each trip, or NaN if none were known.

        The row is the one with the latest `valid_at` at the `event`, among the rows that were known
        at the `moment`. Among equal times, the row that became known last counts.
        """
        group = _group_of(keys, self.keys, len(event))
        row = np.full(len(event), -1, np.int64)
        if len(self.position):
            position = group * (len(self.times) + 1) + np.searchsorted(self.times, event, side="right")
            row = np.searchsorted(self.position, position, side="right") - 1
            row = self._known_row(row, group, moment)
            if valid_for:
                row[(row >= 0) & (event - self.valid_at[row] >= valid_for)] = -1
        return [np.where(row >= 0, column[row] if len(column) else np.nan, np.nan) for column in self.values]

    def _known_row(self, row: Int64Array, group: Int64Array, moment: Int64Array) -> Int64Array:
        """Return the last row of the group, from `row` backward, that was known at the moment."""
        row = np.where((row >= 0) & (group >= 0) & (self.group[row] == group), row, -1)
        late = np.flatnonzero((row >= 0) & (self.known_at[row] > moment))
        if len(late):
            earlier = last_at_most(self.known_minima, row[late], moment[late])
            row[late] = np.where(self.group[earlier] == group[late], earlier, -1)
        return row


def _group_of(keys: Sequence[npt.NDArray[Any]], distinct: Sequence[Float64Array], rows: int) -> Int64Array:
    """Return the number of the group of each row, or -1 if a value of its key is unknown."""
    group, is_known = np.zeros(rows, np.int64), np.ones(rows, bool)
    for column, values in zip(keys, distinct, strict=True):
        code = np.searchsorted(values, column)
        code[code == len(values)] = 0
        is_known &= values[code] == column if len(values) else False
        group = group * max(len(values), 1) + code
    return np.where(is_known, group, -1)


@functools.lru_cache(maxsize=32)
def index_of(rows: ReferenceRows) -> ReferenceIndex:
    """Return the rows in an order in which they can be joined, once per process."""
    return rows.decode()


def join_rows(
    rows: ReferenceRows, trips: Mapping[str, npt.NDArray[Any]], event_column: str, moment_column: str
) -> dict[str, Float64Array]:
    """Return the values of a reference table for each trip, by column.

    `event_column` has the time of the trip. `moment_column` has the time at which the feature is
    available: no value that became known later counts.
    """
    keys = [np.asarray(trips[name], np.float64) for name in rows.key]
    event, at = (
        np.asarray(trips[name]).astype(_TIME_TYPE).view(np.int64) for name in (event_column, moment_column)
    )
    joined = index_of(rows).join(keys, event, at, rows.valid_for)
    return dict(zip(rows.columns, joined, strict=True))
