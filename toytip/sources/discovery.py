"""Files in: find the monthly files, judge them by their footers, cut them into partitions, read one."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from toytip.config import first_line, mask_credentials
from toytip.core.access import StorageOptions
from toytip.core.months import Month, parse_months
from toytip.core.partitions import SourcePartition
from toytip.core.tlc import FIELDS, detect_taxi
from toytip.errors import SourceError
from toytip.io.access import open_file, open_file_io, open_filesystem, resolve_storage_options
from toytip.io.base import uri_scheme
from toytip.io.s3 import translate_boto_errors

_MONTH_REGEX = re.compile(r"(?<!\d)(\d{4})-(\d{2})(?!\d)")


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A monthly file, as its footer tells it."""

    uri: str
    taxi: str
    month: Month
    rows: int
    bytes: int
    modified: str  # the entity tag of an object, else the time of its last change
    missing_columns: tuple[str, ...]  # optional columns that it lacks, or has without a type
    storage_options: StorageOptions = dataclasses.field(default_factory=StorageOptions)

    @property
    def content_tag(self) -> str:
        """What names the content without reading it: an object's entity tag and size; empty on a disk."""
        return f"etag:{self.modified}-{self.bytes}" if uri_scheme(self.uri) == "s3" and self.modified else ""


# A scheduler takes two to three milliseconds a task, on one core: a minute a stage for so many.
MAX_PARTITIONS = 20_000


