"""Locks in an object store: leases that their holders renew, and that expire without renewal.

`S3FileIO.lock` holds a lease. The lock of a version is `StagingArea.lock` in `store/staging.py`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from toytip.core.jsonable import dump_json
from toytip.io.base import FileInfo, Lock, LockHeldError, LockLostError

LEASE_SUFFIX = ".lease"
LEASE_RENEWAL_SECONDS = 15.0
# A lease expires if its holder does not renew it for this time, by the clock of the server.
LEASE_SECONDS = 75.0


class ConditionalFiles(Protocol):
    """The file operations that leases need."""

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises FileNotFoundError."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file."""

    def put_conditional(self, name: str, content: bytes, **condition: str) -> str:
        """Write a file if a condition holds, and return its entity tag. Raises FileExistsError."""

    def list_files(self, folder: str) -> dict[str, FileInfo]:
        """Return the files below a folder by name."""

    def remove(self, names: list[str]) -> None:
        """Remove files."""


def expired_leases(file_io: ConditionalFiles, folder: str) -> list[str]:
    """Return the names of the leases in a folder that have expired, or whose holder has ended."""
    files, now = _list_with_server_time(file_io, folder)
    return [
        name.removesuffix(LEASE_SUFFIX)
        for name, info in files.items()
        if name.endswith(LEASE_SUFFIX)
        and (info.modified < now - LEASE_SECONDS or _has_holder_ended(file_io, name))
    ]


def _list_with_server_time(file_io: ConditionalFiles, folder: str) -> tuple[dict[str, FileInfo], float]:
    """Return the files of a folder, and the current time of the server.

    The time is the modification time of a file that is written for this purpose.
    """
    probe = f"{folder}/now-{secrets.token_hex(4)}"
    file_io.write(probe, b"")
    files = file_io.list_files(folder)
    file_io.remove([probe])
    return files, files[probe].modified


@functools.cache
def _machine_identity() -> str:
    """Return a text that identifies this machine, its last boot and its process ID namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    names = [socket.gethostname(), boot.read_text().strip() if boot.exists() else ""]
    with contextlib.suppress(OSError):
        names.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - not a path
    return " ".join(names)


def _has_holder_ended(file_io: ConditionalFiles, name: str) -> bool:
    """Return whether the holder ran on this machine and has ended.

    In this case, another run can take the lease at once.
    """
    import psutil

    with contextlib.suppress(OSError, ValueError, KeyError):
        holder = json.loads(file_io.read(name))
        if holder["machine"] == _machine_identity():
            with contextlib.suppress(psutil.NoSuchProcess):
                return bool(abs(psutil.Process(holder["pid"]).create_time() - holder["started_at"]) > 5)
            return True
    return False


class Lease:
    """A lease in an object store, and the thread that renews it."""

    def __init__(self, file_io: ConditionalFiles, name: str) -> None:
        import psutil

        self.file_io, self.name = file_io, name + LEASE_SUFFIX
        self.etag = ""
        self.lost = False
        self._ended = threading.Event()
        # The token and the count make the content of each write unique, so a holder recognizes its
        # own lease.
        self._token, self._count = secrets.token_hex(8), 0
        self._started_at = psutil.Process().create_time()

    def _content(self) -> bytes:
        self._count += 1
        holder = {
            "machine": _machine_identity(),
            "pid": os.getpid(),
            "started_at": self._started_at,
            "host": socket.gethostname(),
        }
        return dump_json({**holder, "token": self._token, "count": self._count}).encode()

    @contextlib.contextmanager
    def hold(self, lock: Lock) -> Iterator[None]:
        """Acquire the lease, renew it during the context, and release it at the end.

        Raises LockHeldError if another process holds the lease, and LockLostError if another
        process has replaced the lease.
        """
        self._acquire()
        renewer = threading.Thread(target=self._renew, daemon=True, name="toytip-lease")
        renewer.start()
        try:
            yield
            if self.lost:
                raise LockLostError
        finally:
            self._ended.set()
            renewer.join()
            if not self.lost and not lock.keep:
                with contextlib.suppress(OSError):
                    self.file_io.remove([self.name])

    def _acquire(self) -> None:
        try:
            self.etag = self.file_io.put_conditional(self.name, self._content(), IfNoneMatch="*")
        except FileExistsError:
            self._acquire_expired()

    def _acquire_expired(self) -> None:
        holder: dict[str, object] = {}
        with contextlib.suppress(OSError, ValueError):
            holder = json.loads(self.file_io.read(self.name))
        files, now = _list_with_server_time(self.file_io, self.name.rpartition("/")[0])
        info = files.get(self.name)
        age = now - info.modified if info else 0.0
        if info and (age > LEASE_SECONDS or _has_holder_ended(self.file_io, self.name)):
            with contextlib.suppress(FileExistsError):
                self.etag = self.file_io.put_conditional(self.name, self._content(), IfMatch=f'"{info.etag}"')
                return
        raise LockHeldError(
            f"host {holder.get('host', 'unknown')}, pid {holder.get('pid', 'unknown')}, "
            f"last renewed {age:.0f} s ago",
            hint=f"A lease expires {LEASE_SECONDS:.0f} s after its last renewal.",
        )

    def _renew(self) -> None:
        while not self._ended.wait(LEASE_RENEWAL_SECONDS):
            try:
                self.etag = self.file_io.put_conditional(self.name, self._content(), IfMatch=self.etag)
            except (FileExistsError, FileNotFoundError):
                self.lost = True
                return
            except OSError:  # the server does not answer, and other writes would fail too: retry
                continue
