"""Addresses: the place that one means, how it is reached, what is said where it fails, and the bytes read of it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any, Self

import fsspec

from toytip.config import mask
from toytip.errors import ConfigError, StoreError
from toytip.place import Disk, Place, scheme_of
from toytip.s3 import Bucket, arrow_s3, has_credentials, s3
from toytip.values import Access


def place_of(root: str, access: Access) -> Place:
    """Return the place of a path or URI. Raises ConfigError for what no store can stand on."""
    scheme = scheme_of(root)
    if scheme == "s3":
        return Bucket(root.rstrip("/"), access)
    if scheme == "file":
        return Disk(root.removeprefix("file://").rstrip("/") or "/")
    raise ConfigError(f"--store {mask(root)}: a store is a folder or s3://bucket/prefix, not {scheme}://")


def access_of(uri: str, endpoint: str | None = None) -> Access:
    """Return how to reach an address: signed where this process finds credentials, in the environment or a profile."""
    if scheme_of(uri) != "s3":
        return Access()
    endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    if endpoint:
        knock(endpoint)
    return Access(endpoint, anonymous=not has_credentials())


def knock(endpoint: str, what: str = "S3 server") -> None:
    """Raise StoreError where nobody listens: the clients themselves would try for a minute."""
    parts = urllib.parse.urlsplit(endpoint)
    port = {"http": 80, "https": 443}.get(parts.scheme)
    if parts.hostname is None or port is None:
        raise ConfigError(f"{endpoint} is not an address of a server; write it as http://127.0.0.1:8333")
    try:
        socket.create_connection((parts.hostname, parts.port or port), timeout=5).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"no {what} answers at {mask(endpoint)}: {reason.lower()}; is it running?") from None


def open_file(uri: str, access: Access) -> Counted:
    """Open a file for reading, its bytes counted; columns come from an object store through Arrow's own client."""
    if scheme_of(uri) == "s3":
        return Counted(arrow_s3(access).open_input_file(uri.removeprefix("s3://")))
    fs, path = filesystem(uri, access)
    return Counted(fs.open(path, "rb"))


def filesystem(uri: str, access: Access) -> tuple[Any, str]:
    """Return the file system of fsspec for an address, and the path on it."""
    if scheme_of(uri) == "s3":
        return s3(access), uri.removeprefix("s3://")
    fs, path = fsspec.core.url_to_fs(uri)
    return fs, str(path)


class Counted:
    """A file that counts what is read of it, for this process' sum."""

    total = 0
    _lock = threading.Lock()

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Read, and count."""
        content = bytes(self._stream.read(size) if size >= 0 else self._stream.read())
        self._count(len(content))
        return content

    def readinto(self, buffer: memoryview) -> int:
        """Read into a buffer, and count."""
        size = int(self._stream.readinto(buffer))
        self._count(size)
        return size

    @staticmethod
    def _count(size: int) -> None:
        with Counted._lock:
            Counted.total += size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def bytes_read() -> int:
    """Return the bytes of sources that this process has read so far."""
    return Counted.total


@contextlib.contextmanager
def saying(what: str, but: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Turn the system's errors into ours: what could not be done, and the system's reason."""
    try:
        yield
    except but:
        raise
    except OSError as error:
        reason = error.strerror or mask(str(error).partition("\n")[0]) or type(error).__name__
        raise StoreError(
            f"{what}: {reason.lower()}; check --store, its space and your rights there"
        ) from None
