"""Reading the rows of a partition: a slice of a monthly file, which several may share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from toytip.config import first_line, mask_credentials
from toytip.core.partitions import SourcePartition
from toytip.core.tlc import FIELDS
from toytip.errors import SourceError
from toytip.io.access import open_file, open_filesystem
from toytip.io.base import uri_scheme
from toytip.io.s3 import translate_boto_errors

# Rows decoded at a time: a slice of a large row group never holds more than this beyond itself.
BATCH_ROWS = 65_536


def read_partition(partition: SourcePartition) -> pa.Table:
    """Read a partition's rows, only the columns that toytip knows, under the file's own names and types.

    Row groups before the slice are skipped unread; inside one, batches are decoded and dropped, unless this thread has
    read the slice before: then it goes on from there. Raises SourceError where the file's data cannot be read.
    """
    try:
        with _open_reader(partition) as reader:
            table = reader.read_rows(partition.start, partition.stop)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{mask_credentials(partition.uri)}: corrupt data ({first_line(error)}); fetch it again"
        ) from None
    if len(table) != partition.rows:
        raise SourceError(
            f"{mask_credentials(partition.uri)}: rows {partition.start} to {partition.stop} are not all there; it changed meanwhile"
        )
    return table


# The reader that each thread used last: slices of a file mostly come in order, and none then decodes what another has.
_thread_state = threading.local()


@contextlib.contextmanager
def _open_reader(part: SourcePartition) -> Iterator[_FileReader]:
    mark = _file_etag(part)
    reader = getattr(_thread_state, "reader", None)
    _thread_state.reader = None  # after an error it is not used again
    if reader is not None and not reader.can_continue_to(part, mark):
        reader.close()
        reader = None
    reader = reader or _FileReader(part, mark)
    try:
        yield reader
    except BaseException:
        reader.close()
        raise
    if reader.at_end:
        reader.close()
    else:
        _thread_state.reader = reader


def _file_etag(part: SourcePartition) -> str:
    """Return what changes with a file."""
    if uri_scheme(part.uri) == "file":
        found = Path(part.uri.removeprefix("file://")).stat()
        return f"{found.st_mtime_ns}-{found.st_size}"
    fs, path = open_filesystem(part.uri, part.storage_options)
    with translate_boto_errors():
        info = fs.info(path)
    return f"{info.get('ETag') or info.get('LastModified') or ''}-{info['size']}"


class _FileReader:
    """Reads a file from the row group that a slice begins in to its end, a batch at a time."""

    def __init__(self, part: SourcePartition, mark: str) -> None:
        self._of = part.uri, part.storage_options, mark
        self._stream = open_file(part.uri, part.storage_options)
        self._file = pq.ParquetFile(self._stream, pre_buffer=uri_scheme(part.uri) != "file")
        self._names = [name for field in FIELDS if (name := field.match(self._file.schema_arrow.names))]
        self._schema = pa.schema([self._file.schema_arrow.field(name) for name in self._names])
        self._position, group = 0, 0
        while (
            self._position + self._row_group_rows(group) <= part.start
            and group < self._file.num_row_groups - 1
        ):
            self._position += self._row_group_rows(group)
            group += 1
        self._batches = self._iterate_batches(group)
        self._rest: pa.RecordBatch | None = None

    def _row_group_rows(self, group: int) -> int:
        return int(self._file.metadata.row_group(group).num_rows)

    def _iterate_batches(self, first: int) -> Generator[pa.RecordBatch]:
        # One by one: none is fetched before it is wanted.
        for group in range(first, self._file.num_row_groups):
            yield from self._file.iter_batches(
                BATCH_ROWS, row_groups=[group], columns=self._names, use_threads=False
            )

    @property
    def at_end(self) -> bool:
        """Whether all rows have been read."""
        return bool(self._position >= self._file.metadata.num_rows)

    def can_continue_to(self, part: SourcePartition, etag: str) -> bool:
        """Tell whether the slice is of this very file, and still to come."""
        return self._of == (part.uri, part.storage_options, etag) and self._position <= part.start

    def close(self) -> None:
        """Let go of the file."""
        self._batches.close()
        self._stream.close()

    def read_rows(self, start: int, stop: int) -> pa.Table:
        """Return rows `start` to `stop`, none of which has been read; fewer where the file ends before."""
        taken = []
        while self._position < stop:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            if batch is None:
                break
            begin = min(max(start - self._position, 0), batch.num_rows)
            end = min(stop - self._position, batch.num_rows)
            if begin < end:
                taken.append(batch.slice(begin, end - begin).select(self._names).replace_schema_metadata())
            self._rest = batch.slice(end) if end < batch.num_rows else None
            self._position += end
        return pa.Table.from_batches(taken, schema=self._schema.remove_metadata())
