"""The memory that all of it takes, and giving back what is free."""

from __future__ import annotations

import contextlib
import threading
import time


def trim_memory() -> None:
    """Give memory that is free back to the system, where it can be done: a process keeps it otherwise."""
    import ctypes

    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
        ctypes.CDLL("libc.so.6").malloc_trim(0)


class MemorySampler(threading.Thread):
    """Samples the memory of this process and its children, and keeps the peak.

    Once a second; less often where that would take more than a fiftieth of a core: the kernel walks through every page.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="toytip-memory")
        self.peak = 0
        self._seen: list[tuple[float, int]] = []
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        while True:
            start = time.perf_counter()
            found = _process_tree_memory()
            self.peak = max(self.peak, found)
            self._seen.append((start, found))
            if self._ended.wait(max(1.0, 50 * (time.perf_counter() - start))):
                return

    def stop(self) -> float:
        """End the sampling; return the peak in MB."""
        self._ended.set()
        self.join()
        return round(self.peak / 1e6, 1)

    def peak_between(self, start: float, stop: float) -> float | None:
        """Return the peak in MB between two moments of `time.perf_counter`; None where nothing was sampled."""
        found = [size for at, size in self._seen if start <= at <= stop]
        return round(max(found) / 1e6, 1) if found else None


def _process_tree_memory() -> int:
    """Return the bytes of all processes, pages that they share counted once (PSS) where the system tells."""
    import psutil

    total = 0
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
    return total
