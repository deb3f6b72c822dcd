"""listing: the manifests of a store, read side by side; those that cannot be read apart from the others."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from toytip.config import mask
from toytip.errors import StoreError
from toytip.manifest import Manifest, is_manifest
from toytip.place import Place

READERS = 16


class Damaged(NamedTuple):
    """A version whose manifest cannot be read, and what to say of it."""

    table: str
    version: str
    error: StoreError


def listed(place: Place, root: str, folder: str) -> tuple[list[Manifest], list[Damaged]]:
    """Return the versions whose manifests are in a folder, by table and time; `root` is what errors call the place."""
    files = place.files(folder)
    names = [(name, info.mark) for name, info in files.items() if is_manifest(name)]
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(lambda item: _read(place, root, *item), names))
    whole = [each for each in found if isinstance(each, Manifest)]
    whole.sort(key=lambda manifest: (manifest.table, manifest.created, manifest.version))
    return whole, [each for each in found if isinstance(each, Damaged)]


def read(place: Place, root: str, name: str) -> Manifest:
    """Return a manifest. Raises StoreError where it cannot be read, FileNotFoundError where there is none."""
    return Manifest.from_json(place.read(name), mask(f"{root.rstrip('/')}/{name}"))


def _read(place: Place, root: str, name: str, mark: str) -> Manifest | Damaged:
    try:
        return _once(place, root, name, mark)
    except StoreError as error:
        table, file = name.split("/")[-2:]
        return Damaged(table, file.removesuffix(".json"), error)


@functools.lru_cache(maxsize=10_000)
def _once(place: Place, root: str, name: str, _mark: str) -> Manifest:
    """Read a manifest once: it never changes, and where it does all the same, its mark is another."""
    return read(place, root, name)
