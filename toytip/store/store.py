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

from toytip.config import Settings, mask_credentials
from toytip.core.access import StorageOptions
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.errors import ClusterError, StoreError
from toytip.io.access import as_store_error, open_file_io, resolve_storage_options
from toytip.io.base import FileIO
from toytip.io.local import LocalFileIO
from toytip.io.s3 import S3FileIO
from toytip.store import catalog
from toytip.store.catalog import UnreadableManifest
from toytip.store.lease import STAGING_FOLDER, expired_versions, lock_version, remove_lock
from toytip.store.manifest import Manifest, data_file_adapter, digest, validate_table_name, validate_version

__all__ = [
    "ExistingDataFile",
    "Manifest",
    "Store",
    "UnreadableManifest",
    "digest",
    "new_version_id",
    "store_from_settings",
]

MANIFESTS_FOLDER = "_versions"
REPORTS_FOLDER = "_reports"
PINNED_FOLDER = "_pinned"
NOTES_FOLDER = "notes"


def new_version_id() -> str:
    """Return a fresh version id; ids sort by time, as `v20261124T101500Z-3f9c2a`."""
    now = dt.datetime.now(dt.UTC)
    return f"v{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def store_from_settings(settings: Settings) -> Store:
    """Return the store that the settings name."""
    return Store(settings.store, settings.env, resolve_storage_options(settings.store, settings.endpoint_url))


class ExistingDataFile(NamedTuple):
    """A part that some run has made: its record, the run's version, and the file."""

    record: DataFile
    version: str
    file_name: str


