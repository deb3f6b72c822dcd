"""The documentation site in a real browser, from a disk and from a server."""

import functools
import http.server
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.browser import open_browser

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
SEARCHED = "document.querySelectorAll('#search-results li').length"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `make docs` does, and return its folder. A warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    options = re.search(r"^SPHINX := \$\(BIN\)/python (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[
        1
    ]
    options = options.replace("build/doctrees", str(folder / "doctrees")).split()
    command = [sys.executable, *options, "-b", "html", ".", str(folder / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def served(site):
    """Serve the site on loopback, and return its URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    with open_browser() as session:
        yield session


@pytest.mark.parametrize("access", ["disk", "server"])
@pytest.mark.parametrize(
    "page",
    ["docs/index.html", "docs/reference/settings.html", "docs/tutorials/tour.html", "cluster/README.html"],
)
def test_a_page_opens_completely(browser, site, served, access, page):
    root = f"file://{site}" if access == "disk" else served
    tab = browser.open(f"{root}/{page}")
    assert tab.errors == []
    assert [url for url in tab.requests if not url.startswith((root, "data:"))] == []
    assert tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert tab.evaluate("document.querySelectorAll('.sidebar-tree a.reference').length") > 20


@pytest.mark.parametrize("access", ["disk", "server"])
def test_search_finds_a_setting(browser, site, served, access):
    root = f"file://{site}" if access == "disk" else served
    tab = browser.open(f"{root}/search.html?q=alert_wasserstein")
    assert tab.wait_for(SEARCHED) >= 1
    assert "Settings" in tab.evaluate("document.querySelector('#search-results').innerText")
    assert tab.errors == []


@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_the_width_of_a_phone(browser, site, dark):
    for page in ("docs/index.html", "docs/reference/tables.html", "docs/explanation/benchmarks.html"):
        tab = browser.open(f"file://{site}/{page}", width=390, height=844, dark=dark)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390, page
        light = "(c => c[0] + c[1] + c[2])(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number))"
        assert (tab.evaluate(light) < 200) == dark


def test_the_page_of_benchmark_results_is_part_of_the_site(browser, site):
    tab = browser.open(f"file://{site}/docs/explanation/benchmarks.html")
    link = "[...document.querySelectorAll('article a')].find((a) => a.href.endsWith('benchmark/index.html'))"
    tab.goto(tab.evaluate(f"{link}.href"))
    assert tab.evaluate("document.querySelectorAll('.bar-row').length") > 1
    targets = tab.evaluate("[...document.querySelectorAll('a[href]')].map((a) => a.href.split('#')[0])")
    files = {Path(target.removeprefix("file://")) for target in targets}
    assert {file.suffix for file in files} == {".html", ".jsonl"}
    assert [file for file in files if not file.is_file()] == []
    assert tab.errors == []


def test_the_root_redirects_to_the_index(browser, site):
    tab = browser.open(f"file://{site}/index.html")
    tab.wait_for("location.pathname.endsWith('/docs/index.html')")
