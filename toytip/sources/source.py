"""The source of a run: its files with the months of their rows, and their partitions."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

from toytip.core.access import StorageOptions
from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month
from toytip.core.partitions import CsvLayout, FileRows, MonthWindow, SourcePartition
from toytip.datasets.registry import dataset_of
from toytip.io.base import uri_scheme

# A scheduler needs 2 to 3 ms per task on one core, so that this many tasks take about a minute.
MAX_PARTITIONS = 20_000


class RowBlock(NamedTuple):
    """Consecutive rows of a file, some of which can belong to a month."""

    start: int
    """Number of the first row, from 0."""
    stop: int
    """Number of the first row after the block."""
    rows: int
    """Number of rows that belong to the month."""


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A source file. A file with the rows of several months is listed once per month."""

    uri: str
    taxi: str
    month: Month
    rows: int
    """Number of rows that belong to the month."""
    bytes: int
    """Size of the file in bytes."""
    modified: str
    """Entity tag of an object, or time of the last change of a local file."""
    missing_columns: tuple[str, ...]
    """Optional columns that do not exist in the file, or that contain only nulls."""
    storage_options: StorageOptions = dataclasses.field(default_factory=StorageOptions)
    window: MonthWindow | None = None
    """Window of the month. None if all rows of the file belong to the month."""
    blocks: tuple[RowBlock, ...] = ()
    """Blocks with rows of the month, if the file has a window."""
    csv: tuple[CsvLayout, ...] = ()
    """Layout of each block of a CSV file, in the order of the file. Empty for a Parquet file."""
    notes: tuple[str, ...] = ()
    """Conversions of columns whose meaning depends on a rule."""

    @property
    def content_tag(self) -> str:
        """The entity tag and size of an object, which identify its content (else empty)."""
        scheme = uri_scheme(self.uri)
        if scheme == "s3" and self.modified:
            return f"etag:{self.modified}-{self.bytes}"
        if scheme in {"http", "https"} and self.modified and not self.modified.startswith("W/"):
            tag = hashlib.sha256(self.modified.encode()).hexdigest()[:32]
            return f"etag:{tag}-{self.bytes}"
        return ""

    def select(self, start: int, stop: int) -> FileRows:
        """Return the rows `start` to `stop` of the month in this file."""
        first, last, skip = start, stop, 0
        window = self.window
        if self.blocks:
            first, last, skip, is_complete = _find_blocks(self.blocks, start, stop)
            if is_complete:
                window, first, skip = None, first + skip, 0
                last = first + stop - start
        return FileRows(
            uri=self.uri,
            start=first,
            stop=last,
            rows=stop - start,
            window=window,
            skip=skip,
            storage_options=self.storage_options,
            csv=_layout_before(self.csv, first),
        )


def _find_blocks(blocks: tuple[RowBlock, ...], start: int, stop: int) -> tuple[int, int, int, bool]:
    """Return the file rows of the blocks with rows `start` to `stop` of a month.

    Also returns the number of rows of the month that precede `start` in these blocks, and whether
    all rows of these blocks belong to the month.
    """
    position, skip = 0, 0
    needed: list[RowBlock] = []
    for block in blocks:
        if position + block.rows > start and position < stop:
            skip = skip if needed else start - position
            needed.append(block)
        position += block.rows
    is_complete = all(block.rows == block.stop - block.start for block in needed)
    is_connected = all(block.stop == following.start for block, following in pairwise(needed))
    return needed[0].start, needed[-1].stop, skip, is_complete and is_connected


def _layout_before(layouts: tuple[CsvLayout, ...], row: int) -> CsvLayout | None:
    """Return the layout of the last block that starts at or before a row."""
    earlier = [layout for layout in layouts if layout.offset_row <= row]
    return earlier[-1] if earlier else None


