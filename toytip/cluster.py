"""The Dask cluster: workers that start in a second, one client, and the memory that all of it takes."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toytip.config import Settings
from toytip.errors import ClusterError

PRELOAD = [
    "distributed",
    "distributed.nanny",
    "dask.dataframe",
    "pyarrow.parquet",
    "pyarrow.compute",
    "xgboost.dask",
]
ANSWER_S = 12
# A worker that has said nothing for so long is frozen, and is started again; a rank that waits for it gives up.
SILENCE_S = 60


def cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def warm(start_method: str) -> None:
    """Begin to import what workers need in a fork server, while the driver imports the same.

    Eight workers then start in half a second instead of 47 (2 cores). Call it before dask is imported.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ["DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD"] = start_method
    # A killed worker may need long to come back on a busy machine; the default gives it up after 15 s.
    os.environ.setdefault("DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT", "300s")
    os.environ.setdefault("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", f"{SILENCE_S}s")
    # A worker that dies takes the blame to the partition that it was at, and to none that was only waiting there.
    os.environ.setdefault("DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION", "1.0")
    # Large arrays come from the system and go back to it at once: a heap would keep them, a worker's time long.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**22))
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**22))
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # Workers look at themselves a hundred times a second otherwise: with eight of them on two cores, that shows.
    os.environ.setdefault("DASK_DISTRIBUTED__WORKER__PROFILE__INTERVAL", "500ms")
    os.environ.setdefault("DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL", "2s")
    if start_method != "forkserver":
        return
    import multiprocessing
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
    # Workers inherit that Ctrl-C is not for them: the driver ends them, in order.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)
    import distributed.utils

    if hasattr(
        distributed.utils, "_forkserver_preload_set"
    ):  # else dask replaces the list, which runs already
        distributed.utils._forkserver_preload_set = True  # noqa: SLF001 - there is no public switch


@contextlib.contextmanager
def connect(settings: Settings) -> Iterator[Any]:
    """Yield a client of the scheduler that the settings name, or of a local cluster that ends with the context.

    Raises ClusterError where no scheduler answers, no worker comes, or the scheduler is lost.
    """
    import distributed

    # What goes wrong is said once, in our words, by whoever catches it.
    for name in ("distributed", "distributed.client", "tornado.application"):  # each has a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if settings.scheduler:
            try:
                client = stack.enter_context(distributed.Client(settings.scheduler, timeout=ANSWER_S))
            except (OSError, ValueError, TimeoutError, ImportError) as error:
                raise ClusterError(
                    f"no Dask scheduler answers at {settings.scheduler} ({type(error).__name__}); "
                    "start one with `dask scheduler`, or leave out --scheduler"
                ) from None
        else:
            client = stack.enter_context(distributed.Client(stack.enter_context(_local(settings))))
        try:
            client.wait_for_workers(settings.workers or 1 if not settings.scheduler else 1, timeout=120)
        except TimeoutError:
            raise ClusterError(
                "no worker has come within 120 s; start one with `dask worker ADDRESS`"
            ) from None
        try:
            yield client
        except (OSError, RuntimeError):
            if answers(client):
                raise
            raise ClusterError(
                f"the cluster at {client.scheduler.address} was lost; run again: what is whole is taken over"
            ) from None


def answers(client: Any) -> bool:
    """Tell whether the scheduler of a client is there."""
    with contextlib.suppress(OSError, RuntimeError):
        client.nthreads()
        return bool(client.status == "running")
    return False


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a cluster has: workers, threads in the largest, bytes that the tightest may use (0: no limit)."""

    workers: int
    threads: int
    limit: int
    ranks: int


def shape(settings: Settings) -> Shape:
    """Return what a local cluster will have. Raises ClusterError where the memory limit is none."""
    from dask.utils import parse_bytes
    from distributed.system import MEMORY_LIMIT

    count = settings.workers or cores()
    try:
        # A worker's share: Dask's own default would promise the same memory to many.
        limit = parse_bytes(settings.memory_limit) if settings.memory_limit else MEMORY_LIMIT // count
    except ValueError as error:
        raise ClusterError(f"--memory-limit {settings.memory_limit}: {error}; write it as 4GB") from None
    threads = settings.threads_per_worker or max(1, cores() // count)
    return Shape(workers=count, threads=threads, limit=limit, ranks=min(count, cores()))


def shape_of(client: Any) -> Shape:
    """Return what a running cluster has."""
    workers = workers_of(client)
    return Shape(
        workers=len(workers),
        threads=max(info["nthreads"] for info in workers.values()),
        limit=min((info["memory_limit"] for info in workers.values() if info["memory_limit"]), default=0),
        ranks=len(ranks(client)),
    )


@dataclass(frozen=True, kw_only=True)
class Rank:
    """A worker that trains: with how many threads, and the workers of its host, itself among them."""

    address: str
    threads: int
    peers: tuple[str, ...]


def ranks(client: Any) -> list[Rank]:
    """Return the workers that train: of each host as many as it has cores, which share them."""
    hosts: dict[str, list[str]] = {}
    for address, info in workers_of(client).items():
        hosts.setdefault(info["host"], []).append(address)
    there = client.run(cores, workers=[addresses[0] for addresses in hosts.values()])
    chosen = []
    for addresses in hosts.values():
        number = there[addresses[0]]
        peers = tuple(addresses[:number])
        chosen += [
            Rank(address=a, threads=max(1, number // len(peers)), peers=tuple(addresses)) for a in peers
        ]
    return chosen


def _local(settings: Settings) -> Any:
    import distributed

    planned = shape(settings)
    return distributed.LocalCluster(
        n_workers=planned.workers,
        threads_per_worker=planned.threads,
        memory_limit=planned.limit,
        host="127.0.0.1",
        dashboard_address=f"127.0.0.1:{_dashboard_port()}",
        silence_logs=logging.CRITICAL,
    )


def _dashboard_port() -> int:
    """Return Dask's usual port where it is free, else 0: any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8787))
        except OSError:
            return 0
        return 8787


def workers_of(client: Any) -> dict[str, dict[str, Any]]:
    """Return the workers by address, in order of their names: the same order in every fresh cluster."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return dict(sorted(workers.items(), key=lambda item: (str(type(item[1]["name"])), item[1]["name"])))


def trim() -> None:
    """Give memory that is free back to the system, where it can be done: a process keeps it otherwise."""
    import ctypes

    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@contextlib.contextmanager
def reported(page: Path) -> Iterator[None]:
    """Write Dask's page of what the workers did; none after an error, when there may be no scheduler to ask."""
    import distributed

    report = distributed.performance_report(filename=page)
    report.__enter__()
    yield
    report.__exit__(None, None, None)


class MemoryWatch(threading.Thread):
    """Samples the memory of this process and its children, and keeps the peak.

    Once a second; less often where that would take more than a fiftieth of a core: the kernel walks through every page.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="toytip-memory")
        self.peak = 0
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        while True:
            start = time.perf_counter()
            self.peak = max(self.peak, _memory_of_family())
            if self._ended.wait(max(1.0, 50 * (time.perf_counter() - start))):
                return

    def stop(self) -> float:
        """End the sampling; return the peak in MB."""
        self._ended.set()
        self.join()
        return round(self.peak / 1e6, 1)


def _memory_of_family() -> int:
    """Return the bytes of all processes, pages that they share counted once (PSS) where the system tells."""
    import psutil

    total = 0
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
    return total
