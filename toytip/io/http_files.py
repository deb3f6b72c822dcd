"""Files on HTTP servers: limits of the waiting time, and the causes of failed requests."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

from toytip.core.redact import first_line
from toytip.io import aws_profile
from toytip.io.base import uri_scheme
from toytip.io.connection import CONNECT_TIMEOUT_S, FILE_HINT, RUNNING_HINT
from toytip.io.endpoint import find_ca_file
from toytip.io.proxies import Proxy, find_proxy
from toytip.io.s3_errors import CERTIFICATE_ERROR, Fault, certificate_fault

log = logging.getLogger(__name__)

# Maximum time between two parts of an answer. fsspec asks for the size of a file up to twice.
READ_TIMEOUT_S = 30
SIZE_REQUESTS = 2
# After this time without an answer, a warning says that toytip waits.
NOTICE_AFTER_S = 5
# The status with which a proxy asks for a user name and a password.
PROXY_REQUIRED = 407
_announced_hosts: set[str] = set()


def is_http(uri: str) -> bool:
    """Return whether the scheme of a URI is that of an HTTP server."""
    return uri_scheme(uri) in ("http", "https")


def client_options(url: str) -> dict[str, Any]:
    """Return the options of fsspec's client for a URL: its limits, its proxy and its authorities.

    Without these options, the client waits for five minutes, and knows no proxy.
    """
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
    options: dict[str, Any] = {"client_kwargs": {"timeout": timeout}}
    if proxy := find_proxy(url):
        options["proxy"] = proxy.url
    if url.lower().startswith("https:"):
        options["ssl"] = _tls_context(find_ca_file(aws_profile.profile_values()))
    return options


@functools.cache
def _tls_context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


@contextlib.contextmanager
def notice_of_silence(uri: str) -> Iterator[None]:
    """Print a warning if an HTTP server does not answer for some seconds, once per server."""
    host = urllib.parse.urlsplit(uri).netloc.rpartition("@")[2] if is_http(uri) else ""
    if not host or host in _announced_hosts:
        yield
        return
    timer = threading.Timer(NOTICE_AFTER_S, _announce, [host])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _announce(host: str) -> None:
    if host not in _announced_hosts:
        _announced_hosts.add(host)
        limit = SIZE_REQUESTS * READ_TIMEOUT_S
        log.warning("%s does not answer yet (toytip waits at most %d s)", host, limit)


def http_file_fault(error: Exception, url: str = "") -> Fault | None:
    """Return why an HTTP server did not send a file, or None for other errors.

    fsspec reports most of these errors as a missing file. The cause names the proxy of the URL, if
    the proxy is the fault.
    """
    import aiohttp

    cause = error.__cause__ if isinstance(error, FileNotFoundError) else error
    is_local = getattr(cause, "errno", None) is not None and not isinstance(cause, aiohttp.ClientError)
    if is_local or not isinstance(cause, aiohttp.ClientError | TimeoutError):
        return None
    if CERTIFICATE_ERROR.search(str(cause)):
        return certificate_fault(str(cause))
    if _is_of_proxy(cause) and (proxy := find_proxy(url)):
        return _proxy_fault(proxy, cause, url)
    if isinstance(cause, aiohttp.TooManyRedirects):
        return Fault("the server redirects too many times", FILE_HINT)
    if isinstance(cause, aiohttp.ClientResponseError):
        is_missing = cause.status in (404, 410)
        return None if is_missing else Fault(f"the server answers {cause.status}", FILE_HINT)
    return Fault(_cause_in_words(cause), RUNNING_HINT)


def _is_of_proxy(error: Exception) -> bool:
    import aiohttp

    is_refused = isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError)
    return is_refused or (isinstance(error, aiohttp.ClientResponseError) and error.status == PROXY_REQUIRED)


def _proxy_fault(proxy: Proxy, error: Exception, url: str) -> Fault:
    import aiohttp

    cause = (
        f"the proxy answers {error.status}"
        if isinstance(error, aiohttp.ClientResponseError)
        else _cause_in_words(error)
    )
    host = urllib.parse.urlsplit(url).hostname
    return Fault(
        f"no connection through the proxy {proxy.display_name}: {cause}",
        f"Correct or unset {proxy.variable}, or add {host} to NO_PROXY.",
    )


def _cause_in_words(error: Exception) -> str:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name does not resolve"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {CONNECT_TIMEOUT_S} s"
    if isinstance(error, TimeoutError):
        return f"no answer within {READ_TIMEOUT_S} s"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "the server closed the connection"
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number else first_line(error)
