"""Access to a path or URI: its file system, its credentials, and its errors."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any, Self

import fsspec

from toytip.core.access import StorageOptions
from toytip.core.redact import mask_credentials
from toytip.errors import ConfigError, StoreError
from toytip.io.base import FileIO, uri_scheme
from toytip.io.local import LocalFileIO
from toytip.io.s3 import S3FileIO, arrow_s3_filesystem, has_credentials, s3_filesystem


def open_file_io(root: str, storage_options: StorageOptions) -> FileIO:
    """Return the file operations for a path or URI. Raises ConfigError for unsupported schemes."""
    scheme = uri_scheme(root)
    if scheme == "s3":
        return S3FileIO(root.rstrip("/"), storage_options)
    if scheme == "file":
        return LocalFileIO(root.removeprefix("file://").rstrip("/") or "/")
    raise ConfigError(
        f"cannot open the store {mask_credentials(root)}: {scheme}:// is not supported",
        hint="Set --store to a folder or to s3://bucket/prefix.",
    )


def resolve_storage_options(uri: str, endpoint_url: str | None = None) -> StorageOptions:
    """Return the access options for a path or URI.

    Requests are signed if this process finds credentials in its environment, in a profile or in a
    role. Raises StoreError if no server listens at the endpoint URL.
    """
    if uri_scheme(uri) != "s3":
        return StorageOptions()
    endpoint_url = (
        endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    )
    if endpoint_url:
        require_reachable(endpoint_url)
    return StorageOptions(endpoint_url, anonymous=not has_credentials())


def require_reachable(url: str, service: str = "S3 server") -> None:
    """Raise StoreError if no server listens at a URL.

    Without this check, the S3 clients would retry for a minute.
    """
    parts = urllib.parse.urlsplit(url)
    port = {"http": 80, "https": 443}.get(parts.scheme)
    if parts.hostname is None or port is None:
        raise ConfigError(
            f"cannot connect to the {service}: {mask_credentials(url)!r} is not the URL of a server",
            hint="Write the URL with its scheme, for example http://127.0.0.1:8333.",
        )
    try:
        socket.create_connection((parts.hostname, parts.port or port), timeout=5).close()
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise StoreError(
            f"cannot connect to the {service} at {mask_credentials(url)}: {cause}",
            hint="Check that the server is running, and that its URL is correct.",
        ) from None


def open_file(uri: str, storage_options: StorageOptions) -> CountingFile:
    """Open a file for reading, and count the bytes read. Arrow's own client reads S3 files."""
    if uri_scheme(uri) == "s3":
        return CountingFile(arrow_s3_filesystem(storage_options).open_input_file(uri.removeprefix("s3://")))
    fs, path = open_filesystem(uri, storage_options)
    return CountingFile(fs.open(path, "rb"))


def open_filesystem(uri: str, storage_options: StorageOptions) -> tuple[Any, str]:
    """Return the fsspec file system of a path or URI, and the path on this file system."""
    if uri_scheme(uri) == "s3":
        return s3_filesystem(storage_options), uri.removeprefix("s3://")
    fs, path = fsspec.core.url_to_fs(uri)
    return fs, str(path)


class CountingFile:
    """A file that counts the bytes read.

    `total_bytes` is the total of all files of this process.
    """

    total_bytes = 0
    _lock = threading.Lock()

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Read bytes and count them."""
        content = bytes(self._stream.read(size) if size >= 0 else self._stream.read())
        self._count(len(content))
        return content

    def readinto(self, buffer: memoryview) -> int:
        """Read into a buffer and count the bytes."""
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
    """Return the number of source bytes that this process has read."""
    return CountingFile.total_bytes


@contextlib.contextmanager
def as_store_error(failure: str, passed_through: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Raise StoreError instead of OSError.

    The message is `failure`, in the form `cannot <verb> <object>`, followed by the cause.
    """
    try:
        yield
    except passed_through:
        raise
    except OSError as error:
        cause = error.strerror or mask_credentials(str(error).partition("\n")[0]) or type(error).__name__
        raise StoreError(
            f"{failure}: {cause.lower().rstrip('.')}",
            hint="Check the path in --store, and your permissions or credentials for it."
            if isinstance(error, PermissionError)
            else "Check the path in --store, the free space and your permissions.",
        ) from None
