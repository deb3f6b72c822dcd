"""A store publishes the tables of a version in one step, and reads published versions."""

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
from toytip.store.run_manifest import RunManifest
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

        Unpublished files are removed when the context ends. Complete tables remain without a run
        manifest, so that the next run can reuse them. After a failure of the store or the cluster,
        complete data files remain in staging for the same purpose. Raises StoreError if the store
        is not writable, or if another run holds the lock of the version.
        """
        self.require_guarantees()
        self.scan_tables()
        staging = self._staging
        with contextlib.ExitStack() as stack:
            with self.writing():
                lock = stack.enter_context(staging.lock(validate_version(version)))
                for abandoned in {*staging.abandoned_versions(), version}:
                    staging.restage(abandoned)
            try:
                yield
            except (StoreError, ClusterError):
                with contextlib.suppress(OSError, StoreError):
                    has_files = staging.has_complete_files(version)
                    lock.keep = has_files or bool(self.unpublished_tables(version))
                    if not has_files:
                        staging.discard(version)
                raise
            except BaseException:
                with contextlib.suppress(OSError, StoreError):
                    lock.keep = bool(self.unpublished_tables(version))
                    staging.discard(version)
                raise
            with self.writing():
                staging.discard(version)

    def incomplete_versions(self) -> list[str]:
        """Return the unpublished versions of runs that have ended."""
        runs, unreadable = self.scan_runs()
        published = {run.version for run in runs} | {item.version for item in unreadable}
        return [version for version in self.abandoned_versions() if version not in published]

    def abandoned_versions(self) -> list[str]:
        """Return the versions, published or not, whose runs ended without removing their lock."""
        with self.reading():
            return self._staging.abandoned_versions()

    def active_versions(self) -> set[str]:
        """Return the versions that runs are writing."""
        with self.reading():
            return self._staging.active_versions()

    def purge(self, version: str) -> None:
        """Remove the lock, staging files and unused tables of a version whose run has ended."""
        tables, _ = self.scan_tables()
        used = catalog.used_refs(tables, self.list_runs())
        with self.writing():
            for manifest in tables:
                if manifest.version == version and manifest.ref not in used:
                    self._remove_table(manifest)
            self._staging.discard(version)
            self._staging.remove_lock(version)

    def unpublished_tables(self, version: str) -> list[Manifest]:
        """Return the complete tables of a version that no run manifest names."""
        published = catalog.published_refs(self.list_runs())
        tables, _ = self.scan_tables()
        return [item for item in tables if item.version == version and item.ref not in published]

    def _remove_table(self, manifest: Manifest) -> None:
        self.file_io.remove([self.layout.manifest(manifest.table, manifest.version)])
        self.file_io.remove_folder(self.layout.version_folder(manifest.table, manifest.version))

    def require_unpublished(self, version: str) -> None:
        """Raise StoreError if the version, or a table of the version, is already published.

        Published versions never change.
        """
        if version in {ref.version for ref in catalog.published_refs(self.list_runs())}:
            raise StoreError(
                f"cannot write version {version} in {self.display_uri}: it is already published",
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

    def staged_folder(self, table: str, version: str) -> str:
        """Return the folder that holds the files of an unpublished version."""
        return self._staging.folder(table, version)

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

        A file of a complete table has priority over a file in staging.
        """
        files: dict[str, ExistingDataFile] = {}
        staging = self._staging
        with self.reading():
            for version, file in staging.complete_files(table):
                name = f"{staging.folder(table, version)}/{file.path}"
                files[file.fingerprint] = ExistingDataFile(file, version, name)
        for manifest in self.list_tables(table):
            folder = self.layout.version_folder(table, manifest.version)
            for file in manifest.files:
                name = f"{folder}/{file.path}"
                files[file.fingerprint] = ExistingDataFile(file, manifest.version, name)
        return files

    def add_table(self, manifest: Manifest) -> Manifest:
        """Complete a table of an unpublished version: move its files out of staging.

        The table gets a manifest, but stays invisible until `publish`. It replaces a table that a
        killed run of this version completed. Raises StoreError if the version is already published.
        """
        self.require_unpublished(manifest.version)
        with as_store_error(f"cannot write {manifest.ref} in {self.display_uri}"):
            self._staging.complete(manifest)
        return manifest

    def publish(self, run: RunManifest) -> RunManifest:
        """Publish all tables of a version in one step: create its run manifest.

        Raises StoreError if the version is already published, or if one of the tables no longer
        exists.
        """
        for table, version in run.tables.items():
            if self.get_manifest(table, version) is None:
                raise StoreError(
                    f"cannot publish {run.version}: {table} {version} was deleted during the run",
                    hint="Run the command again.",
                )
        with self.writing(passed_through=FileExistsError):
            try:
                self.file_io.create(self.layout.run_manifest(run.version), run.to_json())
            except FileExistsError:
                raise StoreError(
                    f"cannot publish {run.version}: another run has already published it",
                    hint="Leave out --version-id to create a new version.",
                ) from None
        return run

    # reading versions

    def get_manifest(self, table: str, version: str) -> Manifest | None:
        """Return the manifest of a table, published or not, or None if it does not exist."""
        name = self.layout.manifest(table, version)
        with self.reading(passed_through=FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                return catalog.read_manifest(self.file_io, self.root, name)
            return None

    def require_manifest(self, table: str, version: str) -> Manifest:
        """Return the manifest of a table, published or not.

        Raises StoreError if it does not exist.
        """
        manifest = self.get_manifest(table, version)
        if manifest is None:
            raise StoreError(
                f"cannot read {table} {version} in {self.display_uri}: it does not exist",
                hint="List the versions with `toytip version list`.",
            )
        return manifest

    def get_run(self, version: str) -> RunManifest | None:
        """Return the run manifest of a version, or None if no run has published the version."""
        name = self.layout.run_manifest(version)
        with self.reading(passed_through=FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                return RunManifest.from_json(self.file_io.read(name), mask_credentials(self.uri_of(name)))
            return None

    def list_runs(self) -> list[RunManifest]:
        """Return the run manifests, oldest first. Raises StoreError if one is damaged."""
        runs, unreadable = self.scan_runs()
        if unreadable:
            raise unreadable[0].error
        return runs

    def scan_runs(self) -> tuple[list[RunManifest], list[UnreadableManifest]]:
        """Return the valid run manifests, oldest first, and the damaged ones."""
        with self.reading():
            return catalog.scan_run_manifests(self.file_io, self.root, self.layout.runs)

    def list_manifests(self, table: str | None = None) -> list[Manifest]:
        """Return the manifests of published tables, sorted by table and time.

        Raises StoreError if a manifest is damaged.
        """
        manifests, unreadable = self.scan_manifests(table)
        if unreadable:
            raise unreadable[0].error
        return manifests

    def scan_manifests(self, table: str | None = None) -> tuple[list[Manifest], list[UnreadableManifest]]:
        """Return the valid manifests of published tables, and the damaged ones.

        The manifests are sorted by table and time.
        """
        # The run manifests are read first: a run that is published meanwhile stays invisible.
        runs, unreadable_runs = self.scan_runs()
        published = catalog.published_refs(runs)
        tables, unreadable = self.scan_tables(table)
        return [item for item in tables if item.ref in published], unreadable_runs + unreadable

    def scan_tables(self, table: str | None = None) -> tuple[list[Manifest], list[UnreadableManifest]]:
        """Return the valid manifests of complete tables, published or not, and the damaged ones."""
        with self.reading():
            return catalog.scan_manifests(self.file_io, self.root, self.layout.manifests(table))

    def list_tables(self, table: str | None = None) -> list[Manifest]:
        """Return the manifests of all complete tables, published or not, sorted by table and time.

        Runs reuse these tables. Raises StoreError if a manifest is damaged.
        """
        tables, unreadable = self.scan_tables(table)
        if unreadable:
            raise unreadable[0].error
        return tables

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
