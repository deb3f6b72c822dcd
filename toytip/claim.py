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
from toytip.place import Disk, Info, Place
from toytip.s3 import Bucket

STAGING = "_staging"
RENEW_S = 15.0
# A holder that was not heard of for so long, by the server's clock, is dead.
LEASE_S = 75.0
TRIES = 8


@dataclass
class Held:
    """A claim under way. Where it is `left`, it stays behind as that of a dead run would: there is work to take up."""

    left: bool = False


@contextlib.contextmanager
def claim(place: Place, side: str, version: str) -> Iterator[Held]:
    """Hold a version while it is made. Raises StoreError where another run holds it."""
    held = Held()
    if isinstance(place, Disk):
        with _lock(place.path(_name(side, version, "lock")), version, held):
            yield held
    else:
        assert isinstance(place, Bucket)
        with _Lease(place, _name(side, version, "lease"), version).held(held):
            yield held


def dead(place: Place, side: str) -> list[str]:
    """Return the versions that runs which no longer live have left claimed."""
    if isinstance(place, Disk):
        return [path.stem for path in place.path(f"{side}/{STAGING}").glob("*.lock") if _is_free(path)]
    assert isinstance(place, Bucket)
    files, now = _look(place, side)
    return [
        name.rpartition("/")[2].removesuffix(".lease")
        for name, info in files.items()
        if name.endswith(".lease") and (info.written < now - LEASE_S or _is_dead_here(place, name))
    ]


def forget(place: Place, side: str, version: str) -> None:
    """Remove what is left of a dead run's claim."""
    place.remove([_name(side, version, "lock" if isinstance(place, Disk) else "lease")])


def _look(place: Bucket, side: str) -> tuple[dict[str, Info], float]:
    """List what is staged, and tell the time by the server's clock: that of something written now."""
    probe = f"{side}/{STAGING}/now-{secrets.token_hex(4)}"
    place.write(probe, b"")
    files = place.files(f"{side}/{STAGING}")
    place.remove([probe])
    return files, files[probe].written


def _name(side: str, version: str, kind: str) -> str:
    return f"{side}/{STAGING}/{version}.{kind}"


@contextlib.contextmanager
def _lock(path: Path, version: str, held: Held) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for _ in range(TRIES):
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
            if not held.left:
                path.unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@functools.cache
def _here() -> str:
    """Name this machine, this boot of it and this space of process ids."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    names = [socket.gethostname(), boot.read_text().strip() if boot.exists() else ""]
    with contextlib.suppress(OSError):
        names.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - not a path
    return " ".join(names)


def _is_dead_here(place: Bucket, name: str) -> bool:
    """Tell whether the holder ran on this machine and is gone: then nobody need wait for its lease to end."""
    import psutil

    with contextlib.suppress(OSError, ValueError, KeyError):
        holder = json.loads(place.read(name))
        if holder["here"] == _here():
            with contextlib.suppress(psutil.NoSuchProcess):
                return bool(abs(psutil.Process(holder["pid"]).create_time() - holder["since"]) > 5)
            return True
    return False


class _Lease:
    """A lease in an object store, and the thread that renews it."""

    def __init__(self, place: Bucket, name: str, version: str) -> None:
        import psutil

        self.place, self.name, self.version = place, name, version
        self.tag = ""
        self.lost = False
        self._ended = threading.Event()
        # No two leases have the same content: by it a holder knows its own.
        self._token, self._count = secrets.token_hex(8), 0
        self._since = psutil.Process().create_time()

    def _content(self) -> bytes:
        self._count += 1
        holder = {"here": _here(), "pid": os.getpid(), "since": self._since, "host": socket.gethostname()}
        return json.dumps({**holder, "token": self._token, "count": self._count}).encode()

    @contextlib.contextmanager
    def held(self, held: Held) -> Iterator[None]:
        """Take the lease, renew it for as long as the context lasts, give it back."""
        self._take()
        renewer = threading.Thread(target=self._renew, daemon=True, name="toytip-lease")
        renewer.start()
        try:
            yield
            if self.lost:
                raise StoreError(f"version {self.version} was taken over by another run; nothing was changed")
        finally:
            self._ended.set()
            renewer.join()
            if not self.lost and not held.left:
                with contextlib.suppress(OSError):
                    self.place.remove([self.name])

    def _take(self) -> None:
        try:
            self.tag = self.place.put_if(self.name, self._content(), IfNoneMatch="*")
        except FileExistsError:
            self._take_over()

    def _take_over(self) -> None:
        side, _, _ = self.name.partition("/")
        found: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self.place.read(self.name))
        files, now = _look(self.place, side)
        info = files.get(self.name)
        age = now - info.written if info else 0.0
        if info and (age > LEASE_S or _is_dead_here(self.place, self.name)):
            with contextlib.suppress(FileExistsError):
                self.tag = self.place.put_if(self.name, self._content(), IfMatch=f'"{info.mark}"')
                return
        raise StoreError(
            f"version {self.version} is being made by another run (on {found.get('host', 'another host')}, "
            f"process {found.get('pid', 'unknown')}, heard of {age:.0f} s ago); wait, or choose another: "
            f"a run that has died is given up after {LEASE_S:.0f} s"
        )

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                self.tag = self.place.put_if(self.name, self._content(), IfMatch=self.tag)
            except (FileExistsError, FileNotFoundError):
                self.lost = True
                return
            except OSError:  # the server is away: its own writes would fail too; go on trying
                continue
