"""Find the monthly files of a source, check their footers, and divide them into partitions."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from toytip.core.access import StorageOptions
from toytip.core.months import Month, parse_months
from toytip.core.partitions import SourcePartition
from toytip.core.redact import first_line, mask_credentials
from toytip.core.tlc import FIELDS
from toytip.errors import SourceError
from toytip.io.access import (
    as_source_error,
    cause_of_empty_list,
    file_info,
    open_file,
    open_file_io,
    open_filesystem,
    resolve_storage_options,
)
from toytip.io.base import uri_scheme
from toytip.io.s3_errors import translate_boto_errors
from toytip.sources.column_check import check_columns
from toytip.sources.reader import open_parquet, read_columns

# A scheduler needs 2 to 3 ms per task on one core, so that this many tasks take about a minute.
MAX_PARTITIONS = 20_000
FOOTER_THREADS = 8
PARQUET_MAGIC = b"PAR1"
DOWNLOAD_AGAIN = "Download the file again with `toytip source download`."
NAME_PARQUET_FILES = (
    "Use a folder, a glob, a URI or a comma-separated list of monthly Parquet files as the source."
)

_MONTH_REGEX = re.compile(r"(?<!\d)(\d{4})-(\d{2})(?!\d)")


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A monthly file, described by its Parquet footer."""

    uri: str
    taxi: str
    month: Month
    rows: int
    bytes: int
    modified: str
    """Entity tag of an object, or time of the last change of a local file."""
    missing_columns: tuple[str, ...]
    """Optional columns that do not exist in the file, or that contain only nulls."""
    storage_options: StorageOptions = dataclasses.field(default_factory=StorageOptions)
    notes: tuple[str, ...] = ()
    """Conversions of columns whose meaning depends on a rule."""

    @property
    def content_tag(self) -> str:
        """The entity tag and size of an S3 object, which identify its content (else empty)."""
        return f"etag:{self.modified}-{self.bytes}" if uri_scheme(self.uri) == "s3" and self.modified else ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The monthly files of one taxi type, oldest first."""

    taxi: str
    files: tuple[SourceFile, ...]

    @property
    def months(self) -> tuple[Month, ...]:
        """The months of the files, oldest first."""
        return tuple(file.month for file in self.files)

    @property
    def rows(self) -> int:
        """The number of rows in all files."""
        return sum(file.rows for file in self.files)

    @property
    def missing_columns(self) -> tuple[str, ...]:
        """The optional columns that every file lacks."""
        return tuple(
            field.name for field in FIELDS if all(field.name in file.missing_columns for file in self.files)
        )

    @property
    def partly_missing_columns(self) -> dict[str, tuple[Month, ...]]:
        """The optional columns that only some files lack, with the months of these files."""
        months = {
            field.name: tuple(file.month for file in self.files if field.name in file.missing_columns)
            for field in FIELDS
        }
        return {name: missing for name, missing in months.items() if 0 < len(missing) < len(self.files)}

    @property
    def notes(self) -> tuple[str, ...]:
        """The conversions of columns, each with the number of files if not all files need it."""
        counts = Counter(note for file in self.files for note in file.notes)
        total = len(self.files)
        return tuple(
            note if count == total else f"{note} (in {count} of {total} files)"
            for note, count in counts.items()
        )

    def partitions(self, partition_rows: int) -> tuple[SourcePartition, ...]:
        """Divide each file into partitions of nearly equal size.

        A partition has at most `partition_rows` rows. The limit is higher if there would be too
        many partitions (`effective_partition_rows`).
        """
        max_rows = self.effective_partition_rows(partition_rows)
        return tuple(partition for file in self.files for partition in _split_file(file, max_rows))

    def effective_partition_rows(self, partition_rows: int) -> int:
        """Return the maximum rows per partition, raised if there would be too many partitions."""
        return max(partition_rows, -(-self.rows // MAX_PARTITIONS))


def _split_file(file: SourceFile, max_rows: int) -> list[SourcePartition]:
    count = -(-file.rows // max_rows)
    bounds = [file.rows * index // count for index in range(count + 1)]
    return [
        SourcePartition(
            taxi=file.taxi,
            month=file.month,
            uri=file.uri,
            start=start,
            stop=stop,
            number=index,
            storage_options=file.storage_options,
        )
        for index, (start, stop) in enumerate(pairwise(bounds))
    ]


def open_source(spec: str, months: str | None = None, endpoint_url: str | None = None) -> Source:
    """Find the monthly files of a folder, glob, URI or comma-separated list. Read their footers.

    Raises SourceError if there are no files, if a file name contains no month, or if a month is
    missing or has two files. Also raises SourceError if the files are of both taxi types, or if
    `read_footer` rejects a file.
    """
    storage_options = list_source_files(spec, endpoint_url)
    uris_by_month: dict[Month, list[str]] = defaultdict(list)
    for uri in storage_options:
        uris_by_month[_month_in_name(uri)].append(uri)
    selected = _select_months(sorted(uris_by_month), months, spec)
    uris = [_single_file(uris_by_month[month], month, spec) for month in selected]
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        files = tuple(pool.map(read_footer, uris, selected, [storage_options[uri] for uri in uris]))
    taxis = {file.taxi for file in files}
    if len(taxis) > 1:
        raise SourceError(
            f"cannot use source {mask_credentials(spec)}: it contains yellow and green files",
            hint="Select one taxi type with a glob, for example --source 'DIR/green_*.parquet'.",
        )
    return Source(taxi=files[0].taxi, files=files)


def _single_file(uris: list[str], month: Month, spec: str) -> str:
    if len(uris) > 1:
        names = " and ".join(mask_credentials(uri) for uri in sorted(uris)[:2])
        count = "two" if len(uris) == 2 else f"{len(uris)}"
        raise SourceError(
            f"cannot use source {mask_credentials(spec)}: month {month} has {count} files, {names}",
            hint="Delete one of the files, or select files with a glob in --source.",
        )
    return uris[0]


def list_source_files(spec: str, endpoint_url: str | None = None) -> dict[str, StorageOptions]:
    """Return the Parquet files of a folder, glob, URI or list, with the options to open each file.

    Raises SourceError if there are no files, or if the files cannot be listed.
    """
    files: dict[str, StorageOptions] = {}
    for location in filter(None, (item.strip() for item in spec.split(","))):
        name = mask_credentials(location)
        try:
            with as_source_error(f"cannot list source {name}"):
                uris, storage_options = _list_unsigned_or_signed(location, endpoint_url)
                cause = "" if uris else cause_of_empty_list(location, storage_options)
        except (OSError, ValueError, ImportError) as error:
            raise SourceError(f"cannot list source {name}: {first_line(error)}") from None
        if cause:
            raise SourceError(f"cannot use source {name}: {cause}", hint=NAME_PARQUET_FILES)
        files |= dict.fromkeys(uris, storage_options)
    if not files:
        raise SourceError("cannot use the source: --source is empty", hint=NAME_PARQUET_FILES)
    return files


def _list_unsigned_or_signed(location: str, endpoint_url: str | None) -> tuple[list[str], StorageOptions]:
    """List files without credentials, as for public data. If access is denied, use credentials."""
    signed = resolve_storage_options(location, endpoint_url)
    anonymous = replace(signed, anonymous=True)
    if uri_scheme(location) == "s3":
        with contextlib.suppress(PermissionError), translate_boto_errors():
            return _list_parquet_files(location, anonymous), anonymous
    with translate_boto_errors():
        return _list_parquet_files(location, signed), signed


def _list_parquet_files(location: str, storage_options: StorageOptions) -> list[str]:
    fs, path = open_filesystem(location, storage_options)
    if "*" in path or "?" in path:
        paths = fs.glob(path)
    elif fs.isfile(path):
        paths = [path]
    else:
        paths = fs.glob(f"{path.rstrip('/')}/*.parquet")
    return sorted(fs.unstrip_protocol(path) if "://" in location else path for path in paths)


def _month_in_name(uri: str) -> Month:
    match = _MONTH_REGEX.search(uri.rpartition("/")[2])
    if match is None or not 1 <= int(match[2]) <= 12:
        raise SourceError(
            f"cannot use {mask_credentials(uri)}: its name contains no month",
            hint="Rename the file as the TLC names it, for example yellow_tripdata_2023-01.parquet.",
        )
    return Month(int(match[1]), int(match[2]))


def _select_months(available: list[Month], months: str | None, spec: str) -> list[Month]:
    """Return the selected months, or without a selection all months, which must be consecutive."""
    source = f"cannot use source {mask_credentials(spec)}"
    if months is not None:
        selected = list(parse_months(months))
        if missing := [str(month) for month in selected if month not in available]:
            raise SourceError(
                f"{source} with --months {months}: it has no file for {', '.join(missing)}",
                hint=f"Choose from {', '.join(map(str, available))}.",
            )
        return selected
    for month, following in pairwise(available):
        if month.next != following:
            raise SourceError(
                f"{source}: {month.next} is missing between {month} and {following}",
                hint=f"Add the month, or leave it out with --months {','.join(map(str, available))}.",
            )
    return available


def read_footer(uri: str, month: Month, storage_options: StorageOptions = StorageOptions()) -> SourceFile:  # noqa: B008 - frozen
    """Return the description of a monthly file from its Parquet footer.

    Raises SourceError if the file is empty or corrupt, or if it is not a trip record with all
    required columns.
    """
    name = mask_credentials(uri)
    info, schema, metadata = _open_footer(uri, storage_options)
    if not metadata.num_rows:
        raise SourceError(f"cannot use {name}: the file has no rows", hint=DOWNLOAD_AGAIN)
    columns = check_columns(
        name,
        schema,
        month,
        is_all_null=lambda column: _all_null(metadata, column),
        read=lambda names: read_columns(uri, storage_options, names),
    )
    return SourceFile(
        uri=uri,
        taxi=columns.taxi,
        month=month,
        rows=metadata.num_rows,
        bytes=info["size"],
        modified=str(info.get("ETag") or info.get("mtime") or info.get("LastModified") or "").strip('"'),
        missing_columns=columns.missing,
        notes=columns.notes,
        storage_options=storage_options,
    )


def _open_footer(
    uri: str, storage_options: StorageOptions
) -> tuple[Mapping[str, Any], pa.Schema, pq.FileMetaData]:
    """Return the file system's information on a file, and the schema and metadata of its footer."""
    failure = f"cannot read {mask_credentials(uri)}"
    try:
        info = file_info(uri, storage_options)
        if not info["size"]:
            raise SourceError(f"{failure}: the file is empty", hint=DOWNLOAD_AGAIN)
        with open_file(uri, storage_options) as stream:
            if stream.read(len(PARQUET_MAGIC)) != PARQUET_MAGIC:
                raise SourceError(
                    f"{failure}: it is not a Parquet file",
                    hint="Convert the file to Parquet, or download the Parquet file.",
                )
            stream.seek(0)
            footer = open_parquet(stream)
            return info, footer.schema_arrow, footer.metadata
    except (OSError, ValueError) as error:  # Arrow's ValueError, or a server without range requests
        raise SourceError(
            f"{failure}: the file is corrupt or incomplete ({first_line(error)})", hint=DOWNLOAD_AGAIN
        ) from None


