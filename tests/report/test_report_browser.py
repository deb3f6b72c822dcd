"""The reports in a real browser, opened from disk and without a network: `make test-browser`."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.browser import open_browser
from tests.support.page_checks import CONTRAST
from toytip.report.blocks import (
    MissingBlock,
    Page,
    PairsBlock,
    Section,
    TableBlock,
    TableCell,
    TreeBlock,
    WarningsBlock,
)
from toytip.report.page import render_html

pytestmark = [pytest.mark.browser, pytest.mark.cluster]

PICTURES = """
[...document.querySelectorAll("svg, img")].map((picture) => {
  const box = picture.getBoundingClientRect();
  const drawn = [...picture.querySelectorAll("path, use, rect")].some((mark) => {
    const area = mark.getBoundingClientRect();
    return area.width > 0 || area.height > 0;
  });
  const name = (picture.getAttribute("aria-labelledby") || "").split(" ")
    .map((id) => document.getElementById(id)?.textContent || "").join("") || picture.getAttribute("alt") || "";
  return [box.width, box.height, drawn, name, picture.getAttribute("role")];
})
"""
# The labels that overlap in a picture.
OVERLAPS = """
[...document.querySelectorAll("figure svg")].flatMap((picture) => {
  const boxes = [...picture.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
  const title = picture.querySelector("title").textContent.slice(0, 30);
  return boxes.flatMap(([a, x], k) => boxes.slice(k + 1)
    .filter(([, y]) => Math.min(x.right, y.right) - Math.max(x.left, y.left) > 1
      && Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 2)
    .map(([b]) => `${title}: ${a} / ${b}`));
})
"""


@pytest.fixture(scope="module")
def browser():
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def pages(two_runs, tmp_path_factory):
    """The reports of two runs, and the diff page of their versions."""
    from tests.support.runs import run_toytip

    store, runs = two_runs
    file = tmp_path_factory.mktemp("pages") / "diff.html"
    done = run_toytip("version", "diff", "va", "vb", "--store", store, "--output", file)
    assert done.returncode == 0, done.stderr
    return {"first": Path(runs[0]["report_path"]), "second": Path(runs[1]["report_path"]), "diff": file}


@pytest.fixture(params=["first", "second", "diff"])
def url(request, pages):
    return pages[request.param].as_uri()


LOOKS = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
WIDTHS = pytest.mark.parametrize("width", [1200, 768, 390])


@LOOKS
@WIDTHS
def test_a_page_opens_completely_without_a_network(browser, url, dark, width):
    page = browser.open(url, offline=True, width=width, dark=dark)
    assert page.errors == []
    assert [asked for asked in page.requests if not asked.startswith("data:")] == [url]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    pictures = page.evaluate(PICTURES)
    assert len(pictures) >= 5
    for wide, high, drawn, name, role in pictures:
        assert wide > 100
        assert high > 50
        assert drawn
        assert len(name) > 20
        assert role == "img"


@LOOKS
def test_all_text_has_enough_contrast(browser, url, dark):
    page = browser.open(url, offline=True, dark=dark)
    worst = page.evaluate(CONTRAST)
    assert len(worst) > 10
    assert min(worst.values()) >= 4.5, json.dumps({k: v for k, v in worst.items() if v < 4.5})
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.strip("rgb()").split(","))) < 200) is dark


@LOOKS
def test_tints_and_tones_have_enough_contrast(browser, dark, tmp_path):
    """The page has all tints and tones, some of which a single report may not have."""
    cells = [
        *(TableCell("0.123", level=level) for level in range(6)),
        TableCell("12", bar=1.0),
        TableCell("+1", tone="good"),
        TableCell("-1", tone="bad"),
    ]
    table = TableBlock(caption="All of them", header=["a", *map(str, range(9))], rows=[["row", *cells]])
    blocks = [
        table,
        WarningsBlock([("bad", "x")]),
        MissingBlock("gone"),
        PairsBlock([("a", "b")]),
        TreeBlock([(0, "a", "b")]),
    ]
    made = Page(
        title="T",
        kicker="k",
        subtitle=["s"],
        key_figures=[("a", "b", "c")],
        sections=[Section("x", "X", "l", blocks)],
        footer="f",
    )
    file = tmp_path / "tints.html"
    file.write_text(render_html(made))
    page = browser.open(file.as_uri(), offline=True, dark=dark)
    worst = page.evaluate(CONTRAST)
    assert len([name for name in worst if name.startswith("TD")]) >= 9
    assert min(worst.values()) >= 4.5, worst


@WIDTHS
def test_labels_do_not_overlap(browser, url, width):
    page = browser.open(url, offline=True, width=width)
    assert page.evaluate(OVERLAPS) == []
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('figure svg text')].map((t) => parseFloat(getComputedStyle(t).fontSize)"
        " * t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width))"
    )
    assert smallest >= 8.5


def test_a_page_is_accessible(browser, url):
    page = browser.open(url, offline=True)
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("document.title.length > 5")
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert page.evaluate(
        "[...document.querySelectorAll('table')].every((t) => t.caption && t.querySelector('thead th[scope=col]'))"
    )
    assert page.evaluate(
        "[...document.querySelectorAll('tbody tr')].every((r) => r.querySelector('th[scope=row]'))"
    )
    assert page.evaluate(
        "[...document.querySelectorAll('table')].every((t) => [...t.rows].every((r) => r.cells.length === t.rows[0].cells.length))"
    )
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    targets = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.hash.slice(1))")
    assert set(targets) <= set(ids)
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every((e) => e.tabIndex === 0 && e.getAttribute('aria-label'))"
    )


def test_a_page_can_be_printed(browser, url):
    page = browser.open(url, offline=True, width=794, dark=True, media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    worst = page.evaluate(CONTRAST)
    assert min(worst.values()) >= 4.5, worst
    assert page.pdf().startswith(b"%PDF")
    assert all(drawn for _, _, drawn, _, _ in page.evaluate(PICTURES))


def test_the_browser_driver_reports_errors(browser, tmp_path):
    """Without errors from the driver, the other tests would pass on any page."""
    file = tmp_path / "bad.html"
    file.write_text("<script>console.error('heard'); nothing()</script><img src='https://127.0.0.1:9/x.png'>")
    page = browser.open(file.as_uri(), width=400)
    page.wait_for("document.readyState === 'complete'")
    assert any("heard" in each for each in page.errors)
    assert any("nothing is not defined" in each for each in page.errors)
    assert "https://127.0.0.1:9/x.png" in page.requests
