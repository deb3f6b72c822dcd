"""The server of an S3 location: its endpoint URL, its region and its certificate authority.

These functions decide from explicit values, so that both S3 clients follow the same rule.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toytip.core.access import StorageOptions
from toytip.core.redact import mask_credentials
from toytip.errors import ConfigError

DEFAULT_REGION = "us-east-1"
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
CA_VARIABLES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The files with the authorities that the system trusts, on common distributions.
SYSTEM_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
URL_HINT = "Write only the scheme, the host and the port, for example http://127.0.0.1:8333."
_HOST = re.compile(r"[a-z0-9:.\[\]_-]+", re.IGNORECASE)


def resolve_server(
    endpoint_url: str | None, environment: Mapping[str, str], profile: Mapping[str, Any]
) -> StorageOptions:
    """Return the endpoint and the region of an S3 location. The first value that is set counts.

    Endpoint: the argument, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the `services` section of the
    profile, the profile. Region: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile, `us-east-1`.
    Raises ConfigError if the endpoint is not the URL of a server.
    """
    region = next(filter(None, (environment.get(name) for name in REGION_VARIABLES)), profile.get("region"))
    return StorageOptions(
        endpoint_url=_first_endpoint(endpoint_url, environment, profile), region=region or DEFAULT_REGION
    )


def _first_endpoint(
    endpoint_url: str | None, environment: Mapping[str, str], profile: Mapping[str, Any]
) -> str | None:
    if endpoint_url:
        return normalize_endpoint(endpoint_url, "the endpoint URL")
    if _is_true(environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")):
        return None
    for name in ENDPOINT_VARIABLES:
        if value := environment.get(name, "").strip():
            return normalize_endpoint(value, name)
    if _is_true(profile.get("ignore_configured_endpoint_urls")):
        return None
    service = (profile.get("services") or {}).get("s3", {}).get("endpoint_url")
    configured = service or profile.get("endpoint_url")
    return normalize_endpoint(configured, "endpoint_url of the AWS profile") if configured else None


def _is_true(value: str | None) -> bool:
    return str(value).lower() == "true"


def normalize_endpoint(url: str, name: str) -> str:
    """Return an endpoint URL in the form that both clients take: `http://host:port`.

    Raises ConfigError, which names the setting, if the URL has no scheme, a path or credentials.

    >>> normalize_endpoint("HTTP://LOCALHOST:8333/", "AWS_ENDPOINT_URL")
    'http://localhost:8333'
    """
    failure, parts = f"cannot use {name} {mask_credentials(url)}", urllib.parse.urlsplit(url.strip())
    if "://" not in url or parts.scheme.lower() not in ("http", "https"):
        scheme = "has no scheme" if "://" not in url else f"has the scheme {parts.scheme}://"
        raise ConfigError(
            f"{failure}: the URL {scheme}", hint=f"Start the URL with http:// or https://. {URL_HINT}"
        )
    if "@" in parts.netloc:
        raise ConfigError(
            f"{failure}: URLs must not contain credentials",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
        )
    try:
        has_host = bool(parts.hostname and _HOST.fullmatch(parts.netloc)) and (parts.port or 1) > 0
    except ValueError:  # the port is not a number
        has_host = False
    if not has_host:
        raise ConfigError(f"{failure}: it is not the URL of a server", hint=URL_HINT)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError(f"{failure}: the URL has the path {parts.path or '?' + parts.query}", hint=URL_HINT)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"


def server_url(storage_options: StorageOptions) -> str:
    """Return the URL of the server, which is Amazon's server in the region without an endpoint.

    >>> server_url(StorageOptions(region="eu-west-1"))
    'https://s3.eu-west-1.amazonaws.com'
    """
    suffix = ".cn" if storage_options.region.startswith("cn-") else ""
    return storage_options.endpoint_url or f"https://s3.{storage_options.region}.amazonaws.com{suffix}"


def find_ca_file(profile: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> str:
    """Return the PEM file of the certificate authorities to trust.

    The first value that is set counts: `AWS_CA_BUNDLE`, `ca_bundle` of the profile,
    `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, the file of the system, the file of
    botocore. Raises ConfigError if a configured file does not exist.
    """
    names = [(name, environment.get(name)) for name in CA_VARIABLES]
    names.insert(1, ("ca_bundle of the AWS profile", profile.get("ca_bundle")))
    for name, value in names:
        if value:
            path = Path(value).expanduser()
            if not path.exists():
                raise ConfigError(
                    f"cannot use {name}={value}: the file does not exist",
                    hint="Set it to the PEM file with the certificate of the authority, or unset it.",
                )
            return str(path)
    if system := next((file for file in SYSTEM_CA_FILES if Path(file).is_file()), None):
        return system
    import botocore.httpsession

    return str(botocore.httpsession.where())
