"""TLS between client, scheduler and workers: the files that it needs, and what Dask is told of them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from toytip.config import Settings
from toytip.errors import ConfigError

TLS_FILES = ("tls_ca_file", "tls_cert", "tls_key")
DASK_ROLES = ("client", "scheduler", "worker")


def uses_tls(settings: Settings) -> bool:
    """Tell whether all connections must be encrypted. Raises ConfigError for files that lack, or cannot be read."""
    given = [getattr(settings, name) for name in TLS_FILES]
    if not any(given):
        return False
    flags = ", ".join(f"--{name.replace('_', '-')}" for name in TLS_FILES)
    if not all(given):
        raise ConfigError(f"TLS needs all three of {flags}; `toytip cluster create-certs` makes the files")
    for path in given:
        if not Path(path).is_file():
            raise ConfigError(f"no file {path}; `toytip cluster create-certs` makes what {flags} name")
    try:
        _ssl_context(*given)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{', '.join(given)}: not a certificate, its key and its authority: {error}"
        ) from None
    return True


def _ssl_context(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    context.check_hostname = False
    return context


def dask_tls_config(settings: Settings) -> dict[str, Any]:
    """Return Dask's config for these settings: what it passes on to processes that it starts elsewhere."""
    if not uses_tls(settings):
        return {}
    # Absolute: other processes look from other folders.
    return _tls_config(*(str(Path(getattr(settings, name)).absolute()) for name in TLS_FILES))


def remote_tls_config(folder: str) -> dict[str, Any]:
    """Return Dask's config for hosts that have their certificate in a folder of their own."""
    return _tls_config(*(f"{folder.rstrip('/')}/{name}" for name in ("ca.pem", "node.pem", "node.key")))


def _tls_config(authority: str, certificate: str, key: str) -> dict[str, Any]:
    pair = {"cert": certificate, "key": key}
    files = {f"distributed.comm.tls.{role}.{kind}": pair[kind] for role in DASK_ROLES for kind in pair}
    return {
        **files, "distributed.comm.tls.ca-file": authority, "distributed.comm.require-encryption": True,
    }  # fmt: skip


def dask_security(settings: Settings) -> Any:
    """Return Dask's Security: of these settings, else what Dask's own config has."""
    import dask
    from distributed import Security

    with dask.config.set(dask_tls_config(settings)):
        return Security()


def check_scheme(address: str, settings: Settings) -> None:
    """Raise ConfigError where the address and the settings do not agree on TLS."""
    there = dask_security(settings).get_tls_config_for_role("client")
    if address.startswith("tls://") and not (there["ca_file"] and there["cert"]):
        raise ConfigError(
            f"{address} needs certificates: --tls-ca-file, --tls-cert and --tls-key, or TOYTIP_TLS_*; "
            "`toytip cluster create-certs` makes them"
        )
    if uses_tls(settings) and not address.startswith("tls://"):
        raise ConfigError(
            f"{address} is not encrypted, and with certificates everything must be; write it as tls://..., "
            "or leave out --tls-ca-file, --tls-cert and --tls-key"
        )
