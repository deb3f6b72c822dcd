"""Read rows of CSV files, which can be compressed with gzip, block by block."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from toytip.core.access import StorageOptions
from toytip.core.partitions import CsvLayout, FileRows
from toytip.datasets.tlc.fields import FIELDS, match_fields
from toytip.io.access import open_file
from toytip.sources.formats import GZIP_MAGIC

CSV_BLOCK_BYTES = 4 * 2**20
DELIMITERS = ",;\t|"
AMOUNTS = frozenset(field.name for field in FIELDS if field.kind == "amount")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Besides the spellings that Arrow knows, such as an empty field, NULL, NA and NaN.
NULL_SPELLINGS = ("\\N", "-", "None", "none")


def open_text(stream: Any) -> Any:
    """Return a stream of the decompressed bytes of a file, at its start."""
    is_compressed = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream, mode="rb") if is_compressed else stream


def iterate_blocks(text: Any) -> Iterator[bytes]:
    """Yield blocks of complete lines, from the position of a stream to its end.

    Raises OSError if the stream is compressed and corrupt.
    """
    rest = b""
    while content := _read(text, CSV_BLOCK_BYTES):
        end = content.rfind(b"\n") + 1
        if end:
            yield rest + content[:end]
            rest = content[end:]
        else:
            rest += content
    if rest.strip():
        yield rest


def _read(text: Any, size: int) -> bytes:
    return _decompressed(lambda: text.read(size))


def _decompressed(read: Callable[[], Any]) -> bytes:
    try:
        return bytes(read())
    except (EOFError, zlib.error) as error:
        raise OSError(f"the compressed data is corrupt or incomplete: {error}") from None


def read_header(text: Any) -> tuple[CsvLayout, int]:
    """Return the columns and the delimiter of a CSV file, and the number of bytes of its header.

    Empty and repeated names of columns get a number. Raises OSError as `iterate_blocks` does, and
    ValueError if the first line is not a list of names.
    """
    line = _decompressed(text.readline)
    header = line.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").rstrip("\r\n")
    delimiter = max(DELIMITERS, key=header.count)
    names: list[str] = []
    try:
        fields = next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error as error:
        raise ValueError(f"the first line is not a header: {error}") from None
    for index, raw in enumerate(fields):
        name = raw.strip()
        names.append(name if name and name not in names else f"column {index + 1}")
    return CsvLayout(columns=tuple(names), types=(), delimiter=delimiter), len(line)


def parse_rows(block: bytes, layout: CsvLayout, names: list[str] | None = None) -> pa.Table:
    """Return the rows of a block of lines, with the columns of the layout.

    With `names`, the table has these columns, and Arrow infers their types. Raises ValueError if a
    line has a different number of columns, or if a value does not have the type.
    """
    types = {name: pa.type_for_alias(alias) for name, alias in layout.types}
    convert = pv.ConvertOptions(
        include_columns=list(types) if names is None else names,
        column_types=types if names is None else {},
        null_values=[*pv.ConvertOptions().null_values, *NULL_SPELLINGS],
        strings_can_be_null=True,
        decimal_point=layout.decimal_point,
    )
    table = pv.read_csv(
        pa.BufferReader(block),
        pv.ReadOptions(column_names=list(layout.columns), use_threads=False, block_size=len(block) + 1),
        pv.ParseOptions(delimiter=layout.delimiter),
        convert,
    )
    return table if layout.decimal_point == "." else _with_decimal_points(table)


def _with_decimal_points(table: pa.Table) -> pa.Table:
    """Return a table in which amounts that are still text have no decimal commas.

    An amount is text if another value of its column is not a number.
    """
    for field, name in match_fields(table.column_names).items():
        column = table.column(name)
        if field in AMOUNTS and pa.types.is_string(column.type):
            points = pc.replace_substring(column, ",", ".")
            table = table.set_column(table.column_names.index(name), name, points)
    return table


def read_csv_columns(
    uri: str, storage_options: StorageOptions, layout: CsvLayout, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield columns of a CSV file in batches, given the layout of its first block."""
    types = tuple(item for item in layout.types if item[0] in names)
    with open_file(uri, storage_options) as stream:
        text = open_text(stream)
        text.seek(layout.offset)
        for block in iterate_blocks(text):
            yield from parse_rows(block, replace(layout, types=types)).combine_chunks().to_batches()


class CsvReader:
    """Reads the rows of a CSV file, from the position of a layout to the end."""

    def __init__(self, rows: FileRows, etag: str) -> None:
        assert rows.csv is not None, "the rows of a CSV file have a layout"
        self._layout = rows.csv
        self._file_key = rows.uri, rows.storage_options, etag
        self._stream = open_file(rows.uri, rows.storage_options)
        self._text = open_text(self._stream)
        self._text.seek(rows.csv.offset)
        self._blocks = iterate_blocks(self._text)
        self._position = rows.csv.offset_row
        self._rest: pa.Table | None = None
        self.at_end = False

    def can_continue_to(self, rows: FileRows, etag: str) -> bool:
        """See RowReader. A reader that starts at a later position skips the rows in between."""
        same_file = self._file_key == (rows.uri, rows.storage_options, etag)
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
        types = [(name, pa.type_for_alias(alias)) for name, alias in self._layout.types]
        return pa.concat_tables(slices) if slices else pa.schema(types).empty_table()

    def _next_rows(self) -> pa.Table | None:
        block = next(self._blocks, None)
        return None if block is None else parse_rows(block, self._layout)
