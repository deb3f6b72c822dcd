"""The page of benchmark results in a real browser, from disk: `make test-browser`."""

import json

import pytest

from docs.generate.page import PAGE, benchmark_page
from tests.support.browser import open_browser
from tests.support.page_checks import CONTRAST
from tests.system.test_benchmark_page import data_of, rows, write

pytestmark = pytest.mark.browser
URL = PAGE.as_uri()
ENGINES = "[...document.querySelectorAll('.bar-row')].map((row) => row.dataset.engine)"
CELLS = "[...document.querySelectorAll('#table tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
LOOKS = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


@pytest.fixture(scope="module")
def browser():
    with open_browser() as session:
        yield session


@pytest.fixture(scope="module")
def views():
    return data_of(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def special(tmp_path_factory):
    """The URL of a page with failures, noise, memory limits, a cold run, prices and intervals."""
    folder = tmp_path_factory.mktemp("special")
    difference = {"to": "toytip-2", "difference": -0.001, "low": -0.002, "high": -0.0005}
    failed = {"valid": False, "kept": 0, "auc": 0.0}
    found = [
        *rows("toytip-2", [10.0, 11.0], cost=0.0125),
        *rows(
            "polars_defaults", [8.0, 8.5], auc=0.869, auc_difference=difference, noisy=True, noise="load 3.1"
        ),
        *rows("ray", [2.0], outcome="out of memory", why="it used 9 GB <b>x</b>", **failed),
    ]
    write(folder, found)
    write(folder, rows("toytip-2", [20.0], memory_cap_mb=2000))
    write(folder, rows("toytip-2", [30.0], cold=True))
    file = folder / "page.html"
    file.write_text(benchmark_page(folder))
    return file.as_uri()


def select(page, name, value):
    page.evaluate(
        f"(() => {{ const e = document.getElementById({json.dumps(name)}); e.value = {json.dumps(value)};"
        " e.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def click(page, engine):
    page.evaluate(f"document.querySelector('#engines input[value={engine}]').click()")


@LOOKS
@pytest.mark.parametrize("width", [1200, 768, 390, 320])
def test_the_page_fits_and_needs_nothing_else(browser, dark, width):
    page = browser.open(URL, offline=True, width=width, dark=dark)
    assert page.errors == []
    assert [asked for asked in page.requests if not asked.startswith("data:")] == [URL]
    assert len(page.evaluate(ENGINES)) > 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_view_shows_its_engines(browser, views):
    page = browser.open(URL, offline=True, width=390)
    for view in views:
        for facet in ("work", "machine", "memory", "cache", "date"):
            select(page, facet, view[facet]["key"])
        names = [item["name"] for item in view["contestants"]]
        assert sorted(page.evaluate(ENGINES)) == sorted(names)
        assert len(page.evaluate(CELLS)) == len(names)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert view["file"] in page.evaluate("document.getElementById('pairs').textContent")
    assert page.errors == []


def test_bars_and_table_have_the_figures_of_the_view(browser, views):
    page = browser.open(URL, offline=True)
    expected = {item["label"]: item for item in views[0]["contestants"]}
    top = max(item["seconds"]["high"] for item in expected.values())
    widths = page.evaluate(
        "[...document.querySelectorAll('.bar-row')].map((row) => [row.querySelector('.name').textContent,"
        " +row.querySelector('.fill').style.getPropertyValue('--at')])"
    )
    assert [share for _, share in widths] == sorted(share for _, share in widths)
    for label, share in widths:
        assert share == pytest.approx(expected[label]["seconds"]["value"] / top)
    for label, kind, seconds, *_ in page.evaluate(CELLS):
        assert kind == expected[label]["kind"]
        assert float(seconds) == pytest.approx(expected[label]["seconds"]["value"], abs=0.051)


def test_the_engines_and_the_kind_select_bars_and_table(browser, views):
    page = browser.open(URL, offline=True)
    before = page.evaluate(ENGINES)
    click(page, before[0])
    assert page.evaluate(ENGINES) == before[1:]
    assert len(page.evaluate(CELLS)) == len(before) - 1
    verdicts = page.evaluate("document.getElementById('verdicts').textContent")
    assert before[0] not in verdicts
    assert before[1] in verdicts
    click(page, before[0])
    assert page.evaluate(ENGINES) == before
    select(page, "kind", "vanilla")
    kinds = {item["name"]: item["kind"] for item in views[0]["contestants"]}
    assert page.evaluate(ENGINES) == [name for name in before if kinds[name] == "vanilla"]
    assert "Select toytip" in page.evaluate("document.getElementById('wins').textContent")
    for name in (name for name in before if kinds[name] == "vanilla"):
        click(page, name)
    assert page.evaluate("document.getElementById('bars').textContent") == "No engine is selected."
    assert page.errors == []


def test_the_address_has_the_selection(browser, views):
    page = browser.open(URL, offline=True)
    other = next(view for view in views if view["work"] != views[0]["work"] and len(view["contestants"]) > 2)
    select(page, "work", other["work"]["key"])
    click(page, other["contestants"][-1]["name"])
    shown = page.evaluate(ENGINES)
    assert shown != []
    address = page.evaluate("location.href")
    link = page.evaluate("[...document.querySelectorAll('#pairs a')].map((a) => a.href).at(-1)")
    assert link == address != URL
    browser.open("about:blank")
    page = browser.open(address, offline=True)
    assert page.evaluate(ENGINES) == shown
    assert page.evaluate("document.getElementById('work').value") == other["work"]["key"]
    page.evaluate("location.hash = '#main'")
    assert page.evaluate(ENGINES) == shown
    page.evaluate("location.hash = '#kind=vanilla'")
    page.wait_for("document.getElementById('kind').value === 'vanilla'")
    browser.open("about:blank")
    page = browser.open(f"{URL}#work=none&date=%3Cb%3E&hide=nobody", offline=True)
    assert page.evaluate("document.getElementById('work').value") == views[0]["work"]["key"]
    assert page.errors == []


@LOOKS
def test_all_text_has_enough_contrast(browser, special, dark):
    for url in (URL, special):
        page = browser.open(url, offline=True, dark=dark)
        worst = page.evaluate(CONTRAST)
        assert len(worst) > 15
        assert min(worst.values()) >= 4.5, json.dumps({k: v for k, v in worst.items() if v < 4.5})
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.strip("rgb()").split(","))) < 200) is dark


