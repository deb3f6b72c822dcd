"""Workers on this machine, which start in a second: how many, how large, and how they are begun."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from toytip.cluster.adaptive import parse_adapt
from toytip.cluster.tls import dask_security, uses_tls
from toytip.cluster.workers import ClusterShape, available_cores
from toytip.config import Settings
from toytip.errors import ClusterError

PRELOADED_MODULES = [
    "toytip.cluster.slim_imports",
    "distributed",
    "distributed.nanny",
    "pyarrow.parquet",
    "pyarrow.compute",
]
# A worker that has said nothing for so long is frozen, and is started again; a rank that waits for it gives up.
WORKER_TTL_S = 60
# What a terminal sends to all that it has started.
TERMINAL_SIGNALS = (signal.SIGINT, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))
# Where Dask's users look for the dashboard.
DEFAULT_DASHBOARD_PORT = 8787


def prestart_forkserver(start_method: str) -> None:
    """Begin to import what workers need in a fork server, while the driver imports the same.

    Eight workers then start in half a second instead of 47 (2 cores). Call it before dask is imported.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ["DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD"] = start_method
    # A killed worker may need long to come back on a busy machine; the default gives it up after 15 s.
    os.environ.setdefault("DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT", "300s")
    os.environ.setdefault("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", f"{WORKER_TTL_S}s")
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
    os.environ.setdefault("DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL", "500ms")
    os.environ.setdefault("DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL", "250ms")
    if start_method != "forkserver":
        return
    import multiprocessing
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED_MODULES)
    with _ignore_terminal_signals():
        forkserver.ensure_running()
    import distributed.utils

    if hasattr(
        distributed.utils, "_forkserver_preload_set"
    ):  # else dask replaces the list, which runs already
        distributed.utils._forkserver_preload_set = True  # noqa: SLF001 - there is no public switch


@contextlib.contextmanager
def _ignore_terminal_signals() -> Iterator[None]:
    """Have what is started inherit that Ctrl-C, and the terminal's end, are not for it: the driver ends its workers, in order."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may say so
        yield
        return
    before = {each: signal.signal(each, signal.SIG_IGN) for each in TERMINAL_SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def local_shape(settings: Settings) -> ClusterShape:
    """Return what a local cluster will have. Raises ClusterError where the memory limit is none."""
    from dask.utils import parse_bytes
    from distributed.system import MEMORY_LIMIT

    limits = parse_adapt(settings)
    count = limits[1] if limits else settings.workers or available_cores()
    try:
        # A worker's share: Dask's own default would promise the same memory to many.
        limit = parse_bytes(settings.memory_limit) if settings.memory_limit else MEMORY_LIMIT // count
    except ValueError as error:
        raise ClusterError(f"--memory-limit {settings.memory_limit}: {error}; write it as 4GB") from None
    threads = settings.threads_per_worker or max(1, available_cores() // count)
    return ClusterShape(
        workers=count, threads=threads, memory_limit=limit, ranks=min(count, available_cores())
    )


def start_local(settings: Settings) -> Any:
    """Start workers on this machine."""
    import distributed

    planned, limits = local_shape(settings), parse_adapt(settings)
    secure = {"protocol": "tls://", "security": dask_security(settings)} if uses_tls(settings) else {}
    with warnings.catch_warnings():
        # Dask finds another where somebody has just taken it, and warns.
        warnings.filterwarnings("ignore", f"Port {DEFAULT_DASHBOARD_PORT} is already in use")
        return distributed.LocalCluster(
            n_workers=limits[0] if limits else planned.workers,
            threads_per_worker=planned.threads,
            memory_limit=planned.memory_limit,
            host="127.0.0.1",
            dashboard_address=f"127.0.0.1:{_dashboard_port(settings)}",
            silence_logs=logging.CRITICAL,
            **secure,
        )


def _dashboard_port(settings: Settings) -> int:
    """Return the port that is asked for; else Dask's usual one where it is free, or 0: any."""
    if settings.dashboard_port is not None:
        return settings.dashboard_port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_DASHBOARD_PORT))
        except OSError:
            return 0
        return DEFAULT_DASHBOARD_PORT
