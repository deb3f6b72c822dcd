"""Read files of raw trips in batches: Parquet, CSV, JSON Lines and JSON, also with gzip."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, BinaryIO

import pyarrow as pa

from toytip.core.dataset.dataset import Dataset
from toytip.core.redact import first_line, mask_credentials
from toytip.datasets.registry import has_field, match_dataset
from toytip.errors import SourceError
from toytip.io.access import open_file, resolve_storage_options
from toytip.models import trip_columns
from toytip.models.raw_trips import trips_to_table
from toytip.serving.json_text import (
    TRIPS_KEY,
    VALUES_PER_COLUMN,
    WRITE_TRIPS,
    describe_keys,
    has_columns,
    parse_json,
    unwrap_trips,
)
from toytip.sources.csv_files.header import encoding_of, is_csv
from toytip.sources.csv_files.rows import CSV_HINT, read_csv
from toytip.sources.file_errors import DOWNLOAD_FROM_SERVER, NO_RANGES, lacks_ranges
from toytip.sources.formats import (
    ENCRYPTED_PARQUET,
    GZIP_MAGIC,
    PARQUET_MAGIC,
    WIDE_TEXT_MARKS,
    OtherFormat,
    find_other_format,
)
from toytip.sources.reader import has_encrypted_columns, open_parquet
from toytip.stages.conform import RowLabel, label_line, label_row

SCORING_BATCH_ROWS = 50_000
HEAD_BYTES = 2**16
BUFFER_BYTES = 2**20
UTF8_MARK = b"\xef\xbb\xbf"
LIST_HINT = "Write one object per trip, as JSON Lines or as a list"
FORMAT_HINT = "Use Parquet, CSV with a header, or JSON Lines."


@dataclass(frozen=True, kw_only=True)
class TripBatch:
    """Raw trips of a file, the columns that the trips have, and names of trips for messages."""

    table: pa.Table
    columns: Mapping[tuple[str, ...], str]
    """Label of the first trip, by combination of columns. Lines of JSON can have different keys."""
    label: RowLabel
    """Returns the name of a trip for messages, given its position in the batch."""

    @classmethod
    def of(cls, table: pa.Table, label: RowLabel) -> TripBatch:
        """Return a batch whose trips all have the columns of the table."""
        return cls(table=table, columns={tuple(table.column_names): "the trips"}, label=label)


def read_batches(
    path: str, stdin: BinaryIO, endpoint_url: str | None = None, dataset: Dataset | None = None
) -> Iterator[TripBatch]:
    """Yield the raw trips of a Parquet, CSV or JSON Lines file, or of stdin (`-`).

    The content decides on the format, and can be compressed with gzip. Without a data set, it is
    the built-in one that the columns show. Raises SourceError if the content has a different
    format. For CSV and JSON Lines, the error names the line.
    """
    if not path.strip():
        raise SourceError("cannot read trips: the path of the file is empty", hint="Name one file.")
    name = "stdin" if path == "-" else mask_credentials(path)
    try:
        with contextlib.ExitStack() as stack:
            raw: Any = stdin if path == "-" else stack.enter_context(_open(path, endpoint_url))
            stream = io.BufferedReader(raw, BUFFER_BYTES)
            content = stream if path == "-" else stack.enter_context(stream)
            yield from _read_stream(content, name, dataset)
    except IsADirectoryError:
        raise SourceError(
            f"cannot read trips from {name}: it is a folder",
            hint="Name one file. To score a folder of monthly files, use `toytip run --model champion`.",
        ) from None
    except FileNotFoundError:
        is_pattern = any(character in path for character in "*?[")
        raise SourceError(
            f"cannot read trips from {name}: the file does not exist",
            hint="Name one file in place of a pattern." if is_pattern else "Check the path.",
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        cause = f"the compressed data is corrupt or incomplete: {error}"
        raise SourceError(
            f"cannot read trips from {name}: {cause}", hint="Compress the file again."
        ) from None
    except (pa.ArrowException, UnicodeError, OSError) as error:
        raise SourceError(f"cannot read trips from {name}: {first_line(error)}", hint=FORMAT_HINT) from None
    except ValueError as error:
        if not lacks_ranges(path, error):
            raise
        raise SourceError(f"cannot read trips from {name}: {NO_RANGES}", hint=DOWNLOAD_FROM_SERVER) from None


class _Decompressed(gzip.GzipFile):
    """The content of a compressed file, which is read only once, also from a pipe."""

    def seekable(self) -> bool:
        """Return False. Otherwise, each step back would decompress all of it again."""
        return False


def _open(path: str, endpoint_url: str | None) -> Any:
    """Return a stream of a file or of a pipe, as in `toytip score <(zcat trips.gz)`."""
    if stat.S_ISFIFO(_mode(path)):  # fsspec would seek in it
        return open(path, "rb", buffering=0)  # noqa: PTH123 - the caller closes it
    return open_file(path, resolve_storage_options(path, endpoint_url))


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - a URI is not a path
    except (OSError, ValueError):
        return 0


def _read_stream(stream: io.BufferedReader[Any], name: str, dataset: Dataset | None) -> Iterator[TripBatch]:
    head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
    text_head = head.removeprefix(UTF8_MARK).lstrip()
    if head.startswith(GZIP_MAGIC):
        content: Any = _Decompressed(mode="rb", fileobj=stream)
        yield from _read_stream(io.BufferedReader(content, BUFFER_BYTES), name, dataset)
    elif head.startswith(PARQUET_MAGIC):
        yield from _read_parquet(stream, name)
    elif text_head.startswith(b"{"):
        yield from _read_json_objects(stream, name, dataset)
    elif text_head.startswith(b"["):
        yield from _batches_of_list(_parse_trips(stream.read(), name), name, dataset)
    elif head.startswith(WIDE_TEXT_MARKS) and _is_wide_json(head):
        encoding = encoding_of(head)[: len("utf-16")].upper()
        raise SourceError(
            f"cannot read trips from {name}: it is JSON in {encoding}", hint="Save it in UTF-8."
        )
    elif other := find_other_format(head):
        raise _other_format(name, other)
    elif is_csv(head, dataset):
        yield from _read_csv(stream, name, dataset)
    else:
        cause = "it is not a Parquet file" if name.endswith(".parquet") else "unknown format"
        raise SourceError(
            f"cannot read trips from {name}: {cause if text_head else 'it is empty'}", hint=FORMAT_HINT
        )


def _other_format(name: str, other: OtherFormat) -> SourceError:
    return SourceError(f"cannot read trips from {name}: it is {other.name}", hint=other.hint)


def _is_wide_json(head: bytes) -> bool:
    text = head.decode(encoding_of(head), errors="replace").removeprefix("\ufeff")
    return text.lstrip().startswith(("{", "["))


def _read_parquet(stream: io.BufferedReader[Any], name: str) -> Iterator[TripBatch]:
    seekable = stream if stream.seekable() else io.BytesIO(stream.read())
    first_row, parquet = 0, open_parquet(pa.PythonFile(seekable, "r"))
    if has_encrypted_columns(seekable, parquet.metadata):
        raise _other_format(name, ENCRYPTED_PARQUET)
    # Without rows, a file must have the columns of trips, too.
    yield TripBatch.of(parquet.schema_arrow.empty_table(), label_row)
    for batch in parquet.iter_batches(SCORING_BATCH_ROWS):
        label = partial(_label_in_file, label_row=label_row, name=name, first_row=first_row)
        yield TripBatch.of(pa.Table.from_batches([batch]), label)
        first_row += batch.num_rows


def _read_csv(stream: io.BufferedReader[Any], name: str, dataset: Dataset | None) -> Iterator[TripBatch]:
    try:
        for layout, rows in read_csv(stream, dataset):
            label = partial(_label_in_file, label_row=label_line, name=name, first_row=layout.offset_row)
            yield TripBatch.of(rows, label)
    except ValueError as error:
        raise SourceError(f"cannot read trips from {name}: {first_line(error)}", hint=CSV_HINT) from None


def _label_in_file(row: int, *, label_row: RowLabel, name: str, first_row: int) -> str:
    return f"{label_row(first_row + row)} of {name}"


def _read_json_objects(
    stream: io.BufferedReader[Any], name: str, dataset: Dataset | None
) -> Iterator[TripBatch]:
    """Yield the trips of JSON Lines, or of one JSON object as in a request of `toytip serve`.

    This object is a trip in several lines, or has the key `trips`. toytip reads it completely into
    memory.
    """
    with io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
        lines = ((number, line) for number, line in enumerate(text, 1) if line.strip())
        first = next(lines)
        value = _parse_line(first[1])
        if value is None:
            yield from _batches_of_list(_parse_object(first[1] + text.read(), name, dataset), name, dataset)
            return
        second = next(lines, None)
        if second is None and (unwrap_trips(value) is not value or has_columns(value, dataset)):
            yield from _batches_of_list(_parse_object(first[1], name, dataset), name, dataset)
        else:
            yield from _read_json_lines(chain(filter(None, [first, second]), lines), name, dataset)


def _parse_line(line: str) -> dict[str, Any] | None:
    """Return the object of a line, or None if the line ends within a value.

    Returns an empty object for any other fault, which the line has if it is read as a trip.
    """
    try:
        value = parse_json(line)
    except json.JSONDecodeError as error:
        return None if error.pos >= len(line.rstrip()) else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _parse_object(content: str, name: str, dataset: Dataset | None) -> list[Any]:
    """Return the trips of a JSON object. Raises SourceError."""
    value = unwrap_trips(_parse_trips(content, name))
    if isinstance(value, dict) and has_columns(value, dataset):
        raise SourceError(
            f"cannot read trips from {name}: it has {VALUES_PER_COLUMN}", hint=f"{LIST_HINT} ({WRITE_TRIPS})."
        )
    if not isinstance(value, dict | list):
        raise SourceError(
            f"cannot read trips from {name}: the key {TRIPS_KEY} has no list", hint=f"{LIST_HINT}."
        )
    return [value] if isinstance(value, dict) else value


def _read_json_lines(
    lines: Iterable[tuple[int, str]], name: str, dataset: Dataset | None
) -> Iterator[TripBatch]:
    trips: list[dict[str, Any]] = []
    labels: list[str] = []
    for number, line in lines:
        labels.append(f"line {number} of {name}")
        trips.append(_parse_trip(line, labels[-1]))
        if len(trips) == SCORING_BATCH_ROWS:
            yield _batch_of_trips(trips, labels, dataset)
            trips, labels = [], []
    yield _batch_of_trips(trips, labels, dataset)


def _parse_trip(line: str, label: str) -> dict[str, Any]:
    """Return the trip of a line. Raises SourceError with the label of the line."""
    try:
        trip = parse_json(line)
    except ValueError as error:
        raise SourceError(
            f"cannot read {label}: the line is not a trip as a JSON object ({error!s:.100})",
            hint=f"{LIST_HINT}.",
        ) from None
    if not isinstance(trip, dict):
        raise SourceError(
            f"cannot read {label}: the line is not a trip as a JSON object", hint=f"{LIST_HINT}."
        )
    return trip


def _parse_trips(content: str | bytes, name: str) -> Any:
    try:
        return parse_json(content)
    except ValueError as error:
        raise SourceError(
            f"cannot read trips from {name}: it is not JSON ({error!s:.100})", hint=f"{LIST_HINT}."
        ) from None


def _batches_of_list(trips: list[Any], name: str, dataset: Dataset | None) -> Iterator[TripBatch]:
    """Yield the trips of a list, which is completely in memory."""
    labels = [f"trip {row} of {name}" for row in range(len(trips))]
    for trip, label in zip(trips, labels, strict=True):
        if not isinstance(trip, dict):
            raise SourceError(f"cannot read {label}: it is not a JSON object", hint=f"{LIST_HINT}.")
    for start in range(0, len(trips), SCORING_BATCH_ROWS):
        rows = slice(start, start + SCORING_BATCH_ROWS)
        yield _batch_of_trips(trips[rows], labels[rows], dataset)


def _batch_of_trips(trips: list[dict[str, Any]], labels: list[str], dataset: Dataset | None) -> TripBatch:
    columns = trip_columns.columns_of_trips(trips, labels.__getitem__)
    for keys, label in columns.items():
        if keys and not any(has_field(key, dataset) for key in keys):
            raise SourceError(
                f"cannot read {label}: {describe_keys(keys)}",
                hint=f"{LIST_HINT} ({WRITE_TRIPS}).",
            )
    dataset = match_dataset({name for names in columns for name in names}, dataset)
    return TripBatch(table=trips_to_table(trips, dataset), columns=columns, label=labels.__getitem__)
