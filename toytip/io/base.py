"""Places: a folder on a disk or in an object store, and how bytes come and go there.

Names are relative to the root, with `/` between their pieces, and cannot lead out of it. No place holds a secret:
every process finds its credentials in its own environment or profile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
