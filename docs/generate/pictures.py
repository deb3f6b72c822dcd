"""Draw the pictures of the documentation from real runs: `python -m docs.generate.pictures DATA`.

Without `DATA`, it draws only the pictures of the page of benchmark results, which need no run.

`DATA` is a folder with `green-2023` (a year of green trips) and `yellow-sample-2020`. The runs use
relative paths, so that no picture shows a path of this machine. They need about five minutes on two
cores, and Chromium.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from docs.generate.page import PAGE as BENCHMARK_PAGE
from tests.support.browser import Browser, open_browser
from toytip.cli.command import EXIT_ALERT

DOCS = Path(__file__).parents[1]
GREEN, YELLOW = "data/green-2023", "data/yellow-sample-2020"
# The browser opens the run dashboard at this address.
DASHBOARD_URL = "http://127.0.0.1:8787/toytip"
# A section of a page is cut to this height.
MAX_HEIGHT = 930


def draw(data: Path, folder: Path) -> None:
    """Run toytip in `folder`, and save all pictures in `docs/`."""
    (folder / "data").symlink_to(data.resolve())
    with open_browser() as browser:
        _draw_dashboard(browser, folder)
        _toytip(folder, "run", "--source", GREEN, "--version-id", "v1")
        _toytip(folder, "run", "--source", GREEN, "--version-id", "v2", "--feature-set", "dropoff")
        _toytip(folder, "version", "diff", "v1", "v2", "--output", "diff.html")
        report, diff = folder / "toytip-store/dev/_reports/v1.html", folder / "diff.html"
        _draw_page(browser, report, "report-light.png", height=860)
        _draw_page(browser, report, "report-curves.png", section="ranking")
        _draw_page(browser, report, "report-dark.png", section="importance", dark=True)
        _draw_page(browser, report, "report-phone.png", section="features", width=390, height=700)
        _draw_page(browser, diff, "report-diff.png", section="metrics")
    _toytip(
        folder,
        *("stage", "evaluate", "--input-version", "v1"),
        *("--output", str(DOCS / "evaluation-green-2023.png")),
    )
    _toytip(folder, "backtest", "--source", GREEN, "--rounds", "100")
    _copy_chart(folder / "toytip-store", "*.backtest.png", "backtest-green-2023.png")
    months = (
        "--train-months",
        "2020-01",
        "--validation-month",
        "2020-02",
        "--test-months",
        "2020-03:2020-12",
    )
    _toytip(
        folder,
        *("run", "--source", YELLOW, "--store", "yellow", *months),
        *("--feature-set", "seed", "--rounds", "100"),
    )
    _toytip(folder, "monitor", "--store", "yellow")
    _copy_chart(folder / "yellow", "*.monitor.png", "monitoring-yellow-2020.png")


def draw_benchmark_page() -> None:
    """Save the pictures of the page of benchmark results in `docs/`."""
    with open_browser() as browser:
        _draw_page(browser, BENCHMARK_PAGE, "benchmark-light.png", height=1340)
        _draw_page(browser, BENCHMARK_PAGE, "benchmark-dark.png", section="wins", dark=True)
        _draw_page(browser, BENCHMARK_PAGE, "benchmark-phone.png", section="chart", width=390, height=844)


def _copy_chart(store: Path, pattern: str, picture: str) -> None:
    (chart,) = store.glob(f"dev/_reports/{pattern}")
    (DOCS / picture).write_bytes(chart.read_bytes())


def _toytip(folder: Path, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "toytip", *arguments], cwd=folder, check=False)  # noqa: S603
    if done.returncode not in (0, EXIT_ALERT):
        sys.exit(done.returncode)


def _draw_dashboard(browser: Browser, folder: Path) -> None:
    """Take the picture during the training of a run in a store of its own."""
    command = [sys.executable, "-m", "toytip", "run", "--source", GREEN, "--store", "live"]
    process = subprocess.Popen(command, cwd=folder)  # noqa: S603
    for _ in _attempts():
        try:
            page = browser.open(DASHBOARD_URL, width=1200, height=680)
            page.wait_for("document.body.innerText.includes('train')", seconds=5)
            break
        except (RuntimeError, TimeoutError):
            continue
    time.sleep(10)
    browser.page.screenshot(DOCS / "live.png")
    if process.wait():
        sys.exit("the run failed")


def _attempts() -> Iterator[None]:
    for _ in range(60):
        yield
        time.sleep(0.5)


def _draw_page(
    browser: Browser,
    file: Path,
    picture: str,
    *,
    section: str = "",
    width: int = 1080,
    height: int = MAX_HEIGHT,
    dark: bool = False,
) -> None:
    page = browser.open(file.absolute().as_uri(), width=width, height=height, dark=dark)
    top = 0.0
    if section:
        box = page.evaluate(
            f"(() => {{ const r = document.getElementById('{section}').getBoundingClientRect();"
            " return [r.top + window.scrollY, r.height]; })()"
        )
        top, height = float(box[0]), min(height, int(box[1]))
    clip = {"x": 0.0, "y": top, "width": float(width), "height": float(height)}
    page.screenshot(DOCS / picture, clip)


if __name__ == "__main__":
    draw_benchmark_page()
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as name:
            draw(Path(sys.argv[1]), Path(name))
