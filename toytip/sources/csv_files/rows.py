"""Read CSV files in blocks of rows: months of a source, and files of trips to score.

All values stay text, so that the same text has the same meaning in every file (`stages.conform`).
Only numbers change: they lose the separators of groups of digits, and a decimal comma.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from toytip.core.access import StorageOptions
from toytip.core.dataset.dataset import Dataset
from toytip.core.number_values import to_text
from toytip.core.partitions import CsvLayout, FileRows
from toytip.core.text import plural
from toytip.datasets.registry import match_dataset
from toytip.io.access import open_file
from toytip.sources.csv_files.header import (
    ENCODINGS_BY_MARK,
    encoding_of,
    header_of,
    leading_line,
    line_of_header,
    match_fields,
    read_header,
    to_utf8,
    with_quote,
)
from toytip.sources.csv_files.numbers import columns_with_decimal_commas, with_plain_numbers
from toytip.sources.formats import GZIP_MAGIC
from toytip.stages.conform import FIRST_ROW_LINE

CSV_BLOCK_BYTES = 4 * 2**20
MAX_LINE_BYTES = 4 * 2**20
CSV_HINT = (
    "Correct the lines of the file, or convert it to Parquet. "
    "A text that contains the delimiter must be in double quotes, and must end in its line."
)
_NOT_EMPTY_LINE = re.compile(rb"[^\r\n]+")


class CsvBlock(NamedTuple):
    """Consecutive rows of a CSV file."""

    layout: CsvLayout
    """How to read the file from the first row of the block."""
    rows: pa.Table
    """The columns of trip records, as text."""


def open_text(stream: Any) -> Any:
    """Return a stream of the decompressed bytes of a file, at its start.

    Raises OSError if the stream is compressed and corrupt.
    """
    text = stream
    while _read(text, len(GZIP_MAGIC)) == GZIP_MAGIC:
        text.seek(0)
        text = gzip.GzipFile(fileobj=text, mode="rb")
    text.seek(0)
    return text


def _read(text: Any, size: int) -> bytes:
    try:
        return bytes(text.read(size))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(f"the compressed data is corrupt or incomplete: {error}") from None


def read_csv(text: Any, dataset: Dataset | None = None) -> Iterator[CsvBlock]:
    """Yield a block without rows, which has the columns of the header, and then blocks of rows.

    `text` is a stream of decompressed bytes, at its start. Raises OSError if the stream is
    compressed and corrupt, and ValueError if a line cannot be read.
    """
    mark = _read(text, max(map(len, ENCODINGS_BY_MARK)))
    encoding = encoding_of(mark)
    blocks = _iterate_lines(text, encoding, mark)
    first = next(blocks, b"")
    text_of_first = to_utf8(first, encoding)
    line = header_of(text_of_first)
    size = len(line) if encoding == "utf-8" else len(line.decode().encode(encoding))
    rows = [first[size:]]
    while not (text_of_rows := to_utf8(rows[-1], encoding).strip()) and (block := next(blocks, None)):
        rows.append(block)
    layout = with_quote(read_header(line, encoding, dataset), line, leading_line(text_of_rows), dataset)
    if not match_fields(layout.columns, dataset) and (number := line_of_header(text_of_first, dataset)):
        raise ValueError(f"line {number} has the names of the columns, which must be the first line")
    names = list(match_fields(layout.columns, dataset).values()) or list(layout.columns)
    yield CsvBlock(layout, pa.Table.from_arrays([pa.array([], pa.string())] * len(names), names))
    yield from _read_rows(chain(rows, blocks), replace(layout, offset=size), dataset)


def read_csv_from(text: Any, layout: CsvLayout, dataset: Dataset | None = None) -> Iterator[CsvBlock]:
    """Yield the rows of a CSV file from the offset of a layout to the end, as `read_csv` does."""
    text.seek(layout.offset)
    return _read_rows(_iterate_lines(text, layout.encoding), layout, dataset)


def _iterate_lines(text: Any, encoding: str, start: bytes = b"") -> Iterator[bytes]:
    """Yield blocks of complete lines: `start`, and the stream from its position to its end."""
    rest = start
    while content := _read(text, CSV_BLOCK_BYTES):
        rest += content
        if end := _end_of_lines(rest, encoding):
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > MAX_LINE_BYTES:
            raise ValueError(f"a line is longer than {MAX_LINE_BYTES:,} bytes")
    if rest:
        yield rest


def _end_of_lines(content: bytes, encoding: str) -> int:
    """Return the position after the last end of a line, or 0 if there is none."""
    for character in "\n\r":
        mark = character.encode(encoding)
        position = content.rfind(mark)
        while position > 0 and position % len(mark):  # within other characters
            position = content.rfind(mark, 0, position + len(mark) - 1)
        if position >= 0:
            return position + len(mark)
    return 0


def _read_rows(blocks: Iterable[bytes], layout: CsvLayout, dataset: Dataset | None) -> Iterator[CsvBlock]:
    """Yield the rows of blocks of lines. The first block with rows decides on decimal commas."""
    dataset = match_dataset(layout.columns, dataset)
    for block in blocks:
        rows = _parse_rows(block, layout, dataset)
        if layout.comma_columns is None and len(rows):
            columns = columns_with_decimal_commas(rows, layout.delimiter, dataset)
            layout = replace(layout, comma_columns=columns)
        if len(rows):
            yield CsvBlock(layout, with_plain_numbers(rows, layout.comma_columns or (), dataset))
        layout = replace(layout, offset=layout.offset + len(block), offset_row=layout.offset_row + len(rows))


def _parse_rows(block: bytes, layout: CsvLayout, dataset: Dataset) -> pa.Table:
    """Return the columns of trip records in a block of lines, as text.

    Raises ValueError if a line has more or fewer values than the header, or if a quoted text does
    not end in its line. From such lines, Arrow would make one row.
    """
    field_of = dataset.field_names.field_of
    positions = [position for position, name in enumerate(layout.columns) if field_of(name)]
    names = [layout.columns[position] for position in positions]
    lines, broken = to_utf8(block, layout.encoding), list[pv.InvalidRow]()
    if not positions or not lines.strip():
        return pa.Table.from_arrays([pa.array([], pa.string())] * len(names), names)
    first_line = FIRST_ROW_LINE + layout.offset_row
    try:
        rows = pa.Table.from_arrays(_parse_lines(lines, layout, positions, broken), names)
    except pa.ArrowInvalid:
        _require_rows_in_lines(lines, layout, first_line)
        if not broken:
            raise
        raise ValueError(
            f"line {first_line + broken[0].number - 1:,} has {plural(broken[0].actual_columns, 'value')}, "
            f"and the header has {plural(broken[0].expected_columns, 'column')}"
        ) from None
    if len(rows) != len(_NOT_EMPTY_LINE.findall(lines)):
        _require_rows_in_lines(lines, layout, first_line)
    if (row := pc.index(rows.column(0), names[0]).as_py()) >= 0:
        raise ValueError(f"line {first_line + row:,} repeats the names of the columns")
    return rows


def _require_rows_in_lines(lines: bytes, layout: CsvLayout, first_line: int) -> None:
    """Raise ValueError if a row has several lines. `first_line` is the number of the first line."""
    texts = [line.decode("latin-1") for line in _NOT_EMPTY_LINE.findall(lines)]
    reader = csv.reader(texts, delimiter=layout.delimiter, quotechar=layout.quote)
    for row in range(len(texts)):
        with contextlib.suppress(csv.Error):  # a text is very long
            next(reader, None)
        if reader.line_num > row + 1:
            raise ValueError(f"line {first_line + row:,}: a quoted text contains a line break")


def _parse_lines(
    lines: bytes, layout: CsvLayout, positions: Sequence[int], broken: list[pv.InvalidRow]
) -> list[pa.ChunkedArray]:
    """Return the columns at some positions. The list of broken lines gets the first such line."""

    def keep_broken(row: pv.InvalidRow) -> Literal["error"]:
        broken.append(row)
        return "error"

    columns = list(map(str, range(len(layout.columns))))  # a name can occur twice
    used = [columns[position] for position in positions]
    table = pv.read_csv(
        pa.BufferReader(lines),
        # Only one thread knows the numbers of lines.
        pv.ReadOptions(column_names=columns, use_threads=False, block_size=len(lines) + 1),
        pv.ParseOptions(delimiter=layout.delimiter, quote_char=layout.quote, invalid_row_handler=keep_broken),
        pv.ConvertOptions(
            include_columns=used,
            column_types=dict.fromkeys(used, pa.binary()),  # not all text is valid UTF-8
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    return list(map(to_text, table.columns))


def read_csv_columns(
    uri: str,
    storage_options: StorageOptions,
    layout: CsvLayout,
    names: Sequence[str],
    dataset: Dataset | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield columns of a CSV file in batches, given the layout of its first rows."""
    with open_file(uri, storage_options) as stream:
        for block in read_csv_from(open_text(stream), layout, dataset):
            yield from block.rows.select(list(names)).combine_chunks().to_batches()


