"""Containers without an engine: images by buildah, and network namespaces on a bridge."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class ImageBuilder:
    """Buildah, with its own storage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base_command = ["buildah", "--root", str(folder / "root"), "--runroot", str(folder / "run")]
        os.environ.setdefault("BUILDAH_ISOLATION", "chroot")

    def __call__(self, *words: Any, timeout: float = 600) -> str:
        """Run buildah. Returns its output."""
        command = [*self.base_command, *map(str, words)]
        process = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        assert process.returncode == 0, process.stderr[-3000:]
        return process.stdout.strip()

    def make_base_image(self, image: str, suite: str = "trixie") -> None:
        """Create an image of Debian with its Python, instead of a registry's, unless it exists."""
        if image in self("images", "--format", "{{.Name}}:{{.Tag}}"):
            return
        tar = self.folder / "base.tar"
        if not tar.exists():
            packages = "python3,python3-venv,ca-certificates"
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", suite, tar],
                check=True,
                timeout=300,
            )
        container = self("from", "scratch")
        self("add", "--quiet", container, tar, "/")
        self("commit", "--quiet", "--rm", container, image)

    def build(self, dockerfile: Path, context: Path, base: str, target: str) -> str:
        """Build one target of a Dockerfile on a local base image. Returns the name of the image."""
        certificates = "/etc/ssl/certs"  # a package index may be behind a proxy with its own authority
        self(
            "bud",
            "--layers",
            "--pull-never",
            "-v",
            f"{certificates}:{certificates}:ro",
            "--build-arg",
            f"BASE={base}",
            "--target",
            target,
            "-t",
            f"localhost/{target}:test",
            "-f",
            dockerfile,
            context,
        )
        return f"localhost/{target}:test"

    def remove_all(self) -> None:
        """Remove all containers and images, and the storage."""
        self("rm", "--all")
        self("rmi", "--all", "--force")
        shutil.rmtree(self.folder)


class ContainerHost:
    """A container with its own address, which runs commands as its user."""

    def __init__(self, builder: ImageBuilder, image: str, name: str, address: str, hosts: Path) -> None:
        self.builder, self.name, self.address = builder, name, address
        self.container = builder("from", "--pull-never", image)
        self.options = ["--no-hosts", "-v", f"{hosts}:/etc/hosts:ro"]
        self.log = builder.folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str) -> list[str]:
        """Return a command that runs another one in the container."""
        enter = ["nsenter", f"--net=/run/netns/{self.name}"]
        return [*enter, *self.builder.base_command, "run", *self.options, self.container, "--", *words]

    def run(self, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command until it exits."""
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=timeout, check=False
        )

    def start(self, *words: str) -> None:
        """Start a service."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(*words), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def wait_until_healthy(self, check: list[str], timeout: float = 150) -> float:
        """Wait until the health check succeeds. Returns the seconds."""
        start = time.monotonic()
        assert self.process is not None
        while time.monotonic() < start + timeout and self.process.poll() is None:
            if self.run(*check, timeout=30).returncode == 0:
                return time.monotonic() - start
            time.sleep(0.5)
        raise AssertionError(f"{self.name} is not healthy: {self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        """Stop the service, and all processes in its network."""
        if self.process is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(15)
        for pid in subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        ).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


@contextlib.contextmanager
def create_network(names: list[str], tag: str) -> Iterator[dict[str, str]]:
    """Create a network namespace per name, on an isolated bridge. Yields their addresses."""

    def ip(*words: str) -> None:
        process = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        assert process.returncode == 0, f"ip {' '.join(words)}: {process.stderr}"

    bridge = f"{tag}-bridge"
    namespaces: list[str] = []
    addresses = {name: f"10.231.77.{number}" for number, name in enumerate(names, start=11)}
    try:
        for namespace in (bridge, *names):
            ip("netns", "add", namespace)
            namespaces.append(namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", bridge, "link", "add", "br0", "type", "bridge")
        ip("-n", bridge, "link", "set", "br0", "up")
        ip("-n", bridge, "addr", "add", "10.231.77.1/24", "dev", "br0")
        for number, (name, address) in enumerate(addresses.items()):
            veth = ("type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", bridge, "link", "add", f"v{number}", *veth)
            ip("-n", bridge, "link", "set", f"v{number}", "master", "br0", "up")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            # The route leads nowhere, but Dask finds its own address by it.
            ip("-n", name, "route", "add", "default", "via", "10.231.77.1")
        yield addresses
    finally:
        for namespace in namespaces:
            ip("netns", "del", namespace)
