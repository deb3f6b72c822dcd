"""What the docs show works."""

import doctest
import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import toytip as package
from tests.conftest import make_manifest, make_part_record, parse_summary, run_toytip, write_months
from tests.support import doc_recipes
from toytip.cli import app
from toytip.core.months import parse_months
from toytip.sources.synthetic import SyntheticSpec, generate_month

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "cluster").rglob("README.md")),
    ROOT / "examples" / "README.md",
]
COMMANDS = sorted({
    line.strip().split("  #")[0]
    for page in PAGES
    for line in page.read_text().splitlines()
    if re.match(r"    toytip [a-z]", line)
})  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line):
    words = shlex.split(line)[1:]
    command = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("toytip", words)


def test_there_are_commands():
    assert len(COMMANDS) > 8


def prose_of(page):
    """Return a page without its code."""
    return re.sub(r"^```.*?^```|^    .*?$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@functools.cache
def anchors(page):
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    found = []
    for title in re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE):
        plain = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return found


def broken(page):
    """Return the links of a page that lead nowhere."""
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose_of(page)))
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if link.startswith("https://"):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert list(broken(page)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n[a](#one-thing) [b](#other) [c](none.md) [d](page.md#one-thing) [e](https://x.y)\n"
    )
    assert list(broken(page)) == ["#other", "none.md"]


def test_the_front_page_leads_to_every_page():
    """The site's sidebar is made of its links; pages of a kind of cluster hang below their own."""
    front = (ROOT / "docs" / "index.md").read_text()
    linked = {
        (ROOT / "docs" / link).resolve() for link in re.findall(r"^- \[.*?\]\((.+?)\)", front, re.MULTILINE)
    }
    own = {ROOT / "README.md", ROOT / "docs" / "index.md", *(ROOT / "cluster").glob("*/README.md")}
    assert linked == {*PAGES} - own


def fenced(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_tour_prints_what_it_says():
    found = doctest.testfile(str(ROOT / "docs" / "tour.md"), module_relative=False, report=True)
    assert found.attempted > 30
    assert found.failed == 0


@pytest.mark.cluster
def test_what_extending_says_is_applied_and_runs(tmp_path):
    """A feature, a rule, a column, a table and a cluster, in a copy of the package."""
    import duckdb

    page = (ROOT / "docs" / "extending.md").read_text()
    doc_recipes.apply_blocks(page, Path(package.__file__).parent, tmp_path)
    (definition,) = fenced("docs/extending.md", "toml")
    (tmp_path / "toytip.toml").write_text(definition)
    told = parse_summary(run_toytip(
        "run", "--cluster", "small", "--rounds", 3, "--json", cwd=tmp_path, TOYTIP_SYNTH_ROWS="1000",
        TOYTIP_MONTHS="2020-01:2020-03", PYTHONPATH=str(tmp_path),
    ))  # fmt: skip
    assert "pickup_month" in told["model"]["features"]
    assert told["rejects"]["too_many_passengers"] == 3  # one a month

    def ask(table, what):
        files = tmp_path / told["tables"][table]["path"] / "*/*/*.parquet"
        return duckdb.sql(f"select {what} from read_parquet('{files}', hive_partitioning = true)").fetchall()

    assert ask("features", "distinct pickup_month = month") == [(True,)]
    assert ask("rejects", "count(*) filter (ehail_fee is not null)") == [(0,)]
    assert ask("demand", "sum(trips)") == [(told["rows"]["kept"],)]


def test_every_block_of_extending_is_applied():
    page = (ROOT / "docs" / "extending.md").read_text()
    assert len(doc_recipes.find_blocks(page)) == len(re.findall(r"```(?:python|diff)", page)) > 10


@pytest.fixture
def three_trips(tmp_path, monkeypatch):
    """A store of one version v1 of three predictions, in this folder."""
    from toytip.core.tables import PREDICTIONS
    from toytip.store.store import Store

    store = Store(str(tmp_path / "toytip-store"), "dev")
    with store.write_version("v1"):
        predictions = (
            PREDICTIONS.empty()
            .reindex(range(3))
            .assign(**{c.name: {"str": "x", "bool": True}.get(c.dtype, 1) for c in PREDICTIONS.columns})
        )
        record = store.write_data_file(
            PREDICTIONS, "v1", make_part_record(), predictions.astype(PREDICTIONS.dtypes)
        )
        store.publish(make_manifest([record], "v1", table="predictions"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("page", "rows"),
    [
        ("README.md", [(1, 3, 1.0, 1.0)]),
        ("docs/quickstart.md", [("x", 3, 1.0, 1.0)]),
        ("docs/store.md", [(2023, 1, 3)]),
    ],
)
def test_the_queries_run(three_trips, page, rows):
    import duckdb

    (query,) = fenced(page, "sql")
    assert duckdb.sql(query.replace("VERSION", "v1")).fetchall() == rows


@pytest.mark.parametrize("page", ["docs/quickstart.md", "docs/faq.md", "docs/store.md"])
def test_the_examples_of_reading_run(three_trips, page):
    """Of pandas and polars; Spark's needs Java."""
    (script,) = fenced(page, "python")
    names: dict[str, object] = {}
    exec(script.replace("VERSION", "v1"), names)  # noqa: S102
    found = names["predictions"]
    assert len(found) == 3
    assert {"year", "month"} <= set(found.columns)
    assert len(names.get("december", ())) == 0


@pytest.mark.cluster
def test_the_examples_in_python_run(tmp_path):
    """README's and the tour's, one after the other, on few trips."""
    for month in parse_months("2023-01:2023-12"):
        trips = generate_month(month, SyntheticSpec(rows_per_month=400))
        names = [name.replace("tpep", "lpep") for name in trips.column_names]
        write_months(tmp_path / "data" / "green-2023", {str(month): trips.rename_columns(names)}, "green")
    script = "\n".join(fenced("README.md", "python") + fenced("docs/api.md", "python"))
    few = {"TOYTIP_ROUNDS": "5", "TOYTIP_MAX_DEPTH": "3"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **few},
    )  # fmt: skip
    said = "no version v1999 of predictions in toytip-store/dev; see `toytip versions`\n"
    assert (done.returncode, done.stdout) == (0, said), done.stderr


def test_the_example_of_settings_is_read(tmp_path, monkeypatch):
    from toytip.config import Settings

    monkeypatch.chdir(tmp_path)
    (example,) = fenced("docs/operations.md", "toml")
    (tmp_path / "toytip.toml").write_text(example)
    assert Settings.load().workers == 4


def test_trip_ids_read_as_the_docs_say():
    from toytip.core.tlc import trip_id_base

    assert trip_id_base("green", 2023, 1) + 41 == 2202301000000041


def test_every_dependency_has_its_line():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "architecture.md").read_text()
    for dependency in project["dependencies"]:
        name = re.match(r"[a-z0-9-]+", dependency)[0]
        assert name.removesuffix("-cpu") in page, name
