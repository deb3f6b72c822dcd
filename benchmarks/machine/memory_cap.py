"""A cap for the memory of a command with all its children, enforced by the kernel (cgroups)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# A shell that joins the group ($0) and becomes the command.
JOIN = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')
REMOVAL_TRIES, REMOVAL_PAUSE_S = 40, 0.05


@dataclass(frozen=True)
class MemoryGroup:
    """A group of processes whose memory together has a cap. The page cache counts, too."""

    folder: Path
    events: str
    """File that counts the processes which the kernel ended."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """The start of a command that runs another command in the group."""
        return (*JOIN, str(self.folder / "cgroup.procs"))

    def ended_processes(self) -> int:
        """Return how many processes the kernel ended because of the cap."""
        lines = (self.folder / self.events).read_text().splitlines()
        return sum(int(value) for name, value in map(str.split, lines) if name == "oom_kill")


@contextlib.contextmanager
def memory_group(limit_mb: int | None) -> Iterator[MemoryGroup | None]:
    """Create a group with a cap, and remove it at the end. None if the system does not allow it."""
    group = _create(limit_mb) if limit_mb is not None else None
    try:
        yield group
    finally:
        if group is not None:
            _remove(group.folder)


def _create(limit_mb: int) -> MemoryGroup | None:
    limit, name = str(limit_mb * 1_000_000), f"benchmark-{os.getpid()}"
    is_unified = (ROOT / "cgroup.controllers").exists()
    folder = _own_folder(is_unified=is_unified) / name
    with contextlib.suppress(OSError):
        folder.mkdir()
        try:
            if is_unified:
                (folder / "memory.max").write_text(limit)
                (folder / "memory.swap.max").write_text("0")
                return MemoryGroup(folder, "memory.events")
            (folder / "memory.limit_in_bytes").write_text(limit)
            return MemoryGroup(folder, "memory.oom_control")
        except OSError:
            folder.rmdir()
    return None


def _own_folder(*, is_unified: bool) -> Path:
    """Return the folder of the group of this process, or the root if it is not visible."""
    root, controller = (ROOT, "") if is_unified else (ROOT / "memory", "memory")
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(",") and (root / path.lstrip("/")).is_dir():
                return root / path.lstrip("/")
    return root


def _remove(folder: Path) -> None:
    """Remove a group. Its last processes can need a moment to end."""
    for _ in range(REMOVAL_TRIES):
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(REMOVAL_PAUSE_S)
