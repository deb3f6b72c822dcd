"""The proxy of a URL, from the environment variables that curl reads.

Connections to this machine never use a proxy.
"""

from __future__ import annotations

import ipaddress
import os
import urllib.parse
from collections.abc import Mapping
from typing import NamedTuple

from toytip.core.redact import mask_credentials
from toytip.errors import ConfigError

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")
NO_PROXY_NAMES = ("no_proxy", "NO_PROXY")
PROXY_SCHEMES = ("http", "https")


class Proxy(NamedTuple):
    """The URL of a proxy, and the environment variable that names the proxy."""

    url: str
    variable: str

    @property
    def display_name(self) -> str:
        """The URL without credentials, and the variable."""
        return f"{mask_credentials(self.url)} ({self.variable})"


def find_proxy(url: str, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy for a URL, or None without a proxy.

    A variable in lower case comes first, then the same variable in upper case, then `ALL_PROXY`.
    Raises ConfigError if the proxy has a scheme other than `http` and `https`.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or _is_excluded(host, _first_value(NO_PROXY_NAMES, environment)[1]):
        return None
    names = [f"{prefix}_proxy" for prefix in (parts.scheme.lower(), "all")]
    variable, value = _first_value([form for name in names for form in (name, name.upper())], environment)
    if not value:
        return None
    proxy = Proxy(value if "://" in value else f"http://{value}", variable)
    proxy_parts = urllib.parse.urlsplit(proxy.url)
    if proxy_parts.scheme.lower() not in PROXY_SCHEMES or not proxy_parts.hostname:
        raise ConfigError(
            f"cannot use the proxy {proxy.display_name}: only http:// and https:// proxies are supported",
            hint=f"Change or unset {variable}, or add {host} to NO_PROXY.",
        )
    return proxy


def _first_value(names: tuple[str, ...] | list[str], environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the first variable that is set, and its value. Return empty texts if none is set."""
    for name in names:
        if value := environment.get(name, "").strip():
            return name, value
    return "", ""


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "10.0.0.1", "example.com")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost")


def _is_excluded(host: str, exclusions: str) -> bool:
    """Return whether `NO_PROXY` contains a host: its name, a parent domain or an address range."""
    name = host.lower().rstrip(".")
    return any(_matches(name, entry) for entry in exclusions.lower().replace(",", " ").split())


def _matches(name: str, entry: str) -> bool:
    if entry == "*":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        domain = entry.strip(".").partition(":")[0]
        return bool(domain) and (name == domain or name.endswith(f".{domain}"))
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return entry.rpartition(":")[0].strip("[]") == name


def exclude_loopback() -> None:
    """Add this machine to `NO_PROXY`, for libraries that read the proxy variables themselves.

    Child processes inherit the variables.
    """
    if any(name.lower().endswith("_proxy") and name not in NO_PROXY_NAMES for name in os.environ):
        excluded = _first_value(NO_PROXY_NAMES, os.environ)[1].replace(" ", "").split(",")
        hosts = ",".join(dict.fromkeys([*filter(None, excluded), *LOOPBACK_HOSTS]))
        os.environ.update(dict.fromkeys(NO_PROXY_NAMES, "*" if "*" in excluded else hosts))
