"""Upkeep: are the files still what was published, and what can go."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from toytip.claim import STAGING
from toytip.errors import StoreError
from toytip.history import newest, tables_of, tags
from toytip.keeper import CHECKPOINTS
from toytip.manifest import Manifest
from toytip.place import Disk
from toytip.reach import saying
from toytip.s3 import Bucket
from toytip.store import MANIFESTS, REPORTS, Damaged, Store
from toytip.values import PartRecord

READERS = 8
TOGETHER = (("features", "rejects", "trips", "profiles"), ("predictions", "tallies"))


@dataclass(frozen=True)
class Fault:
    """A file of a version that is not as it was published."""

    table: str
    path: str
    what: str


def verify(store: Store, version: str, seen: Callable[[int], None]) -> list[Fault]:
    """Read every file of a version again; return those that are lost, changed, or were never published.

    `seen` is told the rows of every file read.
    """
    faults = []
    for manifest in tables_of(store, version):
        faults += _changed(store, manifest, seen)
        folder = f"{store.env}/{manifest.folder}"
        known = {f"{folder}/{part.path}" for part in manifest.parts}
        with saying(f"the store {store.shown} cannot be read"):
            extra = sorted(set(store.place.files(folder)) - known)
        faults += [Fault(manifest.table, name, "was never published") for name in extra]
    return faults


def _changed(store: Store, manifest: Manifest, seen: Callable[[int], None]) -> list[Fault]:
    def check(part: PartRecord) -> Fault | None:
        name = f"{store.env}/{manifest.folder}/{part.path}"
        what = None
        try:
            store.get(manifest.table, manifest.version, part)
        except StoreError as error:
            what = "has changed" if "not what was published" in str(error) else "is lost"
        seen(part.rows)
        return Fault(manifest.table, name, what) if what else None

    with ThreadPoolExecutor(READERS) as pool:
        return [fault for fault in pool.map(check, manifest.parts) if fault]


@dataclass(frozen=True)
class Waste:
    """What nothing needs: versions, what dead runs left, checkpoints among it, and files that belong to no version.

    Beside it what is `damaged`: nobody knows what those versions need.
    """

    versions: list[Manifest]
    abandoned: list[str]
    strays: list[str]
    bytes: int
    damaged: list[Damaged]


def needless(store: Store, keep: int) -> Waste:
    """Find what can go: all but the newest `keep` versions of each table, the tagged, and what these were made from.

    Registered models stay, with the data that made them. What a live run is making is left alone, and so is what a
    manifest lists that cannot be read, with all of its version.
    """
    versions, damaged = store.listed()
    lost = {each.version for each in damaged}
    kept = _needed(store, versions, keep, lost)
    going = [m for m in versions if (m.table, m.version) not in kept]
    dead = store.abandoned()
    with saying(f"the store {store.shown} cannot be read"):
        files = store.place.files(store.env)
    live = {_claimed(name) for name in files if name.split("/")[1] == STAGING} - {*dead, ""}
    exist = {(m.table, m.version) for m in versions} | {(each.table, each.version) for each in damaged}
    still = {m.version for m in versions if (m.table, m.version) in kept} | lost | live
    strays = [name for name in files if _is_stray(name, exist, still, live)]
    left = [name for name in files if name.split("/")[1] == STAGING and _claimed(name) in dead]
    size = sum(m.bytes for m in going) + sum(files[name].bytes for name in {*strays, *left})
    return Waste(going, dead, strays, size, damaged)


def _needed(store: Store, versions: list[Manifest], keep: int, lost: set[str]) -> set[tuple[str, str]]:
    by_name = {(m.table, m.version): m for m in versions}
    tables: dict[str, list[Manifest]] = {}
    for manifest in versions:
        tables.setdefault(manifest.table, []).append(manifest)
    tagged, registered = set(tags(store).values()), store.registered()
    todo = [m for listed in tables.values() for m in listed[-keep:]]
    todo += [newest(store, listed) for listed in tables.values()]  # after a rollback not the last
    todo += [m for m in versions if m.version in tagged | lost]
    todo += [m for m in versions if m.table == "models" and m.version in registered]
    needed: set[tuple[str, str]] = set()
    while todo:
        manifest = todo.pop()
        name = (manifest.table, manifest.version)
        if name not in needed:
            needed.add(name)
            parents = [(p["table"], p["version"]) for p in manifest.parents if "table" in p]
            # Features, profiles and rejects are one stage's, as predictions and tallies: none is whole without the others.
            group = next((each for each in TOGETHER if manifest.table in each), ())
            parents += [(t, manifest.version) for t in group]
            todo += [by_name[parent] for parent in parents if parent in by_name]
    return needed


def _claimed(name: str) -> str:
    piece = name.split("/")[2]
    return piece.removesuffix(".lock").removesuffix(".lease")


def _is_stray(name: str, exist: set[tuple[str, str]], still: set[str], live: set[str]) -> bool:
    _, table, version, *_ = [*name.split("/"), "", ""]
    if table == REPORTS:
        return not any(version.startswith(f"{each}.") for each in still)
    if table == CHECKPOINTS:
        return not live  # whose it is, only its run knows
    if not version.startswith("version="):
        return False
    version = version.removeprefix("version=")
    return (table, version) not in exist and version not in live


def remove(store: Store, waste: Waste) -> None:
    """Remove it: a version's manifest first, so that nobody reads what is half gone."""
    place = store.place
    with saying(f"cannot remove from the store {store.shown}"):
        place.remove(f"{store.env}/{MANIFESTS}/{m.table}/{m.version}.json" for m in waste.versions)
        for manifest in waste.versions:
            _remove_folder(store, f"{store.env}/{manifest.folder}")
        place.remove(waste.strays)
    for version in waste.abandoned:
        store.sweep(version)
    if isinstance(place, Bucket):
        _abort_uploads(place, store, {m.table for m in store.listed()[0]})


def _remove_folder(store: Store, folder: str) -> None:
    store.place.remove(store.place.files(folder))
    if isinstance(store.place, Disk):
        with contextlib.suppress(OSError):
            store.place.path(folder).rmdir()


def _abort_uploads(place: Bucket, store: Store, tables: Iterable[str]) -> None:
    """Abort uploads of versions that no live run makes."""
    with saying(f"cannot tidy up in {store.shown}"):
        live = {_claimed(name) for name in place.files(f"{store.env}/{STAGING}")} - {*store.abandoned()}
        for table in tables:
            place.abort_uploads(f"{store.env}/{table}", but=live)
