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

from toytip.config import mask_credentials
from toytip.core.access import StorageOptions
from toytip.errors import ConfigError, StoreError
from toytip.io.base import FileIO, uri_scheme
from toytip.io.local import LocalFileIO
from toytip.io.s3 import S3FileIO, arrow_s3_filesystem, has_credentials, s3_filesystem


def open_file_io(root: str, storage_options: StorageOptions) -> FileIO:
    """Return the place of a path or URI. Raises ConfigError for what no store can stand on."""
    scheme = uri_scheme(root)
    if scheme == "s3":
        return S3FileIO(root.rstrip("/"), storage_options)
    if scheme == "file":
        return LocalFileIO(root.removeprefix("file://").rstrip("/") or "/")
    raise ConfigError(
        f"--store {mask_credentials(root)}: a store is a folder or s3://bucket/prefix, not {scheme}://"
    )


def resolve_storage_options(uri: str, endpoint_url: str | None = None) -> StorageOptions:
    """Return how to reach an address: signed where this process finds credentials, in the environment or a profile."""
    if uri_scheme(uri) != "s3":
        return StorageOptions()
    endpoint_url = (
        endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    )
    if endpoint_url:
        require_reachable(endpoint_url)
    return StorageOptions(endpoint_url, anonymous=not has_credentials())


def require_reachable(url: str, service: str = "S3 server") -> None:
    """Raise StoreError where nobody listens: the clients themselves would try for a minute."""
    parts = urllib.parse.urlsplit(url)
    port = {"http": 80, "https": 443}.get(parts.scheme)
    if parts.hostname is None or port is None:
        raise ConfigError(f"{url} is not an address of a server; write it as http://127.0.0.1:8333")
    try:
        socket.create_connection((parts.hostname, parts.port or port), timeout=5).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"no {service} answers at {mask_credentials(url)}: {reason.lower()}; is it running?"
        ) from None


def open_file(uri: str, storage_options: StorageOptions) -> CountingFile:
    """Open a file for reading, its bytes counted; columns come from an object store through Arrow's own client."""
    if uri_scheme(uri) == "s3":
        return CountingFile(arrow_s3_filesystem(storage_options).open_input_file(uri.removeprefix("s3://")))
    fs, path = open_filesystem(uri, storage_options)
    return CountingFile(fs.open(path, "rb"))


def open_filesystem(uri: str, storage_options: StorageOptions) -> tuple[Any, str]:
    """Return the file system of fsspec for an address, and the path on it."""
    if uri_scheme(uri) == "s3":
        return s3_filesystem(storage_options), uri.removeprefix("s3://")
    fs, path = fsspec.core.url_to_fs(uri)
    return fs, str(path)


class CountingFile:
    """A file that counts what is read of it, for this process' sum."""

    total_bytes = 0
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
        with CountingFile._lock:
            CountingFile.total_bytes += size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def source_bytes_read() -> int:
    """Return the bytes of sources that this process has read so far."""
    return CountingFile.total_bytes


@contextlib.contextmanager
def as_store_error(failure: str, passed_through: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Turn the system's errors into ours: what could not be done, and the system's reason."""
    try:
        yield
    except passed_through:
        raise
    except OSError as error:
        reason = error.strerror or mask_credentials(str(error).partition("\n")[0]) or type(error).__name__
        raise StoreError(
            f"{failure}: {reason.lower()}; check --store, its space and your rights there"
        ) from None
