"""Sources on an HTTP server: with and without ranges, with a signature, and with errors."""

import gzip
import io
import threading

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support import http_server
from tests.support.trips import raw_table
from toytip.core.months import Month
from toytip.core.redact import mask_credentials
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.engine.graph import _read_source_trips
from toytip.errors import SourceError
from toytip.io import http_files
from toytip.serving.trip_files import read_batches
from toytip.sources.discovery import open_source

MONTHS = [Month(2023, month) for month in (1, 2)]
SIGNATURE = "?X-Amz-Date=20240814T123605Z&X-Amz-Signature=ab/cdSECRET"


def write_large_file(path, month):
    """Write a month that fsspec reads in several blocks."""
    table = raw_table(3_000, month).append_column("padding", pa.array([bytes(4_000)] * 3_000))
    pq.write_table(table, path, compression="none", use_dictionary=False)
    return path.read_bytes()


class Server:
    """A server of monthly files. `kind` changes its answers."""

    def __init__(self, folder):
        names = {month: f"yellow_tripdata_{month}.parquet" for month in MONTHS}
        self.files = {f"/{name}": write_large_file(folder / name, month) for month, name in names.items()}
        self.kind = self.base = ""


class Handler(http_server.Handler):
    published: Server

    def respond(self):
        content, kind = self.published.files.get(self.path.partition("?")[0]), self.published.kind
        if kind == "busy":
            self.answer(503)
            return
        if content is None or kind == "forbidden" or (kind == "no HEAD" and self.command == "HEAD"):
            self.answer(404 if content is None else 403)
            return
        if kind == "redirects":
            self.answer(302, headers={"Location": self.path})
            return
        if kind == "no size":
            self.answer(200, gzip.compress(content, 1), {"Content-Encoding": "gzip"})
            return
        wanted, tag = self.headers.get("Range", ""), {"ETag": '"v1"'}
        if kind == "no ranges" or not wanted:
            self.answer(200, content, tag)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        stop = min(int(last) + 1, len(content))
        place = {"Content-Range": f"bytes {first}-{stop - 1}/{len(content)}"}
        self.answer(206, content[int(first) : stop], {**tag, **place})


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("published"))
    with http_server.serve(Handler, published=server) as port:
        server.base = f"http://127.0.0.1:{port}"
        yield server


@pytest.fixture
def server(published):
    fsspec.get_filesystem_class("http").clear_instance_cache()
    published.kind = ""
    return published


def address(server, month, query=""):
    return f"{server.base}/yellow_tripdata_{month}.parquet{query}"


@pytest.mark.parametrize("kind", ["", "no HEAD"])
@pytest.mark.parametrize("query", ["", SIGNATURE])
def test_files_of_a_server_are_a_source(kind, query, server):
    server.kind = kind
    source = open_source(", ".join(address(server, month, query) for month in MONTHS))
    assert source.months == tuple(MONTHS)
    assert [len(_read_source_trips(partition, TLC)) for partition in source.partitions(2_000)] == [1_500] * 4
    assert all(file.content_tag.startswith("etag:") for file in source.files)


@pytest.mark.parametrize(
    ("kind", "cause", "fix"),
    [
        ("no ranges", "the server does not support range requests", "Download the file"),
        ("forbidden", "", "permissions"),
    ],
)
def test_a_server_that_refuses_is_an_error_without_the_signature(kind, cause, fix, server):
    server.kind = kind
    with pytest.raises(SourceError) as caught:
        open_source(address(server, MONTHS[0], SIGNATURE))
    message = f"{caught.value} {caught.value.hint}"
    assert message.startswith(f"cannot read {address(server, MONTHS[0])}?***: {cause}")
    assert fix in message
    assert "SECRET" not in message
    assert "X-Amz" not in message


def test_a_server_that_sends_only_complete_files(server):
    """A score reads a file without a known size from its start. A run needs parts of it."""
    url = address(server, MONTHS[0])
    server.kind = "no size"
    assert sum(len(batch.table) for batch in read_batches(url, io.BytesIO())) == 3_000
    with pytest.raises(SourceError, match="the server does not report the size of the file"):
        open_source(url)
    server.kind = "no ranges"
    with pytest.raises(SourceError, match="the server does not support range requests") as caught:
        list(read_batches(url, io.BytesIO()))
    assert caught.value.hint.startswith("Download the file")


