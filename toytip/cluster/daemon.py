"""The process of a persistent cluster, which starts the cluster, and stops it on SIGTERM.

`lifecycle.start_persistent_cluster` starts this process. The process reads the settings from stdin
as JSON, and writes one `DaemonMessage` to stdout.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import psutil

from toytip.cluster.connect import start_cluster
from toytip.cluster.definitions import ClusterKind
from toytip.cluster.lifecycle import ClusterRecord, DaemonMessage, plan_cluster, save_record
from toytip.cluster.local import prestart_forkserver
from toytip.config import Settings
from toytip.dashboard import reporter
from toytip.errors import ConfigError, ToytipError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Start a cluster, and keep it running until SIGTERM or SIGINT.

    A signal also stops a cluster that is still starting. Returns the exit code.
    """
    settings = Settings.model_validate_json(sys.stdin.read())
    for number in STOP_SIGNALS:
        signal.signal(number, _interrupt_once)
    plan = plan_cluster(settings)
    kind = plan.definition.kind
    prestart_forkserver(settings.start_method if kind == "local" else "spawn")
    import toytip.cluster.slim_imports  # noqa: F401 - must precede all imports of Dask and XGBoost

    try:
        with start_cluster(settings, plan) as client:
            save_record(settings, _record(settings, kind, client))
            if settings.live_dashboard:
                reporter.install_plugin(client)
            _send(DaemonMessage(address=client.scheduler.address))
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except ToytipError as error:
        is_config_error = isinstance(error, ConfigError)
        _send(DaemonMessage(error=str(error), hint=error.hint, is_config_error=is_config_error))
        return 1
    return 0


def _record(settings: Settings, kind: ClusterKind, client: Any) -> ClusterRecord:
    process = psutil.Process()
    return ClusterRecord(
        name=str(settings.cluster),
        kind=kind,
        address=client.scheduler.address,
        dashboard_url=client.dashboard_link,
        pid=process.pid,
        process_started_at=process.create_time(),
    )


def _interrupt_once(*_: object) -> None:
    """Raise KeyboardInterrupt, and ignore further signals, so that the shutdown continues."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _send(message: DaemonMessage) -> None:
    """Send one line to the parent process, which reads no further. Later output goes to the log."""
    sys.stdout.write(f"{message.to_line()}\n")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
