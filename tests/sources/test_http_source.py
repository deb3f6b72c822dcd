"""Sources on an HTTP server: with and without ranges, with a signature, and with errors."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.trips import raw_table
from toytip.core.months import Month
from toytip.core.redact import mask_credentials
from toytip.engine.graph import _read_source_trips
from toytip.errors import SourceError
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
        self.kind = ""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_HEAD(self):
                if server.kind == "no HEAD":
                    self.answer(403, b"")
                else:
                    self.do_GET(with_body=False)

            def do_GET(self, with_body=True):
                content = server.files.get(self.path.partition("?")[0])
                if content is None or server.kind == "forbidden":
                    self.answer(404 if content is None else 403, b"")
                    return
                wanted = self.headers.get("Range", "")
                if server.kind == "no ranges" or not wanted:
                    self.answer(200, content, with_body=with_body)
                    return
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                stop = min(int(last) + 1, len(content))
                place = f"bytes {first}-{stop - 1}/{len(content)}"
                self.answer(206, content[int(first) : stop], {"Content-Range": place}, with_body)

            def answer(self, status, body, headers=None, with_body=True):
                self.send_response(status)
                for name, value in {"Content-Length": len(body), "ETag": '"v1"', **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("published"))
    thread = threading.Thread(target=server.http.serve_forever, daemon=True)
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


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
    assert [len(_read_source_trips(partition)) for partition in source.partitions(2_000)] == [1_500] * 4
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


def test_a_missing_file_and_a_folder_are_errors(server):
    for url in (address(server, Month(2023, 3), SIGNATURE), f"{server.base}/"):
        with pytest.raises(SourceError, match="cannot read") as caught:
            open_source(url)
        assert "SECRET" not in str(caught.value)


def test_signatures_of_a_list_are_masked():
    text = f"https://host/a.parquet{SIGNATURE},https://host/b.parquet?sig=SECRET"
    assert mask_credentials(text) == "https://host/a.parquet?***,https://host/b.parquet?***"
    assert mask_credentials(f"403, message='Forbidden', url='https://host/a{SIGNATURE}'") == (
        "403, message='Forbidden', url='https://host/a?***'"
    )
