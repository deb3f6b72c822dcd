"""Versions out: parts are staged, a version is published whole, and its manifest, written last, makes it exist."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import io
import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from toytip import listing
from toytip.claim import STAGING, claim, dead, forget
from toytip.config import Settings, mask
from toytip.errors import ClusterError, StoreError
from toytip.listing import Damaged
from toytip.manifest import Manifest, check_table, check_version, digest, part_reader
from toytip.place import Disk, Place
from toytip.reach import access_of, place_of, saying
from toytip.s3 import Bucket
from toytip.schema import Table
from toytip.values import Access, PartRecord

__all__ = ["Damaged", "Found", "Manifest", "Store", "digest", "new_version", "store_of"]

MANIFESTS = "_versions"
REPORTS = "_reports"
REGISTERED = "_registered"
NOTES = "notes"


def new_version() -> str:
    """Return a fresh version id; ids sort by time, as `v20261124T101500Z-3f9c2a`."""
    now = dt.datetime.now(dt.UTC)
    return f"v{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def store_of(settings: Settings) -> Store:
    """Return the store that the settings name."""
    return Store(settings.store, settings.env, access_of(settings.store, settings.endpoint))


class Found(NamedTuple):
    """A part that some run has made: its record, the run's version, and the file."""

    record: PartRecord
    version: str
    name: str


