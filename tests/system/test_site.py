"""The docs as a site, built as `make docs` builds it, in a real browser: from a disk and from a server, without a network."""

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
    """The folder of the site; a warning ends the build."""
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
    """The address of a server of it, on loopback."""

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
    with open_browser() as there:
        yield there


@pytest.mark.parametrize("way", ["disk", "server"])
@pytest.mark.parametrize(
    "page", ["docs/index.html", "docs/reference/settings.html", "docs/tour.html", "cluster/README.html"]
)
def test_a_page_opens_whole(browser, site, served, way, page):
    root = f"file://{site}" if way == "disk" else served
    shown = browser.open(f"{root}/{page}")
    assert shown.errors == []
    assert [url for url in shown.requests if not url.startswith((root, "data:"))] == []
    assert shown.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert shown.evaluate("document.querySelectorAll('.sidebar-tree a.reference').length") > 20


@pytest.mark.parametrize("way", ["disk", "server"])
def test_search_finds_a_setting(browser, site, served, way):
    shown = browser.open(f"{f'file://{site}' if way == 'disk' else served}/search.html?q=alert_wasserstein")
    assert shown.wait_for(SEARCHED) >= 1
    assert "Settings" in shown.evaluate("document.querySelector('#search-results').innerText")
    assert shown.errors == []


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_no_page_sideways(browser, site, dark):
    for page in ("docs/index.html", "docs/reference/tables.html", "docs/performance.html"):
        shown = browser.open(f"file://{site}/{page}", width=390, height=844, dark=dark)
        assert shown.evaluate("document.documentElement.scrollWidth") <= 390, page
        light = "(c => c[0] + c[1] + c[2])(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number))"
        assert (shown.evaluate(light) < 200) == dark


def test_the_top_leads_to_the_front_page(browser, site):
    shown = browser.open(f"file://{site}/index.html")
    shown.wait_for("location.pathname.endsWith('/docs/index.html')")
