"""Partitions of the source, and the data files that stages compute from partitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from toytip.core.access import StorageOptions
from toytip.core.months import Month


class MonthWindow(NamedTuple):
    """The pickup times that count to a month, in a file with the rows of several months.

    Rows outside of all months of the file count to the month before, or to the first month. The
    cleaning rules reject these rows, so that every row of the file is accounted for.
    """

    start: Month | None
    """First month of the window. None for the first month of the file, to which also rows with
    earlier and missing pickup times count."""
    stop: Month | None
    """First month after the window. None for the last month of the file."""


@dataclass(frozen=True)
class CsvLayout:
    """How to read rows of a CSV file, from a position in the file."""

    columns: tuple[str, ...]
    """Names of all columns, in the order of the file."""
    delimiter: str = ","
    quote: str = '"'
    """The character around values that contain the delimiter."""
    encoding: str = "utf-8"
    """Name of the encoding, as Python knows it."""
    comma_columns: tuple[str, ...] | None = None
    """Names of the columns in which decimals follow a comma. None before rows have been read."""
    offset: int = 0
    """Number of the byte, after decompression, at which row `offset_row` starts."""
    offset_row: int = 0
    """Number of the row at the offset, from 0."""


@dataclass(frozen=True, kw_only=True)
class FileRows:
    """The rows of one source file that belong to a partition."""

    uri: str
    """Path or URI of the file."""
    start: int
    """Number of the first row of the file to read, from 0."""
    stop: int
    """Number of the first row that is not read."""
    rows: int
    """Number of rows that belong to the partition."""
    window: MonthWindow | None = None
    """Window of the rows. None if all rows from `start` to `stop` belong to the partition."""
    skip: int = 0
    """Number of rows in the window that precede the partition."""
    storage_options: StorageOptions = field(default_factory=StorageOptions)
    """Options to access the file."""
    csv: CsvLayout | None = None
    """Layout of a CSV file. None for a Parquet file."""

    def describe(self) -> str:
        """Return the rows as text, which is part of the fingerprint of data files.

        >>> FileRows(uri="x", start=0, stop=500, rows=500).describe()
        '[0:500]'
        >>> window = MonthWindow(None, Month(2023, 2))
        >>> FileRows(uri="x", start=0, stop=500, rows=20, window=window, skip=7).describe()
        '[0:500 until 2023-02 7:27]'
        """
        if self.window is None:
            return f"[{self.start}:{self.stop}]"
        start = f" from {self.window.start}" if self.window.start else ""
        stop = f" until {self.window.stop}" if self.window.stop else ""
        return f"[{self.start}:{self.stop}{start}{stop} {self.skip}:{self.skip + self.rows}]"


@dataclass(frozen=True, kw_only=True)
class SourcePartition:
    """A range of rows of one month of the source."""

    taxi: str
    """Taxi type, `yellow`, `green` or `fhvhv`."""
    month: Month
    """Month of the rows."""
    uri: str
    """Path or URI of the file with the first row."""
    start: int
    """Number of the first row in the month, from 0."""
    stop: int
    """Number of the first row of the month after the partition."""
    number: int
    """Position of the partition in its month, from 0."""
    storage_options: StorageOptions = field(default_factory=StorageOptions)
    """Options to access the file with the first row."""
    files: tuple[FileRows, ...] = ()
    """Rows of each file. Empty if the month has one file, which has only rows of the month."""

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.stop - self.start

    @property
    def key(self) -> DataFileKey:
        """The key of the data files that are computed from the partition."""
        return DataFileKey(self.month, self.number)

    @property
    def file_rows(self) -> tuple[FileRows, ...]:
        """The rows of each file, in the order of the partition."""
        return self.files or (
            FileRows(
                uri=self.uri,
                start=self.start,
                stop=self.stop,
                rows=self.rows,
                storage_options=self.storage_options,
            ),
        )

    def by_file(self) -> Iterator[SourcePartition]:
        """Yield one partition per file, with the rows of this file."""
        start = self.start
        for rows in self.file_rows:
            yield replace(
                self,
                uri=rows.uri,
                start=start,
                stop=start + rows.rows,
                storage_options=rows.storage_options,
                files=(rows,),
            )
            start += rows.rows

    def fingerprint(self, checksums: Mapping[str, str]) -> str:
        """Return the checksum and the rows of each file, given the checksums by URI."""
        return "+".join(f"{checksums[rows.uri]}{rows.describe()}" for rows in self.file_rows)


def input_files(input_fingerprint: str) -> list[tuple[str, str]]:
    """Return the checksum of each input file, and the rows of this file, of an input fingerprint.

    >>> input_files("sha256:1[0:5]+sha256:2[0:9]")
    [('sha256:1', '0:5]'), ('sha256:2', '0:9]')]
    >>> input_files("sha256:1")
    [('sha256:1', '')]
    """
    return [(file.partition("[")[0], file.partition("[")[2]) for file in input_fingerprint.split("+")]


class DataFileKey(NamedTuple):
    """The month of a data file, and the position of the file in this month."""

    month: Month
    number: int

    @property
    def path(self) -> str:
        """The path of the file, relative to its version.

        >>> DataFileKey(Month(2023, 1), 0).path
        'year=2023/month=1/part-00000.parquet'
        """
        return f"year={self.month.year}/month={self.month.month}/part-{self.number:05d}.parquet"


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file of a version. Files with equal fingerprints have equal bytes."""

    path: str
    """Path of the file, relative to the folder of the version."""
    rows: int
    """Number of rows. Zero for a file of an artifact."""
    bytes: int
    """Size in bytes."""
    checksum: str
    """SHA-256 of the file: `sha256:` and hexadecimal digits."""
    month: Month | None = None
    """Month of the rows. Null for a file of an artifact."""
    number: int = 0
    """Position of the file in its month, from 0."""
    input_fingerprint: str = ""
    """Checksum of the input file, followed by a row range if the input is a source file. Several
    source files are joined by `+`."""
    fingerprint: str = ""
    """Hash of the input content, code, packages and settings that determine the content."""
    rejects: dict[str, int] = field(default_factory=dict)
    """Number of rejected rows by reason."""

    @property
    def key(self) -> DataFileKey:
        """The month and the position of the file in its table."""
        assert self.month is not None, "files of artifacts have no month"
        return DataFileKey(self.month, self.number)
