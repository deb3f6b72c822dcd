"""Start `toytip` in a process of its own that has its imports already (see `warm_server`)."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.support.warm_server import SERVER_VARIABLES
from toytip.cluster.local import WORKER_VARIABLES

# Commands read these variables when they run. Python, Dask and numerical libraries read other
# variables when they start or are imported.
COMMAND_VARIABLES = (
    *("TOYTIP_", "AWS_", "MLFLOW_", "PYTEST_", "COLUMNS", "NO_COLOR", "XDG_STATE_HOME"),
    *("DO_NOT_TRACK", "GIT_PYTHON_REFRESH", "PATH", "FAKE_KUBECTL_DIR", "KUBECONFIG"),
    # Dask sets these in a process that has started workers, for its next workers.
    *("__DASK_PARENT_PID", "PYTHONHASHSEED", "KMP_", "_RJEM_MALLOC_CONF"),
)


class WarmProcess(subprocess.Popen[str]):
    """A process of the server, with the interface of `subprocess.Popen`. Both outputs are pipes."""

    _child_created = False

    def __init__(
        self, words: Sequence[str], env: Mapping[str, str], folder: Path | None, new_session: bool
    ) -> None:
        self.args = [sys.executable, "-m", "toytip", *words]
        self.returncode: int | None = None
        self.stdin = None
        request = {
            "words": list(words),
            "env": dict(env),
            "folder": str(folder or Path.cwd()),
            "new_session": new_session,
        }
        pipes = os.pipe(), os.pipe()
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_server_address())
        socket.send_fds(self._connection, [b" "], [write for _, write in pipes])
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        for _, write in pipes:
            os.close(write)
        self.stdout, self.stderr = (open(read, encoding="utf-8") for read, _ in pipes)  # noqa: SIM115 - closed by __exit__
        self.pid = int(self._read_line(None) or 0)

    def _read_line(self, timeout: float | None) -> bytes | None:
        """Return the next line of the server, or None after the timeout."""
        self._connection.settimeout(timeout)
        line = b""
        try:
            while not line.endswith(b"\n"):
                data = self._connection.recv(1)
                if not data:
                    raise RuntimeError("the server of warm processes has ended")
                line += data
        except (TimeoutError, BlockingIOError):
            return None
        return line

    def poll(self) -> int | None:
        """Return the exit code if the process has ended, else None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises TimeoutExpired after the timeout."""
        if self.returncode is None:
            line = self._read_line(timeout)
            if line is None:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(line)
            self._connection.close()
        return self.returncode

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:  # noqa: A002, ARG002
        """Return both outputs to their ends. Raises TimeoutExpired after the timeout."""
        output: dict[IO[str], str] = {}

        def read(stream: IO[str]) -> None:
            output[stream] = stream.read()

        deadline = None if timeout is None else time.monotonic() + timeout
        streams = [stream for stream in (self.stdout, self.stderr) if stream is not None]
        readers = [threading.Thread(target=read, args=(stream,), daemon=True) for stream in streams]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if deadline is None else deadline - time.monotonic())
        if len(output) < len(streams):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if deadline is None else max(0, deadline - time.monotonic()))
        return output[streams[0]], output[streams[1]]


def can_be_warm(words: Iterable[str], env: Mapping[str, str]) -> bool:
    """Return whether a forked process would behave like an executed one."""
    if "--start-method" in words or "TOYTIP_START_METHOD" in env:
        return False
    started = _server_environment()
    # The server imports with the variables of workers. Commands in this process leave them behind.
    equal = started.items() | {**started, **WORKER_VARIABLES, **SERVER_VARIABLES}.items()
    changed = {item for item in env.items() if item not in equal}
    removed = {(name, "") for name in started.keys() - env.keys()}
    return all(name.startswith(COMMAND_VARIABLES) for name, _ in changed | removed)


@functools.cache
def _server_environment() -> dict[str, str]:
    """Return the environment of the server: that of this process when it starts the first command."""
    return dict(os.environ)


@functools.cache
def _server_address() -> str:
    """Start the server of this process, which ends with this process. Returns its address."""
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    address = f"{folder.name}/socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_server", str(listener.fileno())],
            cwd=Path(__file__).parents[2],
            env=_server_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )

    def stop() -> None:
        assert server.stdin is not None
        server.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()
        server.wait()
        folder.cleanup()

    atexit.register(stop)
    return address
