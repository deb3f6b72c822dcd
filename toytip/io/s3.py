"""Files, conditional writes and locks in an object store."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from toytip.core.access import StorageOptions
from toytip.core.redact import mask_credentials
from toytip.errors import StoreError
from toytip.io import lease
from toytip.io.base import FileInfo, Lock, validate_name
from toytip.io.s3_clients import s3_filesystem
from toytip.io.s3_errors import (
    CHECKSUM_HINT,
    CONDITION_HINT,
    CONFLICT_CODES,
    NO_BULK_DELETE_CODES,
    NOT_IMPLEMENTED_CODES,
    PRECONDITION_FAILED_CODES,
    error_code,
    translate_boto_errors,
)

CONFLICT_ATTEMPTS = 8
# The largest number of files that one request can delete.
DELETE_BATCH_FILES = 1_000
# Servers that can delete only one file per request.
_without_bulk_delete: set[StorageOptions] = set()
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
                if code not in PRECONDITION_FAILED_CODES | CONFLICT_CODES:
                    raise
                if code in PRECONDITION_FAILED_CODES:
                    with contextlib.suppress(FileNotFoundError):
                        if self.read(name) == content and (etag := self._find_etag(name)):
                            return etag
                    raise FileExistsError(f"{name} exists") from None
                time.sleep(0.05 * 2**attempt)
        raise OSError(
            f"{mask_credentials(self.root)}: {CONFLICT_ATTEMPTS} conditional writes in a row conflicted "
            "with another writer"
        )

    def exists(self, name: str) -> bool:
        """See FileIO."""
        return self._find_etag(name) is not None

    def _find_etag(self, name: str) -> str | None:
        """Return the entity tag of a file, or None if the file does not exist.

        A listing starts with the shortest key that has the prefix. Unlike the response to a HEAD
        request, an error of a listing has a code.
        """
        bucket, _, key = self.path(name).partition("/")
        with translate_boto_errors():
            listing = self.fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
        return next((str(item["ETag"]) for item in listing.get("Contents") or () if item["Key"] == key), None)

    def list_files(self, folder: str) -> dict[str, FileInfo]:
        """See FileIO."""
        base = self.root.removeprefix("s3://") + "/"
        items: dict[str, Any] = {}
        try:
            with translate_boto_errors():
                items = self.fs.find(self.path(folder), detail=True, refresh=True)
        except FileNotFoundError as error:
            if error_code(error) == "NoSuchBucket":
                raise
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
        """See FileIO. Files are deleted one by one if the server cannot delete several at once."""
        paths = [self.path(name).partition("/") for name in names]
        for start in range(0, len(paths), DELETE_BATCH_FILES):
            batch = paths[start : start + DELETE_BATCH_FILES]
            self._remove_keys(batch[0][0], [key for _, _, key in batch])

    def _remove_keys(self, bucket: str, keys: list[str]) -> None:
        with translate_boto_errors(), contextlib.suppress(FileNotFoundError):
            if len(keys) > 1 and self.storage_options not in _without_bulk_delete:
                try:
                    self._remove_at_once(bucket, keys)
                except OSError as error:
                    if error_code(error) not in NO_BULK_DELETE_CODES:
                        raise
                    _without_bulk_delete.add(self.storage_options)
                else:
                    return
            for key in keys:
                self.fs.call_s3("delete_object", Bucket=bucket, Key=key)

    def _remove_at_once(self, bucket: str, keys: list[str]) -> None:
        objects = [{"Key": key} for key in keys]
        response = self.fs.call_s3(
            "delete_objects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True}
        )
        for error in response.get("Errors") or ():
            raise OSError(f"cannot delete {error.get('Key')}: {error.get('Message') or error.get('Code')}")

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

    def require_guarantees(self, folder: str) -> None:
        """See FileIO. The server must store bytes unchanged, and obey the conditions of writes."""
        name, content = f"{folder}/probe-{secrets.token_hex(8)}", secrets.token_bytes(64)
        failure = f"cannot use {mask_credentials(self.root)}"
        self.exists(name)  # fails if the bucket does not exist, which some servers would create
        try:
            obeys = self._obeys_conditions(name, content)
            if obeys and self.read(name) != content:
                cause = "the server returns different bytes than were written"
                raise StoreError(f"{failure}: {cause}", hint=CHECKSUM_HINT)
        finally:
            with contextlib.suppress(OSError):
                self.remove([name])
        if not obeys:
            raise StoreError(
                f"{failure}: the server does not support conditional writes", hint=CONDITION_HINT
            )

    def _obeys_conditions(self, name: str, content: bytes) -> bool:
        """Write a file, and return whether the server refuses writes whose condition is false."""
        try:
            self.create(name, content)
            for condition in ({"IfNoneMatch": "*"}, {"IfMatch": f'"{"0" * 32}"'}):
                with contextlib.suppress(FileExistsError):
                    self.put_conditional(name, secrets.token_bytes(64), **condition)
                    return False
        except OSError as error:
            if error_code(error) not in NOT_IMPLEMENTED_CODES:
                raise
            self.write(name, content)  # fails if the server refuses writes of any kind
            return False
        return True

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
