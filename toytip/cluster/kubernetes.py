"""Clusters in Kubernetes: `kubectl` creates the objects and forwards the scheduler's port."""

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
from toytip.cluster.probe import IDENTITY_TIMEOUT_S, probe_scheduler, tls_mismatch
from toytip.config import Settings
from toytip.errors import ClusterError

SCHEDULER_PORT = 8786
OBJECT_NAMES_FORMAT = 'jsonpath={.kind} {.metadata.namespace} {.metadata.name}{"\\n"}'
# `kubectl port-forward` exits if the pod stops or does not exist yet. The loop then starts the
# command again.
RESTART_LOOP = 'while :; do "$@"; sleep 1; done'
# Maximum time that a stopping client waits for `kubectl delete`. The operator deletes the remaining
# parts of the cluster later.
DELETE_TIMEOUT = "45s"
REQUEST_TIMEOUT = "30s"


@contextlib.contextmanager
def start_kubernetes(settings: Settings, definition: ClusterDefinition) -> Iterator[str]:
    """Create the objects of the config file, yield the scheduler's address, and delete the objects.

    Raises ClusterError if one of the objects already exists, or kubectl fails.
    """
    address = str(definition.scheduler)
    tls.check_scheme(address, settings)
    port = _require_free_port(address, settings)
    objects = _create_objects(definition)
    try:
        namespace, name = _cluster_object(objects, definition)
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


def _require_free_port(address: str, settings: Settings) -> int:
    """Return the local port of the port forwarding. Raises ClusterError if the port is in use."""
    host, _, port = address.partition("://")[2].rpartition(":")
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"cannot forward the scheduler port to {address}: {error}",
            hint=f"Set a different `scheduler` address under [clusters.{settings.cluster}] in toytip.toml.",
        ) from None
    return int(port)


def _create_objects(definition: ClusterDefinition) -> str:
    """Create the objects of the config file. Returns a line per object: kind, namespace, name."""
    file = str(definition.config_file)
    timeout = f"--request-timeout={REQUEST_TIMEOUT}"
    if _kubectl("get", "--filename", file, "--ignore-not-found", "--output=name", timeout):
        raise ClusterError(
            f"cannot create the objects of {file}: they already exist",
            hint=f"To delete the objects, run `kubectl delete -f {file}`. To use them, forward the port of "
            f"the scheduler's service with `kubectl port-forward`, and set "
            f"--scheduler {definition.scheduler}.",
        )
    try:
        return _kubectl("create", "--filename", file, "--output", OBJECT_NAMES_FORMAT, timeout)
    except KeyboardInterrupt:  # kubectl may already have created objects
        _delete_objects(definition)
        raise


def _delete_objects(definition: ClusterDefinition) -> None:
    file, timeout = str(definition.config_file), f"--timeout={DELETE_TIMEOUT}"
    _kubectl("delete", "--filename", file, "--ignore-not-found", timeout)


def _cluster_object(object_lines: str, definition: ClusterDefinition) -> tuple[str, str]:
    """Return the namespace and the name of the Dask cluster among the created objects."""
    for line in object_lines.splitlines():
        kind, *names = line.split()
        if kind == "DaskCluster":
            return names[0], names[-1]
    raise ClusterError(f"cannot use {definition.config_file}: it defines no DaskCluster")


@contextlib.contextmanager
def _forward_port(*arguments: str) -> Iterator[IO[bytes]]:
    """Forward a port until the context ends. Yields the file with kubectl's error output."""
    port_forward = ["kubectl", "port-forward", "--address=127.0.0.1", *arguments]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            ["sh", "-c", RESTART_LOOP, "-", *port_forward],  # noqa: S607
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _wait_for_scheduler(
    address: str, settings: Settings, definition: ClusterDefinition, log: IO[bytes]
) -> None:
    """Wait for the scheduler.

    Raises ClusterError on a timeout, or if the scheduler rejects the client.
    """
    timeout_s = min(definition.start_timeout, IDENTITY_TIMEOUT_S)
    deadline = time.monotonic() + definition.start_timeout
    mismatch: ClusterError | None = None
    while error := probe_scheduler(address, settings, timeout_s):
        if mismatch:
            raise mismatch
        # Report a TLS mismatch only if the next probe fails too: the scheduler may just have
        # started.
        mismatch = tls_mismatch(address, settings)
        if time.monotonic() > deadline:
            log.seek(0)
            output = log.read().decode(errors="replace").strip() or str(error)
            raise ClusterError(
                f"cannot reach the scheduler of {definition.config_file} "
                f"within {definition.start_timeout} s: {output.splitlines()[-1]}"
            )
        time.sleep(0.5)


def _kubectl(*arguments: str) -> str:
    """Run kubectl, and return its output. Raises ClusterError if kubectl fails."""
    try:
        process = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise ClusterError(
            "cannot start a cluster of kind kubernetes: kubectl is not installed", hint="Install kubectl."
        ) from None
    if process.returncode:
        output = process.stderr.strip() or process.stdout.strip() or "no output"
        raise ClusterError(f"cannot run `kubectl {arguments[0]}`: {output.splitlines()[-1]}")
    return process.stdout
