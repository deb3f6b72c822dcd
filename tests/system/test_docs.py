"""Tests of the documentation: links, commands, and examples."""

import contextlib
import doctest
import functools
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

import toytip as package
from tests.support import doc_recipes
from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import make_manifest, make_part_record, publish_table, write_months
from toytip.cli import app
from toytip.core.months import parse_months
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.synthetic import SyntheticSpec, generate_month

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "cluster").rglob("README.md")),
    ROOT / "examples" / "README.md",
    ROOT / "benchmarks" / "RULES.md",
]
FENCE = r"^(?P<indent> *)```{language}\n(?P<code>.*?)^(?P=indent)```$"
TOUR = "docs/tutorials/tour.md"
EXTEND = "docs/how-to/extend.md"
# Words that can precede a command in a shell script.
KEYWORDS = {"if", "elif", "then", "else", "while", "until", "do", "!", "exec", "nohup", "time"}


def fenced(page, language):
    """Return the code of a page's fenced blocks in a language."""
    pattern = re.compile(FENCE.format(language=language), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(match["code"]) for match in pattern.finditer((ROOT / page).read_text())]


def toytip_commands(script):
    """Yield the arguments of each `toytip` command in a shell script."""
    for tokens in _tokens_by_line(script):
        command = []
        for token in [*tokens, ";"]:
            if set(token) - set("();|&"):
                command.append(token)
                continue
            while command and (command[0] in KEYWORDS or re.match(r"\w+=", command[0])):
                command.pop(0)
            if command and command[0].split("/")[-1] == "toytip":
                yield tuple(_without_redirections(command[1:]))
            command = []


def _tokens_by_line(script):
    """Yield the tokens of each line. A quoted string can span lines."""
    text = ""
    for line in script.replace("\\\n", " ").splitlines(keepends=True):
        text += line
        lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        with contextlib.suppress(ValueError):  # a quote is still open
            yield list(lexer)
            text = ""


def _without_redirections(words):
    remaining = iter(words)
    for word in remaining:
        if set(word) <= set("<>"):
            next(remaining, None)
        else:
            yield word


COMMANDS = sorted(
    {
        arguments
        for page in PAGES
        for script in fenced(page, "sh")
        for arguments in toytip_commands(script)
        if arguments and not arguments[0].startswith("-")
    }
)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_commands_parse(arguments):
    words = list(arguments)
    command = get_command(app)
    while words and words[0] in getattr(command, "commands", ()):
        command = command.commands[words.pop(0)]
    command.make_context("toytip", words)


def test_pages_have_commands():
    assert len(COMMANDS) > 40


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("toytip run  # all", [("run",)]),
        ("A=1 toytip run --months \\\n  2023-01", [("run", "--months", "2023-01")]),
        ("pip install x && .venv/bin/toytip run", [("run",)]),
        ("if toytip monitor --json > out.json; then", [("monitor", "--json")]),
        ("toytip monitor || status=$?", [("monitor",)]),
        ("toytip score - < 'my trips.jsonl'", [("score", "-")]),
        ("toytip version tag a b; toytip runs", [("version", "tag", "a", "b"), ("runs",)]),
        ("dask scheduler --preload toytip.cluster.board", []),
    ],
)
def test_commands_are_extracted_from_scripts(script, expected):
    assert list(toytip_commands(script)) == expected


def prose_of(page):
    """Return a page without its code."""
    code = FENCE.format(language=r"[^\n]*")
    return re.sub(code, "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@functools.cache
def anchors(page):
    """Return the anchors of a page's headings, in the form of GitHub and of the site."""
    slugs = []
    for title in re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE):
        plain = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        slugs.append(slug if slug not in slugs else f"{slug}-{slugs.count(slug)}")
    return slugs


def broken(page):
    """Yield the links of a page whose target does not exist."""
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose_of(page)))
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if link.startswith("https://"):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_have_targets(page):
    assert list(broken(page)) == []


