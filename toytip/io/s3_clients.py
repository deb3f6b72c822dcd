"""The clients of object stores: s3fs for all operations, and Arrow to read source files.

Both clients get the same endpoint, region, credentials, certificate authority and proxy.
"""

from __future__ import annotations

import asyncio
import functools
import os
from typing import Any

from toytip.core.access import StorageOptions
from toytip.io import aws_profile
from toytip.io.aws_profile import Credentials, Environment
from toytip.io.endpoint import find_ca_file, server_url
from toytip.io.proxies import find_proxy

# A restarted server answers after half a minute. With this number of attempts, the clients retry
# for about one minute.
REQUEST_ATTEMPTS = 12
CONNECT_TIMEOUT_S = 10
CHECKSUM_VARIABLES = {
    "request_checksum_calculation": "AWS_REQUEST_CHECKSUM_CALCULATION",
    "response_checksum_validation": "AWS_RESPONSE_CHECKSUM_VALIDATION",
}


def s3_filesystem(storage_options: StorageOptions) -> Any:
    """Return the file system of fsspec for an object store."""
    environment = aws_profile.aws_environment()
    return _open_s3fs(storage_options, environment, _ca_file(), _proxy_url(storage_options))


@functools.lru_cache(maxsize=8)
def _open_s3fs(
    storage_options: StorageOptions, _environment: Environment, ca_file: str, proxy: str | None
) -> Any:
    import s3fs

    return s3fs.S3FileSystem(
        anon=storage_options.anonymous,
        endpoint_url=storage_options.endpoint_url,
        client_kwargs={"region_name": storage_options.region, "verify": ca_file},
        config_kwargs={
            "retries": {"mode": "standard", "max_attempts": REQUEST_ATTEMPTS},
            "connect_timeout": CONNECT_TIMEOUT_S,
            "s3": {"addressing_style": "path"} if storage_options.endpoint_url else {},
            "proxies": dict.fromkeys(("http", "https"), proxy) if proxy else {},
            **_checksum_options(storage_options),
        },
        session=_open_aio_session(),
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def _checksum_options(storage_options: StorageOptions) -> dict[str, str]:
    """Return the checksum options for servers other than Amazon's.

    Older servers refuse checksums that no operation requires, or store them as part of the file.
    """
    if storage_options.endpoint_url is None:
        return {}
    values = aws_profile.profile_values()
    return {
        option: "when_required"
        for option, variable in CHECKSUM_VARIABLES.items()
        if not os.environ.get(variable) and option not in values
    }


def _open_aio_session() -> Any:
    """Return a session of aiobotocore whose credentials are those of `aws_profile`."""
    import aiobotocore.session
    from aiobotocore.credentials import AioCredentials

    class CurrentCredentials(AioCredentials):  # type: ignore[misc]  # a class of a library without types
        """Credentials that this process renews."""

        async def get_frozen_credentials(self) -> Credentials | None:
            return await asyncio.to_thread(aws_profile.current_credentials)

    class Resolver:
        """Finds the credentials when the client is created."""

        async def load_credentials(self) -> CurrentCredentials | None:
            credentials = await asyncio.to_thread(aws_profile.current_credentials)
            return None if credentials is None else CurrentCredentials(*credentials)

    session = aiobotocore.session.AioSession()
    session.register_component("credential_provider", Resolver())
    return session


def arrow_s3_filesystem(storage_options: StorageOptions) -> Any:
    """Return Arrow's file system for an object store.

    This file system reads the columns of a file five times as fast as s3fs. Renewed credentials
    give a new file system.
    """
    credentials = None if storage_options.anonymous else aws_profile.current_credentials()
    return _open_arrow(storage_options, credentials, _ca_file(), _proxy_url(storage_options))


@functools.lru_cache(maxsize=8)
def _open_arrow(
    storage_options: StorageOptions, credentials: Credentials | None, ca_file: str, proxy: str | None
) -> Any:
    from pyarrow import fs

    scheme, _, host = (storage_options.endpoint_url or "").rpartition("://")
    keys = {} if credentials is None else credentials._asdict()
    return fs.S3FileSystem(
        access_key=keys.get("access_key"),
        secret_key=keys.get("secret_key"),
        session_token=keys.get("token"),
        anonymous=credentials is None,
        endpoint_override=host or None,
        scheme=scheme or "https",
        region=storage_options.region,
        proxy_options=proxy,
        tls_ca_file_path=ca_file,
        connect_timeout=CONNECT_TIMEOUT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=REQUEST_ATTEMPTS),
    )


def _ca_file() -> str:
    return find_ca_file(aws_profile.profile_values())


def _proxy_url(storage_options: StorageOptions) -> str | None:
    proxy = find_proxy(server_url(storage_options))
    return proxy.url if proxy else None
