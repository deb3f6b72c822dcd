"""TLS between client, scheduler and workers: the certificate files, and Dask's config for them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from toytip.config import Settings
from toytip.core.redact import mask_credentials
from toytip.errors import ConfigError

TLS_FILES = ("tls_ca_file", "tls_cert", "tls_key")
TLS_FLAGS = ", ".join(f"--{name.replace('_', '-')}" for name in TLS_FILES)
CREATE_HINT = "Create the certificates with `toytip cluster create-certs`."
DASK_ROLES = ("client", "scheduler", "worker")


def uses_tls(settings: Settings) -> bool:
    """Return whether all connections must be encrypted.

    Raises ConfigError if a certificate file is not set, does not exist, or cannot be read.
    """
    files = [getattr(settings, name) for name in TLS_FILES]
    if not any(files):
        return False
    if not all(files):
        raise ConfigError(f"cannot use TLS: it needs all three of {TLS_FLAGS}", hint=CREATE_HINT)
    for file in files:
        if not Path(file).is_file():
            raise ConfigError(f"cannot use TLS: the certificate file {file} does not exist", hint=CREATE_HINT)
    try:
        _ssl_context(*files)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot use TLS: {', '.join(files)} are not a certificate authority, a certificate and its key: {error}",
            hint=CREATE_HINT,
        ) from None
    return True


def _ssl_context(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    context.check_hostname = False
    return context


def dask_tls_config(settings: Settings) -> dict[str, Any]:
    """Return Dask's TLS config for these settings. Remote Dask processes inherit this config."""
    if not uses_tls(settings):
        return {}
    # The paths are absolute, because other processes have different working directories.
    return _tls_config(*(str(Path(getattr(settings, name)).absolute()) for name in TLS_FILES))


def remote_tls_config(folder: str) -> dict[str, Any]:
    """Return Dask's TLS config for remote hosts that have the certificate files in `folder`."""
    return _tls_config(*(f"{folder.rstrip('/')}/{name}" for name in ("ca.pem", "node.pem", "node.key")))


def _tls_config(authority: str, certificate: str, key: str) -> dict[str, Any]:
    pair = {"cert": certificate, "key": key}
    files = {f"distributed.comm.tls.{role}.{kind}": pair[kind] for role in DASK_ROLES for kind in pair}
    return {
        **files,
        "distributed.comm.tls.ca-file": authority,
        "distributed.comm.require-encryption": True,
    }


def dask_security(settings: Settings) -> Any:
    """Return Dask's Security object for these settings, by default from Dask's own config."""
    import dask
    from distributed import Security

    with dask.config.set(dask_tls_config(settings)):
        return Security()


def check_scheme(address: str, settings: Settings) -> None:
    """Raise ConfigError if the address and the settings do not agree on TLS."""
    config = dask_security(settings).get_tls_config_for_role("client")
    if address.startswith(("http://", "https://")):
        raise ConfigError(
            f"cannot connect to {mask_credentials(address)}: it is not the address of a scheduler",
            hint="Write the address as tcp://HOST:PORT, not as the address of the dashboard.",
        )
    if address.startswith("tls://") and not (config["ca_file"] and config["cert"]):
        raise ConfigError(
            f"cannot connect to {address}: it needs certificates",
            hint=f"Set {TLS_FLAGS}. {CREATE_HINT}",
        )
    if uses_tls(settings) and not address.startswith("tls://"):
        raise ConfigError(
            f"cannot connect to {address}: the connection is not encrypted, but certificates are set",
            hint=f"Set the address to tls://..., or omit {TLS_FLAGS}.",
        )
