"""List the sockets on which the processes of a command listen, while the command runs."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

SAMPLE_INTERVAL_S = 0.02
# A line that a command prints at the end of a stage.
STAGE_LINE = re.compile(r"^(\w+) +\d+ done", re.MULTILINE)


def watch_command(*args: Any, folder: Path, **env: str) -> dict[str, set[str]]:
    """Run a command of toytip, another module (`-m NAME`) or a script (its absolute path).

    The command must end without errors. Returns the addresses of the listening sockets by the stage
    that ended last. The stage is empty before the first stage has ended. The output is in the file
    `output` in the folder.
    """
    addresses: defaultdict[str, set[str]] = defaultdict(set)
    output = folder / "output"
    with start_command(*args, output=output, **env) as process:
        while process.poll() is None:
            stages = STAGE_LINE.findall(output.read_text())
            addresses[stages[-1] if stages else ""] |= listening_addresses(process.pid)
            time.sleep(SAMPLE_INTERVAL_S)
    assert process.returncode == 0, output.read_text()
    return addresses


def watch_until(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> set[str]:
    """Return the addresses of the listening sockets of a process, until a condition is true."""
    addresses: set[str] = set()
    while not condition():
        assert process.poll() is None, "the process ended too early"
        addresses |= listening_addresses(process.pid)
        time.sleep(SAMPLE_INTERVAL_S)
    return addresses | listening_addresses(process.pid)


@contextlib.contextmanager
def start_command(*args: Any, output: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command whose output goes to a file. The process is killed at the end."""
    is_other = args[0] == "-m" or Path(args[0]).is_absolute()
    words = list(map(str, args)) if is_other else ["-m", "toytip", *map(str, args)]
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [sys.executable, *words], stdout=file, stderr=file, env={**os.environ, **env}
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def listening_addresses(pid: int) -> set[str]:
    """Return the addresses on which a process and its descendants listen."""
    addresses = set()
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                addresses |= {
                    connection.laddr.ip
                    for connection in process.net_connections("tcp")
                    if connection.status == psutil.CONN_LISTEN
                }
    return addresses


def is_loopback(address: str) -> bool:
    """Return whether no other machine can connect to an address."""
    return ipaddress.ip_address(address).is_loopback
