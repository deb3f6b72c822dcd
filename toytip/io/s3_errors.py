"""The errors of object stores: their codes, their causes in words, and hints.

A server answers an error with a code. Arrow and botocore put the code in different places.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from toytip.core.redact import mask_credentials

PRECONDITION_FAILED_CODES = {"PreconditionFailed", "412"}
CONFLICT_CODES = {"ConditionalRequestConflict", "OperationAborted", "409"}
# The response to a HEAD request has no body, so these codes are the HTTP status.
BODYLESS_CODES = {"301", "307", "400", "403"}
NOT_IMPLEMENTED_CODES = {"NotImplemented", "XNotImplemented", "501"}
NO_BULK_DELETE_CODES = NOT_IMPLEMENTED_CODES | {
    "MethodNotAllowed",
    "MissingContentMD5",
    "InvalidRequest",
    "InvalidDigest",
    "BadDigest",
    "UnsupportedOperation",
    "400",
    "405",
}
REGION_CODES = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "301",
    "307",
}
NEW_CREDENTIALS_HINT = (
    "Get new credentials, and run the command again in an environment that has them. "
    "A run resumes from the completed files."
)
CLOCK_HINT = (
    "Correct the clock of this machine, for example with a time service. On WSL 2, run `sudo hwclock -s`."
)
KEY_HINT = (
    "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE, and that the endpoint URL is that of "
    "your server."
)
BUCKET_HINT = "Create the bucket, or correct its name. Also check the endpoint URL."
CERTIFICATE_HINT = (
    "Set AWS_CA_BUNDLE or SSL_CERT_FILE to the PEM file of the authority that signed the certificate, and "
    "use the host name of the certificate in the URL."
)
PLAIN_HINT = "If the server does not use TLS, write the URL with http://."
CHECKSUM_HINT = (
    "Set AWS_REQUEST_CHECKSUM_CALCULATION=when_required, or use a server that supports the checksums of S3."
)

CONDITION_HINT = (
    "Use a server that supports the headers If-None-Match and If-Match of PutObject. Without them, two runs "
    "could overwrite each other's files."
)


class Fault(NamedTuple):
    """The cause of an error of an object store, and what to do."""

    cause: str
    hint: str


_FAULTS = {
    "ExpiredToken": Fault("the session token has expired", NEW_CREDENTIALS_HINT),
    "ExpiredTokenException": Fault("the session token has expired", NEW_CREDENTIALS_HINT),
    "TokenRefreshRequired": Fault("the session token must be renewed", NEW_CREDENTIALS_HINT),
    "InvalidToken": Fault("the session token is not valid", NEW_CREDENTIALS_HINT),
    "InvalidAccessKeyId": Fault("the server does not know the access key", KEY_HINT),
    "SignatureDoesNotMatch": Fault("the signature does not match the secret key", KEY_HINT),
    "NoSuchBucket": Fault("the bucket does not exist", BUCKET_HINT),
    "InvalidBucketName": Fault("the name of the bucket is not valid", BUCKET_HINT),
    "AccountProblem": Fault("the server refuses the account", "Ask the operator of the server."),
    "QuotaExceeded": Fault("the quota of the bucket is used up", "Delete files, or raise the quota."),
    "InsufficientStorage": Fault("the server has no space left", "Free space on the server."),
    "SlowDown": Fault("the server is overloaded", "Run the command again later."),
    "ServiceUnavailable": Fault("the server is overloaded", "Run the command again later."),
    "XAmzContentSHA256Mismatch": Fault("the server received other bytes than were sent", CHECKSUM_HINT),
    "XNotImplemented": Fault("the server does not support a header of the request", CHECKSUM_HINT),
}


def describe_fault(error: BaseException) -> Fault | None:
    """Return the cause and a hint for an error of an object store.

    Returns None for missing permissions, missing files and all errors that are not of a server.
    """
    if (fault := _client_fault(error)) is not None:
        return fault
    code = error_code(error)
    if code == "RequestTimeTooSkewed":
        return Fault(f"{_describe_skew(error)} ({code})", CLOCK_HINT)
    if code in REGION_CODES:
        return _region_fault(error, code)
    if code in _FAULTS:
        return Fault(f"{_FAULTS[code].cause} ({code})", _FAULTS[code].hint)
    message = str(getattr(error, "strerror", None) or error)
    if code and ("checksum" in message.lower() or "aws-chunked" in message.lower()):
        return Fault(f"{_first_sentence(message)} ({code})", CHECKSUM_HINT)
    return None


def _client_fault(error: BaseException) -> Fault | None:
    """Return the fault of an error that botocore raises itself, without an answer of the server."""
    from botocore import exceptions

    origin = error if isinstance(error, exceptions.BotoCoreError) else error.__cause__
    if isinstance(origin, exceptions.SSLError) or CERTIFICATE_ERROR.search(str(error)):
        return certificate_fault(str(error))
    if isinstance(origin, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return Fault("this process has no complete credentials", KEY_HINT)
    return None


# The words of OpenSSL, and of curl in Arrow.
CERTIFICATE_ERROR = re.compile(r"certificate verify failed|curlCode: 60", re.IGNORECASE)
_CERTIFICATE_PROBLEM = re.compile(r"certificate verify failed: ([^(\"'\[]+)")


def certificate_fault(message: str) -> Fault:
    """Return the fault of a failed TLS handshake."""
    lowered = message.lower()
    if "wrong_version_number" in lowered or "wrong version number" in lowered:
        return Fault("the server does not use TLS", PLAIN_HINT)
    if "eof" in lowered:
        return Fault("the server closed the connection before it was encrypted", PLAIN_HINT)
    detail = _CERTIFICATE_PROBLEM.search(message)
    reason = f": {detail[1].strip(' ,.')}" if detail else ""
    return Fault(f"its certificate is not trusted{reason}", CERTIFICATE_HINT)


def _region_fault(error: BaseException, code: str) -> Fault:
    region = bucket_region(_response(error))
    where = f"the bucket is in region {region}" if region else "the bucket is in another region"
    return Fault(
        f"{where} ({code})",
        f"Set AWS_REGION={region or 'REGION'} in the environment, or region in the AWS profile.",
    )


def bucket_region(response: Mapping[str, Any]) -> str:
    """Return the region of a bucket that a response of the server names, or an empty text."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region") or response.get("Error", {}).get("Region") or "")


