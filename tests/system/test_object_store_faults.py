"""Faults of S3 servers and of their configuration, played by a proxy in front of a real server."""

import dataclasses
import datetime as dt
import email.utils
import json
import os
import sys

import pytest

from tests.support import s3_server
from tests.support.runs import parse_summary, require_error, run_toytip
from tests.support.s3_faults import Reply, pass_on, run_faulty_server
from toytip.cluster.certificates import create_certificates
from toytip.core.access import StorageOptions
from toytip.errors import SourceError, StoreError
from toytip.io import s3
from toytip.io.access import open_file, open_file_io, resolve_storage_options
from toytip.io.s3 import S3FileIO
from toytip.sources.discovery import check_file
from toytip.sources.listing import list_source_files
from toytip.sources.path_months import month_of_path
from toytip.store.store import Store

pytestmark = pytest.mark.object_store
ROOT = f"s3://{s3_server.PRIVATE_BUCKET}"
CA_NAMES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server.run_s3_server(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(server, monkeypatch):
    """The credentials of the admin, without an endpoint, a proxy or a certificate authority."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name in CA_NAMES:
            monkeypatch.delenv(name)
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setattr(s3, "_without_bulk_delete", set())


@pytest.fixture
def faulty(server):
    with run_faulty_server(server.endpoint) as running:
        yield running


@pytest.fixture
def folder(faulty, request):
    """A prefix of a bucket behind the proxy."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    return S3FileIO(f"{ROOT}/{name}", StorageOptions(faulty.endpoint))


def write_and_read(endpoint, name="both-clients"):
    """Write a file with s3fs and read it with Arrow, after the server was resolved."""
    options = resolve_storage_options(ROOT, endpoint)
    open_file_io(f"{ROOT}/{name}", options).write("file", b"content")
    with open_file(f"{ROOT}/{name}/file", options) as stream:
        assert stream.read() == b"content"
    return options


@pytest.mark.parametrize(
    "reply", [Reply(501, "NotImplemented"), Reply(400, "MissingContentMD5"), Reply(405, "MethodNotAllowed")]
)
def test_files_are_deleted_one_by_one_if_the_server_cannot_delete_several(reply, faulty, folder):
    faulty.fault = lambda request: reply if request.is_bulk_delete else None
    for _ in range(2):
        for name in "abc":
            folder.write(name, b"x")
        folder.remove(["a", "b", "c", "none"])
        assert not any(map(folder.exists, "abc"))
    assert sum(request.is_bulk_delete for request in faulty.requests) == 1


def test_a_file_that_cannot_be_deleted_is_an_error(faulty, folder):
    faulty.fault = lambda request: Reply(403, "AccessDenied") if request.is_bulk_delete else None
    with pytest.raises(PermissionError):
        folder.remove(["a", "b"])


def signed_for(request):
    """Return the region of a signature."""
    return request.headers["authorization"].partition("Credential=")[2].split("/")[2]


def answer_elsewhere(request):
    if not request.is_signed or signed_for(request) != "eu-west-1":
        return Reply(301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-1"})
    return None


def test_the_region_of_a_bucket_is_followed(faulty):
    faulty.fault = answer_elsewhere
    assert write_and_read(faulty.endpoint).region == "eu-west-1"


def test_a_region_that_the_server_names_late_is_told(faulty, folder):
    """s3fs follows the redirection of a signed request, and Arrow does not."""
    folder.write("file", b"x")
    faulty.fault = lambda request: answer_elsewhere(request) if request.is_signed else None
    options = resolve_storage_options(ROOT, faulty.endpoint)
    with pytest.raises(SourceError, match=r"the bucket is in another region \(301\)") as caught:
        open_file(f"{folder.root}/file", options)
    assert "Set AWS_REGION=" in caught.value.hint
    assert Store(folder.root, "dev", options).list_manifests() == []


def skewed_date(minutes=20):
    return email.utils.format_datetime(dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("reply", "cause", "hint"),
    [
        (
            lambda: Reply(400, "ExpiredToken"),
            "the session token has expired (ExpiredToken)",
            "Get new credentials",
        ),
        (
            lambda: Reply(403, "InvalidAccessKeyId"),
            "the server does not know the access key",
            "AWS_ACCESS_KEY_ID",
        ),
        (
            lambda: Reply(403, "RequestTimeTooSkewed", {"Date": skewed_date()}),
            "the clock of this machine is 20 min ahead of the clock of the server (RequestTimeTooSkewed)",
            "Correct the clock",
        ),
    ],
)
def test_a_refused_request_is_told_in_the_words_of_the_server(reply, cause, hint, faulty, folder, synthetic):
    """A HEAD request, which has no answer in words, is followed by a GET request."""
    path = min(synthetic.glob("*.parquet"))
    folder.write(path.name, path.read_bytes())
    faulty.fault = lambda request: reply() if request.is_signed else None
    options = StorageOptions(faulty.endpoint)
    store = Store(folder.root, "dev", options)
    uri = f"{folder.root}/{path.name}"
    for read, error in (
        (store.list_manifests, StoreError),
        (store.require_writable, StoreError),
        (lambda: list_source_files(folder.root, faulty.endpoint), SourceError),
        (lambda: check_file(uri, month_of_path(uri), options), SourceError),
        (lambda: open_file(uri, options), SourceError),
    ):
        with pytest.raises(error) as caught:
            read()
        assert cause in str(caught.value)
        assert hint in caught.value.hint
        assert "permission" not in caught.value.hint


def test_a_token_that_expires_while_a_file_is_read_is_told(faulty, folder):
    folder.write("file", b"x" * 100)
    with open_file(f"{folder.root}/file", StorageOptions(faulty.endpoint)) as stream:
        faulty.fault = lambda _: Reply(400, "ExpiredToken")
        with pytest.raises(SourceError, match=r"the session token has expired \(ExpiredToken\)"):
            stream.read()


def test_a_server_that_refuses_checksums_works(faulty, folder):
    """toytip sends no checksums, and therefore deletes files one by one."""

    def refuse(request):
        refused = ("x-amz-sdk-checksum-algorithm", "x-amz-checksum-crc32", "x-amz-trailer")
        return Reply(400, "InvalidRequest") if any(name in request.headers for name in refused) else None

    faulty.fault = refuse
    folder.require_guarantees("dev/probes")
    folder.write("a", b"x")
    folder.write("b", b"x" * (3 * s3.PIECE_BYTES))
    folder.remove(["a", "b"])
    assert not folder.exists("a")


def test_a_server_that_changes_content_is_refused(faulty, folder):
    def change(request, body):
        return b"14\r\n" + body[4:] if request.method == "GET" and "probe-" in request.path else body

    faulty.change_answer = change
    with pytest.raises(StoreError, match="the server returns different bytes than were written") as caught:
        folder.require_guarantees("dev/probes")
    assert "AWS_REQUEST_CHECKSUM_CALCULATION" in caught.value.hint


@pytest.mark.parametrize("condition", ["if-none-match", "if-match"])
@pytest.mark.parametrize("reply", [Reply(200, "", {"ETag": '"0"'}), Reply(501, "NotImplemented")])
def test_a_server_without_conditional_writes_is_refused_before_a_run(condition, reply, faulty, folder):
    """The server accepts every conditional write, or it knows no conditions."""

    def ignore(request):
        written = [earlier.path for earlier in faulty.requests[:-1] if earlier.method == "PUT"]
        is_first = request.path not in written and reply.status == 200
        return None if condition not in request.headers or is_first else reply

    faulty.fault = ignore
    store = Store(folder.root, "dev", folder.storage_options)
    with (
        pytest.raises(StoreError, match="the server does not support conditional writes"),
        store.write_version("v1"),
    ):
        pass
    assert not folder.list_files("dev/_versions")


def test_a_missing_bucket_is_named(faulty):
    options = StorageOptions(faulty.endpoint)
    store = Store("s3://nosuch/store", "dev", options)
    for read, error in (
        (store.list_manifests, StoreError),
        (store.require_writable, StoreError),
        (lambda: list_source_files("s3://nosuch/months", faulty.endpoint), SourceError),
        (lambda: list_source_files("s3://nosuch/*.parquet", faulty.endpoint), SourceError),
    ):
        with pytest.raises(error, match=r"the bucket does not exist \(NoSuchBucket\)"):
            read()
    faulty.fault = lambda request: None if request.is_signed else Reply(404, "NoSuchBucket")
    with pytest.raises(StoreError, match=r"cannot use the bucket absent: .* does not have this bucket"):
        resolve_storage_options("s3://absent/store", faulty.endpoint)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A private authority, and a certificate with its key for the host 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    create_certificates(folder / "tls", ["127.0.0.1"])
    pem = folder / "server.pem"
    pem.write_bytes((folder / "tls/node.pem").read_bytes() + (folder / "tls/node.key").read_bytes())
    return folder / "tls" / "ca.pem", pem


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "ca_bundle"])
def test_one_variable_with_a_private_authority_is_enough(
    variable, server, certificates, monkeypatch, tmp_path
):
    authority, certificate = certificates
    if variable == "ca_bundle":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {authority}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    else:
        monkeypatch.setenv(variable, str(authority))
    with run_faulty_server(server.endpoint, certificate) as faulty:
        write_and_read(faulty.endpoint)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_untrusted_certificate_is_told_at_once(host, server, certificates, monkeypatch):
    authority, certificate = certificates
    if host == "localhost":  # which is not in the certificate
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with run_faulty_server(server.endpoint, certificate, host) as faulty:
        with pytest.raises(StoreError, match=r"its certificate is not trusted") as caught:
            resolve_storage_options(ROOT, faulty.endpoint)
        assert "SSL_CERT_FILE" in caught.value.hint
        assert not faulty.requests


