"""Upkeep: are the files still what was published, and what can go."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from toytip.core.partitions import DataFile
from toytip.core.tables import MODELS, publication_group
from toytip.errors import StoreError
from toytip.io.access import as_store_error
from toytip.io.local import LocalFileIO
from toytip.io.s3 import S3FileIO
from toytip.store.catalog import UnreadableManifest
from toytip.store.checkpoints import CHECKPOINTS_FOLDER
from toytip.store.lease import STAGING_FOLDER
from toytip.store.manifest import Manifest
from toytip.store.refs import manifests_of, newest_version, read_tags
from toytip.store.store import MANIFESTS_FOLDER, REPORTS_FOLDER, Store

VERIFICATION_THREADS = 8


@dataclass(frozen=True)
class FileFault:
    """A file of a version that is not as it was published."""

    table: str
    path: str
    what: str


def verify_version(store: Store, version: str, on_rows_read: Callable[[int], None]) -> list[FileFault]:
    """Read every file of a version again; return those that are lost, changed, or were never published.

    `on_rows_read` is told the rows of every file read.
    """
    faults = []
    for manifest in manifests_of(store, version):
        faults += _changed_files(store, manifest, on_rows_read)
        folder = f"{store.env}/{manifest.folder}"
        known = {f"{folder}/{part.path}" for part in manifest.files}
        with as_store_error(f"the store {store.display_uri} cannot be read"):
            extra = sorted(set(store.file_io.list_files(folder)) - known)
        faults += [FileFault(manifest.table, name, "was never published") for name in extra]
    return faults


def _changed_files(store: Store, manifest: Manifest, on_rows_read: Callable[[int], None]) -> list[FileFault]:
    def check(part: DataFile) -> FileFault | None:
        name = f"{store.env}/{manifest.folder}/{part.path}"
        what = None
        try:
            store.read_file(manifest.table, manifest.version, part)
        except StoreError as error:
            what = "has changed" if "not what was published" in str(error) else "is lost"
        on_rows_read(part.rows)
        return FileFault(manifest.table, name, what) if what else None

    with ThreadPoolExecutor(VERIFICATION_THREADS) as pool:
        return [fault for fault in pool.map(check, manifest.files) if fault]


@dataclass(frozen=True)
class Garbage:
    """What nothing needs: versions, what dead runs left, checkpoints among it, and files that belong to no version.

    Beside it what is `unreadable`: nobody knows what those versions need.
    """

    versions: list[Manifest]
    incomplete_versions: list[str]
    orphaned_files: list[str]
    bytes: int
    unreadable: list[UnreadableManifest]


def find_garbage(store: Store, keep: int) -> Garbage:
    """Find what can go: all but the newest `keep` versions of each table, the tagged, and what these were made from.

    Registered models stay, with the data that made them. What a live run is making is left alone, and so is what a
    manifest lists that cannot be read, with all of its version.
    """
    versions, damaged = store.scan_manifests()
    lost = {each.version for each in damaged}
    kept = _needed_versions(store, versions, keep, lost)
    going = [m for m in versions if (m.table, m.version) not in kept]
    dead = store.incomplete_versions()
    with as_store_error(f"the store {store.display_uri} cannot be read"):
        files = store.file_io.list_files(store.env)
    live = {_staged_version(name) for name in files if name.split("/")[1] == STAGING_FOLDER} - {*dead, ""}
    exist = {(m.table, m.version) for m in versions} | {(each.table, each.version) for each in damaged}
    still = {m.version for m in versions if (m.table, m.version) in kept} | lost | live
    strays = [name for name in files if _is_orphaned(name, exist, still, live)]
    left = [name for name in files if name.split("/")[1] == STAGING_FOLDER and _staged_version(name) in dead]
    size = sum(m.bytes for m in going) + sum(files[name].bytes for name in {*strays, *left})
    return Garbage(going, dead, strays, size, damaged)


def _needed_versions(
    store: Store, versions: list[Manifest], keep: int, lost: set[str]
) -> set[tuple[str, str]]:
    by_name = {(m.table, m.version): m for m in versions}
    tables: dict[str, list[Manifest]] = {}
    for manifest in versions:
        tables.setdefault(manifest.table, []).append(manifest)
    tagged, registered = set(read_tags(store).values()), store.pinned_versions()
    todo = [m for listed in tables.values() for m in listed[-keep:]]
    todo += [newest_version(store, listed) for listed in tables.values()]  # after a rollback not the last
    todo += [m for m in versions if m.version in tagged | lost]
    todo += [m for m in versions if m.table == MODELS.name and m.version in registered]
    needed: set[tuple[str, str]] = set()
    while todo:
        manifest = todo.pop()
        name = (manifest.table, manifest.version)
        if name not in needed:
            needed.add(name)
            parents = [(p["table"], p["version"]) for p in manifest.parents if "table" in p]
            parents += [(table, manifest.version) for table in publication_group(manifest.table)]
            todo += [by_name[parent] for parent in parents if parent in by_name]
    return needed


def _staged_version(name: str) -> str:
    piece = name.split("/")[2]
    return piece.removesuffix(".lock").removesuffix(".lease")


def _is_orphaned(name: str, exist: set[tuple[str, str]], still: set[str], live: set[str]) -> bool:
    _, table, version, *_ = [*name.split("/"), "", ""]
    if table == REPORTS_FOLDER:
        return not any(version.startswith(f"{each}.") for each in still)
    if table == CHECKPOINTS_FOLDER:
        return not live  # whose it is, only its run knows
    if not version.startswith("version="):
        return False
    version = version.removeprefix("version=")
    return (table, version) not in exist and version not in live


def collect_garbage(store: Store, garbage: Garbage) -> None:
    """Remove it: a version's manifest first, so that nobody reads what is half gone."""
    place = store.file_io
    with as_store_error(f"cannot remove from the store {store.display_uri}"):
        place.remove(f"{store.env}/{MANIFESTS_FOLDER}/{m.table}/{m.version}.json" for m in garbage.versions)
        for manifest in garbage.versions:
            _remove_folder(store, f"{store.env}/{manifest.folder}")
        place.remove(garbage.orphaned_files)
    for version in garbage.incomplete_versions:
        store.purge(version)
    if isinstance(place, S3FileIO):
        _abort_uploads(place, store, {m.table for m in store.scan_manifests()[0]})


def _remove_folder(store: Store, folder: str) -> None:
    store.file_io.remove(store.file_io.list_files(folder))
    if isinstance(store.file_io, LocalFileIO):
        with contextlib.suppress(OSError):
            store.file_io.path(folder).rmdir()


def _abort_uploads(file_io: S3FileIO, store: Store, tables: Iterable[str]) -> None:
    """Abort uploads of versions that no live run makes."""
    with as_store_error(f"cannot tidy up in {store.display_uri}"):
        live = {_staged_version(name) for name in file_io.list_files(f"{store.env}/{STAGING_FOLDER}")} - {
            *store.incomplete_versions()
        }
        for table in tables:
            file_io.abort_uploads(f"{store.env}/{table}", except_versions=live)
