"""List the files of a source: folders with their subfolders, globs, URIs, and lists of these."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from toytip.core.access import StorageOptions
from toytip.core.months import Month
from toytip.core.redact import first_line, mask_credentials
from toytip.errors import SourceError
from toytip.io.access import (
    GLOB_CHARACTERS,
    as_source_error,
    cause_of_empty_list,
    open_filesystem,
    resolve_storage_options,
)
from toytip.io.base import uri_scheme
from toytip.io.s3_errors import translate_boto_errors
from toytip.sources.path_months import DATA_SUFFIXES, month_of_path

NAME_SOURCE_FILES = (
    "Set the source to a folder, a glob, a URI or a comma-separated list of Parquet or CSV files."
)
CSV_SUFFIXES = tuple(suffix for suffix in DATA_SUFFIXES if suffix.startswith((".csv", ".tsv")))
# Suffixes of data that toytip does not read from a folder, CSV only next to Parquet files.
UNREAD_SUFFIXES = (
    *CSV_SUFFIXES,
    *(".txt", ".json", ".jsonl", ".ndjson", ".xls", ".xlsx", ".feather", ".arrow", ".orc", ".avro"),
    *(".gz", ".bz2", ".zst", ".xz", ".lz4", ".zip", ".7z", ".part", ".crdownload"),
)
# The list of zones that `toytip source download` writes next to the monthly files.
ZONE_LOOKUP_NAME = "zone_lookup"
# Tables of toytip's own store are in folders such as version=20240131T120000.
STORE_FOLDER = "version="


class _Listing(NamedTuple):
    """The files at a location, relative to its folder."""

    root: str
    names: list[str]


class _Chosen(NamedTuple):
    """The files of a location that are read, and other files that can have data."""

    files: list[str]
    unread: list[str]


class SourceListing(NamedTuple):
    """The files of a source."""

    options: dict[str, StorageOptions]
    """The data files, with the options to open each file."""
    unread: dict[Month, str]
    """Files in formats that toytip does not read, or CSV files next to Parquet files, by the month
    in their paths."""


def list_source_files(spec: str, endpoint_url: str | None = None) -> SourceListing:
    """Return the data files of a folder, glob, URI or list.

    Raises SourceError if there are no files, if the files cannot be listed, or if they belong to a
    table format whose log determines the valid files.
    """
    files: dict[str, StorageOptions] = {}
    unread: list[str] = []
    for location in split_locations(spec):
        name = mask_credentials(location)
        try:
            with as_source_error(f"cannot list source {name}"):
                (uris, others), storage_options = _list_location(location, endpoint_url)
                cause = "" if uris else cause_of_empty_list(location, storage_options)
        except (OSError, ValueError, ImportError) as error:
            raise SourceError(f"cannot list source {name}: {first_line(error)}") from None
        if cause:
            raise SourceError(f"cannot use source {name}: {cause}", hint=NAME_SOURCE_FILES)
        _require_text(uris)
        files |= dict.fromkeys(uris, storage_options)
        unread += others
    if not files:
        raise SourceError("cannot use the source: --source is empty", hint=NAME_SOURCE_FILES)
    months = {name: month_of_path(name) for name in map(_as_text, unread)}
    return SourceListing(
        files, {path.month: name for name, path in months.items() if path and path.is_certain}
    )


def _require_text(uris: list[str]) -> None:
    """Raise SourceError if a path is not text, because manifests cannot name such a file.

    Linux permits any bytes in names, for example those of an archive from an older system.
    """
    for uri in uris:
        if _as_text(uri) != uri:
            raise SourceError(
                f"cannot use {mask_credentials(_as_text(uri))}: its path is not text in UTF-8",
                hint="Rename the file or its folder.",
            )


def _as_text(uri: str) -> str:
    """Return a path with escape sequences in place of bytes that are not text in UTF-8."""
    return uri.encode(errors="surrogateescape").decode(errors="backslashreplace")


def split_locations(spec: str) -> list[str]:
    """Return the locations of a comma-separated list. A path that exists is one location.

    Braces of a shell, which toytip does not expand, are not torn apart.

    >>> split_locations("a.parquet, b.parquet,")
    ['a.parquet', 'b.parquet']
    >>> split_locations("a.parquet,b-{1,2}.parquet")
    ['a.parquet', 'b-{1,2}.parquet']
    """
    if os.path.exists(spec):  # noqa: PTH110 - false for a list that is too long for a path
        return [spec]
    return [item for item in map(str.strip, re.split(r",(?![^{}]*\})", spec)) if item]


def path_of_uri(uri: str) -> str:
    """Return the part of a URI that names the file. The query of an HTTP address does not.

    >>> path_of_uri("https://host/green_2023-01.parquet?expires=2024-05")
    'https://host/green_2023-01.parquet'
    """
    return uri.partition("?")[0] if uri_scheme(uri) in {"http", "https"} else uri


def natural_order(uri: str) -> list[tuple[bool, int, str]]:
    """Return a sort key that orders numbers in names by value, so that part-2 precedes part-10.

    >>> sorted(["part.10", "part.2"], key=natural_order)
    ['part.2', 'part.10']
    """
    pieces = re.split(r"(\d+)", uri)
    return [(piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece) for piece in pieces]


def _list_location(location: str, endpoint_url: str | None) -> tuple[_Chosen, StorageOptions]:
    """List files without credentials, as for public data. If access is denied, use credentials."""
    signed = resolve_storage_options(location, endpoint_url)
    if uri_scheme(location) == "file":
        return _list_local(location), signed
    if uri_scheme(location) in {"http", "https"}:
        return _Chosen([location], []), signed
    anonymous = replace(signed, anonymous=True)
    if uri_scheme(location) == "s3":
        with contextlib.suppress(PermissionError), translate_boto_errors():
            return _list_remote(location, anonymous), anonymous
    with translate_boto_errors():
        return _list_remote(location, signed), signed


def _list_local(location: str) -> _Chosen:
    prefix = "file://" if location.startswith("file://") else ""
    written = location.removeprefix("file://")
    expanded = written if os.path.exists(written) else os.path.expanduser(written)  # noqa: PTH110, PTH111 - never fail
    path = os.path.abspath(expanded)  # noqa: PTH100 - keeps symbolic links
    if os.path.isdir(path):  # noqa: PTH112 - never fails
        _require_no_table(_folders_of_table(f"{path}/*")[1:])
        chosen = _files_of_folder(_Listing(path, list(_walk(path))))
    elif os.path.exists(path) or not GLOB_CHARACTERS.search(path):  # noqa: PTH110 - never fails
        chosen = _Chosen([path] if os.path.exists(path) else [], [])  # noqa: PTH110 - never fails
        _require_no_table(_folders_of_table(path))
    else:
        chosen = _expand_matches(sorted(glob.glob(path, recursive=True)))  # noqa: PTH207 - absolute pattern
        _require_no_table([folder for file in chosen.files for folder in _folders_of_table(file)])
    return chosen._replace(files=[prefix + file for file in chosen.files])


def _walk(root: str) -> Iterator[str]:
    """Yield the files below a folder, relative to it, and the marker folders of table formats.

    Symbolic links are followed, each folder once.
    """
    visited: set[str] = set()
    for folder, folders, files in os.walk(root, onerror=_raise, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        relative = os.path.relpath(folder, root)
        names = [*files, *(f"{name}/" for name in folders if name in _TABLE_FORMATS)]
        yield from (name if relative == "." else f"{relative}/{name}" for name in names)
        folders[:] = [name for name in folders if not _is_hidden(name)]


def _raise(error: OSError) -> None:
    raise error


def _expand_matches(matches: list[str]) -> _Chosen:
    """Return the files that match a glob, and the files in the folders that match it."""
    files: dict[str, None] = {}
    unread: list[str] = []
    for match in matches:
        if Path(match).is_dir():
            chosen = _files_of_folder(_Listing(match, list(_walk(match))))
            files |= dict.fromkeys(chosen.files)
            unread += chosen.unread
        else:
            files[match] = None
    return _Chosen(_with_data_suffix(list(files)), unread)


def _list_remote(location: str, storage_options: StorageOptions) -> _Chosen:
    fs, path = open_filesystem(location, storage_options)
    if GLOB_CHARACTERS.search(path) and not fs.exists(path):
        chosen = _Chosen(_with_data_suffix([item for item in fs.glob(path) if fs.isfile(item)]), [])
        _require_no_table([folder for item in chosen.files for folder in _folders_of_table(item)], fs)
    elif fs.isfile(path):
        chosen = _Chosen([path], [])
        _require_no_table(_folders_of_table(path), fs)
    else:
        root = path.rstrip("/")
        _require_no_table(_folders_of_table(f"{root}/*")[1:], fs)
        names = [item.removeprefix(f"{root}/") for item in fs.find(root) if item != root]
        chosen = _files_of_folder(_Listing(root, names))
    return chosen._replace(files=sorted(fs.unstrip_protocol(item) for item in chosen.files))


def _with_data_suffix(paths: list[str]) -> list[str]:
    """Return the paths with a suffix of a data file, or all paths if none has one."""
    return [path for path in paths if path.lower().endswith(DATA_SUFFIXES)] or paths


def _files_of_folder(listing: _Listing) -> _Chosen:
    """Return the data files of a folder: all Parquet files, or without one all CSV files.

    Hidden files and folders do not count, nor do the folders of a store of toytip.
    """
    _require_no_table_format(listing)
    visible = [name for name in listing.names if not any(map(_is_hidden, name.split("/")))]
    names = [name for name in visible if name.lower().endswith(DATA_SUFFIXES)]
    is_csv = {name: name.lower().endswith(CSV_SUFFIXES) for name in names}
    chosen = [name for name in names if not is_csv[name]]
    chosen = chosen or [name for name in names if ZONE_LOOKUP_NAME not in name]
    unread = [name for name in {*visible} - {*chosen} if name.lower().endswith(UNREAD_SUFFIXES)]
    root = listing.root.rstrip("/")
    return _Chosen(
        files=[f"{root}/{name}" for name in sorted(chosen, key=natural_order)],
        unread=[f"{root}/{name}" for name in sorted(unread, key=natural_order)],
    )


def _is_hidden(name: str) -> bool:
    """Return whether programs that write data use a name for other purposes.

    >>> [name for name in ("_SUCCESS", "_temporary", ".part.crc", "_year=2023") if _is_hidden(name)]
    ['_SUCCESS', '_temporary', '.part.crc']
    """
    return name.startswith((".", STORE_FOLDER)) or (name.startswith("_") and "=" not in name)


# The folder that identifies each table format, the name of the format, and how to export a table.
_TABLE_FORMATS = {
    "_delta_log": (
        "Delta",
        "with Python: `pyarrow.parquet.write_table(deltalake.DeltaTable(DIR).to_pyarrow_table(), FILE)`",
    ),
    ".hoodie": ("Hudi", "with Spark: `spark.read.format('hudi').load(DIR).write.parquet(FOLDER)`"),
    "metadata": ("Iceberg", "with Python: `pyarrow.parquet.write_table(table.scan().to_arrow(), FILE)`"),
}


def _require_no_table_format(listing: _Listing) -> None:
    """Raise SourceError if a folder is a table whose log determines the valid files."""
    for name in listing.names:
        folders = name.split("/")[:-1]
        for index, folder in enumerate(folders):
            if folder == "metadata" and not name.endswith(".metadata.json"):
                continue
            if folder in _TABLE_FORMATS:
                _refuse_table("/".join([listing.root.rstrip("/"), *folders[:index]]), folder)


def _refuse_table(path: str, marker: str) -> None:
    table_format, command = _TABLE_FORMATS[marker]
    raise SourceError(
        f"cannot use {mask_credentials(path)}: it is a {table_format} table, "
        "which can contain files that the table no longer uses",
        hint=f"Export the table to Parquet files, and use these as the source, for example {command}.",
    )


def _require_no_table(folders: list[str], fs: object | None = None) -> None:
    """Raise SourceError if one of the folders is a Delta table."""
    for folder in dict.fromkeys(folders):
        marker = f"{folder}/_delta_log"
        if fs.exists(marker) if fs is not None else Path(marker).is_dir():  # type: ignore[attr-defined]
            _refuse_table(folder, "_delta_log")


def _folders_of_table(path: str) -> list[str]:
    """Return the folder of a file, and the folders above its Hive partitions.

    >>> _folders_of_table("bucket/trips/year=2023/month=1/part-0.parquet")[-1]
    'bucket/trips'
    """
    folders = [path.rpartition("/")[0]]
    while "=" in folders[-1].rpartition("/")[2]:
        folders.append(folders[-1].rpartition("/")[0])
    return folders