def test_a_server_without_tls_is_told(server):
    with pytest.raises(StoreError, match="the server does not use TLS") as caught:
        resolve_storage_options(ROOT, server.endpoint.replace("http://", "https://"))
    assert "http://" in caught.value.hint


def test_a_profile_gives_both_clients_a_server_and_credentials(server, monkeypatch, tmp_path):
    """The credentials of `credential_process` expire at once, so each request renews them."""
    key, secret = s3_server.ADMIN_KEYS
    script = tmp_path / "keys.py"
    keys = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret}
    script.write_text(
        "import datetime, json\n"
        "ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=11)\n"
        f"print(json.dumps({{**{json.dumps(keys)}, 'Expiration': ends.isoformat()}}))\n"
    )
    (tmp_path / "config").write_text(
        f"[profile dev]\nendpoint_url = {server.endpoint}/\ncredential_process = {sys.executable} {script}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "dev")
    options = write_and_read(None)
    assert options == StorageOptions(server.endpoint, anonymous=False)


def test_a_server_on_this_machine_needs_no_proxy(server, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    write_and_read(server.endpoint)


def test_both_clients_use_the_proxy_of_the_environment(faulty, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", faulty.endpoint)
    write_and_read("http://storage.invalid")
    assert {request.method for request in faulty.requests} >= {"HEAD", "PUT", "GET"}


def test_a_proxy_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://user:secret@127.0.0.1:9")
    with pytest.raises(
        StoreError, match=r"through the proxy http://\*\*\*@127.0.0.1:9 \(ALL_PROXY\)"
    ) as caught:
        resolve_storage_options(ROOT, "http://storage.invalid")
    assert "NO_PROXY" in caught.value.hint


@pytest.mark.parametrize("prefix", ["trip data", "trip+data", "täxi", "50%25", "it's", "a#b"])
def test_keys_can_have_any_characters(prefix, server, synthetic):
    path = min(synthetic.glob("*.parquet"))
    options = StorageOptions(server.endpoint)
    months = S3FileIO(f"{ROOT}/{prefix}", options)
    months.write(path.name, path.read_bytes())
    files = list_source_files(f"{ROOT}/{prefix}/", server.endpoint).options
    assert list(files) == [f"{ROOT}/{prefix}/{path.name}"]
    assert files == list_source_files(f"{ROOT}/{prefix}/*.parquet", server.endpoint).options
    uri = next(iter(files))
    footer = check_file(uri, month_of_path(uri), dataclasses.replace(options, anonymous=False)).file
    assert footer.bytes == path.stat().st_size


def test_a_run_whose_token_expires_resumes_with_a_new_token(server, synthetic):
    """The server refuses the token when the run writes the model."""
    options = ("--workers", 1, "--rounds", 4, "--max-depth", 3, "--version-id", "v1", "--json")
    where = ("run", "--source", synthetic, "--store", f"{ROOT}/expiring", *options)
    with run_faulty_server(server.endpoint) as faulty:
        environment = {**server.env(), "AWS_ENDPOINT_URL": faulty.endpoint}

        def expire(request):
            trained = any(
                "/models/" in earlier.path for earlier in faulty.requests if earlier.method == "PUT"
            )
            return Reply(400, "ExpiredToken") if request.is_signed and trained else None

        faulty.fault = expire
        stopped = run_toytip(*where, "--progress", "none", **environment)
        require_error(stopped, "the session token has expired (ExpiredToken)", "A run resumes")
        faulty.fault = pass_on
        again = parse_summary(run_toytip(*where, **environment))
    assert again["stage_decisions"]["featurize"]["reused"]


def test_an_unknown_profile_is_one_line(server):
    refused = run_toytip(
        "version", "list", "--store", f"{ROOT}/x", **{**server.env(), "AWS_PROFILE": "nosuch"}
    )
    require_error(refused, "cannot use AWS_PROFILE=nosuch: there is no such AWS profile", code=2)
