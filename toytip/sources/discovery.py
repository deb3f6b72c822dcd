"""Open a source: check the footers of its files, and find the months of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from toytip.core.access import StorageOptions
from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month, parse_months
from toytip.core.redact import first_line, mask_credentials
from toytip.datasets.registry import unusable_kind
from toytip.errors import SchemaError, SourceError, ToytipError
from toytip.io.access import file_info, open_file
from toytip.io.base import uri_scheme
from toytip.sources import month_rows
from toytip.sources.column_check import FileColumns, check_columns
from toytip.sources.csv_files.layout import CsvContent, read_csv_content
from toytip.sources.csv_files.rows import CSV_HINT, open_text, read_csv_columns
from toytip.sources.file_errors import DOWNLOAD_FROM_SERVER, cause_of_read_error, hint_of_read_error
from toytip.sources.formats import (
    DOWNLOAD_AGAIN,
    ENCRYPTED_PARQUET,
    HEAD_BYTES,
    detect_format,
    require_csv_in_archive,
    require_regular_file,
)
from toytip.sources.groups import (
    raise_file_errors,
    require_different_files,
    require_months,
    require_one_taxi,
    require_values_in_months,
    warn_of_repeated_trips,
    warn_of_unread_months,
)
from toytip.sources.listing import list_source_files, natural_order, path_of_uri
from toytip.sources.month_files import CheckedFile, assign_months
from toytip.sources.month_rows import MIN_NAMED_MONTH_SHARE, CountedBlock
from toytip.sources.path_months import PathMonth, month_of_path
from toytip.sources.reader import (
    FOOTER_BUFFER_BYTES,
    file_version,
    has_encrypted_columns,
    has_no_value,
    may_have_other_numbers,
    open_parquet,
    read_columns,
)
from toytip.sources.source import Source, SourceFile
from toytip.sources.taxi_type import find_taxi
from toytip.stages.conform import label_line

FOOTER_THREADS = 8
# The month of a file before it is known.
NO_MONTH = Month(1, 1)
RENAME_TO_MONTH = (
    "Rename the file to its month. If it has several months, use a name without a month. The months "
    "then come from the times of the rows."
)


def open_source(
    spec: str, months: str | None = None, endpoint_url: str | None = None, dataset: Dataset | None = None
) -> Source:
    """Find the files of a folder, glob, URI or comma-separated list, and the months of their rows.

    Without a data set, the columns show it. The month of a file is in its path. The months of any
    other file come from the times of its rows. Raises SourceError if there are no files, if a file
    cannot be used, or if a month is missing. Also raises SourceError if the path of a file names
    another month than its times, or if the files have trips of different taxi types.
    """
    listing = list_source_files(spec, endpoint_url)
    options = listing.options
    selected = parse_months(months) if months is not None else None
    paths = {uri: month_of_path(path_of_uri(uri)) for uri in sorted(options, key=natural_order)}
    needed = [uri for uri, path in paths.items() if not (path and selected and path.month not in selected)]
    checked = _check_files(spec, needed, paths, options, dataset)
    require_one_taxi(spec, [item.file for item in checked], dataset)
    files = sorted(
        assign_months(checked, selected or ()), key=lambda file: (file.month, natural_order(file.uri))
    )
    named = {path.month for path in paths.values() if path}
    require_months({file.month for file in files}, months, named, spec, listing.unread)
    files = [file for file in files if selected is None or file.month in selected]
    require_values_in_months(spec, files, checked)
    source = Source(taxi=files[0].taxi, files=tuple(files), own_dataset=dataset)
    require_different_files(source, spec)
    unread = warn_of_unread_months(listing.unread, {file.month for file in files}, selected)
    return replace(source, warnings=(*unread, *warn_of_repeated_trips(source)))


def _check_files(
    spec: str,
    uris: Sequence[str],
    paths: Mapping[str, PathMonth | None],
    options: Mapping[str, StorageOptions],
    dataset: Dataset | None,
) -> list[CheckedFile]:
    """Check files in parallel. Raises one SourceError for all files that cannot be used."""

    def check(uri: str) -> CheckedFile | ToytipError:
        try:
            return check_file(uri, paths[uri], options[uri], dataset)
        except SchemaError as error:  # for example a time zone that does not exist
            return SourceError(f"cannot use {mask_credentials(uri)}: {error}", hint=error.hint)
        except ToytipError as error:
            return error

    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        results = dict(zip(uris, pool.map(check, uris), strict=True))
    errors = {uri: result for uri, result in results.items() if isinstance(result, ToytipError)}
    checked = [result for result in results.values() if isinstance(result, CheckedFile)]
    if errors:
        raise_file_errors(spec, errors, len(results))
    return _without_empty_files(checked)


def _without_empty_files(checked: Sequence[CheckedFile]) -> list[CheckedFile]:
    """Return the files with rows. Raises SourceError if an empty file is the only one of its month.

    Programs that write a month as several files can write empty ones.
    """
    with_rows = [item for item in checked if item.file.rows]
    months = {item.file.month for item in with_rows}
    for item in checked:
        is_dated = item.file.month != NO_MONTH
        if not item.file.rows and (not with_rows or (is_dated and item.file.month not in months)):
            name = mask_credentials(item.file.uri)
            raise SourceError(f"cannot use {name}: the file has no rows", hint=DOWNLOAD_AGAIN)
    return with_rows


def check_file(
    uri: str,
    path: PathMonth | None,
    storage_options: StorageOptions = StorageOptions(),  # noqa: B008 - frozen
    dataset: Dataset | None = None,
) -> CheckedFile:
    """Return the description of a file from its Parquet footer, or from the rows of a CSV file.

    Raises SourceError if the file is empty or corrupt, if it does not have all required columns, or
    if its path names another month than its times.
    """
    name = mask_credentials(uri)
    failure = f"cannot read {name}"
    try:
        require_regular_file(uri)
        info = file_info(uri, storage_options)
        if info["size"] is None:
            raise SourceError(
                f"{failure}: the server does not report the size of the file", hint=DOWNLOAD_FROM_SERVER
            )
        with open_file(uri, storage_options) as stream:
            head = stream.read(HEAD_BYTES)
            stream.seek(0)
            if detect_format(uri, info["size"], head) == "csv":
                return _check_csv(uri, path, info, _read_csv(stream, uri, dataset), storage_options, dataset)
            footer = open_parquet(stream, buffer_size=FOOTER_BUFFER_BYTES)
            if has_encrypted_columns(stream, footer.metadata):
                raise SourceError(f"{failure}: it is {ENCRYPTED_PARQUET.name}", hint=ENCRYPTED_PARQUET.hint)
            return _check_parquet(uri, path, info, footer, storage_options, dataset)
    except ToytipError:
        raise
    except (OSError, ValueError) as error:  # Arrow's ValueError, or a server without range requests
        raise SourceError(
            f"{failure}: {cause_of_read_error(uri, error)}", hint=hint_of_read_error(uri, error)
        ) from None


def _read_csv(stream: Any, uri: str, dataset: Dataset | None) -> CsvContent:
    text = open_text(stream)
    if text is not stream:
        require_csv_in_archive(uri, text.read(HEAD_BYTES))
        text.seek(0)
    try:
        return read_csv_content(text, dataset)
    except ValueError as error:
        raise SourceError(
            f"cannot read {mask_credentials(uri)}: {first_line(error)}", hint=CSV_HINT
        ) from None


def _check_parquet(
    uri: str,
    path: PathMonth | None,
    info: Mapping[str, Any],
    footer: pq.ParquetFile,
    storage_options: StorageOptions,
    dataset: Dataset | None,
) -> CheckedFile:
    file = _describe_file(uri, path, info, footer.metadata.num_rows, storage_options)
    if kind := _kind_without_columns(file, footer.schema_arrow.names, dataset):
        return CheckedFile(file=replace(file, taxi=kind))
    columns = check_columns(
        mask_credentials(uri),
        footer.schema_arrow,
        path.month if path else None,
        is_all_null=lambda column: has_no_value(footer, column),
        may_have_other_numbers=lambda column: may_have_other_numbers(footer.metadata, column),
        read=lambda names: read_columns(uri, storage_options, names),
        dataset=dataset,
    )
    file = _with_columns(file, columns)
    if path and _is_in_month(footer, path.month, uri, dataset):
        checked = CheckedFile(file=file, is_certain=path.is_certain)
    else:
        checked = _with_months(file, path, month_rows.count_months(footer, uri, dataset))
    return replace(checked, empty=columns.empty)


def _check_csv(
    uri: str,
    path: PathMonth | None,
    info: Mapping[str, Any],
    content: CsvContent,
    storage_options: StorageOptions,
    dataset: Dataset | None,
) -> CheckedFile:
    file = replace(
        _describe_file(uri, path, info, content.rows, storage_options),
        csv=content.layouts,
    )
    if kind := _kind_without_columns(file, content.schema.names, dataset):
        return CheckedFile(file=replace(file, taxi=kind))
    columns = check_columns(
        mask_credentials(uri),
        content.schema,
        path.month if path else None,
        is_all_null=lambda column: pa.types.is_null(content.schema.field(column).type),
        read=lambda names: read_csv_columns(uri, storage_options, content.layouts[0], names, dataset),
        label=label_line,
        dataset=dataset,
    )
    checked = _with_months(_with_columns(file, columns), path, content.blocks)
    return replace(checked, empty=columns.empty)


def _describe_file(
    uri: str,
    path: PathMonth | None,
    info: Mapping[str, Any],
    rows: int,
    storage_options: StorageOptions,
) -> SourceFile:
    """Return the description of a file whose columns are not known yet."""
    return SourceFile(
        uri=uri,
        taxi="",
        month=path.month if path else NO_MONTH,
        rows=rows,
        bytes=info["size"],
        modified=file_version(info),
        missing_columns=(),
        storage_options=storage_options,
    )


def _kind_without_columns(file: SourceFile, names: Sequence[str], dataset: Dataset | None) -> str | None:
    """Return the kind of a file whose columns are not checked, else None.

    These are records of for-hire vehicles and files without rows. An error about all files of the
    source names the former, and the latter are left out if the month has other files.
    """
    if kind := unusable_kind(names, dataset):
        return kind
    return None if file.rows else find_taxi(mask_credentials(file.uri), names, dataset)


def _with_columns(file: SourceFile, columns: FileColumns) -> SourceFile:
    return replace(file, taxi=columns.taxi, missing_columns=columns.missing, notes=columns.notes)


def _is_in_month(footer: pq.ParquetFile, month: Month, uri: str, dataset: Dataset | None) -> bool:
    """Return whether at least half of the rows of a file seem to be in a month.

    Statistics decide if they can. If the file is local, a sample decides otherwise.
    """
    share = month_rows.statistics_share(footer, month, dataset)
    if share is None and uri_scheme(uri) == "file":
        share = month_rows.share_of_month(month_rows.sample_months(footer, uri, dataset), month)
    return share is None or share >= MIN_NAMED_MONTH_SHARE


def require_months_of_files(source: Source, outside: Mapping[Month, int]) -> None:
    """Raise SourceError if most rows of a month are in other months.

    `outside` is the number of rows of each month whose time is in another month. Discovery finds
    most of these months from statistics or from a sample. This check finds the others, before a
    model learns from them.
    """
    for month, files in source.by_month.items():
        rows = sum(file.rows for file in files)
        if outside.get(month, 0) > (1 - MIN_NAMED_MONTH_SHARE) * rows:
            raise SourceError(
                f"cannot use {mask_credentials(files[0].uri)} for {month}: "
                f"{100 * outside[month] / rows:.1f} % of the rows are in other months",
                hint=RENAME_TO_MONTH,
            )


def _with_months(file: SourceFile, path: PathMonth | None, blocks: Sequence[CountedBlock]) -> CheckedFile:
    """Return a file with the month of its path, or with the months of its rows.

    Raises SourceError if the path names a month other than that of most rows.
    """
    counts = month_rows.count_all(blocks)
    share = month_rows.share_of_month(counts, path.month) if path else 0.0
    if path and (share is None or share >= MIN_NAMED_MONTH_SHARE):
        return CheckedFile(file=file, is_certain=path.is_certain)
    months = month_rows.months_of_rows(counts)
    if path and path.is_certain:
        other_months = f"{months[0]} to {months[-1]}" if len(months) > 1 else str(months[0])
        raise SourceError(
            f"cannot use {mask_credentials(file.uri)}: its name says {path.month}, "
            f"but {100 * (1 - (share or 0.0)):.1f} % of its rows are in other months ({other_months})",
            hint=RENAME_TO_MONTH,
        )
    if not months:
        raise SourceError(
            f"cannot use {mask_credentials(file.uri)}: its name contains no month, and neither do its rows",
            hint=f"Name the file after its month, for example {file.taxi}_2023-01.parquet.",
        )
    return CheckedFile(file=file, blocks=tuple(blocks))
