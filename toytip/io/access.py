"""Access to a path or URI: its file system, its credentials, and its errors."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import fsspec

from toytip.core.access import StorageOptions
from toytip.core.redact import first_line, mask_credentials
from toytip.errors import ConfigError, SourceError, StoreError
from toytip.io import aws_profile
from toytip.io.base import FileIO, uri_scheme
from toytip.io.connection import locate_bucket
from toytip.io.endpoint import resolve_server
from toytip.io.http_files import client_options, http_file_fault, is_http, notice_of_silence
from toytip.io.local import LocalFileIO
from toytip.io.s3 import S3FileIO
from toytip.io.s3_clients import arrow_s3_filesystem, s3_filesystem
from toytip.io.s3_errors import BODYLESS_CODES, describe_fault, error_code, translate_boto_errors

# A path with one of these characters can be a pattern of several paths.
GLOB_CHARACTERS = re.compile(r"[*?\[]")
# The packages of file systems from which toytip reads sources, but on which it has no store.
FILESYSTEM_PACKAGES = {"gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs"}
CLOUD_HINT = "Check the address, and the credentials that gcsfs or adlfs uses."


def open_file_io(root: str, storage_options: StorageOptions) -> FileIO:
    """Return the file operations for a path or URI.

    Raises ConfigError for unsupported schemes, and for addresses on S3 that cannot be a store.
    """
    scheme = uri_scheme(root)
    if scheme == "s3":
        _require_store_address(root)
        return S3FileIO(root.rstrip("/"), storage_options)
    if scheme == "file":
        return LocalFileIO(root.removeprefix("file://").rstrip("/") or "/")
    raise ConfigError(
        f"cannot open the store {mask_credentials(root)}: {scheme}:// is not supported",
        hint="Set --store to a folder or to s3://bucket/prefix.",
    )


def _require_store_address(root: str) -> None:
    """Raise ConfigError if an address names no bucket, or has a segment that servers drop."""
    address = root.removeprefix("s3://").rstrip("/")
    if not address or _has_empty_segment(address):
        cause = "it has two slashes in a row" if address else "it names no bucket"
        raise ConfigError(
            f"cannot open the store {mask_credentials(root)}: {cause}",
            hint="Set --store to a folder or to s3://bucket/prefix.",
        )


def resolve_storage_options(uri: str, endpoint_url: str | None = None) -> StorageOptions:
    """Return the access options for a path or URI.

    Requests are signed if this process finds credentials in its environment, in a profile or in a
    role. The region is that of the bucket, if the server names the region. Raises ConfigError for
    an invalid profile or URL, and StoreError if the server cannot be used.
    """
    if uri_scheme(uri) != "s3":
        return StorageOptions()
    server = resolve_server(endpoint_url, os.environ, aws_profile.profile_values())
    bucket = uri.partition("://")[2].partition("/")[0]
    return replace(locate_bucket(server, bucket), anonymous=not aws_profile.has_credentials())


def open_file(uri: str, storage_options: StorageOptions) -> CountingFile:
    """Open a file for reading, and count the bytes read. Arrow's own client reads S3 files.

    Arrow refuses S3 keys with an empty segment, such as `a//b`, so s3fs reads these. Raises
    SourceError if an object store names the fault, for example an expired token.
    """
    name = mask_credentials(uri)
    if uri_scheme(uri) == "s3" and not _has_empty_segment(uri.removeprefix("s3://")):
        explain = functools.partial(_raise_fault, uri, storage_options)
        with _as_source_error_of_arrow(name, explain):
            stream = arrow_s3_filesystem(storage_options).open_input_file(uri.removeprefix("s3://"))
        return CountingFile(stream, name, explain)
    fs, path = open_filesystem(uri, storage_options)
    with as_source_error(f"cannot read {name}", uri), translate_boto_errors(), notice_of_silence(uri):
        return CountingFile(fs.open(path, "rb"), name)


def _has_empty_segment(path: str) -> bool:
    return "//" in path


def _raise_fault(uri: str, storage_options: StorageOptions) -> None:
    """Read the first byte of a file with s3fs, whose errors have the code of the server."""
    fs, path = open_filesystem(uri, storage_options)
    with translate_boto_errors():
        fs.cat_file(path, start=0, end=1)


@contextlib.contextmanager
def _as_source_error_of_arrow(name: str, explain: Callable[[], None] | None) -> Iterator[None]:
    """Raise SourceError if an object store names the fault. `explain` asks for the fault.

    Arrow's own errors do not have the code of the server.
    """
    with as_source_error(f"cannot read {name}", name):
        try:
            yield
        except OSError:
            if explain is not None:
                explain()
            raise


def file_info(uri: str, storage_options: StorageOptions) -> Mapping[str, Any]:
    """Return the size and the version of a file. Raises SourceError as `open_file` does."""
    fs, path = open_filesystem(uri, storage_options)
    name = mask_credentials(uri)
    with as_source_error(f"cannot read {name}", uri), translate_boto_errors(), notice_of_silence(uri):
        try:
            return dict(fs.info(path))
        except OSError as error:
            if error_code(error) in BODYLESS_CODES:
                _raise_fault(uri, storage_options)
            raise


def open_filesystem(uri: str, storage_options: StorageOptions) -> tuple[Any, str]:
    """Return the fsspec file system of a path or URI, and the path on this file system.

    Raises SourceError if the file system needs a package that is not installed.
    """
    scheme = uri_scheme(uri)
    if scheme == "s3":
        return s3_filesystem(storage_options), uri.removeprefix("s3://")
    if FILESYSTEM_PACKAGES.get(scheme) == "gcsfs":  # it logs each failed request with a traceback
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    try:
        fs, path = fsspec.core.url_to_fs(uri, **(client_options(uri) if is_http(uri) else {}))
    except ImportError as error:
        package = FILESYSTEM_PACKAGES.get(scheme)  # others do not have the name of their scheme
        needed = f"the package {package}" if package else f"another package ({first_line(error)})"
        fix = f"Run `pip install {package}`" if package else "Install the package"
        raise SourceError(
            f"cannot read {mask_credentials(uri)}: {scheme}:// needs {needed}",
            hint=f"{fix} in the environment of toytip and of all workers, or copy the files to a folder.",
        ) from None
    return fs, str(path)


def cause_of_empty_list(location: str, storage_options: StorageOptions) -> str:
    """Return why a folder, glob or URI has no files of trips.

    Raises FileNotFoundError if the bucket does not exist.
    """
    fs, path = open_filesystem(location, storage_options)
    with translate_boto_errors():
        if uri_scheme(location) == "s3":
            bucket, _, key = path.partition("/")
            prefix = GLOB_CHARACTERS.split(key)[0]
            fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        if fs.exists(path):
            slashes = ", and it has two slashes in a row" if _has_empty_segment(path) else ""
            return f"it contains no Parquet or CSV files{slashes}"
    return "no file matches it" if GLOB_CHARACTERS.search(path) else "it does not exist"


class CountingFile:
    """A file that counts the bytes read.

    `total_bytes` is the total of all files of this process.
    """

    total_bytes = 0
    _lock = threading.Lock()

    def __init__(self, stream: Any, name: str, explain: Callable[[], None] | None = None) -> None:
        self._stream, self._name, self._explain = stream, name, explain

    def read(self, size: int = -1) -> bytes:
        """Read bytes and count them."""
        with _as_source_error_of_arrow(self._name, self._explain):
            content = bytes(self._stream.read(size) if size >= 0 else self._stream.read())
        self._count(len(content))
        return content

    def readinto(self, buffer: memoryview) -> int:
        """Read into a buffer and count the bytes."""
        with _as_source_error_of_arrow(self._name, self._explain):
            size = int(self._stream.readinto(buffer))
        self._count(size)
        return size

    def seekable(self) -> bool:
        """Return whether bytes can be read again, unlike those of an HTTP answer without a size."""
        return bool(self._stream.seekable()) and getattr(self._stream, "size", 0) is not None

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
        fault = describe_fault(error)
        cause = error.strerror or mask_credentials(str(error).partition("\n")[0]) or type(error).__name__
        hint = (
            "Check the path in --store, and your permissions or credentials for it."
            if isinstance(error, PermissionError)
            else "Check the path in --store, the free space and your permissions."
        )
        cause, hint = fault or (cause.lower().rstrip("."), hint)
        raise StoreError(f"{failure}: {cause}", hint=hint) from None


@contextlib.contextmanager
def as_source_error(failure: str, uri: str = "") -> Iterator[None]:
    """Raise SourceError instead of an OSError in which a server or its absence is the fault.

    `uri` is the file, whose proxy can be the fault.
    """
    try:
        yield
    except OSError as error:
        if fault := describe_fault(error) or http_file_fault(error, uri):
            raise SourceError(f"{failure}: {fault.cause}", hint=fault.hint) from None
        raise
    except Exception as error:
        # The clients of HTTP servers and of other clouds have errors that are not OSErrors.
        client = type(error).__module__
        if client.startswith("aiohttp.") and (fault := http_file_fault(error, uri)):
            raise SourceError(f"{failure}: {fault.cause}", hint=fault.hint) from None
        if not client.startswith(("azure.", "gcsfs.", "google.")):
            raise
        raise SourceError(f"{failure}: {first_line(error)}", hint=CLOUD_HINT) from None
