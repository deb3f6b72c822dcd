"""The process that holds a cluster that was brought up: it starts it, waits until it is told to end, and ends it.

Started by `standing.up`: the settings come in on stdin, as JSON; one line goes out, `up ADDRESS` or `failed REASON`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

import psutil

from toytip.cluster import live
from toytip.cluster.connect import owned
from toytip.cluster.definitions import definition
from toytip.cluster.local import warm
from toytip.cluster.standing import Standing, remember
from toytip.config import Settings
from toytip.errors import ToytipError


def main() -> int:
    """Hold the cluster of the settings that come in on stdin until SIGTERM."""
    settings = Settings.model_validate_json(sys.stdin.read())
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kind = definition(settings).kind
    warm(settings.start_method if kind == "local" else "spawn")
    import toytip.lean  # noqa: F401 - before anything imports more

    try:
        with owned(settings) as client:
            this = psutil.Process()
            address, dashboard = client.scheduler.address, client.dashboard_link
            remember(settings, Standing(
                name=str(settings.cluster), kind=kind, address=address, dashboard=dashboard, pid=this.pid,
                started=this.create_time(),
            ))  # fmt: skip
            if settings.live:
                live.install(client)
            _say(f"up {address}")
            ended.wait()
    except ToytipError as error:
        _say(f"failed {' '.join(str(error).split())}")
        return 1
    return 0


def _say(line: str) -> None:
    """Tell the process that started this one, which waits for one line and then goes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
