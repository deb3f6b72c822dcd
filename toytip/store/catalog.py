"""The manifests of tables and of runs, read in parallel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from toytip.core.redact import mask_credentials
from toytip.errors import StoreError, StoreFormatError
from toytip.io.base import FileIO
from toytip.store.layout import is_manifest_name
from toytip.store.manifest import Manifest, VersionRef
from toytip.store.run_manifest import RunManifest

MANIFEST_READ_THREADS = 16
T = TypeVar("T", Manifest, RunManifest)


class UnreadableManifest(NamedTuple):
    """A version whose manifest is damaged, and the error from reading this manifest."""

    table: str
    version: str
    error: StoreError


def scan_manifests(
    file_io: FileIO, root: str, folder: str
) -> tuple[list[Manifest], list[UnreadableManifest]]:
    """Return the valid manifests in a folder, sorted by table and time, and the damaged ones.

    Error messages show the path of a file below `root`. Raises StoreFormatError if a manifest has
    an unsupported format.
    """
    manifests, unreadable = _scan(file_io, root, folder, _read_cached)
    manifests.sort(key=lambda manifest: (manifest.table, manifest.created_at, manifest.version))
    return manifests, unreadable


def scan_run_manifests(
    file_io: FileIO, root: str, folder: str
) -> tuple[list[RunManifest], list[UnreadableManifest]]:
    """Return the valid run manifests in a folder, sorted by time, and the damaged ones.

    Raises StoreFormatError as `scan_manifests` does.
    """
    runs, unreadable = _scan(file_io, root, folder, _read_cached_run)
    return sorted(runs, key=lambda run: (run.created_at, run.version)), unreadable


def read_manifest(file_io: FileIO, root: str, name: str) -> Manifest:
    """Return a manifest.

    Raises StoreError if the manifest is damaged, or FileNotFoundError if the manifest is missing.
    """
    return Manifest.from_json(file_io.read(name), mask_credentials(f"{root.rstrip('/')}/{name}"))


def _scan(
    file_io: FileIO, root: str, folder: str, read: Callable[[FileIO, str, str, str], T]
) -> tuple[list[T], list[UnreadableManifest]]:
    files = file_io.list_files(folder)
    names = [(name, info.etag) for name, info in files.items() if is_manifest_name(name)]

    def read_or_report(name: str, etag: str) -> T | UnreadableManifest | None:
        try:
            return read(file_io, root, name, etag)
        except FileNotFoundError:  # deleted since the listing
            return None
        except StoreFormatError:
            raise
        except StoreError as error:
            table, file = name.split("/")[-2:]
            return UnreadableManifest(table, file.removesuffix(".json"), error)

    with ThreadPoolExecutor(MANIFEST_READ_THREADS) as pool:
        results = [item for item in pool.map(lambda item: read_or_report(*item), names) if item is not None]
    unreadable = [item for item in results if isinstance(item, UnreadableManifest)]
    return [item for item in results if not isinstance(item, UnreadableManifest)], unreadable


@functools.lru_cache(maxsize=10_000)
def _read_cached(file_io: FileIO, root: str, name: str, _etag: str) -> Manifest:
    """Read a manifest, or return it from the cache. A changed file has a different entity tag."""
    return read_manifest(file_io, root, name)


@functools.lru_cache(maxsize=10_000)
def _read_cached_run(file_io: FileIO, root: str, name: str, _etag: str) -> RunManifest:
    return RunManifest.from_json(file_io.read(name), mask_credentials(f"{root.rstrip('/')}/{name}"))


def published_refs(runs: Iterable[RunManifest]) -> set[VersionRef]:
    """Return the tables that run manifests name."""
    return {VersionRef(table, version) for run in runs for table, version in run.tables.items()}


def checksums_by_file(tables: Iterable[Manifest]) -> dict[tuple[str, int, str], str]:
    """Return the checksums of all source files, by URI, size and time of the last modification."""
    return {
        (file.uri, file.bytes, file.modified): file.checksum
        for manifest in tables
        for file in manifest.source_files
    }


def used_refs(tables: Sequence[Manifest], runs: Iterable[RunManifest]) -> set[VersionRef]:
    """Return the tables that runs name, and all direct and indirect inputs of these tables."""
    by_ref = {manifest.ref: manifest for manifest in tables}
    pending, used = list(published_refs(runs)), set[VersionRef]()
    while pending:
        ref = pending.pop()
        if ref not in used:
            used.add(ref)
            pending.extend(by_ref[ref].parent_versions if ref in by_ref else ())
    return used
