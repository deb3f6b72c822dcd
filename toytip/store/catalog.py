"""The manifests of a store, read in parallel."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from toytip.core.redact import mask_credentials
from toytip.errors import StoreError, StoreFormatError
from toytip.io.base import FileIO
from toytip.store.layout import is_manifest_name
from toytip.store.manifest import Manifest

MANIFEST_READ_THREADS = 16


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
    files = file_io.list_files(folder)
    names = [(name, info.etag) for name, info in files.items() if is_manifest_name(name)]
    with ThreadPoolExecutor(MANIFEST_READ_THREADS) as pool:
        results = list(pool.map(lambda item: _read_or_report(file_io, root, *item), names))
    manifests = [item for item in results if isinstance(item, Manifest)]
    manifests.sort(key=lambda manifest: (manifest.table, manifest.created_at, manifest.version))
    return manifests, [item for item in results if isinstance(item, UnreadableManifest)]


def read_manifest(file_io: FileIO, root: str, name: str) -> Manifest:
    """Return a manifest.

    Raises StoreError if the manifest is damaged, or FileNotFoundError if the manifest is missing.
    """
    return Manifest.from_json(file_io.read(name), mask_credentials(f"{root.rstrip('/')}/{name}"))


def _read_or_report(file_io: FileIO, root: str, name: str, etag: str) -> Manifest | UnreadableManifest:
    try:
        return _read_cached(file_io, root, name, etag)
    except StoreFormatError:
        raise
    except StoreError as error:
        table, file = name.split("/")[-2:]
        return UnreadableManifest(table, file.removesuffix(".json"), error)


@functools.lru_cache(maxsize=10_000)
def _read_cached(file_io: FileIO, root: str, name: str, _etag: str) -> Manifest:
    """Read a manifest, or return it from the cache. A changed file has a different entity tag."""
    return read_manifest(file_io, root, name)
