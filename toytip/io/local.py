"""Files and locks in a local folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from toytip.errors import StoreError
from toytip.io.base import FileInfo, Lock, LockHeldError, validate_name
from toytip.io.file_locks import lock_file, no_locks

LOCK_SUFFIX = ".lock"
LOCK_ATTEMPTS = 8
# The errors of `link` on a file system without hard links, for example exFAT or a network share.
NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}


def _ignore_missing_folder(error: OSError) -> None:
    """Continue a listing if another run has just moved a folder, or if a folder is not readable."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        raise error


@dataclass(frozen=True)
class LocalFileIO:
    """A folder that this machine, or every machine of a cluster, can access by its path."""

    root: str

    def path(self, name: str) -> Path:
        """Return the path of a name. Raises StoreError if the name points outside the folder."""
        return Path(self.root, validate_name(name))

    def absolute(self) -> Self:
        """See FileIO."""
        return replace(self, root=str(Path(self.root).absolute()))

    def local_path(self, name: str) -> Path | None:
        """See FileIO."""
        return self.path(name)

    def read(self, name: str) -> bytes:
        """See FileIO."""
        try:
            return self.path(name).read_bytes()
        except NotADirectoryError as error:
            raise FileNotFoundError(error.errno, error.strerror) from None

    def local_checksum(self, name: str) -> str | None:
        """See FileIO."""
        return hashlib.sha256(self.read(name)).hexdigest()

    def write(self, name: str, content: bytes) -> None:
        """See FileIO."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._temporary_file(target, content) as temporary:
            temporary.replace(target)

    def create(self, name: str, content: bytes) -> None:
        """See FileIO."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._temporary_file(target, content) as temporary:
            try:
                os.link(temporary, target)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                self._rename_if_missing(temporary, target)

    def _rename_if_missing(self, temporary: Path, target: Path) -> None:
        """Give a file its name, unless a file has the name, on a file system without hard links.

        The lock of the folder excludes other writers.
        """
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            lock_file(descriptor, target, wait=True)
            if target.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
            temporary.rename(target)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _temporary_file(self, target: Path, content: bytes) -> Iterator[Path]:
        # Glob patterns and readers of a folder skip names that start with a dot.
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            temporary.write_bytes(content)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        """See FileIO."""
        return self.path(name).is_file()

    def list_files(self, folder: str) -> dict[str, FileInfo]:
        """See FileIO."""
        files: dict[str, FileInfo] = {}
        for parent, _, names in os.walk(self.path(folder), onerror=_ignore_missing_folder):
            for path in (Path(parent, name) for name in names):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file():
                        stat, key = path.stat(), path.relative_to(self.root).as_posix()
                        files[key] = FileInfo(stat.st_size, str(stat.st_mtime_ns), stat.st_mtime)
        return files

    def copy(self, source: str, target: str) -> None:
        """See FileIO. The copy is a hard link, which is safe because neither file ever changes."""
        path = self.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(self.path(source), path)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without hard links
            shutil.copyfile(self.path(source), path)

    def remove(self, names: Iterable[str]) -> None:
        """See FileIO. Folders that become empty are removed as well."""
        for name in names:
            path = self.path(name)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                for parent in path.relative_to(self.root).parents[:-1]:
                    (Path(self.root) / parent).rmdir()

    def remove_folder(self, folder: str) -> None:
        """See FileIO."""
        self.remove(self.list_files(folder))
        with contextlib.suppress(OSError):
            self.path(folder).rmdir()

    def staging_folder(self, staged: str, final: str) -> str:  # noqa: ARG002 - part of the protocol
        """See FileIO."""
        return staged

    def publish_folder(self, staged: str, final: str) -> None:
        """See FileIO."""
        path = self.path(final)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path(staged).rename(path)

    def withdraw_folder(self, final: str, staged: str) -> None:
        """See FileIO."""
        for name in self.list_files(final):
            target = self.path(staged + name.removeprefix(final))
            target.parent.mkdir(parents=True, exist_ok=True)
            self.path(name).rename(target)
        shutil.rmtree(self.path(final), ignore_errors=True)

    def abort_uploads(self, folder: str, keep: Collection[str] = ()) -> int:  # noqa: ARG002 - part of FileIO
        """See FileIO. A local disk has no uploads."""
        return 0

    def require_guarantees(self, folder: str) -> None:
        """See FileIO. The file system must have locks that exclude other processes."""
        name = f"{folder}/probe-{secrets.token_hex(8)}"
        path = self.path(name)
        try:
            self.create(name, b"")
            with path.open("a") as first, path.open("a") as second:
                lock_file(first.fileno(), path)
                with contextlib.suppress(BlockingIOError):
                    lock_file(second.fileno(), path)
                    raise no_locks(path, "the locks of the file system do not exclude other processes")
        finally:
            self.remove([name])

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[Lock]:
        """See FileIO. The operating system releases the lock when the process ends."""
        path = self.path(name + LOCK_SUFFIX)
        path.parent.mkdir(parents=True, exist_ok=True)
        held = Lock()
        with contextlib.ExitStack() as stack:
            for _ in range(LOCK_ATTEMPTS):
                file = stack.enter_context(path.open("a"))
                # Retry if `expired_locks` holds the lock for a moment, or if the previous holder
                # has just removed the lock file.
                with contextlib.suppress(BlockingIOError, FileNotFoundError):
                    lock_file(file.fileno(), path)
                    if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                        break
                time.sleep(0.1)
            else:
                raise LockHeldError
            try:
                yield held
            finally:
                if not held.keep:
                    path.unlink(missing_ok=True)

    def expired_locks(self, folder: str) -> list[str]:
        """See FileIO."""
        locks = self.path(folder).glob(f"*{LOCK_SUFFIX}")
        return [f"{folder}/{path.stem}" for path in locks if _is_unlocked(path)]

    def remove_lock(self, name: str) -> None:
        """See FileIO."""
        self.remove([name + LOCK_SUFFIX])


def _is_unlocked(path: Path) -> bool:
    with contextlib.suppress(OSError, StoreError), path.open("r+") as file:
        lock_file(file.fileno(), path)
        return True
    return False
