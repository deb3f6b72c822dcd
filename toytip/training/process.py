"""The process of a rank: its threads, and its heap. Other tasks of a worker need little of both."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from toytip.cluster.memory import call_c_library

# Each round allocates arrays of the same sizes again. Up to this size in bytes, the heap keeps
# their memory, so that the kernel does not have to clear new pages. This is the limit of glibc.
LARGEST_HEAP_ARRAY = 2**25
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD in malloc.h


@contextlib.contextmanager
def training_process(threads: int) -> Iterator[None]:
    """Let XGBoost use a number of threads in this thread of Python, and keep the heap of a round.

    In a worker, OMP_NUM_THREADS is 1. XGBoost does not exceed this limit, whatever its parameter
    `nthread` is.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads, user_api="openmp"):
        _keep_on_heap(LARGEST_HEAP_ARRAY)
        try:
            yield
        finally:
            _keep_on_heap(int(os.environ.get("MALLOC_MMAP_THRESHOLD_", LARGEST_HEAP_ARRAY)))


def _keep_on_heap(array_bytes: int) -> None:
    """Set the size of the arrays whose memory the heap keeps, if supported."""
    for threshold in (MMAP_THRESHOLD, TRIM_THRESHOLD):
        call_c_library("mallopt", threshold, array_bytes)
