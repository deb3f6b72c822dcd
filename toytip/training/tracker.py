"""tracker: where the ranks of a training find each other. It is XGBoost's, in a process of its own beside the scheduler.

Where a rank dies while it is being greeted, XGBoost 3.2 ends the whole process that its tracker is in: that may not be the
scheduler's, which on one machine is the run's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any

# By the token of the training: the line to its tracker, which ends where that is closed, or is no more.
_CONNECTIONS: dict[str, Connection] = {}


async def start_tracker(token: str, rank_count: int, dask_scheduler: Any = None) -> dict[str, Any]:
    """Start the tracker of so many ranks, on the scheduler; return what ranks must know. Raises RuntimeError."""
    from distributed.comm import get_address_host

    return await asyncio.to_thread(
        _spawn_tracker, token, get_address_host(dask_scheduler.address), rank_count
    )


def _spawn_tracker(token: str, host: str, rank_count: int) -> dict[str, Any]:
    import dask

    context = multiprocessing.get_context(dask.config.get("distributed.worker.multiprocessing-method"))
    ours, its = context.Pipe()
    context.Process(
        target=_run_tracker, args=(its, host, rank_count), daemon=True, name="toytip-tracker"
    ).start()
    its.close()
    try:
        told: dict[str, Any] = ours.recv()
    except EOFError:
        raise RuntimeError(f"XGBoost's tracker does not start on {host}") from None
    _CONNECTIONS[token] = ours
    return told


def stop_tracker(token: str) -> None:
    """End the tracker of a training, on the scheduler."""
    if line := _CONNECTIONS.pop(token, None):
        line.close()


def _run_tracker(connection: Connection, host: str, rank_count: int) -> None:
    """Track, in a process of its own, for as long as somebody holds the other end of the line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What XGBoost says of its end is nothing that a user can act on: the ranks are missed, and told of.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    from xgboost.tracker import RabitTracker

    tracker = RabitTracker(host_ip=host, n_workers=rank_count, sortby="task")
    tracker.start()
    connection.send(tracker.worker_args())
    threading.Thread(target=tracker.wait_for, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        connection.recv()
    os._exit(0)
