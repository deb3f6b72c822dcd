"""Tests of the run dashboard in a real browser, during real runs."""

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

from tests.support.browser import open_browser
from tests.support.runs import start_toytip
from toytip.dashboard.plugin import DISCONNECTED_ERROR

pytestmark = [pytest.mark.browser, pytest.mark.cluster]
CELLS = "[...document.querySelectorAll('.cell[data-stage={}]')].map((cell) => cell.dataset.status)"
RATES = "[...document.querySelectorAll('[data-key=now]')].map((cell) => cell.textContent)"
# The numbers of stages that are outside of the window.
CUT = """[...document.querySelectorAll('.stages .value')]
    .filter((cell) => cell.textContent && cell.getBoundingClientRect().right > innerWidth)
    .map((cell) => cell.textContent)"""
POINTS = "Number(document.querySelector('polyline.validation')?.dataset.points ?? 0)"


@pytest.fixture(scope="module")
def page():
    with open_browser() as browser:
        browser.page.set_display(width=1200, height=800)
        yield browser.page
        assert browser.page.errors == []


def wait(page, expression, seconds=30):
    """Wait until an expression is true; on a timeout, report the text of the page."""
    try:
        page.wait_for(f"Boolean({expression})", seconds)
    except TimeoutError:
        raise AssertionError(
            f"{expression}: {page.errors} {page.evaluate('document.body.innerText')}"
        ) from None


@pytest.fixture
def scheduler(tmp_path):
    """The addresses of a scheduler with two workers, and of its page, which exists early."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(2):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    address, pages = (f"127.0.0.1:{port}" for port in ports)
    dask = str(Path(sys.executable).parent / "dask")
    host, port = address.split(":")
    scheduler_options = ["--dashboard-address", pages, "--preload", "toytip.dashboard.plugin"]
    worker_options = ["--host", host, "--nthreads", "1", "--no-dashboard"]
    commands = [
        [dask, "scheduler", "--host", host, "--port", port, *scheduler_options],
        *([dask, "worker", address, *worker_options, "--name", name] for name in ("one", "two")),
    ]
    with contextlib.ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(
                subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.terminate)
        yield f"tcp://{address}", f"http://{pages}/toytip"


def read_until(process, pattern):
    """Read the output of a run until a line matches; return the first group."""
    text = ""
    for line in process.stderr:
        text += line
        if match := re.search(pattern, line):
            return match[1]
    raise AssertionError(f"no line matches {pattern}: {text}")


def open_when_ready(page, address, seconds=40):
    """Open an address as soon as a server listens."""
    host, _, port = address.split("/")[2].partition(":")
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            break
        assert time.monotonic() < deadline, f"no server listens at {address}"
        time.sleep(0.1)
    page.goto(address)
    wait(page, "document.body?.dataset.refreshes")


def test_the_page_follows_a_run_to_its_end(page, synthetic, tmp_path):
    words = ("--source", synthetic, "--store", tmp_path, "--workers", 2, "--partition-rows", 250)
    with start_toytip("run", *words, "--rounds", 400, "--early-stopping-rounds", 0, "--max-depth", 3) as run:
        page.goto(read_until(run, r"run dashboard (\S+)"))
        statuses = {stage: set() for stage in ("featurize", "infer")}
        points, rates = [], set()
        wait(page, "document.querySelector('.cell[data-stage=infer]')")
        while page.evaluate("document.querySelector('.outcome')?.textContent") == "running":
            for stage, values in statuses.items():
                values.update(page.evaluate(CELLS.format(stage)))
            points.append(page.evaluate(POINTS))
            rates.update(page.evaluate(RATES))
        assert page.evaluate("document.querySelector('.outcome').textContent") == "done"
        assert page.errors == []
        assert run.wait(60) == 0
    assert any(re.fullmatch(r"[\d,]+ now", rate) for rate in rates)
    assert set(page.evaluate(RATES)) == {""}, "no stage is running"
    # The first stage may end before the page loads.
    assert "done" in statuses["featurize"]
    assert statuses["infer"] >= {"waiting", "running", "done"}
    assert set(page.evaluate(CELLS.format("infer"))) == {"done"}
    counts = [count for count in points if count]
    assert len(set(counts)) > 2, "the curve grows"
    assert counts == sorted(counts)
    # The cluster stopped with the run, so failed requests are not errors of the page.
    wait(
        page, "document.getElementById('connection').textContent.includes('All runs on this page have ended')"
    )
    for width in (390, 500):
        page.set_display(width=width, height=800)
        assert page.evaluate(CUT) == [], width
    page.set_display(width=1200, height=800)
    assert {"ERR_CONNECTION_REFUSED" in error for error in page.errors} <= {True}
    page.goto("about:blank")
    page.errors.clear()


def test_no_runs_two_runs_at_once_a_killed_and_a_stopped_run(page, scheduler, synthetic, tmp_path):
    address, live = scheduler
    open_when_ready(page, live)
    wait(page, "document.body.innerText.includes('This scheduler has no runs yet')")
    wait(page, "document.body.innerText.includes('Memory, 2 workers')")

    def start(name):
        words = (
            "--source",
            synthetic,
            "--store",
            tmp_path / name,
            "--scheduler",
            address,
            "--version-id",
            name,
        )
        return start_toytip("run", *words, "--rounds", 150, "--early-stopping-rounds", 0, "--max-depth", 3)

    outcome = "document.querySelector('[data-run={}]')?.dataset.outcome === '{}'"
    with start("va") as first, start("vb") as second:
        wait(page, f"{outcome.format('va', 'running')} && {outcome.format('vb', 'running')}", 60)
        wait(page, "!document.body.innerText.includes('no runs yet')")
        wait(page, outcome.format("va", "done"), 90)
        wait(page, outcome.format("vb", "done"), 90)
        assert (first.wait(60), second.wait(60)) == (0, 0)
    state = json.loads(page.evaluate("fetch('toytip/state.json').then((answer) => answer.text())"))
    for run in state["runs"]:
        rounds = [point[0] for point in run["curve"]]
        assert rounds == list(range(1, 151)), "every run has its own rounds"
    with start("vc") as third:
        wait(page, outcome.format("vc", "running"), 60)
        third.send_signal(signal.SIGKILL)
        wait(page, outcome.format("vc", "failed"), 60)
        wait(page, f"document.body.innerText.includes('{DISCONNECTED_ERROR}')")
    with start("vd") as fourth:
        wait(page, outcome.format("vd", "running"), 60)
        fourth.send_signal(signal.SIGINT)
        wait(page, outcome.format("vd", "stopped"), 60)
        assert fourth.wait(60) == 130
    newest = "[...document.querySelectorAll('[data-run]')].map((run) => run.dataset.run)"
    assert page.evaluate(newest)[:2] == ["vd", "vc"]
    page.goto("about:blank")
