"""Clusters in Kubernetes: `kubectl` makes what a manifest says, and forwards the scheduler's port to this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import IO

from toytip.cluster import tls
from toytip.cluster.definitions import Definition
from toytip.cluster.knock import knock, reason
from toytip.config import Settings
from toytip.errors import ClusterError

PORT = 8786
NAMES = 'jsonpath={.kind} {.metadata.namespace} {.metadata.name}{"\\n"}'
# It ends whenever its pod does, and as long as there is none yet.
AGAIN = 'while :; do "$@"; sleep 1; done'
# The operator takes a cluster apart; whoever ended it waits no longer than this.
GONE = "45s"


@contextlib.contextmanager
def kubernetes(settings: Settings, found: Definition) -> Iterator[str]:
    """Make what the manifest says; yield the scheduler's address on this machine; delete it all at the end.

    Raises ClusterError where something of that name is there, which is somebody else's, or kubectl fails.
    """
    address = str(found.scheduler)
    tls.check_scheme(address, settings)
    port = _free_port(address, settings)
    made = _create(found)
    try:
        namespace, name = _named(made, found)
        with _forwarded("--namespace", namespace, f"service/{name}-scheduler", f"{port}:{PORT}") as log:
            _await(address, settings, found, log)
            if settings.workers:
                group = f"daskworkergroup/{name}-default"
                _kubectl("scale", "--namespace", namespace, group, f"--replicas={settings.workers}")
            yield address
    finally:
        _delete(found)


def _free_port(address: str, settings: Settings) -> int:
    """Return the port that is to be forwarded to. Raises ClusterError where it is taken."""
    host, _, port = address.partition("://")[2].rpartition(":")
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"the scheduler's port cannot be forwarded to {address}: {error}; give the cluster another `scheduler`: "
            f"[clusters.{settings.cluster}] in toytip.toml"
        ) from None
    return int(port)


def _create(found: Definition) -> str:
    """Have the manifest's objects made; return a line for each, of its kind, its namespace and its name."""
    manifest = str(found.manifest)
    if _kubectl(
        "get", "--filename", manifest, "--ignore-not-found", "--output=name", "--request-timeout=30s"
    ):
        raise ClusterError(
            f"what {manifest} says is there already, and whoever made it ends it: `kubectl delete -f {manifest}`; "
            f"to use it, `kubectl port-forward` its scheduler's service, and `--scheduler {found.scheduler}`"
        )
    try:
        return _kubectl("create", "--filename", manifest, "--output", NAMES, "--request-timeout=30s")
    except KeyboardInterrupt:  # it may be made already
        _delete(found)
        raise


def _delete(found: Definition) -> None:
    _kubectl("delete", "--filename", str(found.manifest), "--ignore-not-found", f"--timeout={GONE}")


def _named(made: str, found: Definition) -> tuple[str, str]:
    """Return namespace and name of the Dask cluster among what was made."""
    for line in made.splitlines():
        kind, *where = line.split()
        if kind == "DaskCluster":
            return where[0], where[-1]
    raise ClusterError(f"{found.manifest} has no DaskCluster")


@contextlib.contextmanager
def _forwarded(*words: str) -> Iterator[IO[bytes]]:
    """Keep a port forwarded for as long as the context lasts; yield the file that kubectl complains to."""
    command = ["sh", "-c", AGAIN, "-", "kubectl", "port-forward", "--address=127.0.0.1", *words]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
        )
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _await(address: str, settings: Settings, found: Definition, log: IO[bytes]) -> None:
    """Wait for the scheduler. Raises ClusterError where it refuses us, or does not come in time."""
    end = time.monotonic() + found.wait
    refused = None
    while why := knock(address, settings):
        if refused:
            raise ClusterError(refused)
        # Only what is said twice: it may have come between a knock and the question why.
        refused = reason(address, settings)
        if time.monotonic() > end:
            log.seek(0)
            said = log.read().decode(errors="replace").strip() or why
            raise ClusterError(
                f"the scheduler of {found.manifest} is not there within {found.wait} s: {said.splitlines()[-1]}"
            )
        time.sleep(0.5)


def _kubectl(*words: str) -> str:
    """Return what kubectl says. Raises ClusterError."""
    try:
        done = subprocess.run(["kubectl", *words], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise ClusterError("there is no kubectl here; a cluster of kind kubernetes needs it") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise ClusterError(f"`kubectl {words[0]}` failed: {last}")
    return done.stdout