@dataclass(frozen=True, kw_only=True)
class Source:
    """The files of one taxi type, in the order of their months, and in a month of their names."""

    taxi: str
    files: tuple[SourceFile, ...]
    warnings: tuple[str, ...] = ()
    """Warnings about files that probably have the same trips, or that were left out."""
    own_dataset: Dataset | None = None
    """The data set, if a project declares it."""

    @property
    def dataset(self) -> Dataset:
        """The data set of the files, without the parts of a project that extends it."""
        return self.own_dataset or dataset_of(self.taxi)

    @property
    def months(self) -> tuple[Month, ...]:
        """The months of the files, oldest first."""
        return tuple(dict.fromkeys(file.month for file in self.files))

    @property
    def by_month(self) -> dict[Month, tuple[SourceFile, ...]]:
        """The files by month, oldest first."""
        groups = groupby(self.files, key=lambda file: file.month)
        return {month: tuple(files) for month, files in groups}

    @property
    def distinct_files(self) -> tuple[SourceFile, ...]:
        """The files, each of them once."""
        return tuple({file.uri: file for file in self.files}.values())

    @property
    def rows(self) -> int:
        """The number of rows in all months."""
        return sum(file.rows for file in self.files)

    @property
    def missing_columns(self) -> tuple[str, ...]:
        """The optional columns that every file lacks."""
        return tuple(
            field.name
            for field in self.dataset.fields
            if all(field.name in file.missing_columns for file in self.files)
        )

    @property
    def partly_missing_columns(self) -> dict[str, tuple[Month, ...]]:
        """The optional columns that only some files lack, with the months of these files."""
        months_by_name = {
            field.name: [file.month for file in self.files if field.name in file.missing_columns]
            for field in self.dataset.fields
        }
        return {
            name: tuple(dict.fromkeys(months))
            for name, months in months_by_name.items()
            if 0 < len(months) < len(self.files)
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """The conversions of columns, each with the number of files if not all files need it."""
        files = self.distinct_files
        counts = Counter(note for file in files for note in file.notes)
        return tuple(
            note if count == len(files) else f"{note} (in {count} of {len(files)} files)"
            for note, count in counts.items()
        )

    def partitions(self, partition_rows: int) -> tuple[SourcePartition, ...]:
        """Divide each month into partitions of nearly equal size.

        A partition has at most `partition_rows` rows. The limit is higher if there would be too
        many partitions (`effective_partition_rows`).
        """
        max_rows = self.effective_partition_rows(partition_rows)
        return tuple(
            partition
            for month, files in self.by_month.items()
            for partition in _split_month(month, files, max_rows)
        )

    def effective_partition_rows(self, partition_rows: int) -> int:
        """Return the maximum rows per partition, raised if there would be too many partitions."""
        return max(partition_rows, -(-self.rows // MAX_PARTITIONS))


def _split_month(month: Month, files: tuple[SourceFile, ...], max_rows: int) -> Iterator[SourcePartition]:
    rows = sum(file.rows for file in files)
    count = -(-rows // max_rows)
    bounds = [rows * index // count for index in range(count + 1)]
    is_plain = len(files) == 1 and files[0].window is None and not files[0].csv
    for index, (start, stop) in enumerate(pairwise(bounds)):
        selected = () if is_plain else tuple(_select_from_files(files, start, stop))
        yield SourcePartition(
            taxi=files[0].taxi,
            month=month,
            uri=selected[0].uri if selected else files[0].uri,
            start=start,
            stop=stop,
            number=index,
            storage_options=selected[0].storage_options if selected else files[0].storage_options,
            files=selected,
        )


def _select_from_files(files: tuple[SourceFile, ...], start: int, stop: int) -> Iterator[FileRows]:
    """Yield the rows of each file that are rows `start` to `stop` of the month."""
    position = 0
    for file in files:
        first, last = max(start - position, 0), min(stop - position, file.rows)
        if first < last:
            yield file.select(first, last)
        position += file.rows
