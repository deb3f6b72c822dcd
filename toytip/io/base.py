"""The protocol for file operations in a folder on a local disk or in an object store.

File names are relative to the root of the folder, use `/` as separator, and cannot point outside
the root. A `FileIO` contains no credentials. Each process reads credentials from its own
environment or profile.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from toytip.core.redact import mask_credentials
from toytip.errors import ConfigError, StoreError

_NAME_SEGMENT = re.compile(r"[A-Za-z0-9._=-]{1,200}")


class FileInfo(NamedTuple):
    """A file in a listing."""

    bytes: int
    """Size in bytes."""
    etag: str
    """Entity tag, or a different text that changes with the content."""
    modified: float
    """Time of the last modification, in seconds since the Unix epoch."""


class LockHeldError(Exception):
    """Another process holds the lock. `holder` describes this process, or is empty."""

    def __init__(self, holder: str = "", *, hint: str = "") -> None:
        super().__init__(holder)
        self.holder = holder
        self.hint = hint


class LockLostError(Exception):
    """Another process has replaced a lock that this process could not renew in time."""


@dataclass
class Lock:
    """A lock that this process holds. With `keep`, the lock file remains after release."""

    keep: bool = False


class FileIO(Protocol):
    """The file operations that the store needs. A failed operation raises OSError."""

    @property
    def root(self) -> str:
        """The path or URI of the folder."""

    def __hash__(self) -> int:
        """Return a hash. Equal folders have equal hashes."""

    def absolute(self) -> Self:
        """Return the folder with a root that does not depend on the current folder."""

    def local_path(self, name: str) -> Path | None:
        """Return the path of a file, or None if the file is not on a local disk."""

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises FileNotFoundError."""

    def local_checksum(self, name: str) -> str | None:
        """Return the SHA-256 checksum of a file, or None if the file is not on a local disk.

        Raises FileNotFoundError.
        """

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically. An existing file is replaced."""

    def create(self, name: str, content: bytes) -> None:
        """Create a file atomically. Raises FileExistsError if the file exists."""

    def exists(self, name: str) -> bool:
        """Return whether a file exists."""

    def list_files(self, folder: str) -> dict[str, FileInfo]:
        """Return the files below a folder, by name. The listing never comes from a cache."""

    def copy(self, source: str, target: str) -> None:
        """Copy a file, without reading its bytes in this process. Raises FileNotFoundError."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files. Missing files are ignored."""

    def remove_folder(self, folder: str) -> None:
        """Remove a folder and all files below it."""

    def staging_folder(self, staged: str, final: str) -> str:
        """Return the folder that holds files until publication.

        The result is `staged` if `publish_folder` can rename a folder, otherwise `final`.
        """

    def publish_folder(self, staged: str, final: str) -> None:
        """Rename a staged folder to `final` in one step.

        Raises OSError if `final` contains files.
        """

    def withdraw_folder(self, final: str, staged: str) -> None:
        """Move the files of an incomplete publication from their final folder back to staging."""

    def abort_uploads(self, folder: str, keep: Collection[str] = ()) -> int:
        """Abort incomplete uploads below a folder, and return their number.

        An upload continues if its path contains one of the segments in `keep`.
        """

    def require_guarantees(self, folder: str) -> None:
        """Raise StoreError unless files and locks in a folder have the guarantees of this class.

        Called before a run, because some file systems and servers lack locks or ignore conditions.
        """

    def lock(self, name: str) -> AbstractContextManager[Lock]:
        """Hold an exclusive lock with this name. Raises LockHeldError or LockLostError."""

    def expired_locks(self, folder: str) -> list[str]:
        """Return the names of the unreleased locks in a folder whose holders have ended."""

    def remove_lock(self, name: str) -> None:
        """Remove an expired lock."""


def validate_name(name: str) -> str:
    """Return a file name. Raises StoreError if the name is not valid or points outside the root.

    >>> validate_name("features/version=v1/year=2023/month=1/part-00000.parquet")
    'features/version=v1/year=2023/month=1/part-00000.parquet'
    """
    if not all(_NAME_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in name.split("/")):
        raise StoreError(
            f"cannot use the file name {name!r}: it is not valid in a store",
            hint="The store may have been tampered with. Check who can write to the store.",
        )
    return name


# Schemes of Azure whose addresses can contain the account: abfs://container@account/path.
ACCOUNT_SCHEMES = ("abfs", "abfss", "wasb", "wasbs")


def uri_scheme(uri: str) -> str:
    """Return the scheme of a URI, or `file` for a path.

    Raises ConfigError if the URI contains credentials.

    >>> uri_scheme("s3://bucket/trips"), uri_scheme("./toytip-store")
    ('s3', 'file')
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return "file"
    if "@" in rest.partition("/")[0] and scheme.lower() in ACCOUNT_SCHEMES:
        raise ConfigError(
            f"cannot use {scheme}://{rest}: the address contains the storage account",
            hint=f"Write {scheme}://CONTAINER/PATH, and set AZURE_STORAGE_ACCOUNT_NAME to the account.",
        )
    if "@" in rest.partition("/")[0]:
        raise ConfigError(
            f"cannot use {mask_credentials(uri)}: URLs must not contain credentials",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
        )
    return scheme.lower()
