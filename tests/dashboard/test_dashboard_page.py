"""The live page in a real browser, while real runs go on: what it shows of them, and that it has no complaint."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import start_toytip
from tests.support.browser import open_browser

pytestmark = [pytest.mark.browser, pytest.mark.cluster]
CELLS = "[...document.querySelectorAll('.cell[data-stage={}]')].map((cell) => cell.dataset.standing)"
RATES = "[...document.querySelectorAll('[data-key=now]')].map((cell) => cell.textContent)"
POINTS = "Number(document.querySelector('polyline.validation')?.dataset.points ?? 0)"


@pytest.fixture(scope="module")
def page():
    with open_browser() as browser:
        browser.page.set_display(width=1200, height=800)
        yield browser.page
        assert browser.page.errors == []


def wait(page, expression, seconds=30):
    """Wait until an expression is true; where it never is, say what there is instead."""
    try:
        page.wait_for(f"Boolean({expression})", seconds)
    except TimeoutError:
        raise AssertionError(
            f"{expression}: {page.errors} {page.evaluate('document.body.innerText')}"
        ) from None


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler that had the page from its beginning, with two workers: its address, and the page's."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(2):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    address, pages = (f"127.0.0.1:{port}" for port in ports)
    dask = str(Path(sys.executable).parent / "dask")
    host, port = address.split(":")
    commands = [
        [dask, "scheduler", "--host", host, "--port", port, "--dashboard-address", pages,
         "--preload", "toytip.dashboard.plugin"],
        *[[dask, "worker", address, "--host", host, "--nthreads", "1", "--no-dashboard", "--name", name]
          for name in ("one", "two")],
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(
                subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.terminate)
        yield f"tcp://{address}", f"http://{pages}/toytip"


def said(process, pattern):
    """Read what a run says until something matches."""
    text = ""
    for line in process.stderr:
        text += line
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(f"it never said {pattern}: {text}")


def arrived(page, address, seconds=40):
    """Open an address as soon as somebody answers there."""
    host, _, port = address.split("/")[2].partition(":")
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            break
        assert time.monotonic() < end, f"nobody answers at {address}"
        time.sleep(0.1)
    page.goto(address)
    wait(page, "document.body?.dataset.drawn")


def test_a_run_is_seen_from_its_first_part_to_its_end(page, synthetic, tmp_path):
    words = ("--source", synthetic, "--store", tmp_path, "--workers", 2, "--partition-rows", 250)
    with start_toytip("run", *words, "--rounds", 400, "--early-stop", 0, "--max-depth", 3) as run:
        page.goto(said(run, r"live page (\S+)"))
        seen = {stage: set() for stage in ("featurize", "infer")}
        points, rates = [], set()
        wait(page, "document.querySelector('.cell[data-stage=infer]')")
        while page.evaluate("document.querySelector('.outcome')?.textContent") == "running":
            for stage, standings in seen.items():
                standings.update(page.evaluate(CELLS.format(stage)))
            points.append(page.evaluate(POINTS))
            rates.update(page.evaluate(RATES))
        assert page.evaluate("document.querySelector('.outcome').textContent") == "done"
        assert page.errors == []
        assert run.wait(60) == 0
    assert any(re.fullmatch(r"[\d,]+ now", rate) for rate in rates)
    assert set(page.evaluate(RATES)) == {""}, "nothing is under way"
    # The first stage may have ended before the page was there.
    assert "done" in seen["featurize"]
    assert seen["infer"] >= {"waiting", "running", "done"}
    assert set(page.evaluate(CELLS.format("infer"))) == {"done"}
    grown = [count for count in points if count]
    assert len(set(grown)) > 2, "the curve grows"
    assert grown == sorted(grown)
    # The cluster has ended with the run, and the page with its last words: that nobody answers is no fault of its own.
    wait(page, "document.getElementById('link').textContent.includes('ended with the run')")
    assert {"ERR_CONNECTION_REFUSED" in error for error in page.errors} <= {True}
    page.goto("about:blank")
    page.errors.clear()


def test_before_any_run_two_at_once_and_one_that_is_killed(page, scheduler, synthetic, tmp_path):
    address, live = scheduler
    arrived(page, live)
    wait(page, "document.body.innerText.includes('Nothing has run on this scheduler yet')")
    wait(page, "document.body.innerText.includes('memory of 2 workers')")

    def one(name):
        words = ("--source", synthetic, "--store", tmp_path / name, "--scheduler", address, "--version", name)
        return start_toytip("run", *words, "--rounds", 150, "--early-stop", 0, "--max-depth", 3)

    outcome = "document.querySelector('[data-run={}]')?.dataset.outcome === '{}'"
    with one("va") as first, one("vb") as second:
        wait(page, f"{outcome.format('va', 'running')} && {outcome.format('vb', 'running')}", 60)
        wait(page, "!document.body.innerText.includes('Nothing has run')")
        wait(page, outcome.format("va", "done"), 90)
        wait(page, outcome.format("vb", "done"), 90)
        assert (first.wait(60), second.wait(60)) == (0, 0)
    told = json.loads(page.evaluate("fetch('toytip/state.json').then((answer) => answer.text())"))
    for run in told["runs"]:
        rounds = [point[0] for point in run["curve"]]
        assert rounds == list(range(1, 151)), "each hears of its own rounds"
    with one("vc") as third:
        wait(page, outcome.format("vc", "running"), 60)
        third.send_signal(signal.SIGKILL)
        wait(page, outcome.format("vc", "failed"), 60)
        wait(page, "document.body.innerText.includes('its driver has gone without a word')")
    with one("vd") as fourth:
        wait(page, outcome.format("vd", "running"), 60)
        fourth.send_signal(signal.SIGINT)
        wait(page, outcome.format("vd", "stopped"), 60)
        assert fourth.wait(60) == 130
    newest = "[...document.querySelectorAll('[data-run]')].map((run) => run.dataset.run)"
    assert page.evaluate(newest)[:2] == ["vd", "vc"]
    page.goto("about:blank")