@dataclass(frozen=True, kw_only=True)
class Source:
    """The months of one taxi, in order of time."""

    taxi: str
    files: tuple[SourceFile, ...]

    @property
    def months(self) -> tuple[Month, ...]:
        """The months."""
        return tuple(file.month for file in self.files)

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(file.rows for file in self.files)

    @property
    def missing_columns(self) -> tuple[str, ...]:
        """Optional columns that no file has."""
        return tuple(f.name for f in FIELDS if all(f.name in file.missing_columns for file in self.files))

    def partitions(self, partition_rows: int) -> tuple[SourcePartition, ...]:
        """Cut every file into slices of about equal rows, none above `partition_rows`; or larger, see `effective_partition_rows`."""
        size = self.effective_partition_rows(partition_rows)
        return tuple(part for file in self.files for part in _split_file(file, size))

    def effective_partition_rows(self, partition_rows: int) -> int:
        """Return the rows of a partition at which there are not more of them than one scheduler can bear."""
        return max(partition_rows, -(-self.rows // MAX_PARTITIONS))


def _split_file(file: SourceFile, partition_rows: int) -> list[SourcePartition]:
    count = -(-file.rows // partition_rows)
    cuts = [file.rows * k // count for k in range(count + 1)]
    return [
        SourcePartition(
            taxi=file.taxi,
            month=file.month,
            uri=file.uri,
            start=cuts[k],
            stop=cuts[k + 1],
            number=k,
            storage_options=file.storage_options,
        )
        for k in range(count)
    ]


def open_source(spec: str, months: str | None = None, endpoint_url: str | None = None) -> Source:
    """Find the monthly files of a folder, glob, list (with commas) or URI, and read their footers.

    Object stores are asked without credentials first, as befits public data, and with them where they refuse.

    Raises SourceError naming the file and what to do: nothing found, no month in a name, a month twice,
    a gap, both taxis at once, and all that `read_footer` refuses.
    """
    by_month: dict[Month, list[str]] = defaultdict(list)
    listed = list_source_files(spec, endpoint_url)
    for uri in listed:
        by_month[_month_in_name(uri)].append(uri)
    chosen = _select_months(sorted(by_month), months, spec)
    for month in chosen:
        if len(by_month[month]) > 1:
            names = " and ".join(mask_credentials(uri) for uri in sorted(by_month[month])[:2])
            raise SourceError(f"month {month} comes twice: {names}; keep one, or narrow --source with a glob")
    with ThreadPoolExecutor(8) as pool:
        uris = [by_month[month][0] for month in chosen]
        files = tuple(pool.map(read_footer, uris, chosen, [listed[uri] for uri in uris]))
    taxis = {file.taxi: file.uri for file in files}
    if len(taxis) > 1:
        found = ", ".join(f"{taxi} ({mask_credentials(uri)})" for taxi, uri in taxis.items())
        raise SourceError(
            f"both taxis at once: {found}; choose one with a glob, as --source 'DIR/green_*.parquet'"
        )
    return Source(taxi=files[0].taxi, files=files)


def list_source_files(spec: str, endpoint_url: str | None = None) -> dict[str, StorageOptions]:
    """List the parquet files of a folder, glob, list or URI, and how to reach each.

    Raises SourceError where there are none.
    """
    found: dict[str, StorageOptions] = {}
    for piece in filter(None, (piece.strip() for piece in spec.split(","))):
        try:
            names, access = _list_unsigned_or_signed(piece, endpoint_url)
        except (OSError, ValueError, ImportError) as error:
            raise SourceError(
                f"source {mask_credentials(piece)} cannot be listed: {first_line(error)}"
            ) from None
        if not names:
            raise SourceError(
                f"source {mask_credentials(piece)}: no parquet files there; give a folder, glob, list or URI of them"
            )
        found |= dict.fromkeys(names, access)
    if not found:
        raise SourceError("the source is empty; give a folder, glob, list or URI of monthly parquet files")
    return found


def _list_unsigned_or_signed(piece: str, endpoint_url: str | None) -> tuple[list[str], StorageOptions]:
    signed = resolve_storage_options(piece, endpoint_url)
    anonymous = replace(signed, anonymous=True)
    if uri_scheme(piece) == "s3":
        with contextlib.suppress(PermissionError), translate_boto_errors():
            return _list_parquet_files(piece, anonymous), anonymous
    with translate_boto_errors():
        return _list_parquet_files(piece, signed), signed


def _list_parquet_files(piece: str, storage_options: StorageOptions) -> list[str]:
    fs, path = open_filesystem(piece, storage_options)
    if "*" in path or "?" in path:
        names = fs.glob(path)
    elif fs.isfile(path):
        names = [path]
    else:
        names = fs.glob(f"{path.rstrip('/')}/*.parquet")
    return sorted(fs.unstrip_protocol(name) if "://" in piece else name for name in names)


def _month_in_name(uri: str) -> Month:
    match = _MONTH_REGEX.search(uri.rpartition("/")[2])
    if match is None or not 1 <= int(match[2]) <= 12:
        raise SourceError(
            f"{mask_credentials(uri)}: no month in the name; name it as the TLC does, yellow_tripdata_2023-01.parquet"
        )
    return Month(int(match[1]), int(match[2]))


def _select_months(available: list[Month], months: str | None, spec: str) -> list[Month]:
    if months is not None:
        chosen = list(parse_months(months))
        lacking = [str(month) for month in chosen if month not in available]
        if lacking:
            have = ", ".join(map(str, available))
            raise SourceError(
                f"--months {months}: {mask_credentials(spec)} has no {', '.join(lacking)}; it has {have}"
            )
        return chosen
    for month, following in pairwise(available):
        if month.next != following:
            raise SourceError(
                f"{mask_credentials(spec)}: a gap between {month} and {following}; add {month.next}, "
                f"or say that you mean it with --months {','.join(map(str, available))}"
            )
    return available


def read_footer(uri: str, month: Month, storage_options: StorageOptions = StorageOptions()) -> SourceFile:  # noqa: B008 - frozen
    """Read a file's footer. Raises SourceError for a file that is empty, corrupt or no trip record."""
    name = mask_credentials(uri)
    try:
        fs, path = open_filesystem(uri, storage_options)
        with translate_boto_errors():
            info = fs.info(path)
        if not info["size"]:
            raise SourceError(f"{name}: the file is empty; fetch it again")
        with open_file(uri, storage_options) as stream:
            if stream.read(4) != b"PAR1":
                raise SourceError(
                    f"{name}: not parquet, whatever its name says; convert it, or fetch the parquet file"
                )
            stream.seek(0)
            footer = pq.ParquetFile(stream)
            schema, metadata = footer.schema_arrow, footer.metadata
    except (OSError, ValueError) as error:  # a ValueError of Arrow's, or of a server without ranges
        raise SourceError(f"{name}: corrupt or cut short ({first_line(error)}); fetch it again") from None
    taxi = detect_taxi(schema.names)
    if taxi is None:
        raise SourceError(
            f"{name}: not a yellow or green trip record; it has {', '.join(schema.names[:5])}, ..."
        )
    if not metadata.num_rows:
        raise SourceError(f"{name}: the file has no rows; fetch it again")
    absent = _check_columns(name, schema, metadata)
    modified = str(info.get("ETag") or info.get("mtime") or info.get("LastModified") or "").strip('"')
    return SourceFile(
        uri=uri,
        taxi=taxi,
        month=month,
        rows=metadata.num_rows,
        bytes=info["size"],
        modified=modified,
        missing_columns=absent,
        storage_options=storage_options,
    )


def _check_columns(name: str, schema: pa.Schema, metadata: pq.FileMetaData) -> tuple[str, ...]:
    absent = []
    for field in FIELDS:
        column = field.match(schema.names)
        kind = None if column is None else schema.field(column).type
        if column is None or pa.types.is_null(kind) or _all_null(metadata, schema.names.index(column)):
            if field.required:
                how = "is missing" if column is None else "holds only nulls"
                raise SourceError(
                    f"{name}: column {field.name} {how}; every trip record has it: fetch the file again"
                )
            absent.append(field.name)
        elif not _has_kind(kind, field.kind):
            wanted = "a timestamp" if field.kind == "time" else "a number"
            raise SourceError(f"{name}: column {column} is {kind}, not {wanted}; fetch the TLC's own file")
    return tuple(absent)


def _all_null(metadata: pq.FileMetaData, index: int) -> bool:
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(index).statistics
        if statistics is None or statistics.null_count != metadata.row_group(group).num_rows:
            return False
    return True


def _has_kind(kind: pa.DataType, expected: str) -> bool:
    if expected == "time":
        return bool(pa.types.is_timestamp(kind))
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def write_month_file(table: pa.Table, uri: str, storage_options: StorageOptions = StorageOptions()) -> int:  # noqa: B008 - frozen
    """Write a monthly file, whole or not at all; return its rows."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=len(table))
    folder, _, name = uri.rpartition("/")
    try:
        open_file_io(folder or ".", storage_options).write(name, buffer.getvalue())
    except OSError as error:
        raise SourceError(
            f"{mask_credentials(uri)} cannot be written: {first_line(error)}; choose another folder"
        ) from None
    return len(table)


def file_checksum(uri: str, storage_options: StorageOptions) -> str:
    """Return the SHA-256 of a file."""
    with open_file(uri, storage_options) as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
