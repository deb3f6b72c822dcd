"""List the files of a source: folders with their subfolders, globs, URIs, and lists of these."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from fsspec.implementations.local import LocalFileSystem

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
from toytip.sources.table_formats import TABLE_MARKERS, DeltaTables, find_delta_tables

LIST_HINT = "Check the address, and your permissions for it."
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
# Suffixes after that of data, for example in NAME.parquet.md5, of files that are not data.
CHECKSUM_SUFFIXES = (
    *(f".{name}{end}" for name in ("md5", "sha1", "sha256", "sha384", "sha512") for end in ("", "sum")),
    *(".crc", ".crc32", ".asc", ".sig", ".minisig"),
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
    """Files with other formats or other names than data files, or CSV files next to Parquet files,
    by the month in their paths."""


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
            raise SourceError(f"cannot list source {name}: {first_line(error)}", hint=LIST_HINT) from None
        if cause:
            cause += f" (it contains {PurePath(others[0]).name})" if others else ""
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
    if uri_scheme(location) == "s3" and not location.partition("://")[2].strip("/"):
        raise SourceError(f"cannot use source {location}: it names no bucket", hint=NAME_SOURCE_FILES)
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
    tables = DeltaTables(LocalFileSystem())
    if os.path.isdir(path):  # noqa: PTH112 - never fails
        chosen = _files_of_folder(_Listing(path, list(_walk(path))), tables)
    elif os.path.exists(path) or not GLOB_CHARACTERS.search(path):  # noqa: PTH110 - never fails
        chosen = _Chosen([path] if os.path.exists(path) else [], [])  # noqa: PTH110 - never fails
        _require_valid(chosen.files, tables)
    else:
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - absolute pattern
        chosen = _expand_matches({match: Path(match).is_dir() for match in matches}, _walk, tables)
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
        names = [*files, *(f"{name}/" for name in folders if name in TABLE_MARKERS)]
        yield from (name if relative == "." else f"{relative}/{name}" for name in names)
        folders[:] = [name for name in folders if not _is_hidden(name)]


def _raise(error: OSError) -> None:
    raise error


def _expand_matches(
    matches: Mapping[str, bool], list_folder: Callable[[str], Iterable[str]], tables: DeltaTables
) -> _Chosen:
    """Return the files that match a glob, and the files in the folders that match it.

    `matches` has the matches, and whether each is a folder.
    """
    files: dict[str, None] = {}
    unread: list[str] = []
    for match, is_folder in matches.items():
        if is_folder:
            chosen = _files_of_folder(_Listing(match, list(list_folder(match))), tables)
            files |= dict.fromkeys(chosen.files)
            unread += chosen.unread
        elif tables.is_valid(match):
            files[match] = None
    data_files = dict.fromkeys(_with_data_suffix(list(files)))
    others = [path for path in files if path not in data_files and _may_be_data(path)]
    return _Chosen(list(data_files), unread + others)


def _list_remote(location: str, storage_options: StorageOptions) -> _Chosen:
    fs, path = open_filesystem(location, storage_options)
    fs.invalidate_cache()  # file systems other than S3's remember listings
    root, tables = path.rstrip("/"), DeltaTables(fs)

    def list_folder(folder: str) -> list[str]:
        return _find_below(fs, folder)

    if GLOB_CHARACTERS.search(path) and not fs.exists(path):
        details = fs.glob(root, detail=True)
        matches = {match: item["type"] == "directory" for match, item in details.items()}
        chosen = _expand_matches(matches, list_folder, tables)
    elif fs.isfile(root):
        chosen = _Chosen([root], [])
        _require_valid(chosen.files, tables)
    else:
        chosen = _files_of_folder(_Listing(root, list_folder(root)), tables)
    return _Chosen(
        files=sorted(map(fs.unstrip_protocol, chosen.files)),
        unread=list(map(fs.unstrip_protocol, chosen.unread)),
    )


def _find_below(fs: Any, root: str) -> list[str]:
    """Return the files below a folder of an object store, relative to it.

    Some servers list the keys below `a/b` if they are asked for `a//b`. These are other keys.
    """
    prefix = f"{root}/"
    return [item.removeprefix(prefix) for item in fs.find(root) if item.startswith(prefix)]


def _require_valid(paths: list[str], tables: DeltaTables) -> None:
    """Raise SourceError if a Delta table no longer uses one of the files."""
    for path in paths:
        if not tables.is_valid(path):
            raise SourceError(
                f"cannot use {mask_credentials(path)}: the Delta table no longer uses this file",
                hint="Set the source to the folder of the table.",
            )


def _with_data_suffix(paths: list[str]) -> list[str]:
    """Return the paths with a suffix of a data file, or all paths if none has one."""
    return [path for path in paths if path.lower().endswith(DATA_SUFFIXES)] or paths


def _files_of_folder(listing: _Listing, tables: DeltaTables) -> _Chosen:
    """Return the data files of a folder: all Parquet files, or without one all CSV files.

    Hidden files and folders do not count, nor do the folders of a store of toytip. If the folder is
    a Delta table, contains one, or is a part of one, only the files that the table uses now count.
    """
    root = listing.root.rstrip("/")
    visible = [name for name in listing.names if not any(map(_is_hidden, name.split("/")))]
    names = _valid_names(listing, [name for name in visible if name.lower().endswith(DATA_SUFFIXES)], tables)
    is_csv = {name: name.lower().endswith(CSV_SUFFIXES) for name in names}
    chosen = [name for name in names if not is_csv[name]]
    chosen = chosen or [name for name in names if ZONE_LOOKUP_NAME not in name]
    unread = [name for name in {*visible} - {*chosen} if _may_be_data(name)]
    return _Chosen(
        files=[f"{root}/{name}" for name in sorted(chosen, key=natural_order)],
        unread=[f"{root}/{name}" for name in sorted(unread, key=natural_order)],
    )


def has_other_format(path: str) -> bool:
    """Return whether the suffix of a file that is not read is one of data.

    >>> [has_other_format(f"green_2023-01.{end}") for end in ("parquet.zst", "parquet.1")]
    [True, False]
    """
    return path.lower().endswith(UNREAD_SUFFIXES)


def _may_be_data(path: str) -> bool:
    """Return whether a file that is not read can have trips.

    Programs add text to the names of files that exist or are not complete, and servers leave out
    the suffix.

    >>> names = ("a.xlsx", "a.parquet.1", "a.csv~", "a", "a.csv.md5", "a.log")
    >>> [name for name in names if _may_be_data(name)]
    ['a.xlsx', 'a.parquet.1', 'a.csv~', 'a']
    """
    name = path.lower().rpartition("/")[2]
    has_data_suffix = any(suffix in name for suffix in DATA_SUFFIXES) and not name.endswith(CHECKSUM_SUFFIXES)
    return has_other_format(name) or has_data_suffix or "." not in name


def _valid_names(listing: _Listing, names: list[str], tables: DeltaTables) -> list[str]:
    """Return the names of files without those that a Delta table no longer uses."""
    root = listing.root.rstrip("/")
    for table in find_delta_tables(root, listing.names):
        prefix = f"{table}/" if table else ""
        names = [name for name in names if not name.startswith(prefix)]
        names += [prefix + name for name in tables.valid_files(f"{root}/{table}".rstrip("/"))]
    if (outer := tables.find_table(f"{root}/*")) not in (None, root):
        valid = [f"{outer}/{name}" for name in tables.valid_files(str(outer))]
        names = [path.removeprefix(f"{root}/") for path in valid if path.startswith(f"{root}/")]
    return names


def _is_hidden(name: str) -> bool:
    """Return whether programs that write data use a name for other purposes.

    >>> [name for name in ("_SUCCESS", "_temporary", ".part.crc", "_year=2023") if _is_hidden(name)]
    ['_SUCCESS', '_temporary', '.part.crc']
    """
    return name.startswith((".", STORE_FOLDER)) or (name.startswith("_") and "=" not in name)
