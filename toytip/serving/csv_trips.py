"""Read trips from CSV files, with the separators and number formats of common programs."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from toytip.datasets.tlc.fields import FIELDS_BY_NAME, match_fields
from toytip.errors import SourceError

SEPARATORS = (",", ";", "\t", "|")
ENCODINGS_BY_MARK = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Line 1 is the header. Empty lines do not count.
FIRST_TRIP_LINE = 2
# Numbers with commas between groups of three digits, and numbers with a decimal comma.
GROUPED_NUMBER = r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$"
DECIMAL_COMMA_NUMBER = r"^[+-]?(\d*|\d{1,3}(\.\d{3})+),\d*$"


@dataclass(frozen=True)
class CsvFormat:
    """The format of a CSV file, as its first bytes show it."""

    encoding: str
    """Name of the encoding, as Python knows it."""
    separator: str
    """Character between two values."""
    names: tuple[str, ...]
    """Names of all columns, without spaces around them."""
    has_trips: bool
    """Whether a line follows the header."""

    @property
    def trip_positions(self) -> list[int]:
        """The positions of the TLC's columns, or those of all columns if there are none."""
        positions = [position for position, name in enumerate(self.names) if match_fields([name])]
        return positions or list(range(len(self.names)))


def detect_format(head: bytes) -> CsvFormat | None:
    r"""Return the format of a CSV file that begins with `head`, or None for other files.

    The separator is the one with which the header has the most columns of the TLC.

    >>> detect_format(b"VendorID; fare_amount\r\n2;14,2")
    CsvFormat(encoding='utf-8', separator=';', names=('VendorID', 'fare_amount'), has_trips=True)
    """
    encoding = next((name for mark, name in ENCODINGS_BY_MARK.items() if head.startswith(mark)), "utf-8")
    header, *lines = head.decode(encoding, errors="replace").splitlines() or [""]
    formats = [
        CsvFormat(encoding, separator, _split_header(header, separator), any(lines))
        for separator in SEPARATORS
    ]
    best = max(formats, key=lambda item: (len(match_fields(item.names)), len(item.names)))
    return best if len(best.names) > 1 else None


def _split_header(header: str, separator: str) -> tuple[str, ...]:
    try:
        names = next(csv.reader([header], delimiter=separator), [])
    except csv.Error:
        return ()
    return tuple(name.strip() for name in names)


@dataclass
class CsvReader:
    """Reads the trips of a CSV file in batches, and names the line of a fault."""

    csv_format: CsvFormat
    name: str
    """Name of the file for messages."""
    rows_read: int = 0
    """Number of trips in the batches before the current batch."""
    broken: list[pv.InvalidRow] = field(default_factory=list)
    """The line that has more or fewer values than the header, if there is one."""

    def read(self, stream: Any) -> Iterator[tuple[pa.Table, int]]:
        """Yield the TLC's columns in batches, and the number of trips before each batch.

        All values are text. Raises SourceError if a line has more or fewer values than the header.
        """
        names = [self.csv_format.names[position] for position in self.csv_format.trip_positions]
        are_times = [_is_time_column(name) for name in names]
        try:
            for batch in self._open(stream) if self.csv_format.has_trips else ():
                arrays = [
                    text if is_time else _plain_numbers(text, self.csv_format.separator)
                    for text, is_time in zip(batch.columns, are_times, strict=True)
                ]
                yield pa.Table.from_arrays(arrays, names), self.rows_read
                self.rows_read += batch.num_rows
        except pa.ArrowInvalid:
            if self.broken:
                raise self._broken_line() from None
            raise
        if not self.rows_read:
            yield pa.Table.from_arrays([pa.array([], pa.string())] * len(names), names), 0

    def label(self, row: int, first_row: int) -> str:
        """Return the name of a trip, given its position after the first trip of a batch."""
        return f"line {FIRST_TRIP_LINE + first_row + row} of {self.name}"

    def _open(self, stream: Any) -> Iterator[pa.RecordBatch]:
        """Yield batches of text, in which the name of a column is its position in the header."""
        positions = [str(position) for position in range(len(self.csv_format.names))]
        yield from pv.open_csv(
            stream,
            # Only one thread knows the numbers of lines.
            pv.ReadOptions(
                column_names=positions,
                skip_rows_after_names=1,
                encoding=self.csv_format.encoding,
                use_threads=False,
            ),
            pv.ParseOptions(
                delimiter=self.csv_format.separator,
                invalid_row_handler=self._keep_broken,
            ),
            pv.ConvertOptions(
                column_types=dict.fromkeys(positions, pa.string()),
                include_columns=[positions[position] for position in self.csv_format.trip_positions],
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def _keep_broken(self, row: pv.InvalidRow) -> Literal["error"]:
        self.broken.append(row)
        return "error"

    def _broken_line(self) -> SourceError:
        (row,) = self.broken
        return SourceError(
            f"cannot read line {row.number} of {self.name}: it has {row.actual_columns} values, "
            f"and the header has {row.expected_columns} columns",
            hint="Put a text that contains the separator in double quotes.",
        )


def _is_time_column(name: str) -> bool:
    return any(FIELDS_BY_NAME[field].kind == "time" for field in match_fields([name]))


def _plain_numbers(text: pa.Array, separator: str) -> pa.Array:
    """Return numbers without separators of groups, and with a decimal point.

    If semicolons separate values, a comma is that of decimals. Elsewhere, commas must separate
    groups of three digits.
    """
    text = pc.utf8_trim_whitespace(text)
    if separator == ";":
        pattern, plain = DECIMAL_COMMA_NUMBER, pc.replace_substring(text, ".", "")
        plain = pc.replace_substring(plain, ",", ".")
    else:
        pattern, plain = GROUPED_NUMBER, pc.replace_substring(text, ",", "")
    return pc.if_else(pc.match_substring_regex(text, pattern), plain, text)