@dataclass(frozen=True)
class Store:
    """The versions of every table below `<root>/<env>`, on a disk or in an object store."""

    root: str
    env: str
    storage_options: StorageOptions = field(default_factory=StorageOptions)

    @functools.cached_property
    def file_io(self) -> FileIO:
        """Where the bytes are."""
        return open_file_io(self.root, self.storage_options)

    @property
    def display_uri(self) -> str:
        """The store's address, for people."""
        return mask_credentials(self.uri())

    def uri(self, *names: str) -> str:
        """Return the URI or path of something in the store."""
        return "/".join((self.root.rstrip("/"), self.env, *names))

    def version_uri(self, table: str, version: str) -> str:
        """Return where a version's files lie."""
        return self.uri(table, f"version={version}")

    def manifest_uri(self, table: str, version: str) -> str:
        """Return where a version's manifest lies."""
        return self.uri(MANIFESTS_FOLDER, table, f"{version}.json")

    def _manifest_name(self, table: str, version: str) -> str:
        return f"{self.env}/{MANIFESTS_FOLDER}/{validate_table_name(table)}/{validate_version(version)}.json"

    def _version_dir(self, table: str, version: str) -> str:
        """Return where a version's files are to be found once it is published."""
        return f"{self.env}/{validate_table_name(table)}/version={validate_version(version)}"

    def _staging_dir(self, table: str, version: str) -> str:
        """Return where a version's files are put while it is made: in their place where nothing renames."""
        if not self.file_io.supports_rename:
            return self._version_dir(table, version)
        return f"{self.env}/{STAGING_FOLDER}/{validate_version(version)}/{validate_table_name(table)}"

    # making a version

    @contextlib.contextmanager
    def write_version(self, version: str) -> Iterator[None]:
        """Hold a version while it is made.

        What is unpublished at the end is removed, except after a failure of the store or the cluster: then the
        parts that are whole stay, out of sight, for the next run to take up. Raises StoreError where the store
        cannot be written, or another run holds the version.
        """
        self.require_credentials()
        self.scan_manifests()
        with contextlib.ExitStack() as stack:
            with as_store_error(f"the store {self.display_uri} cannot be written"):
                held = stack.enter_context(lock_version(self.file_io, self.env, validate_version(version)))
                for other in expired_versions(self.file_io, self.env):
                    self._restage(other)
                self._restage(version)
            try:
                yield
            except (StoreError, ClusterError):
                with contextlib.suppress(OSError):
                    held.keep = bool(
                        self.file_io.list_files(f"{self.env}/{STAGING_FOLDER}/{version}/{NOTES_FOLDER}")
                    )
                    if not held.keep:
                        self.discard(version)
                raise
            except BaseException:
                with contextlib.suppress(OSError):
                    self.discard(version)
                raise
            with as_store_error(f"cannot tidy up in {self.display_uri}"):
                self.discard(version)

    def _restage(self, version: str) -> None:
        """Stage again what a killed run had moved in but not published."""
        if isinstance(self.file_io, LocalFileIO):
            for folder in self.file_io.path(self.env).glob(f"*/version={version}"):
                table = folder.parent.name
                if not self.file_io.exists(self._manifest_name(table, version)):
                    for name in self.file_io.list_files(self._version_dir(table, version)):
                        piece = name.removeprefix(self._version_dir(table, version))
                        self.file_io.move(name, self._staging_dir(table, version) + piece)
                    shutil.rmtree(folder, ignore_errors=True)

    def incomplete_versions(self) -> list[str]:
        """Return the versions that dead runs left unfinished."""
        with as_store_error(f"the store {self.display_uri} cannot be read"):
            return expired_versions(self.file_io, self.env)

    def discard(self, version: str) -> None:
        """Remove all of a version that is not published."""
        staged = f"{self.env}/{STAGING_FOLDER}/{validate_version(version)}"
        noted = self.file_io.list_files(staged)
        tables = {
            name.removeprefix(f"{staged}/{NOTES_FOLDER}/").partition("/")[0]
            for name in noted
            if f"/{NOTES_FOLDER}/" in name
        }
        if isinstance(self.file_io, S3FileIO):
            for table in tables:
                folder = self._version_dir(table, version)
                self.file_io.abort_uploads(folder)
                if not self.file_io.exists(self._manifest_name(table, version)):
                    self.file_io.remove(self.file_io.list_files(folder))
        self.file_io.remove(noted)

    def purge(self, version: str) -> None:
        """Remove all that a dead run left."""
        with as_store_error(f"cannot tidy up in {self.display_uri}"):
            self.discard(version)
            remove_lock(self.file_io, self.env, version)

    def require_credentials(self) -> None:
        """Raise StoreError where writing needs credentials, and there are none."""
        if isinstance(self.file_io, S3FileIO) and self.storage_options.anonymous:
            raise StoreError(
                f"writing to {self.display_uri} needs credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, here or in .env, or AWS_PROFILE"
            )

    def require_writable(self) -> None:
        """Raise StoreError where nothing can be written: better before the work than after it."""
        self.require_credentials()
        name = f"{self.env}/{REPORTS_FOLDER}/{new_version_id()}.probe"
        with as_store_error(f"the store {self.display_uri} cannot be written"):
            self.file_io.write(name, b"")
            self.file_io.remove([name])

    def require_unpublished(self, version: str, tables: tuple[str, ...]) -> None:
        """Raise StoreError where a version is published already: it is never changed."""
        for table in tables:
            if self.get_manifest(table, version) is not None:
                raise StoreError(
                    f"version {version} of {table} is already published in {self.display_uri}; "
                    "leave out --version for a new one"
                )

    def write_data_file(self, table: Table, version: str, record: DataFile, frame: pd.DataFrame) -> DataFile:
        """Write a part; its name follows from its key, so that a retried task overwrites itself.

        `record` says what is known of it beforehand. Its note, written after it, says that it is whole.
        """
        buffer = io.BytesIO()
        pq.write_table(table.to_arrow(frame), buffer, **table.parquet_options)
        put = self.write_file(table.name, version, record.key.path, buffer.getvalue())
        record = replace(record, rows=len(frame), bytes=put.bytes, checksum=put.checksum)
        return self._write_note(table.name, version, record)

    def _write_note(self, table: str, version: str, record: DataFile) -> DataFile:
        name = f"{record.key.month}-{record.key.number:05d}.json"
        content = json.dumps(asdict(record)).encode()
        with as_store_error(f"cannot write to the store {self.display_uri}"):
            self.file_io.write(
                f"{self.env}/{STAGING_FOLDER}/{version}/{NOTES_FOLDER}/{table}/{name}", content
            )
        return record

    def write_file(self, table: str, version: str, name: str, content: bytes) -> DataFile:
        """Write one file of a version that is not yet published, as an artifact's."""
        with as_store_error(f"cannot write to the store {self.display_uri}"):
            self.file_io.write(f"{self._staging_dir(table, version)}/{name}", content)
        return DataFile(path=name, rows=0, bytes=len(content), checksum=_checksum(content))

    def reuse_data_file(self, table: str, version: str, existing: ExistingDataFile) -> bool:
        """Take a part that another run has made: linked on a disk, copied by the server in an object store.

        False where it is no longer there, or no longer what its record says.
        """
        record = existing.record
        target = f"{self._staging_dir(table, version)}/{record.path}"
        try:
            with as_store_error(
                f"cannot write to the store {self.display_uri}", passed_through=FileNotFoundError
            ):
                if (
                    isinstance(self.file_io, LocalFileIO)
                    and _checksum(self.file_io.read(existing.file_name)) != record.checksum
                ):
                    return False
                if existing.file_name != target:
                    self.file_io.copy(existing.file_name, target)
        except FileNotFoundError:
            return False
        self._write_note(table, version, record)
        return True

    def find_data_files(self, table: str) -> dict[str, ExistingDataFile]:
        """Return every part of a table that is there, by its identity: published, or whole in an unfinished run."""
        found = {}
        with as_store_error(f"the store {self.display_uri} cannot be read"):
            staged = self.file_io.list_files(f"{self.env}/{STAGING_FOLDER}")
            for name in staged:
                version, kind, of, *_ = [*name.split("/")[2:], "", "", ""]
                if kind == NOTES_FOLDER and of == table:
                    with contextlib.suppress(ValueError, FileNotFoundError):
                        record = data_file_adapter().validate_json(self.file_io.read(name))
                        part = f"{self._staging_dir(table, version)}/{record.path}"
                        found[record.fingerprint] = ExistingDataFile(record, version, part)
        for manifest in self.list_manifests(table):
            folder = self._version_dir(table, manifest.version)
            for record in manifest.files:
                found[record.fingerprint] = ExistingDataFile(
                    record, manifest.version, f"{folder}/{record.path}"
                )
        return found

    def publish(self, manifest: Manifest) -> Manifest:
        """Make a version exist: move its files in, then create its manifest, exclusively.

        Raises StoreError where the version is published already.
        """
        table, version = manifest.table, manifest.version
        self.require_unpublished(version, (table,))
        making, folder = self._staging_dir(table, version), self._version_dir(table, version)
        with as_store_error(f"cannot publish {table} {version} in {self.display_uri}"):
            wanted = {f"{making}/{part.path}" for part in manifest.files}
            self.file_io.remove(name for name in self.file_io.list_files(making) if name not in wanted)
            if isinstance(self.file_io, LocalFileIO):
                self.file_io.move(making, folder)
            try:
                self.file_io.create(self._manifest_name(table, version), manifest.to_json())
            except FileExistsError:
                raise StoreError(f"version {version} of {table} has been published by another run") from None
        return manifest

    # reading versions

    def get_manifest(self, table: str, version: str) -> Manifest | None:
        """Return a version's manifest; None where there is none."""
        name = self._manifest_name(table, version)
        with as_store_error(f"the store {self.display_uri} cannot be read", passed_through=FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                return catalog.read_manifest(self.file_io, self.root, name)
            return None

    def list_manifests(self, table: str | None = None) -> list[Manifest]:
        """Return the published versions, by table and time. Raises StoreError where a manifest cannot be read."""
        whole, damaged = self.scan_manifests(table)
        for each in damaged:
            raise each.error
        return whole

    def scan_manifests(self, table: str | None = None) -> tuple[list[Manifest], list[UnreadableManifest]]:
        """Return the published versions, by table and time, and apart from them those whose manifests cannot be read."""
        folder = f"{self.env}/{MANIFESTS_FOLDER}" + (f"/{validate_table_name(table)}" if table else "")
        with as_store_error(f"the store {self.display_uri} cannot be read"):
            return catalog.scan_manifests(self.file_io, self.root, folder)

    def newest_manifest(self, table: str) -> Manifest | None:
        """Return the last version of a table that was published; None where there is none."""
        there = self.list_manifests(table)
        return there[-1] if there else None

    def read_data_file(
        self, table: Table, version: str, record: DataFile, *, staged: bool = False
    ) -> pd.DataFrame:
        """Read a part of a published version, or of one that is being made; only the columns of `table`."""
        content = io.BytesIO(self.read_file(table.name, version, record, staged=staged))
        return table.from_arrow(pq.ParquetFile(content).read(columns=table.names, use_threads=False))

    def read_file(self, table: str, version: str, record: DataFile, *, staged: bool = False) -> bytes:
        """Read one file of a version. Raises StoreError where it is gone or has changed."""
        folder = self._staging_dir(table, version) if staged else self._version_dir(table, version)
        with as_store_error(f"{table} {version} in {self.display_uri} lacks a file"):
            content = self.file_io.read(f"{folder}/{record.path}")
        if _checksum(content) != record.checksum:
            raise StoreError(
                f"{self.version_uri(table, version)}/{record.path} is not what was published; "
                f"see `toytip verify {version}`, or make the version anew"
            )
        return content

    def pin_version(self, version: str, registry: str) -> None:
        """Keep that a registry has the model of a version, wherever that registry is: `toytip gc` goes by it."""
        with as_store_error(f"cannot write to the store {self.display_uri}"):
            content = json.dumps({"registry": registry}).encode()
            self.file_io.write(f"{self.env}/{PINNED_FOLDER}/{validate_version(version)}.json", content)

    def pinned_versions(self) -> set[str]:
        """Return the versions whose models a registry has."""
        with as_store_error(f"the store {self.display_uri} cannot be read"):
            files = self.file_io.list_files(f"{self.env}/{PINNED_FOLDER}")
        return {name.rpartition("/")[2].removesuffix(".json") for name in files}

    def report_uri(self, version: str) -> str | None:
        """Return where the report of a version is; None where it has none."""
        name = f"{validate_version(version)}.html"
        with as_store_error(f"the store {self.display_uri} cannot be read"):
            there = self.file_io.exists(f"{self.env}/{REPORTS_FOLDER}/{name}")
        return self.uri(REPORTS_FOLDER, name) if there else None

    def save_report(self, name: str, content: bytes) -> str:
        """Keep a report of a run beside the tables; return where."""
        with as_store_error(f"cannot write to the store {self.display_uri}"):
            self.file_io.write(f"{self.env}/{REPORTS_FOLDER}/{name}", content)
        return self.uri(REPORTS_FOLDER, name)


def _checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
