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
from toytip.cluster.definitions import ClusterDefinition
from toytip.cluster.probe import probe_scheduler, tls_refusal_reason
from toytip.config import Settings
from toytip.errors import ClusterError

SCHEDULER_PORT = 8786
OBJECT_NAMES_FORMAT = 'jsonpath={.kind} {.metadata.namespace} {.metadata.name}{"\\n"}'
# It ends whenever its pod does, and as long as there is none yet.
RESTART_LOOP = 'while :; do "$@"; sleep 1; done'
# The operator takes a cluster apart; whoever ended it waits no longer than this.
DELETE_TIMEOUT = "45s"


@contextlib.contextmanager
def start_kubernetes(settings: Settings, definition: ClusterDefinition) -> Iterator[str]:
    """Make what the manifest says; yield the scheduler's address on this machine; delete it all at the end.

    Raises ClusterError where something of that name is there, which is somebody else's, or kubectl fails.
    """
    address = str(definition.scheduler)
    tls.check_scheme(address, settings)
    port = _free_port(address, settings)
    made = _create_objects(definition)
    try:
        namespace, name = _cluster_object(made, definition)
        with _forward_port(
            "--namespace", namespace, f"service/{name}-scheduler", f"{port}:{SCHEDULER_PORT}"
        ) as log:
            _wait_for_scheduler(address, settings, definition, log)
            if settings.workers:
                group = f"daskworkergroup/{name}-default"
                _kubectl("scale", "--namespace", namespace, group, f"--replicas={settings.workers}")
            yield address
    finally:
        _delete_objects(definition)


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


def _create_objects(definition: ClusterDefinition) -> str:
    """Have the manifest's objects made; return a line for each, of its kind, its namespace and its name."""
    manifest = str(definition.config_file)
    if _kubectl(
        "get", "--filename", manifest, "--ignore-not-found", "--output=name", "--request-timeout=30s"
    ):
        raise ClusterError(
            f"what {manifest} says is there already, and whoever made it ends it: `kubectl delete -f {manifest}`; "
            f"to use it, `kubectl port-forward` its scheduler's service, and `--scheduler {definition.scheduler}`"
        )
    try:
        return _kubectl(
            "create", "--filename", manifest, "--output", OBJECT_NAMES_FORMAT, "--request-timeout=30s"
        )
    except KeyboardInterrupt:  # it may be made already
        _delete_objects(definition)
        raise


def _delete_objects(definition: ClusterDefinition) -> None:
    _kubectl(
        "delete",
        "--filename",
        str(definition.config_file),
        "--ignore-not-found",
        f"--timeout={DELETE_TIMEOUT}",
    )


def _cluster_object(object_lines: str, definition: ClusterDefinition) -> tuple[str, str]:
    """Return namespace and name of the Dask cluster among what was made."""
    for line in object_lines.splitlines():
        kind, *where = line.split()
        if kind == "DaskCluster":
            return where[0], where[-1]
    raise ClusterError(f"{definition.config_file} has no DaskCluster")


@contextlib.contextmanager
def _forward_port(*words: str) -> Iterator[IO[bytes]]:
    """Keep a port forwarded for as long as the context lasts; yield the file that kubectl complains to."""
    command = ["sh", "-c", RESTART_LOOP, "-", "kubectl", "port-forward", "--address=127.0.0.1", *words]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
        )
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _wait_for_scheduler(
    address: str, settings: Settings, definition: ClusterDefinition, log: IO[bytes]
) -> None:
    """Wait for the scheduler. Raises ClusterError where it refuses us, or does not come in time."""
    end = time.monotonic() + definition.start_timeout
    refused = None
    while why := probe_scheduler(address, settings):
        if refused:
            raise ClusterError(refused)
        # Only what is said twice: it may have come between a knock and the question why.
        refused = tls_refusal_reason(address, settings)
        if time.monotonic() > end:
            log.seek(0)
            said = log.read().decode(errors="replace").strip() or why
            raise ClusterError(
                f"the scheduler of {definition.config_file} is not there within {definition.start_timeout} s: {said.splitlines()[-1]}"
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
