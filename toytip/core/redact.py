"""Parts of messages: causes of errors, URIs without credentials, and suggestions of names."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable

# Errors of the operating system. Their subclasses in libraries use error numbers of their own.
_SYSTEM_ERRORS = (
    OSError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, with credentials masked.

    For an error of the operating system, return only its description, without path and number.

    >>> first_line(FileNotFoundError(2, "No such file or directory", "/tmp/x"))
    'no such file or directory'
    """
    if isinstance(error, OSError) and type(error) in _SYSTEM_ERRORS:
        number = error.errno or (errno.ENOENT if isinstance(error, FileNotFoundError) else 0)
        if number in errno.errorcode:
            return os.strerror(number).lower()
    text = str(error).strip()
    return mask_credentials(text.splitlines()[0]) if text else type(error).__name__


def suggest_name(name: str, names: Iterable[str], otherwise: str) -> str:
    """Return a hint that names the known name most similar to an unknown name.

    >>> suggest_name("featurset", ["feature_set", "months"], "List all settings.")
    'Did you mean feature_set?'
    """
    similar = difflib.get_close_matches(name, names, 1, 0.7)
    return f"Did you mean {similar[0]}?" if similar else otherwise


# The query of an HTTP address can be a signature. It ends before the next address of a list.
_HTTP_QUERY = re.compile(
    r"(https?://[^\s?,'\"<>]+)\?[^\s'\"<>]*?(?=,\s*\w[\w+.-]*://|[\s'\"<>]|$)", re.IGNORECASE
)
_USER_INFO = re.compile(r"(\w[\w+.-]*://)[^/\s]*@")


def mask_credentials(text: str) -> str:
    """Replace users and passwords in URIs, and the queries of HTTP addresses, with `***`.

    >>> mask_credentials("s3://key:secret@bucket/trips")
    's3://***@bucket/trips'
    >>> mask_credentials("https://host/a.parquet?X-Amz-Signature=1f,https://host/b.parquet?sig=2e")
    'https://host/a.parquet?***,https://host/b.parquet?***'
    >>> mask_credentials("./toytip-store")
    './toytip-store'
    """
    return _HTTP_QUERY.sub(r"\1?***", _USER_INFO.sub(r"\1***@", text))
