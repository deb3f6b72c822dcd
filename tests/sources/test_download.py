"""fetch: from a real server that throttles, cuts, and lies."""

import contextlib
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow.parquet as pq
import pytest

from tests.conftest import parse_summary, raw_table, run_toytip
from toytip.core.months import Month, parse_months
from toytip.errors import SourceError
from toytip.sources.download import REMOTE_ZONE_LOOKUP_NAME, MonthDownloader

MONTHS = parse_months("2023-01:2023-03")
TABLE = b'"LocationID","Borough","Zone","service_zone"\n1,"EWR","Newark Airport","EWR"\n'


class Tlc:
    """A server of monthly files; `tricks` says how it answers the n-th request for a file."""

    def __init__(self, folder):
        for month in MONTHS:
            pq.write_table(
                raw_table(4000, month, seed=month.month), folder / f"yellow_tripdata_{month}.parquet"
            )
        self.files = {f"/trip-data/{path.name}": path.read_bytes() for path in folder.glob("*.parquet")}
        self.files[f"/misc/{REMOTE_ZONE_LOOKUP_NAME}"] = TABLE
        self.tricks, self.asked, self.at_once, self.most = {}, [], 0, 0
        self.lock = threading.Lock()
        tlc = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                with tlc.lock:
                    tlc.at_once += 1
                    tlc.most = max(tlc.most, tlc.at_once)
                    number = sum(path == self.path for path, _ in tlc.asked)
                    tlc.asked.append((self.path, self.headers.get("Range")))
                try:
                    time.sleep(0.05)
                    with contextlib.suppress(ConnectionError):
                        tlc.answer(self, number)
                finally:
                    with tlc.lock:
                        tlc.at_once -= 1

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request, number):
        content = self.files.get(request.path)
        tricks = self.tricks.get(request.path.rpartition("/")[2], [])
        trick = tricks[number] if number < len(tricks) else None
        if isinstance(trick, int) or content is None:
            self.refuse(request, trick or 404)
            return
        start, tag = 0, f'"{hashlib.md5(content).hexdigest()}"'  # noqa: S324 - an entity tag
        wanted = request.headers.get("Range")
        if wanted and trick != "ignores ranges" and request.headers.get("If-Range") == tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        body = content[start:]
        request.send_response(206 if start else 200)
        if start:
            told, body = {
                "another range": (0, content),
                "shifted bytes": (start, content[: len(body)]),
            }.get(trick, (start, body))
            request.send_header("Content-Range", f"bytes {told}-{len(content) - 1}/{len(content)}")
        if trick != "no tag":
            request.send_header("ETag", tag)
        self.send(request, trick, body)

    @staticmethod
    def refuse(request, status):
        request.send_response(status)
        if status == 429:
            request.send_header("Retry-After", "1")
        request.send_header("Content-Length", "0")
        request.end_headers()

    @staticmethod
    def send(request, trick, body):
        length = {"too short": len(body) // 2, "too long": len(body) + 1000}.get(trick, len(body))
        request.send_header("Content-Length", str(length))
        request.end_headers()
        if trick in ("cut", "no tag"):
            body = body[: len(body) // 3]
        if trick == "garbage":
            body = b"<html>" + body[6:-4] + b"</h>"
        request.wfile.write(body[:length])
        request.close_connection = trick is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


@pytest.fixture
def tlc(folder):
    tlc = Tlc(folder)
    thread = threading.Thread(target=tlc.server.serve_forever, daemon=True)
    thread.start()
    yield tlc
    tlc.server.shutdown()
    tlc.server.server_close()
    thread.join()


def fetch(tlc, to, months=MONTHS):
    return MonthDownloader(tlc.base, to, lambda _: None, retry_delay=0.01).download("yellow", months)


def whole(tlc, to):
    return {path.name: path.read_bytes() for path in to.iterdir()} == {
        name.rpartition("/")[2]: content for name, content in tlc.files.items()
    }


def test_all_are_there_and_are_not_fetched_twice(tlc, tmp_path):
    first = fetch(tlc, tmp_path)
    assert whole(tlc, tmp_path)
    assert sum(file.bytes for file in first) == sum(map(len, tlc.files.values()))
    assert tlc.most > 1, "several at a time"
    asked = len(tlc.asked)
    assert [file.bytes for file in fetch(tlc, tmp_path)] == [0, 0, 0, 0]
    assert len(tlc.asked) == asked


ONE = "yellow_tripdata_2023-02.parquet"
TRICKS = {
    "cut, and resumed": (["cut"], 2, True),
    "cut thrice": (["cut", "cut", "cut"], 4, True),
    "cut, and then ranges are ignored": (["cut", "ignores ranges"], 2, True),
    "cut, and nothing says that the rest is of the same file": (["no tag"], 2, False),
    "cut, and then another range than was asked for": (["cut", "another range"], 3, True),
    "cut, and then the right range of the wrong bytes": (["cut", "shifted bytes"], 3, True),
    "too many requests": ([429], 2, False),
    "refused for a while": ([403, 403], 3, False),
    "a server in trouble": ([500, 503, 502], 4, False),
    "a length that is too long": (["too long"], 3, True),
    "a length that is too short": (["too short"], 2, False),
    "a page instead of a file": (["garbage"], 2, False),
}


@pytest.mark.parametrize(("tricks", "requests", "resumed"), TRICKS.values(), ids=TRICKS)
def test_what_servers_do(tricks, requests, resumed, tlc, tmp_path):
    tlc.tricks[ONE] = tricks
    fetch(tlc, tmp_path)
    assert whole(tlc, tmp_path)
    ranges = [asked for path, asked in tlc.asked if path.endswith(ONE)]
    assert len(ranges) == requests
    assert any(ranges) == resumed


NEVER = {
    "not published": ([404] * 9, "404"),
    "refused for good": ([403] * 9, "not published yet"),
    "nothing but pages": (["garbage"] * 9, "not a whole parquet file"),
    "always too short": (["too short"] * 9, "not a whole parquet file"),
}


@pytest.mark.parametrize(("tricks", "said"), NEVER.values(), ids=NEVER)
def test_what_cannot_be_had_is_said(tricks, said, tlc, tmp_path):
    tlc.tricks[ONE] = tricks
    with pytest.raises(SourceError, match=said) as caught:
        fetch(tlc, tmp_path)
    assert ONE in str(caught.value)
    assert not (tmp_path / ONE).exists()
    tlc.tricks.clear()
    fetch(tlc, tmp_path)
    assert whole(tlc, tmp_path)


def test_the_next_time_goes_on_where_the_last_was_cut(tlc, tmp_path):
    tlc.tricks[ONE] = ["cut", *[500] * 9]
    with pytest.raises(SourceError):
        fetch(tlc, tmp_path)
    asked = len(tlc.asked)
    tlc.tricks.clear()
    fetch(tlc, tmp_path)
    (again,) = [asked for path, asked in tlc.asked[asked:] if path.endswith(ONE)]
    assert again is not None
    assert int(again.removeprefix("bytes=").rstrip("-")) > 0
    assert whole(tlc, tmp_path)


def test_a_broken_file_does_not_count_as_there(tlc, tmp_path):
    (tmp_path / ONE).write_bytes(b"PAR1 and nothing more")
    fetch(tlc, tmp_path)
    assert whole(tlc, tmp_path)


def test_nobody_listens(tmp_path):
    with pytest.raises(SourceError, match="no connection"):
        MonthDownloader("http://127.0.0.1:9", tmp_path, lambda _: None, retry_delay=0.01).download(
            "yellow", [Month(2023, 1)]
        )


def test_from_the_command_line(tlc, tmp_path):
    options = ("--months", "2023-01:2023-03", "--base-url", tlc.base)
    got = parse_summary(run_toytip("source", "fetch", *options, "--to", tmp_path / "in", "--json"))
    assert len(got["files"]) == 4
    assert "were there already" in run_toytip("source", "fetch", *options, "--to", tmp_path / "in").stdout
    refused = run_toytip("source", "fetch", "--base-url", tlc.base, "--to", tmp_path)
    assert refused.returncode == 1
    assert "which months" in refused.stderr
    assert run_toytip("source", "fetch", *options, "--taxi", "blue", "--to", tmp_path).returncode == 1


def test_fetch_and_run_in_one(tlc, tmp_path):
    ran = run_toytip(
        "run", "--source", "tlc:yellow", "--months", "2023-01:2023-03", "--store", tmp_path / "st", "--workers", 1,
        "--rounds", 3, "--json", TOYTIP_DATA_DIR=str(tmp_path / "in"), TOYTIP_BASE_URL=tlc.base,
    )  # fmt: skip
    summary = parse_summary(ran)
    assert summary["source"] == "tlc:yellow"
    assert summary["rows"]["read"] == 12_000
    assert "fetch" in summary["stages"]
    trips = json.dumps(summary["months"])
    assert trips == '["2023-01", "2023-02", "2023-03"]'