class CsvReader:
    """Reads the rows of a CSV file, from the position of a layout to the end."""

    def __init__(self, rows: FileRows, etag: str, dataset: Dataset | None = None) -> None:
        assert rows.csv is not None, "the rows of a CSV file have a layout"
        self._file_key = rows.uri, rows.storage_options, etag, dataset
        self._stream = open_file(rows.uri, rows.storage_options)
        self._names = list(match_fields(rows.csv.columns, dataset).values())
        self._blocks = read_csv_from(open_text(self._stream), rows.csv, dataset)
        self._position = rows.csv.offset_row
        self._rest: pa.Table | None = None
        self.at_end = False

    def can_continue_to(self, rows: FileRows, etag: str, dataset: Dataset | None = None) -> bool:
        """See RowReader. A reader that starts at a later position skips the rows in between."""
        same_file = self._file_key == (rows.uri, rows.storage_options, etag, dataset)
        has_offset = rows.csv is not None and rows.csv.offset_row > self._position
        return same_file and self._position <= rows.start and not has_offset

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def read_rows(self, start: int, stop: int) -> pa.Table:
        """See RowReader."""
        slices = []
        while self._position < stop:
            table = self._rest if self._rest is not None else self._next_rows()
            if table is None:
                self.at_end = True
                break
            first = min(max(start - self._position, 0), len(table))
            end = min(stop - self._position, len(table))
            if first < end:
                slices.append(table.slice(first, end - first))
            self._rest = table.slice(end) if end < len(table) else None
            self._position += end
        empty = pa.schema([(name, pa.string()) for name in self._names]).empty_table()
        return pa.concat_tables(slices) if slices else empty

    def _next_rows(self) -> pa.Table | None:
        block = next(self._blocks, None)
        return None if block is None else block.rows
