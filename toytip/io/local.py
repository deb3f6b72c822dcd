"""Files in a local folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toytip.io.base import FileInfo, validate_name


def _ignore_missing_folder(error: OSError) -> None:
    """Go on with a listing where a folder is gone by now (another run has just published it), or is not for us to see."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        raise error


@dataclass(frozen=True)
class LocalFileIO:
    """A folder that this machine, or all machines of the cluster, can reach as a path."""

    root: str

    @property
    def supports_rename(self) -> bool:
        """A disk can."""
        return True

    def path(self, name: str) -> Path:
        """Return the path of a name."""
        return Path(self.root, validate_name(name))

    def read(self, name: str) -> bytes:
        """See FileIO."""
        try:
            return self.path(name).read_bytes()
        except NotADirectoryError as error:
            raise FileNotFoundError(error.errno, error.strerror) from None

    def write(self, name: str, content: bytes) -> None:
        """See FileIO."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._temporary_file(target, content) as part:
            part.replace(target)

    def create(self, name: str, content: bytes) -> None:
        """See FileIO."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._temporary_file(target, content) as part:
            os.link(part, target)

    @contextlib.contextmanager
    def _temporary_file(self, target: Path, content: bytes) -> Iterator[Path]:
        # A dot in front: no glob, and no reader of a folder, takes it for a part.
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            part.write_bytes(content)
            yield part
        finally:
            part.unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        """See FileIO."""
        return self.path(name).is_file()

    def list_files(self, folder: str) -> dict[str, FileInfo]:
        """See FileIO."""
        found: dict[str, FileInfo] = {}
        for above, _, names in os.walk(self.path(folder), onerror=_ignore_missing_folder):
            for path in (Path(above, name) for name in names):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file():
                        stat, key = path.stat(), path.relative_to(self.root).as_posix()
                        found[key] = FileInfo(stat.st_size, str(stat.st_mtime_ns), stat.st_mtime)
        return found

    def copy(self, source: str, target: str) -> None:
        """See FileIO. Files are linked: neither is changed, ever."""
        path = self.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(self.path(source), path)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            shutil.copyfile(self.path(source), path)

    def remove(self, names: Iterable[str]) -> None:
        """See FileIO. Folders that are left empty go too."""
        for name in names:
            path = self.path(name)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                for parent in path.relative_to(self.root).parents[:-1]:
                    (Path(self.root) / parent).rmdir()

    def move(self, source: str, target: str) -> None:
        """Move a file, or a folder in whole. Raises FileExistsError for a folder that is there and not empty."""
        path = self.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path(source).rename(path)