def _all_null(metadata: pq.FileMetaData, column: str) -> bool:
    return count_nulls(metadata, column) == int(metadata.num_rows)


def count_nulls(metadata: pq.FileMetaData, column: str) -> int:
    """Return the number of nulls in a column, as the footer of a file counts them."""
    index = metadata.schema.names.index(column)
    groups = [metadata.row_group(number).column(index) for number in range(metadata.num_row_groups)]
    return sum(group.statistics.null_count or 0 for group in groups if group.statistics is not None)


def write_month_file(table: pa.Table, uri: str, storage_options: StorageOptions = StorageOptions()) -> int:  # noqa: B008 - frozen
    """Write a monthly file atomically, and return its number of rows.

    The file has one row group. Raises SourceError if it cannot be written.
    """
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=len(table))
    folder, _, name = uri.rpartition("/")
    try:
        open_file_io(folder or ".", storage_options).write(name, buffer.getvalue())
    except OSError as error:
        raise SourceError(
            f"cannot write {mask_credentials(uri)}: {first_line(error)}", hint="Choose another folder."
        ) from None
    return len(table)


def file_checksum(uri: str, storage_options: StorageOptions) -> str:
    """Return the SHA-256 of a file, with the prefix `sha256:`."""
    with open_file(uri, storage_options) as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
