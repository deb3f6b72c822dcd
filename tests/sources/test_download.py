"""Downloads from a real server that throttles, cuts connections and sends wrong content."""

import base64
import contextlib
import datetime as dt
import hashlib
import json
import os
import threading
import time

import pyarrow.parquet as pq
import pytest

from tests.support import http_server
from tests.support.runs import parse_summary, run_toytip
from tests.support.s3_faults import run_faulty_server
from tests.support.trips import raw_table
from toytip.cluster.certificates import create_certificates
from toytip.core.months import Month, parse_months
from toytip.errors import SourceError
from toytip.sources.download import REMOTE_ZONE_LOOKUP_NAME, MonthDownloader, _require_ended

MONTHS = parse_months("2023-01:2023-03")
TABLE = b'"LocationID","Borough","Zone","service_zone"\n1,"EWR","Newark Airport","EWR"\n'


class Tlc:
    """A server of monthly files. `faults` names the fault of the n-th answer for a file."""

    def __init__(self, folder):
        for month in MONTHS:
            pq.write_table(
                raw_table(4000, month, seed=month.month), folder / f"yellow_tripdata_{month}.parquet"
            )
        self.files = {f"/trip-data/{path.name}": path.read_bytes() for path in folder.glob("*.parquet")}
        self.files[f"/misc/{REMOTE_ZONE_LOOKUP_NAME}"] = TABLE
        self.faults, self.requests, self.active, self.most_active = {}, [], 0, 0
        self.lock = threading.Lock()
        self.base = ""

    def answer(self, request, number):
        content = self.files.get(request.path)
        faults = self.faults.get(request.path.rpartition("/")[2], [])
        fault = faults[number] if number < len(faults) else None
        if isinstance(fault, str) and fault.startswith("redirect"):
            name = request.path if fault == "redirect forever" else f"/moved{request.path}"
            self.files.setdefault(name, content)
            self.refuse(request, 302, f"{self.base}{name}")
            return
        if isinstance(fault, int) or content is None:
            self.refuse(request, fault or 404)
            return
        start, tag = 0, f'"{hashlib.md5(content).hexdigest()}"'  # noqa: S324 - an entity tag
        requested = request.headers.get("Range")
        if requested and fault != "ignores ranges" and request.headers.get("If-Range") == tag:
            start = int(requested.removeprefix("bytes=").rstrip("-"))
        body = content[start:]
        request.send_response(206 if start else 200)
        if start:
            first, body = {
                "another range": (0, content),
                "shifted bytes": (start, content[: len(body)]),
            }.get(fault, (start, body))
            request.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if fault != "no tag":
            request.send_header("ETag", tag)
        self.send(request, fault, body)

    @staticmethod
    def refuse(request, status, location=None):
        request.send_response(status)
        if location:
            request.send_header("Location", location)
        if status == 429:
            request.send_header("Retry-After", "1")
        request.send_header("Content-Length", "0")
        request.end_headers()

    @staticmethod
    def send(request, fault, body):
        length = {"too short": len(body) // 2, "too long": len(body) + 1000}.get(fault, len(body))
        request.send_header("Content-Length", str(length))
        request.end_headers()
        if fault in ("cut", "no tag"):
            body = body[: len(body) // 3]
        if fault == "garbage":
            body = b"<html>" + body[6:-4] + b"</h>"
        request.wfile.write(body[:length])
        request.close_connection = fault is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


class Handler(http_server.Handler):
    tlc: Tlc

    def respond(self):
        tlc = self.tlc
        with tlc.lock:
            tlc.active += 1
            tlc.most_active = max(tlc.most_active, tlc.active)
            number = sum(path == self.path for path, _ in tlc.requests)
            tlc.requests.append((self.path, self.headers.get("Range")))
        try:
            time.sleep(0.05)
            with contextlib.suppress(ConnectionError):
                tlc.answer(self, number)
        finally:
            with tlc.lock:
                tlc.active -= 1


@pytest.fixture
def tlc(folder):
    tlc = Tlc(folder)
    with http_server.serve(Handler, tlc=tlc) as port:
        tlc.base = f"http://127.0.0.1:{port}"
        yield tlc


def download(tlc, to, months=MONTHS):
    return MonthDownloader(tlc.base, to, lambda _: None, retry_delay=0.01).download("yellow", months)


def is_complete(tlc, to):
    return {path.name: path.read_bytes() for path in to.iterdir()} == {
        name.rpartition("/")[2]: content for name, content in tlc.files.items()
    }


def test_existing_files_are_not_downloaded_again(tlc, tmp_path):
    report = download(tlc, tmp_path)
    assert is_complete(tlc, tmp_path)
    assert report.folder == str(tmp_path)
    sizes = sum(map(len, tlc.files.values()))
    assert sum(file.downloaded_bytes for file in report.files) == sizes
    assert sum(file.size_bytes for file in report.files) == sizes
    assert tlc.most_active > 1, "downloads run in parallel"
    requests = len(tlc.requests)
    assert [file.downloaded_bytes for file in download(tlc, tmp_path).files] == [0, 0, 0, 0]
    assert len(tlc.requests) == requests


ONE = "yellow_tripdata_2023-02.parquet"
FAULTS = {
    "cut, and resumed": (["cut"], 2, True),
    "cut thrice": (["cut", "cut", "cut"], 4, True),
    "cut, and then ranges are ignored": (["cut", "ignores ranges"], 2, True),
    "cut, and no tag identifies the file": (["no tag"], 2, False),
    "cut, and then another range than the requested one": (["cut", "another range"], 3, True),
    "cut, and then the right range of the wrong bytes": (["cut", "shifted bytes"], 3, True),
    "too many requests": ([429], 2, False),
    "rejected for a while": ([403, 403], 3, False),
    "a server in trouble": ([500, 503, 502], 4, False),
    "a length that is too long": (["too long"], 3, True),
    "a length that is too short": (["too short"], 2, False),
    "a page instead of a file": (["garbage"], 2, False),
}


@pytest.mark.parametrize(("faults", "requests", "resumed"), FAULTS.values(), ids=FAULTS)
def test_downloads_survive_the_faults_of_servers(faults, requests, resumed, tlc, tmp_path):
    tlc.faults[ONE] = faults
    download(tlc, tmp_path)
    assert is_complete(tlc, tmp_path)
    ranges = [requested for path, requested in tlc.requests if path.endswith(ONE)]
    assert len(ranges) == requests
    assert any(ranges) == resumed


NEVER = {
    "not published": ([404] * 9, "404"),
    "always rejected": ([403] * 9, "not published yet"),
    "nothing but pages": (["garbage"] * 9, "not a complete Parquet file"),
    "always too short": (["too short"] * 9, "not a complete Parquet file"),
}


@pytest.mark.parametrize(("faults", "cause"), NEVER.values(), ids=NEVER)
def test_a_failed_download_is_an_error_with_its_cause(faults, cause, tlc, tmp_path):
    tlc.faults[ONE] = faults
    with pytest.raises(SourceError, match=cause) as caught:
        download(tlc, tmp_path)
    assert str(caught.value).startswith("cannot download ")
    assert caught.value.hint
    assert ONE in str(caught.value)
    assert not (tmp_path / ONE).exists()
    tlc.faults.clear()
    download(tlc, tmp_path)
    assert is_complete(tlc, tmp_path)


def test_the_next_call_resumes_a_partial_file(tlc, tmp_path):
    tlc.faults[ONE] = ["cut", *[500] * 9]
    with pytest.raises(SourceError):
        download(tlc, tmp_path)
    requests = len(tlc.requests)
    tlc.faults.clear()
    download(tlc, tmp_path)
    (resumed,) = [requested for path, requested in tlc.requests[requests:] if path.endswith(ONE)]
    assert resumed is not None
    assert int(resumed.removeprefix("bytes=").rstrip("-")) > 0
    assert is_complete(tlc, tmp_path)


def test_a_broken_file_is_downloaded_again(tlc, tmp_path):
    (tmp_path / ONE).write_bytes(b"PAR1 and nothing more")
    download(tlc, tmp_path)
    assert is_complete(tlc, tmp_path)


def test_a_server_that_does_not_listen(tmp_path):
    with pytest.raises(SourceError, match="connection refused"):
        MonthDownloader("http://127.0.0.1:9", tmp_path, lambda _: None, retry_delay=0.01).download(
            "yellow", [Month(2023, 1)]
        )


@pytest.fixture
def without_proxy(monkeypatch):
    """An environment without a proxy or a certificate authority."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
            monkeypatch.delenv(name)


def test_a_download_uses_the_proxy_of_the_environment(tlc, tmp_path, monkeypatch, without_proxy):
    with run_faulty_server(tlc.base) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.endpoint.replace("://", "://user:p%40ss@"))
        downloader = MonthDownloader("http://tlc.invalid", tmp_path, lambda _: None)
        report = downloader.download("yellow", MONTHS[:1])
    assert len(report.files) == 2
    password = base64.b64encode(b"user:p@ss").decode()
    assert {request.headers["proxy-authorization"] for request in proxy.requests} == {f"Basic {password}"}


def test_a_download_tunnels_through_the_proxy_to_a_private_authority(
    tlc, tmp_path, monkeypatch, without_proxy
):
    create_certificates(tmp_path / "tls", ["tlc.invalid"])
    pem = tmp_path / "server.pem"
    pem.write_bytes((tmp_path / "tls/node.pem").read_bytes() + (tmp_path / "tls/node.key").read_bytes())
    downloader = MonthDownloader("https://tlc.invalid", tmp_path / "files", lambda _: None)
    with run_faulty_server(tlc.base, pem) as origin, run_faulty_server(origin.endpoint) as proxy:
        monkeypatch.setenv("https_proxy", proxy.endpoint)
        with pytest.raises(SourceError, match="its certificate is not trusted") as caught:
            downloader.download("yellow", MONTHS[:1])
        assert "SSL_CERT_FILE" in caught.value.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls/ca.pem"))
        downloader.download("yellow", MONTHS[:1])
    assert {request.path for request in proxy.requests} == {"tlc.invalid:443"}


def test_a_proxy_that_does_not_answer_is_named(tmp_path, monkeypatch, without_proxy):
    monkeypatch.setenv("ALL_PROXY", "http://user:secret@127.0.0.1:9")
    with pytest.raises(
        SourceError, match=r"through the proxy http://\*\*\*@127.0.0.1:9 \(ALL_PROXY\)"
    ) as caught:
        MonthDownloader("http://tlc.invalid", tmp_path, lambda _: None).download("yellow", MONTHS[:1])
    assert "add tlc.invalid to NO_PROXY" in caught.value.hint


def test_from_the_command_line(tlc, tmp_path):
    options = ("--months", "2023-01:2023-03", "--base-url", tlc.base)
    summary = parse_summary(
        run_toytip("source", "download", *options, "--output-dir", tmp_path / "in", "--json")
    )
    assert len(summary["files"]) == 4
    assert (
        "(4 already existed)"
        in run_toytip("source", "download", *options, "--output-dir", tmp_path / "in").stdout
    )
    rejected = run_toytip("source", "download", "--base-url", tlc.base, "--output-dir", tmp_path)
    assert rejected.returncode == 2
    assert "no months given" in rejected.stderr
    assert (
        run_toytip("source", "download", *options, "--taxi", "blue", "--output-dir", tmp_path).returncode == 2
    )


def test_a_run_downloads_its_source(tlc, tmp_path):
    options = ("--source", "tlc:yellow", "--months", "2023-01:2023-03", "--store", tmp_path / "st")
    env = {"TOYTIP_DATA_DIR": str(tmp_path / "in"), "TOYTIP_BASE_URL": tlc.base}
    summary = parse_summary(run_toytip("run", *options, "--workers", 1, "--rounds", 3, "--json", **env))
    assert summary["source"] == "tlc:yellow"
    assert summary["rows"]["read"] == 12_000
    assert "download" in summary["stage_seconds"]
    trips = json.dumps(summary["months"])
    assert trips == '["2023-01", "2023-02", "2023-03"]'


def test_an_output_folder_that_is_not_a_writable_folder_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match=r"cannot write to .*: not a directory") as error:
        MonthDownloader("http://127.0.0.1:9", tmp_path / "file" / "x", lambda _: None).download("green", [])
    assert "--output-dir" in error.value.hint


def test_redirects_are_followed(tlc, tmp_path):
    name = f"yellow_tripdata_{MONTHS[0]}.parquet"
    tlc.faults = {name: ["redirect"]}
    download(tlc, tmp_path)
    assert (tmp_path / name).read_bytes() == tlc.files[f"/trip-data/{name}"]
    assert f"/moved/trip-data/{name}" in [path for path, _ in tlc.requests]


def test_endless_redirects_are_an_error(tlc, tmp_path):
    name = f"yellow_tripdata_{MONTHS[0]}.parquet"
    tlc.faults = {name: ["redirect forever"] * 60}
    with pytest.raises(SourceError, match=f"{name}: the server redirects too many times"):
        download(tlc, tmp_path)


def test_a_month_that_has_not_ended_is_not_requested(tlc, tmp_path):
    with pytest.raises(SourceError, match="cannot download 2090-01: the month has not ended"):
        download(tlc, tmp_path, [MONTHS[0], Month(2090, 1)])
    assert tlc.requests == []


def test_a_month_can_be_downloaded_on_the_day_after_its_end():
    _require_ended([Month(2023, 1)], dt.date(2023, 2, 1))
    with pytest.raises(SourceError, match="has not ended"):
        _require_ended([Month(2023, 1)], dt.date(2023, 1, 31))
