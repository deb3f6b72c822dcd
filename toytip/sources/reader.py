"""Read the rows of a partition from its monthly file."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from toytip.core.access import StorageOptions
from toytip.core.dataset.dataset import Dataset
from toytip.core.number_values import MAX_CODE
from toytip.core.partitions import FileRows, SourcePartition
from toytip.core.redact import first_line, mask_credentials
from toytip.datasets.registry import match_dataset
from toytip.errors import SourceError
from toytip.io.access import file_info, open_file
from toytip.io.base import uri_scheme
from toytip.sources.csv_files.rows import CsvReader
from toytip.sources.formats import PARQUET_MAGIC
from toytip.sources.windows import in_window, row_months, rows_in_window

# Number of rows that are decoded at a time. If a row group is larger than a partition, memory holds
# at most this many rows more than the partition.
BATCH_ROWS = 65_536
# Most columns without statistics have a value in their first rows.
FIRST_ROWS = 1_024
# A stream from which only the footer and a few columns are read needs no larger buffer.
FOOTER_BUFFER_BYTES = 2**16
FOOTER_LENGTH_BYTES = 4
# The nonce and the tag of the signature of a footer.
FOOTER_SIGNATURE_BYTES = 12 + 16


def open_parquet(stream: Any, *, pre_buffer: bool = True, buffer_size: int = 0) -> pq.ParquetFile:
    """Open a Parquet file. Times of the old type INT96 are read in microseconds.

    In nanoseconds, which are Arrow's default, years after 2262 would become other years. If the
    pages of the file have checksums, as Spark writes them, reading a damaged page raises OSError.
    """
    return pq.ParquetFile(
        stream,
        pre_buffer=pre_buffer,
        buffer_size=buffer_size,
        coerce_int96_timestamp_unit="us",
        page_checksum_verification=True,
    )


def has_encrypted_columns(stream: Any, metadata: pq.FileMetaData) -> bool:
    """Return whether some columns of a Parquet file are encrypted, given its readable footer.

    The content of such a footer is signed. Arrow ends the process if it is asked for the statistics
    of such a column.
    """
    stream.seek(-len(PARQUET_MAGIC) - FOOTER_LENGTH_BYTES, io.SEEK_END)
    length = int.from_bytes(stream.read(FOOTER_LENGTH_BYTES), "little")
    return bool(length == metadata.serialized_size + FOOTER_SIGNATURE_BYTES)


def column_statistics(metadata: pq.FileMetaData, name: str) -> list[pq.Statistics | None]:
    """Return the statistics of a column in each row group, or None for each without statistics.

    A nested column has none. The footer counts each leaf of a nested column as a column, so that
    positions in the footer are not those of the columns of the file.
    """
    paths = (metadata.schema.column(index).path for index in range(len(metadata.schema)))
    index = next((index for index, path in enumerate(paths) if path == name), None)
    groups = range(metadata.num_row_groups)
    return [None if index is None else metadata.row_group(group).column(index).statistics for group in groups]


def read_columns(uri: str, storage_options: StorageOptions, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns of a Parquet file in batches."""
    with open_file(uri, storage_options) as stream:
        yield from open_parquet(stream).iter_batches(BATCH_ROWS, columns=list(names), use_threads=False)


def count_nulls(metadata: pq.FileMetaData, column: str) -> int:
    """Return the number of nulls in a column, as the footer of a file counts them."""
    statistics = column_statistics(metadata, column)
    return sum(item.null_count or 0 for item in statistics if item is not None)


def has_no_value(file: pq.ParquetFile, column: str) -> bool:
    """Return whether a column has only nulls and NaN. A footer does not count NaN.

    The rows of a row group are read only if its statistics have no largest value, which NaN cannot
    be, and do not show that all rows are null. Some published files have no number of nulls.
    """
    if pa.types.is_nested(file.schema_arrow.field(column).type):
        return False
    groups = range(file.metadata.num_row_groups)
    statistics = column_statistics(file.metadata, column)
    return all(_group_has_no_value(file, column, group, statistics[group]) for group in groups)