def test_broken_links_are_reported(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n[a](#one-thing) [b](#other) [c](none.md) [d](page.md#one-thing) [e](https://x.y)\n"
    )
    assert list(broken(page)) == ["#other", "none.md"]


def test_the_index_links_every_page():
    """The site's sidebar consists of the links of the index.

    The cluster page links the cluster types.
    """
    front = (ROOT / "docs" / "index.md").read_text()
    linked = {
        (ROOT / "docs" / link).resolve() for link in re.findall(r"^- \[.*?\]\((.+?)\)", front, re.MULTILINE)
    }
    own = {ROOT / "README.md", ROOT / "docs" / "index.md", *(ROOT / "cluster").glob("*/README.md")}
    assert linked == {*PAGES} - own


def test_the_tour_prints_the_expected_output():
    result = doctest.testfile(str(ROOT / TOUR), module_relative=False, report=True)
    assert result.attempted > 30
    assert result.failed == 0


@pytest.mark.cluster
def test_the_extension_guide_is_applied_and_runs(tmp_path):
    """A feature, a rule, a column, a table and a cluster work in a copy of the package."""
    import duckdb

    doc_recipes.apply_blocks((ROOT / EXTEND).read_text(), Path(package.__file__).parent, tmp_path)
    (definition,) = fenced(EXTEND, "toml")
    (tmp_path / "toytip.toml").write_text(definition)
    summary = parse_summary(
        run_toytip(
            "run",
            "--cluster",
            "small",
            "--rounds",
            3,
            "--json",
            cwd=tmp_path,
            TOYTIP_SYNTH_ROWS_PER_MONTH="1000",
            TOYTIP_MONTHS="2020-01:2020-03",
            PYTHONPATH=str(tmp_path),
        )
    )
    assert "same_zone" in summary["model"]["features"]
    assert summary["rejects"]["too_many_passengers"] == 3  # one per month

    def query(table, expression):
        files = tmp_path / summary["tables"][table]["path"] / "*/*/*.parquet"
        select = f"select {expression} from read_parquet('{files}', hive_partitioning = true)"
        return duckdb.sql(select).fetchall()

    same = "same_zone = (PULocationID = DOLocationID)::int"
    assert query("features", f"distinct {same}") == [(True,)]
    assert query("rejects", "count(*) filter (ehail_fee is not null)") == [(0,)]
    assert query("demand", "sum(trips)") == [(summary["rows"]["kept"],)]


def test_every_block_of_the_extension_guide_is_applied():
    page = (ROOT / EXTEND).read_text()
    assert len(doc_recipes.find_blocks(page)) == len(re.findall(r"```(?:python|diff)", page)) > 10


@pytest.fixture
def three_trips(tmp_path, monkeypatch):
    """Create a store in the current folder, with version v1 of three predictions."""
    from toytip.core.tables import PREDICTIONS
    from toytip.store.store import Store

    store = Store(str(tmp_path / "toytip-store"), "dev")
    with store.write_version("v1"):
        predictions = (
            TLC.table(PREDICTIONS)
            .empty()
            .reindex(range(3))
            .assign(
                **{c.name: {"str": "x", "bool": True}.get(c.dtype, 1) for c in TLC.table(PREDICTIONS).columns}
            )
        )
        record = store.write_data_file(
            TLC.table(PREDICTIONS),
            "v1",
            make_part_record(),
            predictions.astype(TLC.table(PREDICTIONS).dtypes),
        )
        publish_table(store, make_manifest([record], "v1", table="predictions"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("page", "rows"),
    [
        ("README.md", [(1, 3, 1.0, 1.0)]),
        ("docs/tutorials/quickstart.md", [("x", 3, 1.0, 1.0)]),
        ("docs/how-to/read-outputs.md", [(2023, 1, 3)]),
    ],
)
def test_the_queries_run(three_trips, page, rows):
    import duckdb

    (query,) = fenced(page, "sql")
    assert duckdb.sql(query.replace("VERSION", "v1")).fetchall() == rows


@pytest.mark.parametrize(
    ("page", "block"),
    [
        ("docs/tutorials/quickstart.md", 0),  # pandas
        ("docs/how-to/read-outputs.md", 0),  # pandas
        ("docs/how-to/read-outputs.md", 1),  # polars
    ],
)
def test_the_examples_of_reading_run(three_trips, page, block):
    """The examples in pandas and polars run. Spark needs Java."""
    script = fenced(page, "python")[block]
    names: dict[str, object] = {}
    exec(script.replace("VERSION", "v1"), names)  # noqa: S102
    predictions = names["predictions"]
    assert len(predictions) == 3
    assert {"year", "month"} <= set(predictions.columns)
    assert len(names.get("december", ())) == 0


def test_the_query_for_alerts_reads_the_current_version(tmp_path, monkeypatch, capfd):
    from toytip.core.tables import MONITORING
    from toytip.store.store import Store

    store = Store(str(tmp_path / "toytip-store"), "dev")
    row = (
        MONITORING.empty()
        .reindex([0])
        .assign(**{c.name: {"str": "x", "bool": True}.get(c.dtype, 1) for c in MONITORING.columns})
    )
    for version in ("v1", "v2"):
        with store.write_version(version):
            frame = row.assign(name=f"alert_{version}").astype(MONITORING.dtypes)
            record = store.write_data_file(MONITORING, version, make_part_record(), frame)
            publish_table(store, make_manifest([record], version, table="monitoring"))
    monkeypatch.chdir(tmp_path)
    (script,) = fenced("docs/how-to/monitor.md", "python")
    exec(script, {})  # noqa: S102
    printed = capfd.readouterr().out
    assert "alert_v2" in printed
    assert "alert_v1" not in printed


@pytest.mark.cluster
def test_the_examples_in_python_run(tmp_path):
    """The examples of the README and of the Python guide run one after the other, on few trips."""
    for month in parse_months("2023-01:2023-12"):
        trips = generate_month(month, SyntheticSpec(rows_per_month=400))
        names = [name.replace("tpep", "lpep") for name in trips.column_names]
        write_months(tmp_path / "data" / "green-2023", {str(month): trips.rename_columns(names)}, "green")
    script = "\n".join(fenced("README.md", "python") + fenced("docs/how-to/python.md", "python"))
    few = {"TOYTIP_ROUNDS": "5", "TOYTIP_MAX_DEPTH": "3"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            **few,
        },
    )
    assert done.returncode == 0, done.stderr
    assert "v1999" in done.stdout
    assert len(done.stdout.splitlines()) <= 2  # the error, and no other output


@pytest.mark.parametrize("page", ["docs/how-to/configure.md", "docs/how-to/monitor.md"])
def test_the_examples_of_settings_are_valid(tmp_path, monkeypatch, page):
    from toytip.config import Settings

    monkeypatch.chdir(tmp_path)
    for example in fenced(page, "toml"):
        (tmp_path / "toytip.toml").write_text(example)
        settings, expected = Settings.load().model_dump(), tomllib.loads(example)
        assert expected
        assert {name: settings[name] for name in expected} == expected


def test_trip_ids_have_the_documented_form():

    assert TLC.first_trip_id("green", 2023, 1) + 41 == 2202301000000041


def test_every_dependency_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "architecture.md").read_text()
    for dependency in project["dependencies"]:
        name = re.match(r"[a-z0-9-]+", dependency)[0]
        assert name.removesuffix("-cpu") in page, name