@dataclass(frozen=True)
class Store:
    """The versions of every table below `<root>/<env>`, on a disk or in an object store."""

    root: str
    env: str
    access: Access = field(default_factory=Access)

    @functools.cached_property
    def place(self) -> Place:
        """Where the bytes are."""
        return place_of(self.root, self.access)

    @property
    def shown(self) -> str:
        """The store's address, for people."""
        return mask(self.path())

    def path(self, *names: str) -> str:
        """Return the URI or path of something in the store."""
        return "/".join((self.root.rstrip("/"), self.env, *names))

    def version_path(self, table: str, version: str) -> str:
        """Return where a version's files lie."""
        return self.path(table, f"version={version}")

    def manifest_path(self, table: str, version: str) -> str:
        """Return where a version's manifest lies."""
        return self.path(MANIFESTS, table, f"{version}.json")

    def _manifest(self, table: str, version: str) -> str:
        return f"{self.env}/{MANIFESTS}/{check_table(table)}/{check_version(version)}.json"

    def _folder(self, table: str, version: str) -> str:
        """Return where a version's files are to be found once it is published."""
        return f"{self.env}/{check_table(table)}/version={check_version(version)}"

    def _making(self, table: str, version: str) -> str:
        """Return where a version's files are put while it is made: in their place where nothing renames."""
        if not self.place.renames:
            return self._folder(table, version)
        return f"{self.env}/{STAGING}/{check_version(version)}/{check_table(table)}"

    # making a version

    @contextlib.contextmanager
    def making(self, version: str) -> Iterator[None]:
        """Hold a version while it is made.

        What is unpublished at the end is removed, except after a failure of the store or the cluster: then the
        parts that are whole stay, out of sight, for the next run to take up. Raises StoreError where the store
        cannot be written, or another run holds the version.
        """
        self.refuse_unsigned()
        with contextlib.ExitStack() as stack:
            with saying(f"the store {self.shown} cannot be written"):
                held = stack.enter_context(claim(self.place, self.env, check_version(version)))
                for other in dead(self.place, self.env):
                    self._take_back(other)
                self._take_back(version)
            try:
                yield
            except (StoreError, ClusterError):
                with contextlib.suppress(OSError):
                    held.left = bool(self.place.files(f"{self.env}/{STAGING}/{version}/{NOTES}"))
                    if not held.left:
                        self.discard(version)
                raise
            except BaseException:
                with contextlib.suppress(OSError):
                    self.discard(version)
                raise
            with saying(f"cannot tidy up in {self.shown}"):
                self.discard(version)

    def _take_back(self, version: str) -> None:
        """Stage again what a killed run had moved in but not published."""
        if isinstance(self.place, Disk):
            for folder in self.place.path(self.env).glob(f"*/version={version}"):
                table = folder.parent.name
                if not self.place.exists(self._manifest(table, version)):
                    for name in self.place.files(self._folder(table, version)):
                        piece = name.removeprefix(self._folder(table, version))
                        self.place.move(name, self._making(table, version) + piece)
                    shutil.rmtree(folder, ignore_errors=True)

    def abandoned(self) -> list[str]:
        """Return the versions that dead runs left unfinished."""
        with saying(f"the store {self.shown} cannot be read"):
            return dead(self.place, self.env)

    def discard(self, version: str) -> None:
        """Remove all of a version that is not published."""
        staged = f"{self.env}/{STAGING}/{check_version(version)}"
        noted = self.place.files(staged)
        tables = {
            name.removeprefix(f"{staged}/{NOTES}/").partition("/")[0]
            for name in noted
            if f"/{NOTES}/" in name
        }
        if isinstance(self.place, Bucket):
            for table in tables:
                folder = self._folder(table, version)
                self.place.abort_uploads(folder)
                if not self.place.exists(self._manifest(table, version)):
                    self.place.remove(self.place.files(folder))
        self.place.remove(noted)

    def sweep(self, version: str) -> None:
        """Remove all that a dead run left."""
        with saying(f"cannot tidy up in {self.shown}"):
            self.discard(version)
            forget(self.place, self.env, version)

    def refuse_unsigned(self) -> None:
        """Raise StoreError where writing needs credentials, and there are none."""
        if isinstance(self.place, Bucket) and self.access.anonymous:
            raise StoreError(
                f"writing to {self.shown} needs credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, here or in .env, or AWS_PROFILE"
            )

    def refuse_unwritable(self) -> None:
        """Raise StoreError where nothing can be written: better before the work than after it."""
        self.refuse_unsigned()
        name = f"{self.env}/{REPORTS}/{new_version()}.probe"
        with saying(f"the store {self.shown} cannot be written"):
            self.place.write(name, b"")
            self.place.remove([name])

    def refuse_published(self, version: str, tables: tuple[str, ...]) -> None:
        """Raise StoreError where a version is published already: it is never changed."""
        for table in tables:
            if self.published(table, version) is not None:
                raise StoreError(
                    f"version {version} of {table} is already published in {self.shown}; "
                    "leave out --version for a new one"
                )

    def write(self, table: Table, version: str, record: PartRecord, frame: pd.DataFrame) -> PartRecord:
        """Write a part; its name follows from its key, so that a retried task overwrites itself.

        `record` says what is known of it beforehand. Its note, written after it, says that it is whole.
        """
        buffer = io.BytesIO()
        pq.write_table(table.to_arrow(frame), buffer, **table.encodings)
        put = self.put(table.name, version, record.key.path, buffer.getvalue())
        record = replace(record, rows=len(frame), bytes=put.bytes, checksum=put.checksum)
        return self._note(table.name, version, record)

    def _note(self, table: str, version: str, record: PartRecord) -> PartRecord:
        name = f"{record.key.month}-{record.key.number:05d}.json"
        content = json.dumps(asdict(record)).encode()
        with saying(f"cannot write to the store {self.shown}"):
            self.place.write(f"{self.env}/{STAGING}/{version}/{NOTES}/{table}/{name}", content)
        return record

    def put(self, table: str, version: str, name: str, content: bytes) -> PartRecord:
        """Write one file of a version that is not yet published, as an artifact's."""
        with saying(f"cannot write to the store {self.shown}"):
            self.place.write(f"{self._making(table, version)}/{name}", content)
        return PartRecord(path=name, rows=0, bytes=len(content), checksum=_checksum(content))

    def adopt(self, table: str, version: str, found: Found) -> bool:
        """Take a part that another run has made: linked on a disk, copied by the server in an object store.

        False where it is no longer there, or no longer what its record says.
        """
        record = found.record
        target = f"{self._making(table, version)}/{record.path}"
        try:
            with saying(f"cannot write to the store {self.shown}", but=FileNotFoundError):
                if isinstance(self.place, Disk) and _checksum(self.place.read(found.name)) != record.checksum:
                    return False
                if found.name != target:
                    self.place.copy(found.name, target)
        except FileNotFoundError:
            return False
        self._note(table, version, record)
        return True

    def made(self, table: str) -> dict[str, Found]:
        """Return every part of a table that is there, by its identity: published, or whole in an unfinished run."""
        found = {}
        with saying(f"the store {self.shown} cannot be read"):
            staged = self.place.files(f"{self.env}/{STAGING}")
            for name in staged:
                version, kind, of, *_ = [*name.split("/")[2:], "", "", ""]
                if kind == NOTES and of == table:
                    with contextlib.suppress(ValueError, FileNotFoundError):
                        record = part_reader().validate_json(self.place.read(name))
                        part = f"{self._making(table, version)}/{record.path}"
                        found[record.identity] = Found(record, version, part)
        for manifest in self.versions(table):
            folder = self._folder(table, manifest.version)
            for record in manifest.parts:
                found[record.identity] = Found(record, manifest.version, f"{folder}/{record.path}")
        return found

    def publish(self, manifest: Manifest) -> Manifest:
        """Make a version exist: move its files in, then create its manifest, exclusively.

        Raises StoreError where the version is published already.
        """
        table, version = manifest.table, manifest.version
        self.refuse_published(version, (table,))
        making, folder = self._making(table, version), self._folder(table, version)
        with saying(f"cannot publish {table} {version} in {self.shown}"):
            wanted = {f"{making}/{part.path}" for part in manifest.parts}
            self.place.remove(name for name in self.place.files(making) if name not in wanted)
            if isinstance(self.place, Disk):
                self.place.move(making, folder)
            try:
                self.place.create(self._manifest(table, version), manifest.to_json())
            except FileExistsError:
                raise StoreError(f"version {version} of {table} has been published by another run") from None
        return manifest

    # reading versions

    def published(self, table: str, version: str) -> Manifest | None:
        """Return a version's manifest; None where there is none."""
        name = self._manifest(table, version)
        with saying(f"the store {self.shown} cannot be read", but=FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                return listing.read(self.place, self.root, name)
            return None

    def versions(self, table: str | None = None) -> list[Manifest]:
        """Return the published versions, by table and time. Raises StoreError where a manifest cannot be read."""
        whole, damaged = self.listed(table)
        for each in damaged:
            raise each.error
        return whole

    def listed(self, table: str | None = None) -> tuple[list[Manifest], list[Damaged]]:
        """Return the published versions, by table and time, and apart from them those whose manifests cannot be read."""
        folder = f"{self.env}/{MANIFESTS}" + (f"/{check_table(table)}" if table else "")
        with saying(f"the store {self.shown} cannot be read"):
            return listing.listed(self.place, self.root, folder)

    def newest(self, table: str) -> Manifest | None:
        """Return the last version of a table that was published; None where there is none."""
        there = self.versions(table)
        return there[-1] if there else None

    def read(self, table: Table, version: str, record: PartRecord, *, making: bool = False) -> pd.DataFrame:
        """Read a part of a published version, or of one that is being made; only the columns of `table`."""
        content = io.BytesIO(self.get(table.name, version, record, making=making))
        return table.from_arrow(pq.ParquetFile(content).read(columns=table.names, use_threads=False))

    def get(self, table: str, version: str, record: PartRecord, *, making: bool = False) -> bytes:
        """Read one file of a version. Raises StoreError where it is gone or has changed."""
        folder = self._making(table, version) if making else self._folder(table, version)
        with saying(f"{table} {version} in {self.shown} lacks a file"):
            content = self.place.read(f"{folder}/{record.path}")
        if _checksum(content) != record.checksum:
            raise StoreError(
                f"{self.version_path(table, version)}/{record.path} is not what was published; "
                f"see `toytip verify {version}`, or make the version anew"
            )
        return content

    def mark_registered(self, version: str, where: str) -> None:
        """Keep that a registry has the model of a version, wherever that registry is: `toytip gc` goes by it."""
        with saying(f"cannot write to the store {self.shown}"):
            content = json.dumps({"registry": where}).encode()
            self.place.write(f"{self.env}/{REGISTERED}/{check_version(version)}.json", content)

    def registered(self) -> set[str]:
        """Return the versions whose models a registry has."""
        with saying(f"the store {self.shown} cannot be read"):
            files = self.place.files(f"{self.env}/{REGISTERED}")
        return {name.rpartition("/")[2].removesuffix(".json") for name in files}

    def report(self, version: str) -> str | None:
        """Return where the report of a version is; None where it has none."""
        name = f"{check_version(version)}.html"
        with saying(f"the store {self.shown} cannot be read"):
            there = self.place.exists(f"{self.env}/{REPORTS}/{name}")
        return self.path(REPORTS, name) if there else None

    def save_report(self, name: str, content: bytes) -> str:
        """Keep a report of a run beside the tables; return where."""
        with saying(f"cannot write to the store {self.shown}"):
            self.place.write(f"{self.env}/{REPORTS}/{name}", content)
        return self.path(REPORTS, name)


def _checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
