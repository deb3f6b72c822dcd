"""Ask whether a server answers, before clients that would retry silently for a minute."""

from __future__ import annotations

import functools
import http.client
import os
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from toytip.core.access import StorageOptions
from toytip.core.redact import first_line, mask_credentials
from toytip.errors import ConfigError, StoreError
from toytip.io import aws_profile
from toytip.io.aws_profile import Environment
from toytip.io.endpoint import find_ca_file, server_url
from toytip.io.proxies import Proxy, find_proxy
from toytip.io.s3_errors import BUCKET_HINT, CERTIFICATE_ERROR, Fault, certificate_fault

if TYPE_CHECKING:
    import urllib3

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 15
RUNNING_HINT = "Check that the server is running, and that its URL is correct."
FILE_HINT = "Check the address of the file, and your permissions for it."
# Names of access points and directory buckets, whose requests have a different form.
SPECIAL_BUCKET_SUFFIXES = ("-s3alias", "--x-s3", "--ol-s3")


class Answer(NamedTuple):
    """The HTTP status and the headers that a server answers. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: str = ""


def require_answer(
    url: str, service: str, method: str = "HEAD", *, ca_file: str | None = None, verify: bool = True
) -> Answer:
    """Return the answer of a server to a request without credentials.

    `ca_file` has the authorities to trust, by default those of the S3 clients. Raises StoreError if
    no server answers, or if its certificate is not trusted.
    """
    import urllib3

    parts = urllib.parse.urlsplit(url)
    if parts.hostname is None or parts.scheme not in ("http", "https"):
        raise ConfigError(
            f"cannot connect to the {service}: {mask_credentials(url)!r} is not the URL of a server",
            hint="Write the URL with its scheme, for example http://127.0.0.1:8333.",
        )
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=ANSWER_TIMEOUT_S)
    try:
        with open_pool(url, ca_file=ca_file, verify=verify) as pool:
            response = pool.request(method, url, retries=False, redirect=False, timeout=timeout)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        failure = f"cannot connect to the {service} at {mask_credentials(f'{parts.scheme}://{parts.netloc}')}"
        cause, hint = connection_fault(url, error)
        raise StoreError(f"{failure}{cause}", hint=hint) from None
    body = response.data.decode("utf-8", "replace")
    return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, body)


def open_pool(
    url: str, *, ca_file: str | None = None, verify: bool = True, connections: int = 1
) -> urllib3.PoolManager:
    """Return a pool of connections to a server, through the proxy of its URL if it has one."""
    import urllib3

    proxy, ca_file = find_proxy(url), ca_file or find_ca_file(aws_profile.profile_values())
    mode = "CERT_REQUIRED" if verify else "CERT_NONE"
    if proxy is None:
        return urllib3.PoolManager(maxsize=connections, retries=False, cert_reqs=mode, ca_certs=ca_file)
    return urllib3.ProxyManager(
        proxy.url,
        proxy_headers=_proxy_headers(proxy),
        maxsize=connections,
        retries=False,
        cert_reqs=mode,
        ca_certs=ca_file,
    )


def _proxy_headers(proxy: Proxy) -> dict[str, str]:
    """Return the headers that a proxy with a user name and a password needs."""
    import urllib3

    parts = urllib.parse.urlsplit(proxy.url)
    if not parts.username:
        return {}
    user, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
    return dict(urllib3.make_headers(proxy_basic_auth=f"{user}:{password}"))


def connection_fault(url: str, error: Exception) -> Fault:
    """Return the cause of a failed request, to append to a message, and a hint.

    The cause names the proxy, if the URL has one.
    """
    import urllib3

    proxy = find_proxy(url)
    if isinstance(error, urllib3.exceptions.SSLError) or CERTIFICATE_ERROR.search(str(error)):
        fault = certificate_fault(str(error))
        return Fault(f": {fault.cause}", fault.hint)
    if proxy is not None:
        host = urllib.parse.urlsplit(url).hostname
        return Fault(
            f" through the proxy {proxy.display_name}: {connection_cause(error)}",
            f"Correct or unset {proxy.variable}, or add {host} to NO_PROXY.",
        )
    return Fault(f": {connection_cause(error)}", RUNNING_HINT)


def connection_cause(error: Exception) -> str:
    """Return the cause of a failed connection in words, without addresses and object names."""
    from urllib3 import exceptions

    if isinstance(error, exceptions.ProxyError):
        return connection_cause(error.original_error)
    if isinstance(error, exceptions.ProtocolError) and isinstance(error.args[-1], Exception):
        error = error.args[-1]
    if isinstance(error, exceptions.SSLError):
        return certificate_fault(str(error)).cause
    if isinstance(error, exceptions.NameResolutionError):
        return "the host name does not resolve"
    # A connection that failed for another reason is a ConnectTimeoutError, too.
    if type(error) is exceptions.ConnectTimeoutError:
        return f"no connection within {CONNECT_TIMEOUT_S} s"
    if cause := _answer_cause(error):
        return cause
    origin = error.__cause__ if isinstance(error.__cause__, OSError) else error
    strerror = getattr(origin, "strerror", None)
    return str(strerror).lower() if strerror else mask_credentials(str(origin).partition("\n")[0])


def _answer_cause(error: Exception) -> str | None:
    """Return why an answer cannot be used, or None if there is no answer."""
    from urllib3 import exceptions

    if isinstance(error, exceptions.ReadTimeoutError):
        seconds = re.search(r"read timeout=(\d+)", str(error))
        return f"no answer within {seconds[1]} s" if seconds else "no answer in time"
    if isinstance(error, exceptions.ResponseError):
        status = re.search(r"\b\d{3}\b", str(error))
        return f"the server answers {status[0]}" if status else None
    if isinstance(error, http.client.RemoteDisconnected):
        return "the server closed the connection"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer of the server is incomplete"
    return "the answer of the server is not HTTP" if isinstance(error, http.client.HTTPException) else None


def http_file_fault(error: OSError) -> Fault | None:
    """Return why an HTTP server did not send a file that fsspec reports as missing, else None."""
    import aiohttp

    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, aiohttp.ClientError | TimeoutError):
        return None
    if CERTIFICATE_ERROR.search(str(cause)):
        return certificate_fault(str(cause))
    if isinstance(cause, aiohttp.ClientResponseError):
        is_missing = cause.status in (404, 410)
        return None if is_missing else Fault(f"the server answers {cause.status}", FILE_HINT)
    return Fault(_aiohttp_cause(cause), RUNNING_HINT)


def _aiohttp_cause(error: Exception) -> str:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name does not resolve"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number else first_line(error)


def locate_bucket(server: StorageOptions, bucket: str) -> StorageOptions:
    """Return the options with the region of a bucket, if the server names the region.

    The request has no credentials, because the answer to a denied request also names the region.
    Raises StoreError if the server does not answer or does not have the bucket.
    """
    if not bucket or ":" in bucket or bucket.endswith(SPECIAL_BUCKET_SUFFIXES):
        return server
    ca_file, proxy = find_ca_file(aws_profile.profile_values()), find_proxy(server_url(server))
    return _locate(server, bucket, aws_profile.aws_environment(), ca_file, proxy)


@functools.lru_cache(maxsize=32)
def _locate(
    server: StorageOptions, bucket: str, _environment: Environment, ca_file: str, _proxy: Proxy | None
) -> StorageOptions:
    url = server_url(server)
    answer = require_answer(f"{url}/{urllib.parse.quote(bucket)}", "S3 server", ca_file=ca_file)
    if answer.status == 404:
        raise StoreError(f"cannot use the bucket {bucket}: {url} does not have this bucket", hint=BUCKET_HINT)
    region = answer.headers.get("x-amz-bucket-region")
    return replace(server, region=region) if region else server
