"""Sample the memory of all processes of a run, and return free memory to the operating system."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import NamedTuple

SAMPLE_INTERVAL_S = 1.0
# Sampling may use at most one fiftieth of a core. A sample is expensive, because the kernel visits
# every memory page.
MAX_SAMPLING_SHARE = 1 / 50


def trim_memory() -> None:
    """Return the free memory of this process to the operating system, if supported."""
    import ctypes

    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # only the GNU C library has the function
        ctypes.CDLL("libc.so.6").malloc_trim(0)


class MemorySample(NamedTuple):
    """The memory of all processes of a run at one time (`time.perf_counter`)."""

    time: float
    bytes: int


class MemorySampler(threading.Thread):
    """Samples the memory of this process and its children at most once per second.

    `peak` is the largest total so far, in bytes.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="toytip-memory")
        self.peak = 0
        self._samples: list[MemorySample] = []
        self._stopped = threading.Event()

    def run(self) -> None:
        """Take samples until `stop` is called."""
        while True:
            start = time.perf_counter()
            sample = MemorySample(start, _process_tree_memory())
            self.peak = max(self.peak, sample.bytes)
            self._samples.append(sample)
            interval = (time.perf_counter() - start) / MAX_SAMPLING_SHARE
            if self._stopped.wait(max(SAMPLE_INTERVAL_S, interval)):
                return

    def stop(self) -> float:
        """Stop sampling. Returns the peak in MB."""
        self._stopped.set()
        self.join()
        return round(self.peak / 1e6, 1)

    def peak_between(self, start: float, stop: float) -> float | None:
        """Return the peak in MB between two times of `time.perf_counter` (None: no samples)."""
        sizes = [sample.bytes for sample in self._samples if start <= sample.time <= stop]
        return round(max(sizes) / 1e6, 1) if sizes else None


def _process_tree_memory() -> int:
    """Return the memory of this process and its children in bytes.

    If possible, pages that processes share are counted once (PSS).
    """
    import psutil

    total = 0
    current = psutil.Process()
    for process in (current, *current.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
    return total
