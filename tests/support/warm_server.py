"""A process that has imported toytip, and forks a process per command.

A `toytip` process and its workers spend several seconds of CPU time on imports. A forked process
has the modules already. Everything else is as in a process that was executed: it has its own
environment, folder, output and exit code, starts its own workers, and ends like any other Python
program. `tests.support.warm_process` has the client.

The server forks before it starts a thread or an OpenMP region, as the fork server of
`multiprocessing` does.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import inspect
import json
import multiprocessing.util
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import warnings
from collections.abc import Sequence
from multiprocessing import resource_tracker
from typing import Any

# Modules that a run imports inside functions of other packages.
LAZY_MODULES = (
    "alembic.command",
    "bokeh.models",
    "distributed.dashboard.scheduler",
    "distributed.http.prometheus",
    "distributed.http.proxy",
    "distributed.http.scheduler",
    "distributed.http.statics",
    "matplotlib.pyplot",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "optuna.storages",
    "pandas.core.arrays.arrow.extension_types",
    "rich.progress",
    "sklearn.isotonic",
)
# `toytip.cluster.local` sets this variable for workers that a fork server starts.
SERVER_VARIABLES = {"DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver"}
TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGHUP)
# Greater than the descriptors of a fork server that has not started.
UNUSED_DESCRIPTOR = 200


def preload_modules() -> None:
    """Import all modules that a command or a worker may need."""
    from toytip.cluster.local import WORKER_VARIABLES

    # Dask and the numerical libraries read these variables when they are imported.
    os.environ.update(WORKER_VARIABLES, **SERVER_VARIABLES)
    import toytip.cluster.slim_imports
    from toytip.models.mlflow_env import silence_mlflow
    from toytip.report.charts.svg import open_drawing

    names = [module.name for module in pkgutil.walk_packages(toytip.__path__, "toytip.")]
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    with silence_mlflow():
        for name in LAZY_MODULES:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    # The first chart loads fonts.
    with open_drawing():
        pass
    # Dask looks for the modules of its callers, and this fills the cache of the search.
    inspect.getmodule(sys._getframe())


class CommandServer:
    """Forks a process per request, and reports its process ID and its exit code."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.connections: dict[int, socket.socket] = {}
        self.selector = selectors.DefaultSelector()
        self.ended, ended_write = os.pipe()
        os.set_blocking(ended_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ended_write)
        self.own_descriptors = [self.ended, ended_write]
        for descriptor in (listener.fileno(), self.ended, sys.stdin.fileno()):
            self.selector.register(descriptor, selectors.EVENT_READ)

    def serve(self) -> dict[str, Any] | None:
        """Serve until standard input ends. Returns the request in each forked process."""
        while True:
            ready = {key.fd for key, _ in self.selector.select()}
            if self.ended in ready:
                os.read(self.ended, 4096)
                self._report_ended()
            if self.listener.fileno() in ready and (request := self._accept()) is not None:
                return request
            if sys.stdin.fileno() in ready:
                return None

    def _report_ended(self) -> None:
        while self.connections:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with contextlib.suppress(OSError), self.connections.pop(pid) as connection:
                connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))

    def _accept(self) -> dict[str, Any] | None:
        """Fork a process for the next request. Returns the request in that process."""
        connection, _ = self.listener.accept()
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as stream:
            request: dict[str, Any] = json.loads(stream.readline())
        with warnings.catch_warnings():
            # Python 3.12 and later warn about the threads of native libraries, which are idle.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            if request["new_session"]:
                os.setsid()
            with connection:
                connection.sendall(b"%d\n" % os.getpid())
            self._become_command(descriptors)
            return request
        for descriptor in descriptors:
            os.close(descriptor)
        self.connections[pid] = connection
        return None

    def _become_command(self, files: Sequence[int]) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for source, target in zip(files, (0, 1, 2), strict=True):
            os.dup2(source, target)
        self.selector.close()
        for connection in (self.listener, *self.connections.values()):
            connection.close()
        for descriptor in (*files, *self.own_descriptors):
            os.close(descriptor)


def run_command(request: dict[str, Any]) -> None:
    """Run `python -m toytip` in this process, as a request describes."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    WarmForkServer().install()
    sys.argv = ["toytip", *request["words"]]
    runpy.run_module("toytip", run_name="__main__", alter_sys=True)


class WarmForkServer:
    """A process that becomes the fork server of `multiprocessing` when the command starts one.

    It is forked before the command runs, because a fork server has nothing of its command.
    """

    def __init__(self) -> None:
        self.socket, other = socket.socketpair()
        self.pid = os.fork()
        if self.pid:
            other.close()
            return
        self.socket.close()
        for number in TERMINAL_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        try:
            self._wait_for_start(other)
        finally:
            os._exit(0)

    def install(self) -> None:
        """Use this process for the first fork server, which would otherwise be executed."""
        execute = multiprocessing.util.spawnv_passfds  # type: ignore[attr-defined]

        def start(path: str, args: Sequence[str], descriptors: Sequence[int]) -> int:
            if "multiprocessing.forkserver" not in args[-1] or self.socket.fileno() < 0:
                return int(execute(path, args, descriptors))
            request = {"code": args[-1], "env": dict(os.environ), "descriptors": list(descriptors)}
            with self.socket:
                socket.send_fds(self.socket, [b" "], list(descriptors))
                self.socket.sendall(json.dumps(request).encode() + b"\n")
            return self.pid

        multiprocessing.util.spawnv_passfds = start  # type: ignore[attr-defined]

    @staticmethod
    def _wait_for_start(connection: socket.socket) -> None:
        data, received, _, _ = socket.recv_fds(connection, 1, 16)
        if not data:  # the command has ended without a fork server
            return
        with connection.makefile("rb") as stream:
            request = json.loads(stream.readline())
        connection.close()
        os.environ.clear()
        os.environ.update(request["env"])
        # The code names its descriptors by number, and these numbers may be in use here.
        copies = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, UNUSED_DESCRIPTOR) for number in received]
        for source, target in zip(copies, request["descriptors"], strict=True):
            os.dup2(source, target, inheritable=False)
            os.close(source)
        tracker = resource_tracker._resource_tracker  # type: ignore[attr-defined]
        tracker._fd = tracker._pid = None
        exec(request["code"], {"__name__": "__main__"})  # noqa: S102 - code of `multiprocessing`


def main() -> None:
    """Serve on the socket whose descriptor is the first argument."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    preload_modules()
    gc.collect()
    gc.freeze()
    request = CommandServer(listener).serve()
    if request is not None:
        run_command(request)


if __name__ == "__main__":
    main()
