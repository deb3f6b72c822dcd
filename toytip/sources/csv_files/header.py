"""The header of a CSV file: encoding, delimiter, quotes and names of the columns."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import replace

from toytip.core.dataset.dataset import Dataset
from toytip.core.partitions import CsvLayout
from toytip.datasets.registry import match_dataset

DELIMITERS = (",", ";", "\t", "|")
SINGLE_QUOTE = "'"
# The mark of UTF-32 begins with that of UTF-16.
ENCODINGS_BY_MARK = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_FIRST_LINE = re.compile(rb"[\r\n]*[^\r\n]*(\r\n|\n|\r)?")
# All until the end of the header: a byte order mark, empty lines, and the line in which Excel names
# the delimiter.
_HEADER = re.compile(
    rb"(\xef\xbb\xbf)?[\r\n]*(\"?sep=[^\r\n\"]\"?[\r\n]+)?[^\r\n]*(\r\n|\n|\r)?", re.IGNORECASE
)
_HAS_DOUBLE_QUOTES = re.compile(rb"(^|[,;\t|])[ \t]*\"", re.MULTILINE)
# Number of lines among which toytip looks for the names of columns, to report their line.
MAX_LINES_BEFORE_HEADER = 50
MIN_FIELDS_OF_HEADER = 3


def header_columns(head: bytes, dataset: Dataset | None = None) -> tuple[str, ...]:
    r"""Return the names of the columns of a CSV file that begins with `head`.

    >>> header_columns(b"VendorID; fare_amount\r\n2;14,2")
    ('VendorID', 'fare_amount')
    """
    encoding = encoding_of(head)
    return read_header(header_of(head.decode(encoding, "replace").encode()), encoding, dataset).columns


def is_csv(head: bytes, dataset: Dataset | None = None) -> bool:
    """Return whether a file that begins with `head` has several columns, or a later header."""
    text = head.decode(encoding_of(head), "replace").encode()
    return len(header_columns(head, dataset)) > 1 or line_of_header(text, dataset) is not None


def encoding_of(head: bytes) -> str:
    """Return the encoding of text that begins with `head`, as Python knows it."""
    return next((name for mark, name in ENCODINGS_BY_MARK.items() if head.startswith(mark)), "utf-8")


def to_utf8(lines: bytes, encoding: str) -> bytes:
    """Return text in UTF-8."""
    return lines if encoding == "utf-8" else lines.decode(encoding).encode()


def leading_line(lines: bytes) -> bytes:
    """Return the empty lines before the first other line, and this line."""
    match = _FIRST_LINE.match(lines)
    return match.group() if match else b""


def header_of(lines: bytes) -> bytes:
    """Return all until the end of the line with the names of the columns."""
    match = _HEADER.match(lines)
    return match.group() if match else b""


def line_of_header(text: bytes, dataset: Dataset | None = None) -> int | None:
    """Return the number of the first line with the names of several fields, or None without one."""
    lines = re.split(rb"\r\n|\n|\r", text)[:MAX_LINES_BEFORE_HEADER]
    for number, line in enumerate(lines, 1):
        headers = [_split_line(line, mark) for mark in DELIMITERS]
        if any(len(match_fields(header, dataset)) >= MIN_FIELDS_OF_HEADER for header in headers):
            return number
    return None


def read_header(line: bytes, encoding: str, dataset: Dataset | None = None) -> CsvLayout:
    """Return the layout of a file whose header is the last line of `line`.

    The delimiter is the one with which the line has the most fields of a data set.
    """
    layouts = [
        CsvLayout(columns=_split_line(line, delimiter), delimiter=delimiter, encoding=encoding)
        for delimiter in DELIMITERS
    ]
    return max(layouts, key=lambda layout: (len(match_fields(layout.columns, dataset)), len(layout.columns)))


def match_fields(columns: tuple[str, ...], dataset: Dataset | None) -> dict[str, str]:
    """Return the names of the columns that are fields, by field."""
    return match_dataset(columns, dataset).field_names.match(columns)


def _split_line(line: bytes, delimiter: str, quote: str = '"') -> tuple[str, ...]:
    text = re.split(r"[\r\n]+", line.decode(errors="replace").lstrip("\ufeff").strip("\r\n"))[-1]
    try:
        values = next(csv.reader([text], delimiter=delimiter, quotechar=quote), [])
    except csv.Error:
        return ("",)
    return tuple(value.strip() for value in values) or ("",)


def with_quote(layout: CsvLayout, header: bytes, row: bytes, dataset: Dataset | None = None) -> CsvLayout:
    """Return a layout with single quotes if names, or values of trips, are in single quotes.

    In a file with double quotes, single quotes are characters like all others.
    """
    if any(_HAS_DOUBLE_QUOTES.search(line) for line in (header, row)):
        return layout
    names, values = layout.columns, _split_line(row, layout.delimiter)
    of_trips = [value for name, value in zip(names, values, strict=False) if match_fields((name,), dataset)]
    if not any(map(_is_in_single_quotes, (*names, *of_trips))):
        return layout
    columns = _split_line(header, layout.delimiter, SINGLE_QUOTE)
    return replace(layout, columns=columns, quote=SINGLE_QUOTE)


def _is_in_single_quotes(value: str) -> bool:
    return len(value) > 1 and value.startswith(SINGLE_QUOTE) and value.endswith(SINGLE_QUOTE)
