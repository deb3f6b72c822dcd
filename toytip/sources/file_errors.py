"""Describe why a file of a source cannot be read."""

from __future__ import annotations

import errno

from toytip.core.redact import first_line
from toytip.io.base import uri_scheme
from toytip.io.connection import FILE_HINT
from toytip.sources.formats import DOWNLOAD_AGAIN

NO_RANGES = "the server does not support range requests"
DOWNLOAD_FROM_SERVER = "Download the file, and use the downloaded file as the source."


def cause_of_read_error(uri: str, error: Exception) -> str:
    """Return why a file cannot be read."""
    if lacks_ranges(uri, error):
        return NO_RANGES
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    if isinstance(error, PermissionError | IsADirectoryError) or _is_link_loop(error):
        return first_line(error)
    return f"the file is corrupt or incomplete ({first_line(error)})"


def hint_of_read_error(uri: str, error: Exception) -> str:
    """Return what to do about a file that cannot be read."""
    if lacks_ranges(uri, error):
        return DOWNLOAD_FROM_SERVER
    if isinstance(error, FileNotFoundError | PermissionError) or _is_link_loop(error):
        return FILE_HINT
    return DOWNLOAD_AGAIN


def _is_link_loop(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ELOOP


def lacks_ranges(uri: str, error: Exception) -> bool:
    """Return whether the error is that an HTTP server sends only complete files."""
    return uri_scheme(uri) in {"http", "https"} and "range requests" in str(error)
