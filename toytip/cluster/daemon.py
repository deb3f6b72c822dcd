"""The process that holds a cluster that was brought up: it starts it, waits until it is told to end, and ends it.

Started by `standing.start_persistent_cluster`: the settings come in on stdin, as JSON; one line goes out, `up ADDRESS` or `failed REASON`.
"""

from __future__ import annotations

import os
import signal
import sys

import psutil

from toytip.cluster.connect import start_cluster
from toytip.cluster.definitions import load_definition
from toytip.cluster.lifecycle import ClusterRecord, save_record
from toytip.cluster.local import prestart_forkserver
from toytip.config import Settings
from toytip.dashboard import reporter
from toytip.errors import ToytipError


def main() -> int:
    """Hold the cluster of the settings that come in on stdin until SIGTERM, which ends it while it starts, too."""
    settings = Settings.model_validate_json(sys.stdin.read())
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _interrupt_once)
    kind = load_definition(settings).kind
    prestart_forkserver(settings.start_method if kind == "local" else "spawn")
    import toytip.cluster.slim_imports  # noqa: F401 - before anything imports more

    try:
        with start_cluster(settings) as client:
            this = psutil.Process()
            address, dashboard = client.scheduler.address, client.dashboard_link
            save_record(settings, ClusterRecord(
                name=str(settings.cluster), kind=kind, address=address, dashboard=dashboard, pid=this.pid,
                started=this.create_time(),
            ))  # fmt: skip
            if settings.live_dashboard:
                reporter.install_plugin(client)
            _send_line(f"up {address}")
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except ToytipError as error:
        _send_line(f"failed {' '.join(str(error).split())}")
        return 1
    return 0


def _interrupt_once(*_: object) -> None:
    """End, once: the ending is not to be disturbed."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _send_line(line: str) -> None:
    """Tell the process that started this one, which waits for one line and then goes; what comes later is for the log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
