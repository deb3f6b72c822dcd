"""One client: of a scheduler that is there, or of workers that end with the run; and what is asked of it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toytip.cluster.local import local
from toytip.config import Settings
from toytip.errors import ClusterError

ANSWER_S = 12


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
            client = stack.enter_context(distributed.Client(stack.enter_context(local(settings))))
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


@contextlib.contextmanager
def reported(page: Path) -> Iterator[None]:
    """Write Dask's page of what the workers did; none after an error, when there may be no scheduler to ask."""
    import distributed

    report = distributed.performance_report(filename=page)
    report.__enter__()
    yield
    report.__exit__(None, None, None)