def _describe_skew(error: BaseException) -> str:
    """Say how far the clock of this machine is from the clock of the server."""
    date = _response(error).get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    with contextlib.suppress(ValueError, TypeError):
        seconds = (dt.datetime.now(dt.UTC) - email.utils.parsedate_to_datetime(date)).total_seconds()
        if abs(seconds) >= 60:
            direction = "ahead of" if seconds > 0 else "behind"
            return f"the clock of this machine is {abs(seconds) / 60:.0f} min {direction} the clock of the server"
    return "the clocks of this machine and of the server differ"


# Arrow's message names the code in the first form if its library does not know the code.
_UNKNOWN_ARROW_CODE = re.compile(r"Unable to parse ExceptionName: (\w+)")
_ARROW_CODE = re.compile(r"AWS Error ([A-Z_]+)(?: \(HTTP status (\d+)\))?")
_ARROW_NAMES = {
    "ACCESS_DENIED": "AccessDenied",
    "INVALID_ACCESS_KEY_ID": "InvalidAccessKeyId",
    "SIGNATURE_DOES_NOT_MATCH": "SignatureDoesNotMatch",
    "REQUEST_TIME_TOO_SKEWED": "RequestTimeTooSkewed",
    "NO_SUCH_BUCKET": "NoSuchBucket",
    "NO_SUCH_KEY": "NoSuchKey",
    "SLOW_DOWN": "SlowDown",
    "SERVICE_UNAVAILABLE": "ServiceUnavailable",
    "EXPIRED_TOKEN": "ExpiredToken",
    "REQUEST_EXPIRED": "ExpiredToken",
}


def error_code(error: BaseException) -> str:
    """Return the error code of the object store, such as `AccessDenied`, or an empty string."""
    code = str(_response(error).get("Error", {}).get("Code", ""))
    if code:
        return code
    if unknown := _UNKNOWN_ARROW_CODE.search(str(error)):
        return unknown[1]
    match = _ARROW_CODE.search(str(error))
    return _ARROW_NAMES.get(match[1], match[2] or "") if match else ""


def _response(error: BaseException) -> Mapping[str, Any]:
    """Return the answer of the server to which botocore's client reacted, or an empty mapping."""
    return getattr(error, "response", None) or getattr(error.__cause__, "response", None) or {}


def _first_sentence(message: str) -> str:
    line = mask_credentials(message.partition("\n")[0]).strip().rstrip(".")
    return line[:1].lower() + line[1:]


@contextlib.contextmanager
def translate_boto_errors() -> Iterator[None]:
    """Raise OSError instead of an error of the S3 client, with the first line of its message."""
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except BotoCoreError as error:
        raise OSError(str(error).partition("\n")[0]) from error
