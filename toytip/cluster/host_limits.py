"""The limits of this machine for this process: control groups, file handles, loopback, scratch.

Dask reads the limits of a container, but not those of a control group below it, for example of a
systemd service or a batch job.
"""

from __future__ import annotations

import functools
import math
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from toytip.core.redact import first_line
from toytip.errors import ClusterError

CGROUP_ROOT, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# Version 1 of control groups writes a very large number for "no limit".
UNLIMITED_BYTES = 2**60
# With fewer file handles, the fork server of the workers fails.
MIN_FILE_HANDLES, TARGET_FILE_HANDLES = 64, 4_096
LOOPBACK_TIMEOUT_S = 3


class GroupLimits(NamedTuple):
    """The limits of a control group and its parents. None means no limit."""

    cpus: float | None
    memory: int | None


@functools.cache
def own_limits() -> GroupLimits:
    """Return the limits of the control groups of this process."""
    return read_limits(CGROUP_ROOT, OWN_CGROUPS)


def read_limits(root: Path, own_groups: Path) -> GroupLimits:
    """Return the smallest limits of the control groups that a file in `/proc` lists."""
    folders = list(_group_folders(root, own_groups))
    cpus = [limit for folder in folders if (limit := _cpu_limit(folder)) is not None]
    names = ("memory.max", "memory.high", "memory.limit_in_bytes")
    sizes = [size for folder in folders for name in names if (size := _read_size(folder / name)) is not None]
    return GroupLimits(min(cpus, default=None), min(sizes, default=None))


def _group_folders(root: Path, own_groups: Path) -> Iterator[Path]:
    """Yield the folders of all control groups of this process, each with its parents."""
    try:
        lines = own_groups.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        mount = root / controllers if controllers else root
        group = mount / path.strip("/")
        yield from [group, *(parent for parent in group.parents if parent.is_relative_to(mount))]


def _read_size(file: Path) -> int | None:
    try:
        size = int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # ValueError: the text `max`
        return None
    return size if 0 < size < UNLIMITED_BYTES else None


def _cpu_limit(folder: Path) -> float | None:
    try:
        if (file := folder / "cpu.max").exists():
            quota, period = map(int, file.read_text(encoding="utf-8").split())
        else:
            quota, period = (
                int((folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8"))
                for name in ("quota", "period")
            )
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None


def available_cores() -> int:
    """Return the number of usable cores, given CPU affinity and the limits of control groups."""
    from dask.system import CPU_COUNT

    limit = own_limits().cpus
    return int(CPU_COUNT) if limit is None else min(int(CPU_COUNT), max(1, math.ceil(limit)))


def available_memory() -> int:
    """Return the usable memory in bytes, given the limits of control groups."""
    from distributed.system import MEMORY_LIMIT

    limit = own_limits().memory
    return int(MEMORY_LIMIT) if limit is None else min(int(MEMORY_LIMIT), limit)


def require_startable() -> None:
    """Raise ClusterError if this machine has no loopback interface or no temporary folder."""
    _require_loopback()
    _require_scratch_folder()


def raise_file_limit() -> None:
    """Raise the limit on open files as far as the system permits. Workers inherit the limit.

    Raises ClusterError if the system permits too few open files to start a worker.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = TARGET_FILE_HANDLES if hard == resource.RLIM_INFINITY else min(hard, TARGET_FILE_HANDLES)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        soft = target
    if soft != resource.RLIM_INFINITY and soft < MIN_FILE_HANDLES:
        raise ClusterError(
            f"cannot start workers: a process may open only {soft} files",
            hint="Raise the limit with `ulimit -n 1024`, and run the command again.",
        )


def _require_loopback() -> None:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()[:2], LOOPBACK_TIMEOUT_S).close()
    except OSError as error:
        raise ClusterError(
            f"cannot start workers: this machine cannot connect to itself at 127.0.0.1: {first_line(error)}",
            hint="Enable the loopback interface with IPv4, for example with `ip link set lo up`.",
        ) from None


def _require_scratch_folder() -> None:
    import dask

    configured = dask.config.get("temporary-directory", None)
    try:
        folder = configured or tempfile.gettempdir()
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            has_locks = _can_lock(file.fileno())
    except OSError as error:
        raise ClusterError(
            f"cannot start workers: cannot write to {configured or 'a temporary folder'}: {first_line(error)}",
            hint="Set DASK_TEMPORARY_DIRECTORY and TMPDIR to a writable folder."
            if os.environ.get("DASK_TEMPORARY_DIRECTORY") or not configured
            else "Change temporary-directory in your configuration of Dask to a writable folder.",
        ) from None
    if not has_locks:
        # The workers then do not delete the scratch folders of workers that were killed earlier.
        dask.config.set({"distributed.worker.use-file-locking": False})


def _can_lock(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
