"""Download the TLC's monthly files over HTTP, in parallel, with resumption and validation."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import urllib3

from toytip.core.jsonable import dump_json
from toytip.core.months import Month
from toytip.core.redact import first_line, mask_credentials
from toytip.errors import SourceError
from toytip.io.connection import open_pool
from toytip.io.file_locks import lock_file
from toytip.sources.download_errors import RetryableError, failure_cause, raise_if_lasting

PARALLEL_DOWNLOADS = 4
DOWNLOAD_ATTEMPTS = 6
DOWNLOAD_BLOCK_BYTES = 2**18
MAX_RETRY_DELAY_SECONDS = 30.0
MAX_RETRY_AFTER_SECONDS = 60.0
# Redirects are followed. Each attempt to connect and to read is counted here, and not by urllib3.
REDIRECTS_ONLY = urllib3.Retry(total=5, redirect=5, connect=False, read=False, status=False, other=False)
# The TLC's server answers 403 to too many requests, and for months that are not published yet.
RETRYABLE_STATUSES = {403, 408, 425, 429, 500, 502, 503, 504}
LOCAL_FOLDER = "--output-dir or TOYTIP_DATA_DIR to a folder on a local disk"
REMOTE_ZONE_LOOKUP_NAME = "taxi_zone_lookup.csv"


@dataclass(frozen=True, kw_only=True)
class DownloadedFile:
    """A complete file in the download folder."""

    path: str
    """Path of the file."""
    size_bytes: int
    """Size of the file in bytes."""
    downloaded_bytes: int
    """Number of bytes that this command downloaded. 0 if the file already existed."""


@dataclass(frozen=True, kw_only=True)
class DownloadReport:
    """The result of a download: the files of the requested months, and the zone lookup file."""

    folder: str
    """Folder of the files."""
    files: tuple[DownloadedFile, ...]
    """Downloaded and existing files: one per month, and the zone lookup file."""


@dataclass(frozen=True)
class MonthDownloader:
    """Downloads monthly files from a server to a folder.

    `on_bytes` receives the size of each block. `retry_delay` is the delay after the first failed
    attempt, in seconds. The delay doubles with each further attempt.
    """

    base_url: str
    folder: Path
    on_bytes: Callable[[int], None]
    retry_delay: float = 0.5

    def download(self, taxi: str, months: Sequence[Month]) -> DownloadReport:
        """Download monthly files and the zone lookup file, except files that already exist.

        Raises SourceError for a month that has not ended, or else for the first file that cannot be
        downloaded. Partial files remain in the folder, and the next call resumes them.
        """
        _require_ended(months, dt.datetime.now(dt.UTC).date())
        remote_folders = {f"{taxi}_tripdata_{month}.parquet": "trip-data" for month in months}
        remote_folders[REMOTE_ZONE_LOOKUP_NAME] = "misc"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _lock_folder(self.folder):
                return DownloadReport(folder=str(self.folder), files=self._download_files(remote_folders))
        except OSError as error:
            raise SourceError(
                f"cannot write to {self.folder}: {first_line(error)}",
                hint="Set --output-dir or TOYTIP_DATA_DIR to a writable folder with enough free space.",
            ) from None

    def _download_files(self, remote_folders: dict[str, str]) -> tuple[DownloadedFile, ...]:
        """Download files in parallel, given the remote folder of each file name."""
        stop = threading.Event()
        with (
            open_pool(self.base_url, connections=PARALLEL_DOWNLOADS) as pool,
            ThreadPoolExecutor(PARALLEL_DOWNLOADS) as threads,
        ):
            try:
                downloads = [
                    threads.submit(
                        self._download_file, pool, stop, f"{self.base_url.rstrip('/')}/{remote}/{name}", name
                    )
                    for name, remote in remote_folders.items()
                ]
                return tuple(download.result() for download in downloads)
            finally:  # a failure or Ctrl-C cancels all downloads, but partial files remain
                stop.set()
                threads.shutdown(cancel_futures=True)

    def _download_file(
        self, pool: urllib3.PoolManager, stop: threading.Event, url: str, name: str
    ) -> DownloadedFile:
        target, partial = self.folder / name, _PartialFile(self.folder / f".{name}.part")
        if target.exists() and _file_problem(target) is None:
            return DownloadedFile(path=str(target), size_bytes=target.stat().st_size, downloaded_bytes=0)
        received, failures, cause, hint = 0, 0, "", ""
        while failures < DOWNLOAD_ATTEMPTS:
            previous_size = partial.size
            try:
                received += self._download_rest(pool, stop, url, partial)
                partial.verify(decode=received < partial.size or failures > 0)
            except (RetryableError, urllib3.exceptions.HTTPError) as error:
                raise_if_lasting(url, error)
                cause, hint = failure_cause(url, error)
                # An attempt that received bytes resets the number of failures.
                failures = 1 if partial.size > previous_size else failures + 1
                if failures < DOWNLOAD_ATTEMPTS and stop.wait(self._delay(failures, error)):
                    raise SourceError(
                        f"cannot download {mask_credentials(url)}: canceled because another file failed"
                    ) from None
            else:
                partial.publish(target)
                size = target.stat().st_size
                return DownloadedFile(path=str(target), size_bytes=size, downloaded_bytes=received)
        raise SourceError(f"cannot download {mask_credentials(url)}{cause}", hint=hint)

    def _delay(self, failures: int, error: Exception) -> float:
        """Return the seconds to wait: doubled per failure, or more if the server requests it."""
        delay = min(self.retry_delay * 2.0 ** (failures - 1), MAX_RETRY_DELAY_SECONDS)
        requested = error.retry_after if isinstance(error, RetryableError) else 0.0
        return max(delay * random.uniform(0.8, 1.2), requested)  # noqa: S311

    def _download_rest(
        self, pool: urllib3.PoolManager, stop: threading.Event, url: str, partial: _PartialFile
    ) -> int:
        """Download and append the missing bytes of a file, and return their number."""
        metadata = partial.read_metadata()
        if not metadata.validator:  # the rest could be of another version of the file
            partial.discard()
        offset = partial.size
        headers = {"Accept-Encoding": "identity", "User-Agent": "toytip"}
        if offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": metadata.validator}
        timeout = urllib3.Timeout(connect=10, read=30)
        with contextlib.closing(
            pool.request(
                "GET", url, headers=headers, preload_content=False, timeout=timeout, retries=REDIRECTS_ONLY
            )
        ) as response:
            start, total = _byte_range(url, response, offset, metadata, partial)
            if not start:
                partial.write_metadata(_Metadata(validator=_strong_validator(response.headers), size=total))
            received = self._append(response, partial, stop, mode="ab" if start else "wb")
        partial.check_size(total)
        return received

    def _append(self, response: Any, partial: _PartialFile, stop: threading.Event, mode: str) -> int:
        received = 0
        with partial.path.open(mode) as stream:
            # If the connection breaks, `read1` returns the bytes received so far. `stream()` would
            # lose up to a block of bytes.
            while block := response.read1(DOWNLOAD_BLOCK_BYTES):
                stream.write(block)
                received += len(block)
                self.on_bytes(len(block))
                if stop.is_set():
                    raise RetryableError("the download was canceled")
        return received


def _require_ended(months: Sequence[Month], today: dt.date) -> None:
    """Raise SourceError if a month has not ended, so that no file of this month can exist."""
    for month in months:
        if month.next.start.date() > today:
            raise SourceError(
                f"cannot download {month}: the month has not ended",
                hint="Choose earlier --months. The TLC publishes a month about two months after its end.",
            )


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Wait until no other process downloads to a folder. It would append to the same partial files.

    The operating system releases the lock if the process ends.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock_file(descriptor, folder / "lock", wait=True, choice=LOCAL_FOLDER)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class _Metadata:
    """Metadata of a partial file: the strong validator, and the total size (0: unknown)."""

    validator: str = ""
    size: int = 0


@dataclass(frozen=True)
class _PartialFile:
    """An incomplete download, with its metadata in a JSON file next to it."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def _metadata_path(self) -> Path:
        return self.path.with_suffix(".json")

    def read_metadata(self) -> _Metadata:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return _Metadata(**json.loads(self._metadata_path.read_text()))
        return _Metadata()

    def write_metadata(self, metadata: _Metadata) -> None:
        self._metadata_path.write_text(dump_json(asdict(metadata)))

    def check_size(self, total: int) -> None:
        """Raise RetryableError if the size differs from the announced total (0: unknown)."""
        size = self.size
        if total and size != total:
            if size > total:
                self.discard()
            raise RetryableError(f"{size:,} of {total:,} bytes were received")

    def verify(self, *, decode: bool) -> None:
        """Discard an invalid file and raise RetryableError. `decode`: also check every value."""
        problem = _file_problem(self.path, decode=decode)
        if problem is not None:
            self.discard()
            raise RetryableError(problem)

    def publish(self, target: Path) -> None:
        self.path.replace(target)
        self._metadata_path.unlink(missing_ok=True)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._metadata_path.unlink(missing_ok=True)


