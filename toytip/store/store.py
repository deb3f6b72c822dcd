"""A store publishes versions of tables atomically, and reads published versions."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from toytip.config import Settings
from toytip.core.partitions import DataFile
from toytip.core.redact import mask_credentials
from toytip.core.schema import Table
from toytip.errors import ChangedFileError, ClusterError, StoreError
from toytip.io.access import as_store_error, resolve_storage_options
from toytip.store import catalog
from toytip.store.address import StoreAddress
from toytip.store.catalog import UnreadableManifest
from toytip.store.layout import validate_version
from toytip.store.manifest import Manifest
from toytip.store.staging import StagingArea


def store_from_settings(settings: Settings) -> Store:
    """Return the store that the settings select."""
    return Store(settings.store, settings.env, resolve_storage_options(settings.store, settings.endpoint_url))


class ExistingDataFile(NamedTuple):
    """A complete data file of a published or unpublished version.

    A later run can reuse the file.
    """

    record: DataFile
    version: str
    file_name: str


@dataclass(frozen=True)
class Store(StoreAddress):
    """The versions of all tables below `<root>/<env>`, on a local disk or in an object store."""

    @property
    def _staging(self) -> StagingArea:
        return StagingArea(self.file_io, self.layout)

    # writing a version

    @contextlib.contextmanager
    def write_version(self, version: str) -> Iterator[None]:
        """Hold the lock of a version while its tables are written and published.

        Unpublished files are removed when the context ends. After a failure of the store or the
        cluster, complete data files remain in staging, so that the next run can reuse the files.
        Raises StoreError if the store is not writable, or if another run holds the lock of the
        version.
        """
        self.require_credentials()
        self.scan_manifests()
        staging = self._staging
        with contextlib.ExitStack() as stack:
            with self.writing():
                lock = stack.enter_context(staging.lock(validate_version(version)))
                for incomplete in {*staging.incomplete_versions(), version}:
                    staging.restage(incomplete)
            try:
                yield
            except (StoreError, ClusterError):
                with contextlib.suppress(OSError):
                    lock.keep = staging.has_complete_files(version)
                    if not lock.keep:
                        staging.discard(version)
                raise
            except BaseException:
                with contextlib.suppress(OSError):
                    staging.discard(version)
                raise
            with self.writing():
                staging.discard(version)

    def incomplete_versions(self) -> list[str]:
        """Return the unpublished versions of runs that have ended."""
        with self.reading():
            return self._staging.incomplete_versions()

    def purge(self, version: str) -> None:
        """Remove the unpublished files and the lock of a version whose run has ended."""
        with self.writing():
            self._staging.discard(version)
            self._staging.remove_lock(version)

    def require_unpublished(self, version: str, tables: tuple[str, ...]) -> None:
        """Raise StoreError if one of the tables is already published in this version.

        Published versions never change.
        """
        for table in tables:
            if self.get_manifest(table, version) is not None:
                raise StoreError(
                    f"cannot write version {version} of {table} in {self.display_uri}: "
                    "it is already published",
                    hint="Leave out --version-id to create a new version.",
                )

    def write_data_file(self, table: Table, version: str, file: DataFile, frame: pd.DataFrame) -> DataFile:
        """Write a data file, then a note that the file is complete.

        The key of `file` determines the file name, so a retried task overwrites its own file.
        Returns the record `file` with the number of rows, the size and the checksum.
        """
        buffer = io.BytesIO()
        pq.write_table(table.to_arrow(frame), buffer, **table.parquet_options)
        written = self.write_file(table.name, version, file.key.path, buffer.getvalue())
        file = replace(file, rows=len(frame), bytes=written.bytes, checksum=written.checksum)
        with self.writing():
            self._staging.write_note(table.name, version, file)
        return file

    def write_file(self, table: str, version: str, name: str, content: bytes) -> DataFile:
        """Write a file of an unpublished version, and return its record."""
        with self.writing():
            self.file_io.write(f"{self._staging.folder(table, version)}/{name}", content)
        return DataFile(path=name, rows=0, bytes=len(content), checksum=_checksum(content))

    def reuse_data_file(self, table: str, version: str, existing: ExistingDataFile) -> bool:
        """Add an existing data file to a version, by a hard link or by a copy on the S3 server.

        Returns False if the file no longer exists, or if the content of a local file has changed.
        """
        file = existing.record
        target = f"{self._staging.folder(table, version)}/{file.path}"
        try:
            with self.writing(passed_through=FileNotFoundError):
                checksum = self.file_io.local_checksum(existing.file_name)
                if checksum is not None and f"sha256:{checksum}" != file.checksum:
                    return False
                if existing.file_name != target:
                    self.file_io.copy(existing.file_name, target)
        except FileNotFoundError:
            return False
        with self.writing():
            self._staging.write_note(table, version, file)
        return True

    def find_data_files(self, table: str) -> dict[str, ExistingDataFile]:
        """Return the complete data files of a table by fingerprint.

        Published files take precedence.
        """
        files: dict[str, ExistingDataFile] = {}
        staging = self._staging
        with self.reading():
            for version, file in staging.complete_files(table):
                name = f"{staging.folder(table, version)}/{file.path}"
                files[file.fingerprint] = ExistingDataFile(file, version, name)
        for manifest in self.list_manifests(table):
            folder = self.layout.version_folder(table, manifest.version)
            for file in manifest.files:
                name = f"{folder}/{file.path}"
                files[file.fingerprint] = ExistingDataFile(file, manifest.version, name)
        return files

    def publish(self, manifest: Manifest) -> Manifest:
        """Publish a table of a version: move its files out of staging, then create its manifest.

        Raises StoreError if the table is already published in this version.
        """
        table, version = manifest.table, manifest.version
        self.require_unpublished(version, (table,))
        staged = self._staging.folder(table, version)
        with as_store_error(f"cannot publish {manifest.ref} in {self.display_uri}"):
            listed = {f"{staged}/{file.path}" for file in manifest.files}
            self.file_io.remove(name for name in self.file_io.list_files(staged) if name not in listed)
            self.file_io.publish_folder(staged, self.layout.version_folder(table, version))
            try:
                self.file_io.create(self.layout.manifest(table, version), manifest.to_json())
            except FileExistsError:
                raise StoreError(
                    f"cannot publish {manifest.ref}: another run has already published it",
                    hint="Leave out --version-id to create a new version.",
                ) from None
        return manifest

    # reading versions

    def get_manifest(self, table: str, version: str) -> Manifest | None:
        """Return the manifest of a version, or None if the version does not exist."""
        name = self.layout.manifest(table, version)
        with self.reading(passed_through=FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                return catalog.read_manifest(self.file_io, self.root, name)
            return None

    def list_manifests(self, table: str | None = None) -> list[Manifest]:
        """Return the manifests, sorted by table and time.

        Raises StoreError if a manifest is damaged.
        """
        manifests, unreadable = self.scan_manifests(table)
        if unreadable:
            raise unreadable[0].error
        return manifests

    def scan_manifests(self, table: str | None = None) -> tuple[list[Manifest], list[UnreadableManifest]]:
        """Return the valid manifests, sorted by table and time, and the damaged manifests."""
        with self.reading():
            return catalog.scan_manifests(self.file_io, self.root, self.layout.manifests(table))

    def newest_manifest(self, table: str) -> Manifest | None:
        """Return the latest published version of a table, or None if the table has no version."""
        return next(reversed(self.list_manifests(table)), None)

    def read_data_file(
        self, table: Table, version: str, file: DataFile, *, staged: bool = False
    ) -> pd.DataFrame:
        """Read the columns of `table` from a data file of a published or staged version."""
        content = io.BytesIO(self.read_file(table.name, version, file, staged=staged))
        return table.from_arrow(pq.ParquetFile(content).read(columns=table.names, use_threads=False))

    def read_file(self, table: str, version: str, file: DataFile, *, staged: bool = False) -> bytes:
        """Read a file of a version.

        Raises StoreError if the file does not exist, and ChangedFileError if its content has
        changed.
        """
        folder = (
            self._staging.folder(table, version) if staged else self.layout.version_folder(table, version)
        )
        name = f"{folder}/{file.path}"
        uri = mask_credentials(self.uri_of(name))
        with as_store_error(f"cannot read {uri}"):
            content = self.file_io.read(name)
        if _checksum(content) != file.checksum:
            raise ChangedFileError(
                f"cannot read {uri}: its checksum differs from the manifest",
                hint=f"List all changed files with `toytip version verify {version}`, "
                "or compute the version again with `toytip run --full-refresh`.",
            )
        return content


def _checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
