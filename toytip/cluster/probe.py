"""Check whether a Dask scheduler answers at an address, and explain a failure."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

from toytip.cluster import tls
from toytip.cluster.definitions import load_definition
from toytip.config import Settings
from toytip.core.redact import mask_credentials
from toytip.errors import ClusterError

IDENTITY_TIMEOUT_S = 12
CONNECT_TIMEOUT_S = 3


def probe_scheduler(address: str, settings: Settings, timeout_s: float | None = None) -> ClusterError | None:
    """Return None if a scheduler answers, else an error with the cause.

    The scheduler has `timeout_s` to answer, or else 12 s. Dask's own client would wait forever for
    a server that is not a scheduler.
    """
    from distributed.utils import LoopRunner

    arguments = tls.dask_security(settings).get_connection_args("client")
    try:
        # The probe has its own event loop in a thread, because in a notebook a loop is already
        # running.
        identity = LoopRunner(asynchronous=False).run_sync(
            _request_identity, address, arguments, timeout_s or IDENTITY_TIMEOUT_S
        )
    except Exception as error:  # noqa: BLE001 - another server may answer anything
        cause = type(error).__name__
    else:
        if "workers" in identity:
            return None
        cause = f"it is a {identity.get('type')}"
    return tls_mismatch(address, settings) or _probe_error(address, settings, cause)


def _probe_error(address: str, settings: Settings, cause: str) -> ClusterError:
    masked = mask_credentials(address)
    if _speaks_first(address) is None:
        return ClusterError(
            f"cannot connect to {masked}: no Dask scheduler answers ({cause})",
            hint=start_hint(settings),
        )
    return ClusterError(
        f"cannot connect to {masked}: the server is not a Dask scheduler ({cause})",
        hint="Use the port of the scheduler, not the port of its dashboard.",
    )


async def _request_identity(address: str, arguments: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Request the identity of the server."""
    from distributed.core import rpc

    async def request() -> dict[str, Any]:
        async with rpc(address, timeout=timeout_s, connection_args=arguments) as server:
            return dict(await server.identity())

    return await asyncio.wait_for(request(), timeout_s)


def start_hint(settings: Settings) -> str:
    """Return a hint for a missing scheduler. The hint depends on the kind of the cluster."""
    name = settings.cluster
    if name is None:
        return "Start a scheduler with `dask scheduler`, or omit --scheduler."
    kind = load_definition(settings).kind
    if kind == "existing":
        return (
            "Start a scheduler with `dask scheduler`, or set its address under "
            f"[clusters.{name}] in toytip.toml."
        )
    if kind == "compose":
        return f"Start the cluster with `toytip cluster up {name}`."
    return f"Remove the remains of the cluster with `toytip cluster down {name}`."


def tls_mismatch(address: str, settings: Settings) -> ClusterError | None:
    """Return an error if the client and a running scheduler do not agree on TLS, else None."""
    try:
        host, port = _split_address(address)
        speaks_tls = _speaks_tls(host, port)
    except (OSError, ValueError):
        return None
    if address.startswith("tls://") and speaks_tls:
        return ClusterError(
            f"cannot connect to {address}: the scheduler and this client do not trust each other",
            hint=f"{settings.tls_cert or 'The certificate'} has expired, or another authority signed it. "
            "Copy client.pem, client.key and ca.pem from the folder of the cluster's certificates.",
        )
    if address.startswith("tls://") and _speaks_first(address):
        return ClusterError(
            f"cannot connect to {address}: the scheduler does not use TLS",
            hint="Start the scheduler with --tls-ca-file, --tls-cert and --tls-key.",
        )
    if speaks_tls:
        return ClusterError(
            f"cannot connect to {address}: the scheduler refuses unencrypted connections",
            hint=f"Set the address to tls://{host}:{port}, and set --tls-ca-file, --tls-cert and --tls-key.",
        )
    return None


def _split_address(address: str) -> tuple[str, int]:
    """Return the host and the port. Raises ValueError if the address has no port."""
    host, _, port = address.partition("://")[2].rpartition(":")
    return host.strip("[]"), int(port)


def _speaks_tls(host: str, port: int) -> bool:
    """Return whether a server answers a TLS handshake. Raises OSError if nothing listens.

    The handshake does not verify the server.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((host, port), CONNECT_TIMEOUT_S))
        try:
            stack.enter_context(context.wrap_socket(connection))
        except (OSError, ssl.SSLError):
            return False
        return True


def _speaks_first(address: str) -> bool | None:
    """Return whether a server sends data before the client does (Dask does, HTTP does not).

    Returns None if nothing listens.
    """
    try:
        with socket.create_connection(_split_address(address), CONNECT_TIMEOUT_S) as connection:
            with contextlib.suppress(OSError):
                return bool(connection.recv(1))
            return False
    except (OSError, ValueError):
        return None
