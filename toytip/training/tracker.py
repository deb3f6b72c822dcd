"""XGBoost's tracker, through which the ranks of a training connect.

The tracker runs on the scheduler's host. If a rank is lost during the handshake, XGBoost 3.2 ends
the process of the tracker. The tracker therefore has its own process. In the process of the
scheduler, the tracker would end the scheduler too. On a single machine, it would also end the run,
because the scheduler then runs in the process of the run.
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

# The connections to the trackers, by the token of the training. A tracker exits when its connection
# is closed or lost.
_CONNECTIONS: dict[str, Connection] = {}


async def start_tracker(token: str, rank_count: int, dask_scheduler: Any = None) -> dict[str, Any]:
    """Start a tracker from the scheduler. Returns the arguments that the ranks need to connect.

    Raises RuntimeError if the tracker cannot start.
    """
    from distributed.comm import get_address_host

    host = get_address_host(dask_scheduler.address)
    return await asyncio.to_thread(_spawn_tracker, token, host, rank_count)


def _spawn_tracker(token: str, host: str, rank_count: int) -> dict[str, Any]:
    import dask

    context = multiprocessing.get_context(dask.config.get("distributed.worker.multiprocessing-method"))
    connection, tracker_connection = context.Pipe()
    process = context.Process(
        target=_run_tracker, args=(tracker_connection, host, rank_count), daemon=True, name="toytip-tracker"
    )
    process.start()
    tracker_connection.close()
    try:
        worker_args: dict[str, Any] = connection.recv()
    except EOFError:
        raise RuntimeError(f"XGBoost's tracker cannot start on {host}") from None
    _CONNECTIONS[token] = connection
    return worker_args


def stop_tracker(token: str) -> None:
    """Stop the tracker of a training. Call this function on the scheduler."""
    if connection := _CONNECTIONS.pop(token, None):
        connection.close()


def _run_tracker(connection: Connection, host: str, rank_count: int) -> None:
    """Run the tracker until the other end of the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Discard XGBoost's messages about lost ranks, which do not help users. The client process
    # reports lost ranks.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    from xgboost.tracker import RabitTracker

    tracker = RabitTracker(host_ip=host, n_workers=rank_count, sortby="task")
    tracker.start()
    connection.send(tracker.worker_args())
    threading.Thread(target=tracker.wait_for, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        connection.recv()
    os._exit(0)