def _byte_range(
    url: str, response: Any, offset: int, metadata: _Metadata, partial: _PartialFile
) -> tuple[int, int]:
    """Return the offset at which a response starts, and the total size of the file (0: unknown).

    Raises RetryableError, or SourceError for a status that another attempt would not change.
    """
    status = response.status
    if status == 200:
        return 0, int(response.headers.get("Content-Length") or 0)
    if status == 206 and offset:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        byte_range, _, total = rest.partition("/")
        if unit == "bytes" and byte_range.startswith(f"{offset}-") and total == str(metadata.size):
            return offset, int(total)
        partial.discard()
        raise RetryableError("the server sent a range other than the requested range")
    if status in {206, 416}:
        partial.discard()
        raise RetryableError(f"the server answered {status} to a range request")
    if status in RETRYABLE_STATUSES:
        cause = "(too many requests, or not published yet)" if status == 403 else response.reason
        retry_after = _retry_after_seconds(response.headers.get("Retry-After", ""))
        raise RetryableError(f"the server answered {status} {cause}", retry_after)
    raise SourceError(
        f"cannot download {mask_credentials(url)}: the server answered {status} {response.reason}",
        hint="Check which months are published." if status == 404 else "",
    )


def _strong_validator(headers: Any) -> str:
    """Return the validator for `If-Range`, which must not be weak (RFC 9110, section 13.1.5)."""
    validator = str(headers.get("ETag", "") or headers.get("Last-Modified", ""))
    return "" if validator.startswith("W/") else validator


def _retry_after_seconds(text: str) -> float:
    return min(float(text), MAX_RETRY_AFTER_SECONDS) if text.isdigit() else 0.0


def _file_problem(path: Path, *, decode: bool = False) -> str | None:
    """Return the problem with a file, or None without one. `decode`: also check every value."""
    if REMOTE_ZONE_LOOKUP_NAME in path.name:
        is_zone_lookup = path.read_bytes()[:64].replace(b'"', b"").startswith(b"LocationID,")
        return None if is_zone_lookup else "the downloaded file is not the zone lookup file"
    try:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups) if decode else ():
            for batch in file.iter_batches(row_groups=[group], use_threads=False):
                del batch
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        return f"the downloaded file is not a complete Parquet file ({reason})"
    return None
