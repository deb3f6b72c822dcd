"""Workers on this machine: their number, their sizes, and a fork server to start them fast."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from toytip.cluster.adaptive import parse_adapt
from toytip.cluster.host_limits import (
    available_cores,
    available_memory,
    raise_file_limit,
    require_startable,
)
from toytip.cluster.tls import dask_security, uses_tls
from toytip.cluster.workers import ClusterShape, pool_memory
from toytip.config import Settings
from toytip.errors import ConfigError
from toytip.io.home import ensure_home

PRELOADED_MODULES = [
    "toytip.cluster.slim_imports",
    "distributed",
    "distributed.nanny",
    "pyarrow.parquet",
    "pyarrow.compute",
    # The modules of all tasks. Each worker would otherwise import them before its first task.
    "toytip.engine.graph",
]
# A worker that sends no heartbeat for this time is frozen, and is restarted. A rank that waits for
# this worker gives up after the same time.
WORKER_TTL_S = 60
# The signals that a terminal sends to all processes that it started.
TERMINAL_SIGNALS = (signal.SIGINT, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))
# Each of these loggers has its own log level.
DASK_LOGGERS = ("distributed", "distributed.client", "tornado.application")
# The scheduler plugin of the run dashboard, and the path of its page.
RUN_PAGE = "toytip"
# The default port of Dask's dashboard.
DEFAULT_DASHBOARD_PORT = 8787
WORKER_VARIABLES = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # An idle training thread waits in a loop for about a microsecond, and then sleeps. By default,
    # libgomp keeps it in the loop for milliseconds, and it takes the core from the other processes.
    "GOMP_SPINCOUNT": "1000",
    # On a busy machine, a killed worker can take long to restart. By default, Dask gives up after
    # 15 s.
    "DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "300s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{WORKER_TTL_S}s",
    # With this value, no tasks wait on a worker. If a worker is lost, Dask counts a failure
    # only of the task that was running.
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    # Large arrays are allocated directly from the operating system, and their memory is returned at
    # once. A heap would keep this memory for the lifetime of the worker.
    "MALLOC_MMAP_THRESHOLD_": str(2**22),
    "MALLOC_TRIM_THRESHOLD_": str(2**22),
    "MALLOC_ARENA_MAX": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # Longer polling intervals, which reduce the load of idle workers. By default each worker polls
    # itself a hundred times per second, which is measurable with eight workers on two cores.
    "DASK_DISTRIBUTED__WORKER__PROFILE__INTERVAL": "500ms",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "2s",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "500ms",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "250ms",
}


def set_worker_variables(start_method: str) -> None:
    """Set the environment variables of the workers, before this process imports numpy or Dask."""
    ensure_home()
    os.environ["DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD"] = start_method
    for name, value in WORKER_VARIABLES.items():
        os.environ.setdefault(name, value)


def prestart_forkserver(start_method: str) -> None:
    """Start a fork server that imports the workers' modules while this process imports its own.

    Eight workers then start in 0.5 s, compared with 47 s without a fork server (2 cores). The
    function also sets the environment variables of the workers. Call this function before Dask is
    imported. Raises ClusterError if this process may open too few files.
    """
    raise_file_limit()
    set_worker_variables(start_method)
    if start_method != "forkserver":
        return
    import multiprocessing
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED_MODULES)
    with _ignore_terminal_signals():
        forkserver.ensure_running()
    import distributed.utils

    # Without this line, Dask replaces the list of modules, although the server already runs.
    if hasattr(distributed.utils, "_forkserver_preload_set"):
        distributed.utils._forkserver_preload_set = True  # noqa: SLF001 - no public option


@contextlib.contextmanager
def _ignore_terminal_signals() -> Iterator[None]:
    """Ignore SIGINT and SIGHUP in processes that start in this context.

    The client process stops these processes itself.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread sets handlers
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in TERMINAL_SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def local_shape(settings: Settings) -> ClusterShape:
    """Return the sizes of a local cluster. Raises ConfigError if the memory limit is invalid."""
    from dask.utils import parse_bytes

    limits = parse_adapt(settings)
    workers = limits.maximum if limits else settings.workers or available_cores()
    try:
        # Each worker gets an equal share. Dask's own default would assign the same memory to
        # several workers.
        memory_limit = (
            parse_bytes(settings.memory_limit) if settings.memory_limit else available_memory() // workers
        )
    except ValueError:
        memory_limit = -1
    if memory_limit < 0:
        raise ConfigError(
            f"cannot use --memory-limit {settings.memory_limit!r}: it is not a size",
            hint="Set --memory-limit to a size with a unit, for example 4GB.",
        )
    return ClusterShape(
        workers=workers,
        threads=settings.threads_per_worker or max(1, available_cores() // workers),
        memory_limit=memory_limit,
        ranks=1,
        training_memory=pool_memory([memory_limit] * workers, available_memory()),
    )


def start_local(settings: Settings) -> Any:
    """Start workers on this machine."""
    import distributed

    require_startable()
    shape, limits = local_shape(settings), parse_adapt(settings)
    tls_options = {"protocol": "tls://", "security": dask_security(settings)} if uses_tls(settings) else {}
    with warnings.catch_warnings():
        # If another process has just bound the port, Dask uses a different port and prints a
        # warning.
        warnings.filterwarnings("ignore", f"Port {DEFAULT_DASHBOARD_PORT} is already in use")
        deployer = distributed.LocalCluster(
            n_workers=limits.minimum if limits else shape.workers,
            threads_per_worker=shape.threads,
            memory_limit=shape.memory_limit,
            host="127.0.0.1",
            dashboard_address=f"127.0.0.1:{_dashboard_port(settings)}",
            silence_logs=logging.CRITICAL,
            scheduler_kwargs={"dashboard": False},
            **tls_options,
        )
    _add_dask_pages_later(deployer.scheduler)
    return deployer


def _add_dask_pages_later(scheduler: Any) -> None:
    """Add Dask's own pages when somebody opens one. Their import delays the start by half a second.

    The run dashboard and the metrics do not need Dask's pages.
    """
    from tornado import web

    class AddPages(web.RequestHandler):
        """Adds the pages, and sends the browser to the same address again."""

        async def get(self) -> None:
            """Respond with a redirect."""
            server = scheduler.http_application
            # The import runs in a thread, because the event loop must answer the workers meanwhile.
            pages = await asyncio.to_thread(importlib.import_module, "distributed.dashboard.scheduler")
            if placeholder in server.applications:
                server.applications.remove(placeholder)
                pages.connect(server, scheduler.http_server, scheduler)
                links = pages.template_variables(scheduler)["pages"]
                if RUN_PAGE in scheduler.plugins and RUN_PAGE not in links:
                    links.append(RUN_PAGE)
            self.redirect(self.request.uri)

    placeholder = web.Application([(rf"/(?!{RUN_PAGE}\b).*", AddPages)])
    scheduler.http_application.add_application(placeholder)


def _dashboard_port(settings: Settings) -> int:
    """Return the configured port, else Dask's default port if free, else 0 (any free port)."""
    if settings.dashboard_port is not None:
        return settings.dashboard_port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_DASHBOARD_PORT))
        except OSError:
            return 0
        return DEFAULT_DASHBOARD_PORT
