"""The causes of failed attempts to download a file, and whether another attempt can help."""

from __future__ import annotations

import urllib3

from toytip.core.redact import mask_credentials
from toytip.errors import SourceError
from toytip.io.connection import RUNNING_HINT, connection_fault
from toytip.io.s3_errors import Fault

RESUME_HINT = "Run the command again later. toytip resumes the partial file."
CONNECTION_HINT = "Check the network and --base-url. If this network needs a proxy, set HTTPS_PROXY to the URL of the proxy."


class RetryableError(Exception):
    """A failed attempt. The server requests a wait of `retry_after` seconds before the next one."""

    def __init__(self, cause: str, retry_after: float = 0.0) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


def _original_error(error: Exception) -> Exception:
    """Return the error of the connection that urllib3 reports as too many attempts."""
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        return error.reason
    return error


def raise_if_lasting(url: str, error: Exception) -> None:
    """Raise SourceError for a certificate or proxy that another attempt would not accept either."""
    error = _original_error(error)
    if isinstance(error, urllib3.exceptions.SSLError | urllib3.exceptions.ProxyError):
        cause, hint = connection_fault(url, error)
        raise SourceError(f"cannot download {mask_credentials(url)}{cause}", hint=hint) from None


def failure_cause(url: str, error: Exception) -> Fault:
    """Return the cause of a failed attempt, to append to a message, and a hint."""
    error = _original_error(error)
    if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
        cause, hint = connection_fault(url, error)
        return Fault(cause, CONNECTION_HINT if hint == RUNNING_HINT else hint)
    if isinstance(error, urllib3.exceptions.ResponseError):
        return Fault(": the server redirects too many times", "Check --base-url.")
    first_line = str(error).partition("\n")[0]
    cause = (
        first_line if isinstance(error, RetryableError) else f"the connection broke ({type(error).__name__})"
    )
    return Fault(f": {cause}", RESUME_HINT)