def test_failures_noise_and_limits(browser, special):
    page = browser.open(special, offline=True)
    assert page.evaluate(ENGINES) == ["polars_defaults", "toytip-2", "ray"]
    text = page.evaluate("document.querySelector('.failed').textContent")
    assert text == "out of memory: it used 9 GB <b>x</b>"
    assert page.evaluate("document.querySelector('.noisy').textContent") == "noisy: load 3.1"
    own, ray = (
        next(cells for cells in page.evaluate(CELLS) if cells[0] == name)
        for name in ("toytip, 2 workers", "ray")
    )
    assert "0.0125" in own
    assert ray[2] == "not measured"
    assert ray[-1] == text
    assert page.evaluate("document.querySelectorAll('.range').length") == 5
    for facet, value in (("memory", "2000"), ("cache", "cold")):
        page = browser.open(special, offline=True)
        select(page, facet, value)
        assert page.evaluate(ENGINES) == ["toytip-2"]
        assert "no other engine" in page.evaluate("document.getElementById('wins').textContent")
    assert page.errors == []


def test_the_page_is_accessible(browser):
    page = browser.open(URL, offline=True)
    controls = "[...document.querySelectorAll('select, input')]"
    assert page.evaluate(f"{controls}.length") > 8
    assert page.evaluate(
        f"{controls}.every((control) => control.labels.length === 1 && control.labels[0].textContent.trim())"
    )
    assert page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id).length") == page.evaluate(
        "new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size"
    )
    assert page.evaluate("document.querySelector('#table thead th[scope=col]') !== null")
    assert page.evaluate(
        "[...document.querySelectorAll('#table tbody tr')].every((r) => r.querySelector('th[scope=row]'))"
    )
    assert page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3')].map((h) => +h.tagName[1]).slice(0, 2)"
    ) == [1, 2]


def test_the_keyboard_reaches_and_changes_a_selector(browser):
    page = browser.open(URL, offline=True)

    def press(key, text=""):
        for kind in ("keyDown", "keyUp"):
            code = {"Tab": 9, " ": 32, "ArrowDown": 40}[key]
            page.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    reached = []
    for _ in range(12):
        press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.type || document.activeElement.className"
            )
        )
    assert reached[:7] == ["skip", "work", "machine", "date", "memory", "cache", "kind"]
    assert reached[7] == "checkbox"
    before = page.evaluate(ENGINES)
    focused = page.evaluate("document.activeElement.value")
    press(" ", " ")
    assert page.evaluate(ENGINES) == [name for name in before if name != focused]
    assert page.evaluate("document.activeElement.value") == focused, "the focus stays"


def test_motion_is_reduced(browser):
    page = browser.open(URL, offline=True)
    behavior = "getComputedStyle(document.documentElement).scrollBehavior"
    assert page.evaluate(behavior) == "smooth"
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.call("Emulation.setEmulatedMedia", features=features)
    assert page.evaluate(behavior) == "auto"
