"""One client: of a scheduler that is there, or of workers that end with the run; and what is asked of it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toytip.cluster import elastic, tls
from toytip.cluster.definitions import definition
from toytip.cluster.deploy import deploy
from toytip.cluster.standing import address_of, starts_here
from toytip.config import Settings, mask
from toytip.errors import ClusterError

ANSWER_S = 12
# A model of many rounds is one value of the graph, and sent once: nothing to warn of.
LARGE_GRAPH = {"distributed.admin.large-graph-warning-threshold": "1 GiB"}


@contextlib.contextmanager
def connect(settings: Settings, *, strict: bool = True) -> Iterator[Any]:
    """Yield a client of the cluster that the settings name, or of a local one that ends with the context.

    Raises ClusterError where no scheduler answers, no worker comes, one has other versions (if `strict`), or the
    scheduler is lost.
    """
    address = address_of(settings)
    with _quietly(settings), reach(address, settings) if address else owned(settings) as client:
        try:
            with _same_versions(client, settings) if strict else contextlib.nullcontext():
                yield client
        except (OSError, RuntimeError):
            if answers(client):
                raise
            raise ClusterError(
                f"the cluster at {client.scheduler.address} was lost; run again: what is whole is taken over"
            ) from None


def _same_versions(client: Any, settings: Settings) -> contextlib.AbstractContextManager[None]:
    """Refuse processes of other versions; what this machine starts for the run has this process' own."""
    if starts_here(settings):
        return contextlib.nullcontext()
    from toytip.cluster.versions import enforced

    return enforced(client)


@contextlib.contextmanager
def _quietly(settings: Settings) -> Iterator[None]:
    """Set Dask's config, and keep its log to itself: what goes wrong is said once, in our words, by whoever catches it."""
    import dask

    for name in ("distributed", "distributed.client", "tornado.application"):  # each has a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set({**LARGE_GRAPH, **tls.in_dask(settings)}):
        yield


@contextlib.contextmanager
def owned(settings: Settings) -> Iterator[Any]:
    """Yield a client of workers that end with the context. Raises ClusterError."""
    import distributed

    with _quietly(settings), deploy(settings) as deployer, distributed.Client(deployer) as client:
        elastic.begin(client, settings)
        limits = elastic.bounds(settings)
        fewest = limits[0] if limits else settings.workers or 1
        _wait(client, max(1, fewest) if starts_here(settings) else 1, definition(settings).wait)
        yield client


@contextlib.contextmanager
def reach(address: str, settings: Settings) -> Iterator[Any]:
    """Yield a client of the scheduler at an address. Raises ClusterError where none answers, or it refuses this one."""
    import distributed

    if (current := _current(address)) is not None:
        _wait(current, 1, definition(settings).wait)
        yield current
        return
    tls.check_scheme(address, settings)
    try:
        client = distributed.Client(address, security=tls.security(settings), timeout=ANSWER_S)
    except (OSError, ValueError, TimeoutError, ImportError) as error:
        raise ClusterError(
            tls.reason(address, settings)
            or f"no Dask scheduler answers at {mask(address)} ({type(error).__name__}); "
            "start one with `dask scheduler`, or leave out --scheduler"
        ) from None
    with client:
        _wait(client, 1, definition(settings).wait)
        yield client


def _current(address: str) -> Any:
    """Return the client that this program has of that scheduler already, and goes on using; None where it has none."""
    import distributed

    with contextlib.suppress(ValueError):
        client = distributed.Client.current()
        if client.scheduler.address == address and not client.asynchronous:
            return client
    return None


def _wait(client: Any, workers: int, seconds: int) -> None:
    try:
        client.wait_for_workers(workers, timeout=seconds)
    except TimeoutError:
        raise ClusterError(
            f"no worker has come within {seconds} s; start one with `dask worker ADDRESS`"
        ) from None


def answers(client: Any) -> bool:
    """Tell whether the scheduler of a client is there."""
    with contextlib.suppress(OSError, RuntimeError):
        client.nthreads()
        return bool(client.status == "running")
    return False


@contextlib.contextmanager
def reported(page: Path) -> Iterator[None]:
    """Write Dask's page of what the workers did; none after an error, when there may be no scheduler to ask."""
    import distributed

    report = distributed.performance_report(filename=page)
    report.__enter__()
    yield
    report.__exit__(None, None, None)
