"""Files, conditional writes and locks in an object store, and the clients that access it."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from toytip.core.access import StorageOptions
from toytip.core.redact import mask_credentials
from toytip.io import lease
from toytip.io.base import FileInfo, Lock, validate_name

# A restarted server answers after half a minute. With this number of attempts, the clients retry
# for about one minute.
REQUEST_ATTEMPTS = 12
CONFLICT_ATTEMPTS = 8
# A file that is larger than twice this size is uploaded in pieces, several at a time.
PIECE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class S3FileIO:
    """A prefix in a bucket of an S3-compatible object store."""

    root: str
    storage_options: StorageOptions

    @property
    def fs(self) -> Any:
        """The file system of fsspec."""
        return s3_filesystem(self.storage_options)

    def path(self, name: str) -> str:
        """Return the bucket and the key of a file, as `bucket/key`."""
        return f"{self.root.removeprefix('s3://')}/{validate_name(name)}"

    def absolute(self) -> Self:
        """See FileIO."""
        return self

    def local_path(self, name: str) -> Path | None:  # noqa: ARG002 - part of the protocol
        """See FileIO."""
        return None

    def read(self, name: str) -> bytes:
        """See FileIO."""
        with translate_boto_errors():
            return bytes(self.fs.cat_file(self.path(name)))

    def local_checksum(self, name: str) -> str | None:  # noqa: ARG002 - part of the protocol
        """See FileIO."""
        return None

    def write(self, name: str, content: bytes) -> None:
        """See FileIO. The file becomes visible when all of its pieces are uploaded."""
        with translate_boto_errors():
            self.fs.pipe_file(self.path(name), content, chunksize=PIECE_BYTES)

    def create(self, name: str, content: bytes) -> None:
        """See FileIO."""
        self.put_conditional(name, content, IfNoneMatch="*")

    def put_conditional(self, name: str, content: bytes, **condition: str) -> str:
        """Write a file if a condition holds (`IfNoneMatch` or `IfMatch`). Returns the entity tag.

        A conflict with another writer does not show whether the condition holds, so the write is
        retried. If the condition does not hold but the file has this content, an earlier attempt
        succeeded and only the response was lost. If the condition does not hold for another
        reason, raises FileExistsError.
        """
        bucket, _, key = self.path(name).partition("/")
        for attempt in range(CONFLICT_ATTEMPTS):
            try:
                with translate_boto_errors():
                    response = self.fs.call_s3(
                        "put_object", Bucket=bucket, Key=key, Body=content, **condition
                    )
                return str(response["ETag"])
            except OSError as error:
                code = error_code(error)
                if code not in _PRECONDITION_FAILED_CODES | _CONFLICT_CODES:
                    raise
                if code in _PRECONDITION_FAILED_CODES:
                    with contextlib.suppress(FileNotFoundError), translate_boto_errors():
                        if self.read(name) == content:
                            return str(self.fs.info(self.path(name))["ETag"])
                    raise FileExistsError(f"{name} exists") from None
                time.sleep(0.05 * 2**attempt)
        raise OSError(
            f"{mask_credentials(self.root)}: {CONFLICT_ATTEMPTS} conditional writes in a row conflicted "
            "with another writer"
        )

    def exists(self, name: str) -> bool:
        """See FileIO."""
        with translate_boto_errors():
            return bool(self.fs.exists(self.path(name)))

    def list_files(self, folder: str) -> dict[str, FileInfo]:
        """See FileIO."""
        base = self.root.removeprefix("s3://") + "/"
        items: dict[str, Any] = {}
        # Some servers create a bucket with its first file.
        with translate_boto_errors(), contextlib.suppress(FileNotFoundError):
            items = self.fs.find(self.path(folder), detail=True, refresh=True)
        return {
            path.removeprefix(base): FileInfo(
                item["size"], str(item["ETag"]).strip('"'), item["LastModified"].timestamp()
            )
            for path, item in items.items()
            if "ETag" in item  # some servers list folders, which have no entity tag
        }

    def copy(self, source: str, target: str) -> None:
        """See FileIO. The server copies the file."""
        with translate_boto_errors():
            self.fs.cp_file(self.path(source), self.path(target))

    def remove(self, names: Iterable[str]) -> None:
        """See FileIO."""
        paths = [self.path(name) for name in names]
        if paths:
            with translate_boto_errors(), contextlib.suppress(FileNotFoundError):
                self.fs.rm(paths)

    def remove_folder(self, folder: str) -> None:
        """See FileIO."""
        self.remove(self.list_files(folder))

    def staging_folder(self, staged: str, final: str) -> str:  # noqa: ARG002 - part of the protocol
        """See FileIO. An object store cannot rename a folder, so files are written to `final`."""
        return final

    def publish_folder(self, staged: str, final: str) -> None:
        """See FileIO. The files are already in their final folder."""

    def withdraw_folder(self, final: str, staged: str) -> None:
        """See FileIO. Unpublished files stay in their final folder."""

    def abort_uploads(self, folder: str, keep: Collection[str] = ()) -> int:
        """See FileIO."""
        bucket, _, prefix = self.path(folder).partition("/")
        with translate_boto_errors():
            listing = self.fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/")
            uploads = [
                item
                for item in listing.get("Uploads") or ()
                if item["Key"].startswith(f"{prefix}/")
                and not any(f"/{segment}/" in item["Key"] for segment in keep)
            ]
            for item in uploads:
                self.fs.call_s3(
                    "abort_multipart_upload", Bucket=bucket, Key=item["Key"], UploadId=item["UploadId"]
                )
        return len(uploads)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[Lock]:
        """See FileIO. The lock is a lease that this process renews."""
        held = Lock()
        with lease.Lease(self, name).hold(held):
            yield held

    def expired_locks(self, folder: str) -> list[str]:
        """See FileIO."""
        return lease.expired_leases(self, folder)

    def remove_lock(self, name: str) -> None:
        """See FileIO."""
        self.remove([name + lease.LEASE_SUFFIX])


_PRECONDITION_FAILED_CODES = {"PreconditionFailed", "412"}
_CONFLICT_CODES = {"ConditionalRequestConflict", "OperationAborted", "409"}


def error_code(error: BaseException) -> str:
    """Return the error code of the object store, such as `AccessDenied`, or an empty string."""
    cause = error.__cause__
    response = getattr(error, "response", None) or getattr(cause, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def translate_boto_errors() -> Iterator[None]:
    """Raise OSError instead of an error of the S3 client, with the first line of its message."""
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except BotoCoreError as error:
        raise OSError(str(error).partition("\n")[0]) from error


@functools.lru_cache(maxsize=8)
def s3_filesystem(storage_options: StorageOptions) -> Any:
    """Return the file system of fsspec for an object store."""
    import s3fs

    return s3fs.S3FileSystem(
        anon=storage_options.anonymous,
        endpoint_url=storage_options.endpoint_url,
        config_kwargs={
            "retries": {"mode": "standard", "max_attempts": REQUEST_ATTEMPTS},
            "connect_timeout": 10,
            "s3": {"addressing_style": "path"} if storage_options.endpoint_url else {},
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )


@functools.lru_cache(maxsize=8)
def arrow_s3_filesystem(storage_options: StorageOptions) -> Any:
    """Return Arrow's file system for an object store.

    This file system reads the columns of a file five times as fast as s3fs.
    """
    from pyarrow import fs

    scheme, _, host = (storage_options.endpoint_url or "").rpartition("://")
    return fs.S3FileSystem(
        anonymous=storage_options.anonymous,
        endpoint_override=host or None,
        scheme=scheme or "https",
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=REQUEST_ATTEMPTS),
    )


@functools.cache
def has_credentials() -> bool:
    """Return whether this process finds credentials in its environment, a profile or a role."""
    import botocore.session

    return botocore.session.Session().get_credentials() is not None
