"""The memory of the processes of a run: sample it, return it, and pool it for training."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from toytip.cluster.workers import Rank

SAMPLE_INTERVAL_S = 1.0
# Sampling may use at most one fiftieth of a core. A sample is expensive, because the kernel visits
# every memory page.
MAX_SAMPLING_SHARE = 1 / 50


def trim_memory() -> None:
    """Return the free memory of this process to the operating system, if supported."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    call_c_library("malloc_trim", 0)


def call_c_library(function: str, *arguments: int) -> None:
    """Call a function of the GNU C library, which other C libraries do not have."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        getattr(ctypes.CDLL("libc.so.6"), function)(*arguments)


@contextlib.contextmanager
def pooled_for_training(client: Any, ranks: Sequence[Rank]) -> Iterator[None]:
    """Let each rank use the memory of all workers of its host, which are idle during training.

    Otherwise, Dask pauses a rank that needs more than its own share, and then restarts it.
    """
    factors = {
        rank.address: max(1, rank.pooled_memory / rank.memory_limit) for rank in ranks if rank.memory_limit
    }
    _scale_memory_thresholds(client, factors)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            _scale_memory_thresholds(client, {})


def _scale_memory_thresholds(client: Any, factors: Mapping[str, float]) -> None:
    """Multiply the thresholds of workers by factors. All other workers get Dask's thresholds."""
    for nanny in (False, True):
        client.run(_scale_own_thresholds, factors, nanny=nanny, on_error="ignore")


def _scale_own_thresholds(factors: Mapping[str, float], dask_worker: Any) -> None:
    """Scale the thresholds of this worker, or of the worker of this nanny."""
    import dask

    address = getattr(dask_worker, "worker_address", None) or dask_worker.address
    for name in ("spill", "pause", "terminate"):
        attribute, fraction = f"memory_{name}_fraction", dask.config.get(f"distributed.worker.memory.{name}")
        if fraction and hasattr(dask_worker.memory_manager, attribute):
            setattr(dask_worker.memory_manager, attribute, fraction * factors.get(address, 1))


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
