"""Verification of published files, and garbage collection."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from toytip.core.partitions import DataFile
from toytip.core.tables import MODELS, publication_group
from toytip.errors import ChangedFileError, StoreError
from toytip.store.catalog import UnreadableManifest, published_refs
from toytip.store.layout import VERSION_PREFIX
from toytip.store.lineage import walk
from toytip.store.manifest import Manifest, VersionRef
from toytip.store.refs import find_current, manifests_of, read_tags
from toytip.store.reports import pinned_versions
from toytip.store.store import Store

VERIFICATION_THREADS = 8


@dataclass(frozen=True)
class FileFault:
    """A difference between the files of a version and its manifest."""

    table: str
    """Name of the table or artifact."""
    path: str
    """Path of the file, relative to the root of the store."""
    message: Literal["has changed", "is missing", "is not in the manifest"]
    """The difference between the file and the manifest."""


def verify_version(store: Store, version: str, on_rows_read: Callable[[int], None]) -> list[FileFault]:
    """Read every file of a version, and return the differences from the manifest.

    `on_rows_read` is called with the number of rows of each file. Raises StoreError if the version
    does not exist.
    """
    faults = []
    for manifest in manifests_of(store, version):
        folder = store.layout.version_folder(manifest.table, manifest.version)
        with ThreadPoolExecutor(VERIFICATION_THREADS) as pool:
            results = pool.map(functools.partial(_check_file, store, manifest, on_rows_read), manifest.files)
            faults += [fault for fault in results if fault is not None]
        listed = {f"{folder}/{file.path}" for file in manifest.files}
        with store.reading():
            extra = sorted(set(store.file_io.list_files(folder)) - listed)
        faults += [FileFault(manifest.table, name, "is not in the manifest") for name in extra]
    return faults


def _check_file(
    store: Store, manifest: Manifest, on_rows_read: Callable[[int], None], file: DataFile
) -> FileFault | None:
    folder = store.layout.version_folder(manifest.table, manifest.version)
    fault = functools.partial(FileFault, manifest.table, f"{folder}/{file.path}")
    try:
        store.read_file(manifest.table, manifest.version, file)
    except ChangedFileError:
        return fault("has changed")
    except StoreError:
        return fault("is missing")
    finally:
        on_rows_read(file.rows)
    return None


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """Versions and files that garbage collection can delete."""

    versions: tuple[VersionRef, ...]
    """Published versions to delete."""
    incomplete_versions: tuple[str, ...]
    """Unpublished versions of runs that have ended."""
    orphaned_files: tuple[str, ...]
    """Data files and reports that do not belong to a kept version, and unused checkpoints."""
    bytes: int
    """Total size of the listed versions and files in bytes."""
    unreadable: tuple[UnreadableManifest, ...]
    """Damaged manifests. Garbage collection keeps their versions."""


def find_garbage(store: Store, keep: int) -> Garbage:
    """Return the versions and files that can be deleted.

    Garbage collection keeps the newest `keep` versions of each table, tagged versions, registered
    models, versions with a damaged manifest, and the inputs of all kept versions. Garbage
    collection also keeps versions that a run is writing.
    """
    published, unreadable = store.scan_manifests()
    manifests, _ = store.scan_tables()
    damaged = {item.version for item in unreadable}
    needed = _needed_versions(store, manifests, {item.ref for item in published}, keep, damaged)
    incomplete, active = store.incomplete_versions(), store.active_versions()
    with store.reading():
        files = store.file_io.list_files(store.env)
    staged = {name: version for name in files if (version := store.layout.staged_version_of(name))}
    # A run that is active may reuse an unpublished table.
    unneeded = [item for item in manifests if item.ref not in needed and (item in published or not active)]
    usage = _Usage(
        existing={manifest.ref for manifest in manifests}
        | {VersionRef(item.table, item.version) for item in unreadable},
        retained=frozenset({ref.version for ref in needed} | damaged | active),
        active=frozenset(active),
    )
    orphaned = [name for name in files if _is_orphaned(store, name, usage)]
    ended = set(store.abandoned_versions())
    abandoned = [name for name, version in staged.items() if version in ended]
    size = sum(manifest.bytes for manifest in unneeded)
    size += sum(files[name].bytes for name in {*orphaned, *abandoned})
    return Garbage(
        versions=tuple(manifest.ref for manifest in unneeded),
        incomplete_versions=tuple(incomplete),
        orphaned_files=tuple(orphaned),
        bytes=size,
        unreadable=tuple(unreadable),
    )


def _needed_versions(
    store: Store, manifests: list[Manifest], published: set[VersionRef], keep: int, damaged: set[str]
) -> set[VersionRef]:
    by_ref = {manifest.ref: manifest for manifest in manifests}
    by_table: dict[str, list[Manifest]] = {}
    for manifest in (item for item in manifests if item.ref in published):
        by_table.setdefault(manifest.table, []).append(manifest)
    protected = {*read_tags(store).values(), *damaged}
    registered = pinned_versions(store)
    roots = [manifest for versions in by_table.values() for manifest in versions[-keep:]]
    # After a refused run or a rollback, the current version is not the last published version.
    current = [find_current(store, versions) for versions in by_table.values()]
    roots += [manifest for manifest in current if manifest is not None]
    roots += [
        manifest
        for manifest in manifests
        if manifest.version in protected or (manifest.table == MODELS.name and manifest.version in registered)
    ]

    def neighbors(manifest: Manifest) -> Iterable[Manifest]:
        siblings = (VersionRef(table, manifest.version) for table in publication_group(manifest.table))
        refs = (*manifest.parent_versions, *siblings)
        return (by_ref[ref] for ref in refs if ref in by_ref)

    return {manifest.ref for manifest in walk(roots, neighbors)}


@dataclass(frozen=True)
class _Usage:
    """The versions that exist, the versions to keep, and the versions that a run is writing."""

    existing: set[VersionRef]
    retained: frozenset[str]
    active: frozenset[str]


def _is_orphaned(store: Store, name: str, usage: _Usage) -> bool:
    layout = store.layout
    if name.startswith(f"{layout.reports}/"):
        file = name.removeprefix(f"{layout.reports}/")
        return not any(file.startswith(f"{version}.") for version in usage.retained)
    if name.startswith(f"{layout.checkpoints}/"):
        return not usage.active  # any active run may resume from the checkpoint
    ref = layout.version_of_data_file(name)
    return ref is not None and VersionRef(*ref) not in usage.existing and ref[1] not in usage.active


def collect_garbage(store: Store, garbage: Garbage) -> None:
    """Delete garbage. Manifests are deleted first, so that nobody reads a partial version."""
    layout, file_io = store.layout, store.file_io
    with store.writing():
        file_io.remove(layout.run_manifest(version) for version in _runs_without_tables(store, garbage))
        file_io.remove(layout.manifest(ref.table, ref.version) for ref in garbage.versions)
        for ref in garbage.versions:
            file_io.remove_folder(layout.version_folder(ref.table, ref.version))
        file_io.remove(garbage.orphaned_files)
    for version in store.abandoned_versions():
        store.purge(version)
    _abort_uploads(store)


def _runs_without_tables(store: Store, garbage: Garbage) -> list[str]:
    """Return the runs all of whose tables are deleted."""
    tables, _ = store.scan_tables()
    damaged = {VersionRef(item.table, item.version) for item in garbage.unreadable}
    remaining = ({manifest.ref for manifest in tables} | damaged) - set(garbage.versions)
    return [run.version for run in store.scan_runs()[0] if not published_refs([run]) & remaining]


def _abort_uploads(store: Store) -> None:
    """Abort the incomplete uploads of versions that no run is writing."""
    layout = store.layout
    active = [f"{VERSION_PREFIX}{version}" for version in store.active_versions()]
    with store.writing():
        for table in {manifest.table for manifest in store.scan_tables()[0]}:
            store.file_io.abort_uploads(layout.table_folder(table), keep=active)
