"""Places: a folder on a disk or in an object store, and how bytes come and go there.

Names are relative to the root, with `/` between their pieces, and cannot lead out of it. No place holds a secret:
every process finds its credentials in its own environment or profile.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from toytip.config import mask_credentials
from toytip.errors import ConfigError, StoreError

_NAME_SEGMENT = re.compile(r"[A-Za-z0-9._=-]{1,200}")


class FileInfo(NamedTuple):
    """A file as a listing tells it: bytes, what changes with its content, and when it was written (seconds)."""

    bytes: int
    etag: str
    modified: float


class FileIO(Protocol):
    """What the store asks of a place. All errors of the system come out as OSError."""

    def __hash__(self) -> int:
        """Places are values."""

    @property
    def supports_rename(self) -> bool:
        """Whether a folder can be moved in whole."""

    def read(self, name: str) -> bytes:
        """Return the bytes of a file. Raises FileNotFoundError."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all; one of that name is replaced."""

    def create(self, name: str, content: bytes) -> None:
        """Write a file, whole and exclusively. Raises FileExistsError where it is there already."""

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""

    def list_files(self, folder: str) -> dict[str, FileInfo]:
        """Return the files below a folder, by name; never from a cache."""

    def copy(self, source: str, target: str) -> None:
        """Make a file appear under a second name without moving its bytes through this process."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are gone already do not matter."""


def validate_name(name: str) -> str:
    """Return a name unless it could lead out of its place. Raises StoreError.

    >>> validate_name("features/version=v1/year=2023/month=1/part-00000.parquet")
    'features/version=v1/year=2023/month=1/part-00000.parquet'
    >>> validate_name("features/../../etc")
    Traceback (most recent call last):
    toytip.errors.StoreError: 'features/../../etc' is not a name that a store can hold; the store was tampered with
    """
    if not all(_NAME_SEGMENT.fullmatch(piece) and piece.strip(".") for piece in name.split("/")):
        raise StoreError(f"{name!r} is not a name that a store can hold; the store was tampered with")
    return name


def uri_scheme(uri: str) -> str:
    """Return what kind of address this is; `file` for a path. Raises ConfigError where it carries a password.

    >>> uri_scheme("s3://bucket/trips"), uri_scheme("./toytip-store")
    ('s3', 'file')
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return "file"
    if "@" in rest.partition("/")[0]:
        raise ConfigError(
            f"{mask_credentials(uri)}: no credentials in addresses, they end up in logs; "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    return scheme.lower()


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
