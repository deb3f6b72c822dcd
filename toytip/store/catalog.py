"""listing: the manifests of a store, read side by side; those that cannot be read apart from the others."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from toytip.config import mask_credentials
from toytip.errors import StoreError, StoreFormatError
from toytip.io.base import FileIO
from toytip.store.manifest import Manifest, is_manifest_name

MANIFEST_READ_THREADS = 16


class UnreadableManifest(NamedTuple):
    """A version whose manifest cannot be read, and what to say of it."""

    table: str
    version: str
    error: StoreError


def scan_manifests(
    file_io: FileIO, root: str, folder: str
) -> tuple[list[Manifest], list[UnreadableManifest]]:
    """Return the versions whose manifests are in a folder, by table and time; `root` is what errors call the place."""
    files = file_io.list_files(folder)
    names = [(name, info.etag) for name, info in files.items() if is_manifest_name(name)]
    with ThreadPoolExecutor(MANIFEST_READ_THREADS) as pool:
        found = list(pool.map(lambda item: _read_or_report(file_io, root, *item), names))
    whole = [each for each in found if isinstance(each, Manifest)]
    whole.sort(key=lambda manifest: (manifest.table, manifest.created_at, manifest.version))
    return whole, [each for each in found if isinstance(each, UnreadableManifest)]


def read_manifest(file_io: FileIO, root: str, name: str) -> Manifest:
    """Return a manifest. Raises StoreError where it cannot be read, FileNotFoundError where there is none."""
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
    """Read a manifest once: it never changes, and where it does all the same, its mark is another."""
    return read_manifest(file_io, root, name)
