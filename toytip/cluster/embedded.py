"""Start workers from another program, and restore the state of its process afterwards."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from toytip.cluster.lifecycle import plan_cluster
from toytip.cluster.local import DASK_LOGGERS, prestart_forkserver
from toytip.config import Settings
from toytip.errors import ClusterError


def current_client_address() -> str | None:
    """Return the scheduler address of the program's running Dask client, or None without one.

    Raises ClusterError if the client is asynchronous. A call of toytip would block its event loop.
    """
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    with contextlib.suppress(ValueError):
        client = distributed.Client.current()
        if client.status == "running":
            if client.asynchronous:
                raise ClusterError(
                    "cannot use the program's Dask client: it is asynchronous",
                    hint="Close the client, or create a client without asynchronous=True in a different thread "
                    "or process.",
                )
            return str(client.scheduler.address)
    return None


@contextlib.contextmanager
def embedded_workers(settings: Settings) -> Iterator[None]:
    """Prepare this process to start workers as the CLI does, and restore its state afterwards.

    The state consists of environment variables, log levels and Dask config.
    """
    environment = dict(os.environ)
    levels = {name: logging.getLogger(name).level for name in DASK_LOGGERS}
    try:
        if settings.scheduler is None:
            start_method = settings.start_method if plan_cluster(settings).starts_local_workers else "spawn"
            with _prestart_embedded(start_method), _hide_main_module():
                yield
        else:
            yield
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _prestart_embedded(start_method: str) -> Iterator[None]:
    previous = set(os.environ)
    prestart_forkserver(start_method)
    import dask

    # If the program imported Dask earlier, Dask has not read the environment variables that were
    # added above.
    added = dask.config.collect_env(
        {name: value for name, value in os.environ.items() if name not in previous}
    )
    with dask.config.set(dask.config.merge(dask.config.config, added)):
        yield


@contextlib.contextmanager
def _hide_main_module() -> Iterator[None]:
    """Prevent workers from importing the calling program. The import would run it again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    main: dict[str, Any] = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)
