"""Sources on an HTTP server behind a proxy, which the environment names for other machines."""

import base64
import io
import os

import fsspec
import pyarrow.parquet as pq
import pytest

from tests.support import http_server
from tests.support.s3_faults import Reply, run_faulty_server
from tests.support.trips import JANUARY, raw_table
from toytip.cluster.certificates import create_certificates
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.engine.graph import _read_source_trips
from toytip.errors import SourceError
from toytip.serving.trip_files import read_batches
from toytip.sources.discovery import open_source

NAME = "yellow_tripdata_2023-01.parquet"
ROWS = 50


class Handler(http_server.Handler):
    """Answers requests for ranges of one file."""

    content: bytes

    def respond(self):
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if not last:
            self.answer(200, self.content, {"ETag": '"v1"'})
            return
        stop = min(int(last) + 1, len(self.content))
        place = {"Content-Range": f"bytes {first}-{stop - 1}/{len(self.content)}", "ETag": '"v1"'}
        self.answer(206, self.content[int(first) : stop], place)


@pytest.fixture(autouse=True)
def without_proxy(monkeypatch):
    """An environment without a proxy or a certificate authority."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
            monkeypatch.delenv(name)
    fsspec.get_filesystem_class("http").clear_instance_cache()


@pytest.fixture(scope="module")
def content():
    stream = io.BytesIO()
    pq.write_table(raw_table(ROWS, JANUARY), stream)
    return stream.getvalue()


@pytest.fixture
def origin(content):
    with http_server.serve(Handler, content=content) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def proxy(origin):
    with run_faulty_server(origin) as server:
        yield server


def count_rows(url):
    """Return the rows of a file in a run, and in `toytip score`."""
    in_run = [len(_read_source_trips(part, TLC)) for part in open_source(url).partitions(1_000)]
    in_score = [len(batch.table) for batch in read_batches(url, io.BytesIO())]
    return sum(in_run), sum(in_score)


def test_a_source_uses_the_proxy_of_the_environment(proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.endpoint.replace("://", "://user:p%40ss@"))
    assert count_rows(f"http://trips.invalid/{NAME}") == (ROWS, ROWS)
    password = base64.b64encode(b"user:p@ss").decode()
    assert {request.headers["proxy-authorization"] for request in proxy.requests} == {f"Basic {password}"}


def test_a_source_on_this_machine_needs_no_proxy(origin, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert count_rows(f"{origin}/{NAME}") == (ROWS, ROWS)


def test_a_host_can_be_excluded_from_the_proxy(proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)
    monkeypatch.setenv("NO_PROXY", ".invalid")
    with pytest.raises(SourceError, match="the host name does not resolve"):
        open_source(f"http://trips.invalid/{NAME}")
    assert not proxy.requests


def test_a_source_tunnels_through_the_proxy_to_a_private_authority(content, tmp_path, monkeypatch):
    create_certificates(tmp_path / "tls", ["trips.invalid"])
    pem = tmp_path / "server.pem"
    pem.write_bytes((tmp_path / "tls/node.pem").read_bytes() + (tmp_path / "tls/node.key").read_bytes())
    with (
        http_server.serve(Handler, pem, content=content) as port,
        run_faulty_server(f"https://127.0.0.1:{port}") as proxy,
    ):
        monkeypatch.setenv("https_proxy", proxy.endpoint)
        with pytest.raises(SourceError, match="its certificate is not trusted") as caught:
            open_source(f"https://trips.invalid/{NAME}")
        assert "SSL_CERT_FILE" in caught.value.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls/ca.pem"))
        assert count_rows(f"https://trips.invalid/{NAME}") == (ROWS, ROWS)
    assert {request.path for request in proxy.requests} == {"trips.invalid:443"}


def test_a_proxy_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://user:secret@127.0.0.1:9")
    for read in (open_source, count_rows):
        with pytest.raises(SourceError) as caught:
            read(f"http://trips.invalid/{NAME}?sig=SECRET")
        assert str(caught.value) == (
            f"cannot read http://trips.invalid/{NAME}?***: no connection through the proxy "
            "http://***@127.0.0.1:9 (ALL_PROXY): connection refused"
        )
        assert caught.value.hint == "Correct or unset ALL_PROXY, or add trips.invalid to NO_PROXY."


def test_a_proxy_that_needs_a_password_is_named(proxy, monkeypatch):
    proxy.fault = lambda _: Reply(407, "ProxyAuthenticationRequired")
    monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)
    with pytest.raises(SourceError, match=r"through the proxy .* \(HTTP_PROXY\): the proxy answers 407"):
        open_source(f"http://trips.invalid/{NAME}")
