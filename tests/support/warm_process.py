"""Start `toytip` in a process of its own that has its imports already (see `warm_server`)."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.warm_server import SERVER_VARIABLES
from toytip.cluster.local import WORKER_VARIABLES

# Commands read these variables when they run. Python, Dask and numerical libraries read other
# variables when they start or are imported.
COMMAND_VARIABLES = (
    *("TOYTIP_", "AWS_", "MLFLOW_", "PYTEST_", "COLUMNS", "LINES", "TERM", "NO_COLOR"),
    *("XDG_STATE_HOME", "DO_NOT_TRACK", "GIT_PYTHON_REFRESH", "PATH", "FAKE_KUBECTL_DIR", "KUBECONFIG"),
    # A command adds this machine to these two, if there is a proxy.
    *("NO_PROXY", "no_proxy"),
    # Dask sets these in a process that has started workers, for its next workers.
    *("__DASK_PARENT_PID", "PYTHONHASHSEED", "KMP_", "_RJEM_MALLOC_CONF"),
)

# The environment of the server: that of this process before any test changes it.
SERVER_ENVIRONMENT = dict(os.environ)
SERVER_PROGRAM = (sys.executable, "-m", "tests.support.warm_server")


class WarmProcess(subprocess.Popen[str]):
    """A process of a server, with the interface of `subprocess.Popen`.

    `program` is the command that starts the server, once for this process.
    `files` are the descriptors of its three standard files. By default, it has an empty input, and
    both outputs are pipes.
    """

    # The methods of the base class that end a process read these attributes.
    _child_created = False
    _sigint_wait_secs = 0.0

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        folder: Path | None,
        files: Sequence[int] | None = None,
        *,
        new_session: bool = False,
        program: tuple[str, ...] = SERVER_PROGRAM,
    ) -> None:
        self.args = [program[0], "-m", "toytip", *words]
        self.returncode: int | None = None
        self.stdin = self.stdout = self.stderr = None
        request = {
            "words": list(words),
            "env": dict(env),
            "folder": str(folder or Path.cwd()),
            "new_session": new_session,
        }
        self._connection = socket.socket(socket.AF_UNIX)
        self._server = _start_server(program)
        self._connection.connect(self._server.address)
        self._send(request, files or self._open_pipes(), close=files is None)
        self.pid = int(self._read_line(None) or 0)

    def _open_pipes(self) -> list[int]:
        """Return the descriptors of an empty input and of two pipes, which this object reads."""
        pipes = os.pipe(), os.pipe()
        self.stdout, self.stderr = (os.fdopen(read, encoding="utf-8") for read, _ in pipes)
        return [os.open(os.devnull, os.O_RDONLY), *(write for _, write in pipes)]

    def _send(self, request: dict[str, Any], files: Sequence[int], *, close: bool) -> None:
        socket.send_fds(self._connection, [b" "], files)
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        for descriptor in files if close else ():
            os.close(descriptor)

    def _read_line(self, timeout: float | None) -> bytes | None:
        """Return the next line of the server, or None after the timeout."""
        self._connection.settimeout(timeout)
        line = b""
        try:
            while not line.endswith(b"\n"):
                data = self._connection.recv(1)
                if not data:
                    raise RuntimeError(f"the server ended with exit code {self._server.process.wait(10)}")
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
        deadline = None if timeout is None else time.monotonic() + timeout

        def remaining() -> float | None:
            return None if deadline is None else max(0.0, deadline - time.monotonic())

        streams = [stream for stream in (self.stdout, self.stderr) if stream is not None]
        output = {stream.fileno(): b"" for stream in streams}
        with selectors.DefaultSelector() as selector:
            for descriptor in output:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(remaining())
                if not ready:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                for key, _ in ready:
                    data = os.read(key.fd, 65_536)
                    output[key.fd] += data
                    if not data:
                        selector.unregister(key.fd)
        self.wait(remaining())
        stdout, stderr = (content.decode() for content in output.values())
        return stdout, stderr


def can_be_warm(words: Iterable[str], env: Mapping[str, str]) -> bool:
    """Return whether a forked process would behave like an executed one."""
    return "--start-method" not in words and "TOYTIP_START_METHOD" not in env and not changed_variables(env)


def changed_variables(env: Mapping[str, str]) -> set[str]:
    """Return the variables that Python or a library reads when it starts, and that have changed."""
    started = SERVER_ENVIRONMENT
    # The server imports with the variables of workers. Commands in this process leave them behind.
    equal = started.items() | {**started, **WORKER_VARIABLES, **SERVER_VARIABLES}.items()
    changed = {name for name, value in env.items() if (name, value) not in equal}
    removed = started.keys() - env.keys()
    return {name for name in changed | removed if not name.startswith(COMMAND_VARIABLES)}


class _Server(NamedTuple):
    """The server, and the address of its socket."""

    process: subprocess.Popen[bytes]
    address: str


@functools.cache
def _start_server(program: tuple[str, ...]) -> _Server:
    """Start a server of this process, which ends with this process."""
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    address = f"{folder.name}/socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        server = subprocess.Popen(
            [*program, str(listener.fileno())],
            cwd=Path(__file__).parents[2],
            env=SERVER_ENVIRONMENT,
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
    return _Server(server, address)
