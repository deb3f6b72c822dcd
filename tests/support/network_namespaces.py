"""Several hosts on one machine: network namespaces on a bridge that no other network can reach.

Each host has its own address and processes. Tests can kill it, disconnect it, or degrade its link.
Needs root and iproute2.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.clusters import tls_flags

CLONE_NEWNET = 0x40000000
NETWORK = "10.77.0"
ADDRESSES = {"scheduler": 1, "w1": 11, "w2": 12, "w3": 13, "s3": 50, "client": 100}
WORKERS = ("w1", "w2", "w3")


def host_address(host: str) -> str:
    return f"{NETWORK}.{ADDRESSES[host]}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@dataclass
class Hosts:
    """The hosts, and the processes on each."""

    folder: Path
    name: str = field(default_factory=lambda: f"tt{os.getpid()}")
    running: dict[str, list[subprocess.Popen[bytes]]] = field(default_factory=dict)

    def namespace(self, host: str) -> str:
        return f"{self.name}-{host}"

    def build(self) -> None:
        switch = self.namespace("switch")
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for host in ADDRESSES:
            space = self.namespace(host)
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", host, "netns", switch)
            _ip("-n", space, "addr", "add", f"{host_address(host)}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            # Dask finds the address of a host by its default route.
            _ip("-n", space, "route", "add", "default", "dev", "eth0")
            _ip("-n", switch, "link", "set", host, "master", "bridge", "up")

    def remove(self) -> None:
        for host in list(self.running):
            self.kill(host)
        for host in (*ADDRESSES, "switch"):
            subprocess.run(["ip", "netns", "del", self.namespace(host)], check=False, capture_output=True)

    def command_on(self, host: str, *command: Any) -> list[str]:
        """Return a command that runs another one on a host."""
        return ["nsenter", f"--net=/run/netns/{self.namespace(host)}", *map(str, command)]

    def start(self, host: str, *command: Any, **env: str) -> subprocess.Popen[bytes]:
        """Start a process. Its output goes to a file with the name of the host."""
        with (self.folder / f"{host}.log").open("ab") as log:
            process = subprocess.Popen(
                self.command_on(host, *command),
                cwd=self.folder,
                env={**os.environ, **env},
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.running.setdefault(host, []).append(process)
        return process

    def kill(self, host: str) -> None:
        """Kill all processes of a host at once, like a power cut."""
        for process in self.running.pop(host, []):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        output = subprocess.run(
            ["ip", "netns", "pids", self.namespace(host)], capture_output=True, text=True, check=False
        ).stdout
        for pid in map(int, output.split()):  # processes that have left their group
            if pid != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def disconnect(self, host: str) -> None:
        _ip("-n", self.namespace("switch"), "link", "set", host, "down")

    def reconnect(self, host: str) -> None:
        _ip("-n", self.namespace("switch"), "link", "set", host, "up")

    def degrade_link(self, host: str, *netem_options: str) -> bool:
        """Add a delay or loss to a link (`delay 20ms loss 1%`). Returns whether the kernel can."""
        words = ["tc", "qdisc", "replace", "dev", "eth0", "root", "netem", *netem_options]
        return subprocess.run(self.command_on(host, *words), check=False, capture_output=True).returncode == 0


@contextlib.contextmanager
def build_hosts(folder: Path) -> Iterator[Hosts]:
    """Build the hosts. Their processes are killed when the context ends."""
    hosts = Hosts(folder)
    try:
        hosts.build()
        yield hosts
    finally:
        hosts.remove()


@contextlib.contextmanager
def enter_host(hosts: Hosts, host: str) -> Iterator[None]:
    """Move this thread, and the processes that it starts, to a host."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (
        Path("/proc/thread-self/ns/net").open("rb") as original,
        Path("/run/netns", hosts.namespace(host)).open("rb") as namespace,
    ):
        assert libc.setns(namespace.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(original.fileno(), CLONE_NEWNET) == 0


def dask_command(kind: str, *options: Any) -> list[str]:
    return [str(Path(sys.executable).parent / "dask"), kind, *map(str, options)]


def start_dask(hosts: Hosts, tls: Path | None, workers: tuple[str, ...] = WORKERS, **env: str) -> str:
    """Start a scheduler and a worker on each host. Returns the scheduler's address."""
    flags = tls_flags(tls, "node") if tls else ()
    address = f"{'tls' if tls else 'tcp'}://{host_address('scheduler')}:8786"
    options = ("--host", address, "--dashboard-address", "127.0.0.1:8787", *flags)
    hosts.start("scheduler", *dask_command("scheduler", *options), **env)
    for host in workers:
        start_worker(hosts, host, address, *flags, **env)
    return address


def start_worker(
    hosts: Hosts, host: str, scheduler_address: str, *flags: Any, **env: str
) -> subprocess.Popen[bytes]:
    """Start a worker on a host."""
    options = {
        "--host": host_address(host),
        "--nthreads": 1,
        "--memory-limit": "2GB",
        "--local-directory": hosts.folder / host,
        "--name": host,
    }
    words = [word for option in options.items() for word in option]
    command = dask_command("worker", scheduler_address, *words, "--no-dashboard", *flags)
    return hosts.start(host, *command, **env)
