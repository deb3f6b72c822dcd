"""Fetching the TLC's monthly files over HTTP: several at a time, resumed where they were cut, checked before they count."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import urllib3

from toytip.config import mask_credentials
from toytip.core.months import Month
from toytip.errors import SourceError

PARALLEL_DOWNLOADS = 4
DOWNLOAD_ATTEMPTS = 6
DOWNLOAD_BLOCK_BYTES = 2**18
# The TLC's server answers 403 both to who asks too much and for months that are not published yet.
RETRYABLE_STATUSES = {403, 408, 425, 429, 500, 502, 503, 504}
REMOTE_ZONE_LOOKUP_NAME = "taxi_zone_lookup.csv"


@dataclass(frozen=True)
class DownloadedFile:
    """A file that is there now; `bytes` of it came over the wire just now."""

    path: str
    size: int
    bytes: int


class _RetryableError(Exception):
    """What came is no use, but another try may be; `wait` seconds at least, where the server said so."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class MonthDownloader:
    """A server of monthly files, and the folder that they go to. `retry_delay` is the first wait after a failure, in s."""

    base_url: str
    folder: Path
    on_bytes: Callable[[int], None]
    retry_delay: float = 0.5

    def download(self, taxi: str, months: Sequence[Month]) -> list[DownloadedFile]:
        """Fetch monthly files, and the zone table with them. Raises SourceError for the first that cannot be had."""
        names = {f"{taxi}_tripdata_{month}.parquet": "trip-data" for month in months} | {
            REMOTE_ZONE_LOOKUP_NAME: "misc"
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        stop = threading.Event()
        with (
            urllib3.PoolManager(maxsize=PARALLEL_DOWNLOADS, retries=False) as pool,
            ThreadPoolExecutor(PARALLEL_DOWNLOADS) as threads,
        ):
            try:
                jobs = [
                    threads.submit(
                        self._download_file, pool, stop, f"{self.base_url.rstrip('/')}/{where}/{name}", name
                    )
                    for name, where in names.items()
                ]
                return [job.result() for job in jobs]
            finally:  # the first failure, or Ctrl-C, ends the others; what they have stays for the next time
                stop.set()
                threads.shutdown(cancel_futures=True)

    def _download_file(
        self, pool: urllib3.PoolManager, stop: threading.Event, url: str, name: str
    ) -> DownloadedFile:
        target, part = self.folder / name, self.folder / f".{name}.part"
        if target.exists() and _file_problem(target) is None:
            return DownloadedFile(str(target), _size(target), 0)
        came, tries, why = 0, 0, ""
        while tries < DOWNLOAD_ATTEMPTS:
            before = _size(part)
            try:
                came += self._download_rest(pool, stop, url, part)
                _verify_download(part, whole=came < _size(part) or tries > 0)
            except (_RetryableError, urllib3.exceptions.HTTPError) as error:
                why = _failure_reason(error)
                # Getting on is no failure.
                tries = 1 if _size(part) > before else tries + 1
                wait = min(self.retry_delay * 2 ** (tries - 1), 30.0) * random.uniform(0.8, 1.2)  # noqa: S311
                if tries < DOWNLOAD_ATTEMPTS and stop.wait(max(wait, getattr(error, "wait", 0.0))):
                    raise SourceError(
                        f"{mask_credentials(url)}: given up, another file could not be fetched"
                    ) from None
            else:
                part.replace(target)
                _metadata_path(part).unlink(missing_ok=True)
                return DownloadedFile(str(target), _size(target), came)
        raise SourceError(
            f"{mask_credentials(url)} cannot be fetched: {why}; what came is kept, try again later"
        )

    def _download_rest(self, pool: urllib3.PoolManager, stop: threading.Event, url: str, part: Path) -> int:
        """Ask for what is lacking, and append it; return the bytes that came."""
        have, known = _size(part), _read_metadata(_metadata_path(part))
        if have and not known.get("tag"):  # nothing says that the rest would be of the same file
            _discard_download(part)
            have = 0
        headers = {"Accept-Encoding": "identity", "User-Agent": "toytip"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": known["tag"]}
        timeout = urllib3.Timeout(connect=10, read=30)
        with contextlib.closing(
            pool.request("GET", url, headers=headers, preload_content=False, timeout=timeout, redirect=True)
        ) as answer:
            start, total = self._interpret_response(answer, have, known, part)
            tag = answer.headers.get("ETag", "") or answer.headers.get("Last-Modified", "")
            if not start:
                _metadata_path(part).write_text(
                    json.dumps({"tag": "" if tag.startswith("W/") else tag, "size": total})
                )
            came = 0
            with part.open("ab" if start else "wb") as stream:
                # What came before a cut is kept: `stream` would lose up to a block of it.
                while block := answer.read1(DOWNLOAD_BLOCK_BYTES):
                    stream.write(block)
                    came += len(block)
                    self.on_bytes(len(block))
                    if stop.is_set():
                        raise _RetryableError("stopped")
        size = _size(part)
        if total and size < total:
            raise _RetryableError(f"{size:,} of {total:,} bytes came")
        if total and size > total:
            _discard_download(part)
            raise _RetryableError(f"{size:,} bytes came where {total:,} were announced")
        return came

    @staticmethod
    def _interpret_response(answer: Any, have: int, metadata: dict[str, Any], part: Path) -> tuple[int, int]:
        """Return where the answer starts, and the size of the whole (0: not said)."""
        status = answer.status
        if status == 200:
            return 0, int(answer.headers.get("Content-Length") or 0)
        if status == 206 and have:
            unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
            span, _, total = rest.partition("/")
            if unit == "bytes" and span.startswith(f"{have}-") and total == str(metadata["size"]):
                return have, int(total)
            _discard_download(part)
            raise _RetryableError("the server sent another range than was asked for")
        if status in {206, 416}:
            _discard_download(part)
            raise _RetryableError(f"the server answered {status} to a range")
        if status in RETRYABLE_STATUSES:
            meaning = "refused: too many requests, or not published yet" if status == 403 else answer.reason
            raise _RetryableError(
                f"{status} {meaning}", _retry_after_seconds(answer.headers.get("Retry-After", ""))
            )
        where = "; see which months are published" if status == 404 else ""
        raise SourceError(
            f"{mask_credentials(answer.url or '')} cannot be fetched: {status} {answer.reason}{where}"
        )


def _retry_after_seconds(text: str) -> float:
    return min(float(text), 60.0) if text.isdigit() else 0.0


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _verify_download(part: Path, *, whole: bool) -> None:
    """Raise _RetryableError, and forget the file, where it cannot be read."""
    complaint = _file_problem(part, whole=whole)
    if complaint is not None:
        _discard_download(part)
        raise _RetryableError(complaint)


def _metadata_path(part: Path) -> Path:
    return part.with_suffix(".json")


def _read_metadata(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(path.read_text()))
    return {}


def _discard_download(part: Path) -> None:
    part.unlink(missing_ok=True)
    _metadata_path(part).unlink(missing_ok=True)


def _failure_reason(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "no connection"
    return text if isinstance(error, _RetryableError) else f"the connection broke ({type(error).__name__})"


def _file_problem(path: Path, *, whole: bool = False) -> str | None:
    """Return what is wrong with a file; None where it can be read. With `whole`, every value is decoded."""
    if REMOTE_ZONE_LOOKUP_NAME in path.name:
        good = path.read_bytes()[:64].replace(b'"', b"").startswith(b"LocationID,")
        return None if good else "what came is not the zone table"
    try:
        file = pq.ParquetFile(path)
        for batch in _iterate_batches(file) if whole else ():
            del batch
    except (OSError, pa.ArrowException) as error:
        return f"what came is not a whole parquet file ({str(error).partition(chr(10))[0]})"
    return None


def _iterate_batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    for group in range(file.num_row_groups):
        yield from file.iter_batches(row_groups=[group], use_threads=False)
