"""The AWS configuration of this process: its profile and its credentials, as botocore finds them.

Both S3 clients use this configuration. The clients of s3fs and Arrow would otherwise search for
credentials by different rules.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from toytip.errors import ConfigError, StoreError

SSO_HINT = "Sign in with `aws sso login{profile}`, and run the command again."


class Credentials(NamedTuple):
    """The credentials that sign a request. Temporary credentials have a token."""

    access_key: str
    secret_key: str
    token: str | None


Environment = tuple[tuple[str, str], ...]


def aws_environment() -> Environment:
    """Return the variables of the environment that select a profile, credentials or a server.

    The result is the key of the caches of this process. A changed variable counts at once.
    """
    return tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))


def profile_values() -> Mapping[str, Any]:
    """Return the values of the selected profile, and its `services` section as a mapping.

    Raises ConfigError if the profile does not exist or if a configuration file is not valid.
    """
    session = _session(aws_environment())
    with _as_toytip_error():
        values = dict(session.get_scoped_config())
        section = values.get("services")
        if section:
            values["services"] = session.full_config.get("services", {}).get(section, {})
        return values


@functools.lru_cache(maxsize=8)
def _session(_environment: Environment) -> Any:
    import botocore.session

    return botocore.session.Session()


def has_credentials() -> bool:
    """Return whether this process finds credentials in its environment, a profile or a role."""
    return _find_credentials(aws_environment()) is not None


@functools.lru_cache(maxsize=8)
def _find_credentials(environment: Environment) -> Any:
    """Return the credentials of botocore, which renew themselves, or None."""
    with _as_toytip_error():
        return _session(environment).get_credentials()


_renewal = threading.Lock()


def current_credentials() -> Credentials | None:
    """Return valid credentials, or None if this process has none.

    Temporary credentials of a role, of SSO or of a `credential_process` are renewed before they
    expire. Raises StoreError if they cannot be renewed.
    """
    credentials = _find_credentials(aws_environment())
    if credentials is None:
        return None
    with _renewal, _as_toytip_error():
        frozen = credentials.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


@contextlib.contextmanager
def _as_toytip_error() -> Iterator[None]:
    """Raise ConfigError or StoreError instead of an error of botocore."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ProfileNotFound:
        raise _unknown_profile() from None
    except exceptions.ConfigParseError as error:
        raise ConfigError(
            f"cannot read the AWS configuration: {_cause(error)}", hint="Correct the file."
        ) from None
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        raise StoreError(f"cannot get AWS credentials: {_cause(error)}", hint=_hint(error)) from None


def _unknown_profile() -> ConfigError:
    variable = next(name for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if os.environ.get(name))
    name, profiles = os.environ[variable], sorted(_session(aws_environment()).available_profiles)
    create = f"Create the profile with `aws configure --profile {name}`"
    choose = f"Choose from {', '.join(profiles)}" if profiles else create
    return ConfigError(
        f"cannot use {variable}={name}: there is no such AWS profile", hint=f"{choose}, or unset {variable}."
    )


def _cause(error: Exception) -> str:
    text = str(error).partition("\n")[0].rstrip(". ")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _hint(error: Exception) -> str:
    """Return a hint for credentials that cannot be retrieved. SSO needs a new sign-in."""
    profile = os.environ.get("AWS_PROFILE", "")
    if "SSO" in type(error).__name__ or "Token" in type(error).__name__:
        return SSO_HINT.format(profile=f" --profile {profile}" if profile else "")
    return "Check the AWS profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
