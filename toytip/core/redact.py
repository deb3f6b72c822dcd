"""Mask credentials in text that toytip prints or stores."""

from __future__ import annotations


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, with credentials masked."""
    return (
        mask_credentials(str(error).strip().splitlines()[0]) if str(error).strip() else type(error).__name__
    )


def mask_credentials(uri: str) -> str:
    """Replace the user and the password in a URI with `***`.

    >>> mask_credentials("s3://key:secret@bucket/trips")
    's3://***@bucket/trips'
    >>> mask_credentials("./toytip-store")
    './toytip-store'
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    host, slash, path = rest.partition("/")
    if "@" in host:
        host = "***@" + host.rpartition("@")[2]
    return f"{scheme}://{host}{slash}{path}"
