"""Claims: a version is made by one run at a time, and what a dead run left can be told from what a live one makes.

On a disk the claim is a lock of the system, which goes with its process. An object store has no locks: there the
claim is a lease, created exclusively, renewed by its holder while it lives, and taken over only when it was not.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toytip.errors import StoreError
from toytip.io.base import FileInfo, FileIO
from toytip.io.local import LocalFileIO
from toytip.io.s3 import S3FileIO

STAGING_FOLDER = "_staging"
LEASE_RENEWAL_SECONDS = 15.0
# A holder that was not heard of for so long, by the server's clock, is dead.
LEASE_SECONDS = 75.0
LOCK_ATTEMPTS = 8


@dataclass
class VersionLock:
    """A claim under way. Where it is `keep`, it stays behind as that of a dead run would: there is work to take up."""

    keep: bool = False


@contextlib.contextmanager
def lock_version(file_io: FileIO, env: str, version: str) -> Iterator[VersionLock]:
    """Hold a version while it is made. Raises StoreError where another run holds it."""
    held = VersionLock()
    if isinstance(file_io, LocalFileIO):
        with _lock_file(file_io.path(_lock_name(env, version, "lock")), version, held):
            yield held
    else:
        assert isinstance(file_io, S3FileIO)
        with _Lease(file_io, _lock_name(env, version, "lease"), version).hold(held):
            yield held


def expired_versions(file_io: FileIO, env: str) -> list[str]:
    """Return the versions that runs which no longer live have left claimed."""
    if isinstance(file_io, LocalFileIO):
        return [
            path.stem for path in file_io.path(f"{env}/{STAGING_FOLDER}").glob("*.lock") if _is_unlocked(path)
        ]
    assert isinstance(file_io, S3FileIO)
    files, now = _list_staged(file_io, env)
    return [
        name.rpartition("/")[2].removesuffix(".lease")
        for name, info in files.items()
        if name.endswith(".lease") and (info.modified < now - LEASE_SECONDS or _is_holder_dead(file_io, name))
    ]


def remove_lock(file_io: FileIO, env: str, version: str) -> None:
    """Remove what is left of a dead run's claim."""
    file_io.remove([_lock_name(env, version, "lock" if isinstance(file_io, LocalFileIO) else "lease")])


def _list_staged(file_io: S3FileIO, env: str) -> tuple[dict[str, FileInfo], float]:
    """List what is staged, and tell the time by the server's clock: that of something written now."""
    probe = f"{env}/{STAGING_FOLDER}/now-{secrets.token_hex(4)}"
    file_io.write(probe, b"")
    files = file_io.list_files(f"{env}/{STAGING_FOLDER}")
    file_io.remove([probe])
    return files, files[probe].modified


def _lock_name(env: str, version: str, kind: str) -> str:
    return f"{env}/{STAGING_FOLDER}/{version}.{kind}"


@contextlib.contextmanager
def _lock_file(path: Path, version: str, version_lock: VersionLock) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for _ in range(LOCK_ATTEMPTS):
            lock = stack.enter_context(path.open("a"))
            # Held for a moment by whoever asks whether we live; or of a file that its last holder has removed since.
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                    break
            time.sleep(0.1)
        else:
            raise StoreError(f"version {version} is being made by another run; wait, or choose another")
        try:
            yield
        finally:
            if not version_lock.keep:
                path.unlink(missing_ok=True)


def _is_unlocked(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@functools.cache
def _machine_identity() -> str:
    """Name this machine, this boot of it and this space of process ids."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    names = [socket.gethostname(), boot.read_text().strip() if boot.exists() else ""]
    with contextlib.suppress(OSError):
        names.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - not a path
    return " ".join(names)


def _is_holder_dead(file_io: S3FileIO, name: str) -> bool:
    """Tell whether the holder ran on this machine and is gone: then nobody need wait for its lease to end."""
    import psutil

    with contextlib.suppress(OSError, ValueError, KeyError):
        holder = json.loads(file_io.read(name))
        if holder["here"] == _machine_identity():
            with contextlib.suppress(psutil.NoSuchProcess):
                return bool(abs(psutil.Process(holder["pid"]).create_time() - holder["since"]) > 5)
            return True
    return False


class _Lease:
    """A lease in an object store, and the thread that renews it."""

    def __init__(self, file_io: S3FileIO, name: str, version: str) -> None:
        import psutil

        self.file_io, self.name, self.version = file_io, name, version
        self.etag = ""
        self.lost = False
        self._ended = threading.Event()
        # No two leases have the same content: by it a holder knows its own.
        self._token, self._count = secrets.token_hex(8), 0
        self._since = psutil.Process().create_time()

    def _content(self) -> bytes:
        self._count += 1
        holder = {
            "here": _machine_identity(),
            "pid": os.getpid(),
            "since": self._since,
            "host": socket.gethostname(),
        }
        return json.dumps({**holder, "token": self._token, "count": self._count}).encode()

    @contextlib.contextmanager
    def hold(self, version_lock: VersionLock) -> Iterator[None]:
        """Take the lease, renew it for as long as the context lasts, give it back."""
        self._acquire()
        renewer = threading.Thread(target=self._renew, daemon=True, name="toytip-lease")
        renewer.start()
        try:
            yield
            if self.lost:
                raise StoreError(f"version {self.version} was taken over by another run; nothing was changed")
        finally:
            self._ended.set()
            renewer.join()
            if not self.lost and not version_lock.keep:
                with contextlib.suppress(OSError):
                    self.file_io.remove([self.name])

    def _acquire(self) -> None:
        try:
            self.etag = self.file_io.put_conditional(self.name, self._content(), IfNoneMatch="*")
        except FileExistsError:
            self._acquire_expired()

    def _acquire_expired(self) -> None:
        side, _, _ = self.name.partition("/")
        found: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self.file_io.read(self.name))
        files, now = _list_staged(self.file_io, side)
        info = files.get(self.name)
        age = now - info.modified if info else 0.0
        if info and (age > LEASE_SECONDS or _is_holder_dead(self.file_io, self.name)):
            with contextlib.suppress(FileExistsError):
                self.etag = self.file_io.put_conditional(self.name, self._content(), IfMatch=f'"{info.etag}"')
                return
        raise StoreError(
            f"version {self.version} is being made by another run (on {found.get('host', 'another host')}, "
            f"process {found.get('pid', 'unknown')}, heard of {age:.0f} s ago); wait, or choose another: "
            f"a run that has died is given up after {LEASE_SECONDS:.0f} s"
        )

    def _renew(self) -> None:
        while not self._ended.wait(LEASE_RENEWAL_SECONDS):
            try:
                self.etag = self.file_io.put_conditional(self.name, self._content(), IfMatch=self.etag)
            except (FileExistsError, FileNotFoundError):
                self.lost = True
                return
            except OSError:  # the server is away: its own writes would fail too; go on trying
                continue
