"""Clusters that tests start, and the flags that connect to them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.support.runs import wait_until


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tls_flags(folder: Path, name: str) -> tuple[str | Path, ...]:
    """Return the flags of a certificate in a folder: `node` or `client`."""
    files = {"--tls-ca-file": "ca.pem", "--tls-cert": f"{name}.pem", "--tls-key": f"{name}.key"}
    return tuple(word for flag, file in files.items() for word in (flag, folder / file))


def kill_processes(variable: str, value: str) -> None:
    """Kill the processes that have a variable with a value in their environment."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                process.kill()


@contextlib.contextmanager
def run_dask_cluster(
    folder: Path, workers: int
) -> Iterator[tuple[str, subprocess.Popen[bytes], Callable[..., subprocess.Popen[bytes]]]]:
    """Start Dask's own scheduler and workers.

    Yields the scheduler's address, its process, and a function that starts another worker. All
    processes stop with the context.
    """
    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    binary = str(Path(sys.executable).parent / "dask")
    processes: list[subprocess.Popen[bytes]] = []

    def start(program: str, *words: str, within: Sequence[str] = (), **env: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*within, binary, program, "--host", host, "--no-dashboard", *words],  # the last host counts
            cwd=folder,
            env={**os.environ, **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.append(process)
        return process

    def add_worker(*options: str, within: Sequence[str] = (), **env: str) -> subprocess.Popen[bytes]:
        words = ("worker", address, "--nthreads", "1", "--death-timeout", "30", *options)
        return start(*words, within=within, **env)

    try:
        scheduler = start("scheduler", "--port", port)
        _wait_for_server(int(port))
        for _ in range(workers):
            add_worker()
        yield f"tcp://{address}", scheduler, add_worker
    finally:
        _stop(processes)


def _wait_for_server(port: int) -> None:
    """Wait until a server listens. A worker that starts earlier would give up."""

    def is_listening() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    wait_until(is_listening)


def _stop(processes: Sequence[subprocess.Popen[Any]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