def _group_has_no_value(
    file: pq.ParquetFile, column: str, group: int, statistics: pq.Statistics | None
) -> bool:
    if statistics is not None and statistics.has_min_max:
        return False
    is_float = pa.types.is_floating(file.schema_arrow.field(column).type)
    if statistics is not None and statistics.has_null_count:
        is_null = statistics.null_count == file.metadata.row_group(group).num_rows
        if is_null or not is_float:
            return bool(is_null)
    batches = file.iter_batches(FIRST_ROWS, row_groups=[group], columns=[column], use_threads=False)
    return all(pc.all(batch.column(0).is_null(nan_is_null=True)).as_py() for batch in batches)


def may_have_other_numbers(metadata: pq.FileMetaData, column: str) -> bool:
    """Return whether a column of floats can have numbers other than codes.

    The smallest and the largest value of each row group decide, so that the check of a published
    file reads no rows. A row group without these values has no numbers.
    """
    for item in column_statistics(metadata, column):
        if item is None:
            return True
        if item.has_min_max and not all(_is_code(value) for value in (item.min, item.max)):
            return True
    return False


def _is_code(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer() and abs(value) <= MAX_CODE


def read_partition(partition: SourcePartition, dataset: Dataset | None = None) -> pa.Table:
    """Return the rows of a partition of one file, with the columns that toytip uses, unconverted.

    Row groups that precede the partition are not read. Within a row group, preceding batches are
    decoded and dropped, unless this thread read the preceding partition last. Without a data set,
    it is the built-in one that the columns show. Raises SourceError if the data is corrupt or rows
    are missing.
    """
    (rows,) = partition.file_rows
    name = mask_credentials(rows.uri)
    try:
        with _open_reader(rows, dataset) as reader:
            table = _read_rows(reader, rows, dataset)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"cannot read {name}: corrupt data ({first_line(error)})",
            hint="Download the file again with `toytip source download`.",
        ) from None
    if len(table) != rows.rows:
        raise SourceError(
            f"cannot read rows {rows.start} to {rows.stop} of {name}: the file was changed during the run",
            hint="Run the command again.",
        )
    return table


def _read_rows(reader: RowReader, rows: FileRows, dataset: Dataset | None) -> pa.Table:
    """Return the rows of a partition, or fewer if the file has become shorter.

    Rows of other months are dropped after each batch, so that memory does not hold all of them.
    """
    if rows.window is None:
        return reader.read_rows(rows.start, rows.stop)
    selected = []
    for start in range(rows.start, rows.stop, BATCH_ROWS):
        table = reader.read_rows(start, min(start + BATCH_ROWS, rows.stop))
        selected.append(rows_in_window(table, rows.uri, rows.window, dataset))
    return pa.concat_tables(selected).slice(rows.skip, rows.rows)


def row_in_file(rows: FileRows, position: int, dataset: Dataset | None = None) -> int:
    """Return the number in its file of a row of a partition, which has a position there.

    If the partition has a window, reads the rows of the file up to this row again.
    """
    if rows.window is None:
        return rows.start + position
    earlier = rows.skip + position
    with _open_reader(rows, dataset) as reader:
        for start in range(rows.start, rows.stop, BATCH_ROWS):
            table = reader.read_rows(start, min(start + BATCH_ROWS, rows.stop))
            inside = np.flatnonzero(in_window(row_months(table, rows.uri, dataset), rows.window))
            if earlier < len(inside):
                return start + int(inside[earlier])
            earlier -= len(inside)
    raise IndexError(f"row {position} is not in the partition")


class RowReader(Protocol):
    """Reads the rows of a file in their order."""

    @property
    def at_end(self) -> bool:
        """Whether all rows of the file have been read."""

    def can_continue_to(self, rows: FileRows, etag: str, dataset: Dataset | None = None) -> bool:
        """Return whether rows belong to this file and have not been read yet."""

    def read_rows(self, start: int, stop: int) -> pa.Table:
        """Return rows `start` to `stop`, or fewer at the end of the file."""

    def close(self) -> None:
        """Close the file."""


# The last reader of each thread. A thread mostly gets the partitions of a file in order, so that it
# continues with the next batch and decodes no batch twice.
_thread_state = threading.local()


