"""Errors of object stores name their cause in words, with the code of the server."""

import datetime as dt
import email.utils

import botocore.exceptions
import pytest
from s3fs.errors import translate_boto_error

from toytip.errors import SourceError, StoreError
from toytip.io.access import as_source_error, as_store_error
from toytip.io.s3_errors import certificate_fault, describe_fault


def server_error(code, message="", headers=None, **details):
    """Return the error that s3fs raises for an answer of a server."""
    answer = {
        "Error": {"Code": code, "Message": message, **details},
        "ResponseMetadata": {"HTTPHeaders": headers or {}},
    }
    return translate_boto_error(botocore.exceptions.ClientError(answer, "PutObject"))


@pytest.mark.parametrize(
    ("error", "cause", "hint"),
    [
        (server_error("ExpiredToken"), "the session token has expired (ExpiredToken)", "new credentials"),
        (server_error("NoSuchBucket"), "the bucket does not exist (NoSuchBucket)", "Create the bucket"),
        (
            server_error("PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-1"}),
            "the bucket is in region eu-west-1 (PermanentRedirect)",
            "Set AWS_REGION=eu-west-1",
        ),
        (
            server_error("AuthorizationHeaderMalformed", Region="eu-west-2"),
            "the bucket is in region eu-west-2 (AuthorizationHeaderMalformed)",
            "Set AWS_REGION=eu-west-2",
        ),
        (server_error("301"), "the bucket is in another region (301)", "AWS_REGION=REGION"),
        (server_error("SignatureDoesNotMatch"), "does not match the secret key", "AWS_SECRET_ACCESS_KEY"),
        (
            server_error("InvalidRequest", "Unsupported checksum: crc32"),
            "unsupported checksum: crc32 (InvalidRequest)",
            "AWS_REQUEST_CHECKSUM_CALCULATION=when_required",
        ),
        (
            OSError(
                "When reading information for key 'x' in bucket 'b': AWS Error UNKNOWN (HTTP status 400) during "
                "GetObject operation: Unable to parse ExceptionName: ExpiredToken Message: expired"
            ),
            "the session token has expired (ExpiredToken)",
            "new credentials",
        ),
        (
            OSError("When listing: AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation: none"),
            "the bucket does not exist (NoSuchBucket)",
            "Create the bucket",
        ),
    ],
)
def test_a_fault_of_the_server_has_a_cause_and_a_hint(error, cause, hint):
    with pytest.raises(StoreError, match=r"^cannot read X: ") as caught, as_store_error("cannot read X"):
        raise error
    assert cause in str(caught.value)
    assert hint in caught.value.hint
    assert "permission" not in caught.value.hint
    with pytest.raises(SourceError, match=r"^cannot read X: "), as_source_error("cannot read X"):
        raise error


@pytest.mark.parametrize(("minutes", "words"), [(20, "20 min ahead of"), (-20, "20 min behind")])
def test_a_wrong_clock_is_named(minutes, words):
    server = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
    error = server_error("RequestTimeTooSkewed", headers={"date": email.utils.format_datetime(server)})
    fault = describe_fault(error)
    assert (
        fault.cause == f"the clock of this machine is {words} the clock of the server (RequestTimeTooSkewed)"
    )
    assert "clock" in fault.hint


def test_missing_permissions_and_files_are_ordinary_errors():
    local = PermissionError(13, "Permission denied", "/certificate/checksum")
    for error in (server_error("AccessDenied"), server_error("NoSuchKey"), local):
        assert describe_fault(error) is None
    with pytest.raises(StoreError) as caught, as_store_error("cannot write to X"):
        raise server_error("AccessDenied", "Access Denied.")
    assert "permissions or credentials" in caught.value.hint


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1000)",
            "its certificate is not trusted: self-signed certificate",
        ),
        ("curlCode: 60, SSL peer certificate or SSH remote key was not OK", "its certificate is not trusted"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)", "the server does not use TLS"),
    ],
)
def test_a_failed_handshake_says_certificate(message, cause):
    assert certificate_fault(message).cause == cause
