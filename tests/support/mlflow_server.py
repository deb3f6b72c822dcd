"""A complete MLflow server for tests, on a free port of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.support.clusters import free_port
from tests.support.runs import wait_until

# The server needs an older pyarrow than toytip, and therefore has an environment of its own.
PROGRAM = Path(os.environ.get("TOYTIP_TEST_MLFLOW") or Path(sys.prefix, "mlflow", "bin", "mlflow"))


@contextlib.contextmanager
def run_mlflow_server(folder: Path, *options: str | Path) -> Iterator[int]:
    """Run the server with its database and its log in a folder, and yield its port."""
    assert PROGRAM.is_file(), f"{PROGRAM} does not exist; run `make test-store`"
    port, log_file = free_port(), folder / "log"
    address = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    database = ("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}")
    env = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    with (
        log_file.open("wb") as log,
        subprocess.Popen(
            [PROGRAM, "server", *address, *database, *options],
            cwd=folder,
            env={**env, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or _is_healthy(port))
            assert process.poll() is None, log_file.read_text()
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _is_healthy(port: int) -> bool:
    with contextlib.suppress(OSError):
        address = f"http://127.0.0.1:{port}/health"
        with urllib.request.urlopen(address, timeout=2) as response:
            return bool(response.status == 200)
    return False
