"""Whether a Dask scheduler answers at an address, and where none does, why: one line."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

from toytip.cluster import tls
from toytip.cluster.definitions import load_definition
from toytip.config import Settings, mask_credentials

IDENTITY_TIMEOUT_S = 12
CONNECT_TIMEOUT_S = 3


def probe_scheduler(address: str, settings: Settings) -> str | None:
    """Return None where a scheduler answers, else why not.

    Dask's own client would wait for ever for the word of a server that is no scheduler.
    """
    from distributed.utils import LoopRunner

    arguments = tls.dask_security(settings).get_connection_args("client")
    try:
        # A loop of its own, in a thread: a notebook has one that runs already.
        found = LoopRunner(asynchronous=False).run_sync(_request_identity, address, arguments)
    except Exception as error:  # noqa: BLE001 - whatever is there may say anything
        failed = type(error).__name__
    else:
        if "workers" in found:
            return None
        failed = f"a {found.get('type')}"
    if why := tls_refusal_reason(address, settings):
        return why
    if _speaks_first(address) is None:
        return f"no Dask scheduler answers at {mask_credentials(address)} ({failed}); {start_hint(settings)}"
    return (
        f"something answers at {mask_credentials(address)}, but it is no Dask scheduler ({failed}); "
        "the dashboard's port is not the scheduler's"
    )


async def _request_identity(address: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Ask whoever is there what it is."""
    from distributed.core import rpc

    async def ask() -> dict[str, Any]:
        async with rpc(address, timeout=IDENTITY_TIMEOUT_S, connection_args=arguments) as there:
            return dict(await there.identity())

    return await asyncio.wait_for(ask(), IDENTITY_TIMEOUT_S)


def start_hint(settings: Settings) -> str:
    """Return what to do where no scheduler answers: by who was to start it."""
    if settings.cluster is None:
        return "start one with `dask scheduler`, or leave out --scheduler"
    if load_definition(settings).kind == "existing":
        return f"start one there with `dask scheduler`, or say where it is: [clusters.{settings.cluster}] in toytip.toml"
    if load_definition(settings).kind == "compose":
        return f"`toytip cluster up {settings.cluster}` starts it"
    return f"`toytip cluster down {settings.cluster}` ends what is left of it"


def tls_refusal_reason(address: str, settings: Settings) -> str | None:
    """Return why a scheduler that is there may have refused us, and what to do; None where TLS is not why."""
    try:
        host, port = _split_address(address)
        speaks = _speaks_tls(host, port)
    except (OSError, ValueError):
        return None
    if address.startswith("tls://") and speaks:
        return (
            f"the scheduler at {address} and this client do not trust each other: {settings.tls_cert or 'the certificate'} "
            "is of another authority than the scheduler's, or out of date; take client.pem, client.key and ca.pem from "
            "where the cluster's were made"
        )
    if address.startswith("tls://") and _speaks_first(address):
        return (
            f"the scheduler at {address} speaks no TLS; start it with --tls-ca-file, --tls-cert and --tls-key"
        )
    if speaks:
        return (
            f"the scheduler at {address} refuses plain connections: write it as tls://{host}:{port}, with "
            "--tls-ca-file, --tls-cert and --tls-key"
        )
    return None


def _split_address(address: str) -> tuple[str, int]:
    """Return host and port. Raises ValueError where the address has none."""
    host, _, port = address.partition("://")[2].rpartition(":")
    return host.strip("[]"), int(port)


def _speaks_tls(host: str, port: int) -> bool:
    """Tell whether a server answers a TLS handshake; who it is does not matter here. Raises OSError where nobody listens."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection((host, port), CONNECT_TIMEOUT_S))
        try:
            stack.enter_context(context.wrap_socket(plain))
        except (OSError, ssl.SSLError):
            return False
        return True


def _speaks_first(address: str) -> bool | None:
    """Tell whether a server speaks first on a plain connection, as Dask's do and those of HTTP do not; None: nobody listens."""
    try:
        with socket.create_connection(_split_address(address), CONNECT_TIMEOUT_S) as plain:
            with contextlib.suppress(OSError):
                return bool(plain.recv(1))
            return False
    except (OSError, ValueError):
        return None
