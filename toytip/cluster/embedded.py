"""guest: workers for a program that is not ours. What they need of its process is put back when they have ended."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from toytip.cluster.lifecycle import starts_local_workers
from toytip.cluster.local import prestart_forkserver
from toytip.config import Settings

LOGGERS = ("distributed", "distributed.client", "tornado.application")


def current_client_address() -> str | None:
    """Return the scheduler's address of the Dask client that is current in this program; None where there is none."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    with contextlib.suppress(ValueError):
        client = distributed.Client.current()
        if client.status == "running":
            return str(client.scheduler.address)
    return None


@contextlib.contextmanager
def embedded_workers(settings: Settings) -> Iterator[None]:
    """Have workers start as the command line's do, and leave environment, logging and Dask's config as they were."""
    environment, levels = dict(os.environ), {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        if settings.scheduler is None:
            with (
                _prestart_embedded(settings.start_method if starts_local_workers(settings) else "spawn"),
                _hide_main_module(),
            ):
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
    before = dict(os.environ)
    prestart_forkserver(start_method)
    import dask

    # Where Dask was imported before, it has not seen what is in the environment only now.
    added = dask.config.collect_env({k: v for k, v in os.environ.items() if k not in before})
    with dask.config.set(dask.config.merge(dask.config.config, added)):
        yield


@contextlib.contextmanager
def _hide_main_module() -> Iterator[None]:
    """Keep workers from importing the program that calls: they need nothing of it, and it would call again in each."""
    names: dict[str, Any] = vars(sys.modules["__main__"])
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    there: dict[str, Any] = {name: names.pop(name) for name in ("__file__", "__spec__") if name in names}
    names["__spec__"] = None
    try:
        yield
    finally:
        names.update(there)