def test_a_missing_file_and_a_folder_are_errors(server):
    for url in (address(server, Month(2023, 3), SIGNATURE), f"{server.base}/"):
        with pytest.raises(SourceError, match="cannot read") as caught:
            open_source(url)
        assert "SECRET" not in str(caught.value)


class Silence(http_server.Handler):
    """Closes each connection without an answer."""

    def respond(self):
        self.close_connection = True


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("missing", "does not exist"),
        ("busy", "the server answers 503"),
        ("redirects", "the server redirects too many times"),
        ("silent", "the server closed the connection"),
        ("stopped", "connection refused"),
        ("unknown", "the host name does not resolve"),
    ],
)
def test_a_server_that_does_not_answer_is_not_a_missing_file(kind, cause, server):
    server.kind = kind
    with http_server.serve(Silence) as port:
        base = {"silent": f"http://127.0.0.1:{port}", "unknown": "http://nosuch.invalid"}.get(
            kind, server.base
        )
        if kind != "stopped":
            require_cause(f"{base}/yellow_tripdata_2023-0{9 if kind == 'missing' else 1}.parquet", cause)
    if kind == "stopped":
        require_cause(f"http://127.0.0.1:{port}/yellow_tripdata_2023-01.parquet", cause)


def require_cause(url, cause):
    for read in (open_source, lambda url: next(read_batches(url, io.BytesIO()))):
        with pytest.raises(SourceError, match=cause) as caught:
            read(url + SIGNATURE)
        assert ("does not exist" in str(caught.value)) is (cause == "does not exist")
        assert "SECRET" not in f"{caught.value} {caught.value.hint}"
        assert caught.value.hint


class Waiting(http_server.Handler):
    """Accepts each request, and sends at most the first part of an answer."""

    released: threading.Event
    content = b""

    def respond(self):
        if self.content:
            self.send_response(206)
            self.send_header("Content-Length", "100")
            self.send_header("Content-Range", "bytes 0-99/100")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(self.content)
        if not self.content or self.command == "GET":
            self.released.wait()
        self.close_connection = True


@pytest.fixture
def short_limits(monkeypatch):
    monkeypatch.setattr(http_files, "READ_TIMEOUT_S", 0.5)
    monkeypatch.setattr(http_files, "NOTICE_AFTER_S", 0.1)


@pytest.mark.parametrize("content", [b"", b"PAR1"], ids=["no answer", "a part of an answer"])
def test_a_server_that_waits_is_an_error_after_a_limit(content, short_limits, caplog, monkeypatch):
    if content:  # a server that answers at once is no reason for a notice, however slow this machine is
        monkeypatch.setattr(http_files, "NOTICE_AFTER_S", 60)
    released = threading.Event()
    with http_server.serve(Waiting, released=released, content=content) as port:
        require_cause(f"http://127.0.0.1:{port}/yellow_tripdata_2023-01.parquet", "no answer within 0.5 s")
        released.set()
    notices = [
        record.getMessage() for record in caplog.records if "does not answer yet" in record.msg % record.args
    ]
    assert notices == [f"127.0.0.1:{port} does not answer yet (toytip waits at most 1 s)"] * (not content)


def test_a_server_that_hangs_up_within_an_answer_is_an_error():
    released = threading.Event()
    released.set()
    with http_server.serve(Waiting, released=released, content=b"PAR1") as port:
        require_cause(
            f"http://127.0.0.1:{port}/yellow_tripdata_2023-01.parquet", "the server closed the connection"
        )


def test_signatures_of_a_list_are_masked():
    text = f"https://host/a.parquet{SIGNATURE},https://host/b.parquet?sig=SECRET"
    assert mask_credentials(text) == "https://host/a.parquet?***,https://host/b.parquet?***"
    assert mask_credentials(f"403, message='Forbidden', url='https://host/a{SIGNATURE}'") == (
        "403, message='Forbidden', url='https://host/a?***'"
    )