@contextlib.contextmanager
def _open_reader(rows: FileRows, dataset: Dataset | None) -> Iterator[RowReader]:
    etag = _file_etag(rows)
    previous: RowReader | None = getattr(_thread_state, "reader", None)
    _thread_state.reader = None  # after an error, the reader is not used again
    if previous is not None and not previous.can_continue_to(rows, etag, dataset):
        previous.close()
        previous = None
    reader = previous or _new_reader(rows, etag, dataset)
    try:
        yield reader
    except BaseException:
        reader.close()
        raise
    if reader.at_end:
        reader.close()
    else:
        _thread_state.reader = reader


def _new_reader(rows: FileRows, etag: str, dataset: Dataset | None) -> RowReader:
    return CsvReader(rows, etag, dataset) if rows.csv else _ParquetReader(rows, etag, dataset)


def _file_etag(rows: FileRows) -> str:
    """Return a text that changes when the file changes."""
    if uri_scheme(rows.uri) == "file":
        status = Path(rows.uri.removeprefix("file://")).stat()
        return f"{status.st_mtime_ns}-{status.st_size}"
    info = file_info(rows.uri, rows.storage_options)
    return f"{file_version(info)}-{info['size']}"


def file_version(info: Mapping[str, Any]) -> str:
    """Return the entity tag or the modification time of a file. Their names differ."""
    keys = ("ETag", "etag", "mtime", "LastModified", "last_modified", "Last-Modified")
    return str(next((info[key] for key in keys if info.get(key)), "")).strip('"')


class _ParquetReader:
    """Reads a Parquet file in batches, from the row group with the first row to the end."""

    def __init__(self, rows: FileRows, etag: str, dataset: Dataset | None) -> None:
        self._file_key = rows.uri, rows.storage_options, etag, dataset
        self._stream = open_file(rows.uri, rows.storage_options)
        self._file = open_parquet(self._stream, pre_buffer=uri_scheme(rows.uri) != "file")
        dataset = match_dataset(self._file.schema_arrow.names, dataset)
        columns = dataset.field_names.match(self._file.schema_arrow.names)
        self._names = [columns[field.name] for field in dataset.fields if field.name in columns]
        self._schema = pa.schema([self._file.schema_arrow.field(name) for name in self._names])
        self._position, group = 0, 0
        while (
            self._position + self._row_group_rows(group) <= rows.start
            and group < self._file.num_row_groups - 1
        ):
            self._position += self._row_group_rows(group)
            group += 1
        self._batches = self._iterate_batches(group)
        self._rest: pa.RecordBatch | None = None

    def _row_group_rows(self, group: int) -> int:
        return int(self._file.metadata.row_group(group).num_rows)

    def _iterate_batches(self, first_group: int) -> Generator[pa.RecordBatch]:
        # Read one row group at a time, so that no row group is fetched in advance.
        for group in range(first_group, self._file.num_row_groups):
            yield from self._file.iter_batches(
                BATCH_ROWS, row_groups=[group], columns=self._names, use_threads=False
            )

    @property
    def at_end(self) -> bool:
        """Whether all rows of the file have been read."""
        return bool(self._position >= self._file.metadata.num_rows)

    def can_continue_to(self, rows: FileRows, etag: str, dataset: Dataset | None = None) -> bool:
        """See RowReader."""
        same_file = self._file_key == (rows.uri, rows.storage_options, etag, dataset)
        return same_file and self._position <= rows.start

    def close(self) -> None:
        """Close the file."""
        self._batches.close()
        self._stream.close()

    def read_rows(self, start: int, stop: int) -> pa.Table:
        """Return rows `start` to `stop`, or fewer at the end of the file.

        `start` must not be before the rows that were already read.
        """
        slices = []
        while self._position < stop:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            if batch is None:
                break
            first = min(max(start - self._position, 0), batch.num_rows)
            end = min(stop - self._position, batch.num_rows)
            if first < end:
                slices.append(batch.slice(first, end - first).select(self._names).replace_schema_metadata())
            self._rest = batch.slice(end) if end < batch.num_rows else None
            self._position += end
        return pa.Table.from_batches(slices, schema=self._schema.remove_metadata())
