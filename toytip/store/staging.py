"""Unpublished versions: their locks, the notes that mark complete files, and their removal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from toytip.core.jsonable import dump_json
from toytip.core.partitions import DataFile
from toytip.core.tables import TABLES
from toytip.errors import StoreError
from toytip.io.base import FileIO, Lock, LockHeldError, LockLostError
from toytip.store.layout import Layout
from toytip.store.manifest import Manifest, data_file_adapter


@dataclass(frozen=True)
class StagingArea:
    """The unpublished versions of a store. Methods raise OSError if a file operation fails."""

    file_io: FileIO
    layout: Layout

    def folder(self, table: str, version: str) -> str:
        """Return the folder that holds the files of a version until publication."""
        return self.file_io.staging_folder(
            self.layout.staged_folder(table, version), self.layout.version_folder(table, version)
        )

    @contextlib.contextmanager
    def lock(self, version: str) -> Iterator[Lock]:
        """Hold the lock of a version.

        Raises StoreError if another run holds or replaces the lock.
        """
        try:
            with self.file_io.lock(self.layout.staged_version(version)) as lock:
                yield lock
        except LockHeldError as error:
            holder = f" ({error.holder})" if error.holder else ""
            raise StoreError(
                f"cannot write version {version}: another run holds its lock{holder}",
                hint=f"Wait for the other run to finish, or use a different --version-id. {error.hint}".rstrip(),
            ) from None
        except LockLostError:
            raise StoreError(
                f"cannot write version {version}: another run replaced the lock of this run",
                hint="Nothing was published. Run the command again with a different --version-id.",
            ) from None

    def complete(self, manifest: Manifest) -> None:
        """Move the files of a table to their final folder, and write the manifest of the table.

        Staged files that the manifest does not list are removed. After an interruption, the final
        folder of a table without a manifest is removed.
        """
        table, version = manifest.table, manifest.version
        staged, final = self.folder(table, version), self.layout.version_folder(table, version)
        manifest_name = self.layout.manifest(table, version)
        self.file_io.remove([manifest_name])
        listed = {f"{staged}/{file.path}" for file in manifest.files}
        self.file_io.remove(name for name in self.file_io.list_files(staged) if name not in listed)
        if staged != final:
            self.file_io.remove_folder(final)
        try:
            self.file_io.publish_folder(staged, final)
            self.file_io.create(manifest_name, manifest.to_json())
        except KeyboardInterrupt:
            if staged != final and not self.file_io.exists(manifest_name):
                self.file_io.remove_folder(final)
            raise

    def abandoned_versions(self) -> list[str]:
        """Return the versions whose runs have ended without removing their lock."""
        return [name.rpartition("/")[2] for name in self.file_io.expired_locks(self.layout.staging)]

    def active_versions(self) -> set[str]:
        """Return the versions that runs are writing."""
        staged = {
            self.layout.staged_version_of(name) for name in self.file_io.list_files(self.layout.staging)
        }
        return {version for version in staged if version} - set(self.abandoned_versions())

    def remove_lock(self, version: str) -> None:
        """Remove the lock of a version whose run has ended."""
        self.file_io.remove_lock(self.layout.staged_version(version))

    def restage(self, version: str) -> None:
        """Move the files back that a killed run moved out of staging without a manifest."""
        for table in TABLES:
            final = self.layout.version_folder(table.name, version)
            staged = self.folder(table.name, version)
            if staged != final and not self._is_complete(table.name, version):
                self.file_io.withdraw_folder(final, staged)

    def _is_complete(self, table: str, version: str) -> bool:
        return self.file_io.exists(self.layout.manifest(table, version))

    def write_note(self, table: str, version: str, file: DataFile) -> None:
        """Record that a data file is complete."""
        name = f"{file.key.month}-{file.key.number:05d}"
        self.file_io.write(self.layout.note(table, version, name), dump_json(asdict(file)).encode())

    def has_complete_files(self, version: str) -> bool:
        """Return whether a version has files that a later run can reuse."""
        return bool(self.file_io.list_files(self.layout.notes(version)))

    def complete_files(self, table: str) -> Iterator[tuple[str, DataFile]]:
        """Yield the complete unpublished data files of a table, each with its version."""
        for name in self.file_io.list_files(self.layout.staging):
            version_and_table = self.layout.parse_note(name)
            if version_and_table is not None and version_and_table[1] == table:
                with contextlib.suppress(ValueError, FileNotFoundError):
                    yield version_and_table[0], data_file_adapter().validate_json(self.file_io.read(name))

    def discard(self, version: str) -> None:
        """Remove the unpublished files of a version."""
        staged = self.file_io.list_files(self.layout.staged_version(version))
        notes = [self.layout.parse_note(name) for name in staged]
        for table in {note[1] for note in notes if note is not None}:
            folder = self.folder(table, version)
            self.file_io.abort_uploads(folder)
            if not self._is_complete(table, version):
                self.file_io.remove(self.file_io.list_files(folder))
        self.file_io.remove(staged)
