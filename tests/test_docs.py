"""What the docs show works."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tests.conftest import make_trips, manifest_of, part_of, write_months
from toytip.cli import app
from toytip.synth import Synth, generate
from toytip.values import parse_months

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def fenced(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_the_examples_of_a_feature_and_a_rule_run():
    import pandas as pd

    from toytip.stages.featurize import Columns, feature

    made, rule = fenced("docs/extending.md", "python")
    names = {"pd": pd, "feature": feature, "Columns": Columns}
    exec(made + rule, names)  # noqa: S102
    trips = make_trips({}, {"passenger_count": 9})
    assert names["pickup_month"].make(trips).tolist() == [1, 1]
    assert names["too_many_passengers"](trips).tolist() == [False, True]


def test_the_examples_of_reading_run(tmp_path, monkeypatch):
    """DuckDB's and polars', on a store of three trips; Spark's needs Java."""
    import duckdb

    from toytip.schema import PREDICTIONS
    from toytip.store import Store

    store = Store(str(tmp_path / "toytip-store"), "dev")
    with store.making("v1"):
        predictions = (
            PREDICTIONS.empty()
            .reindex(range(3))
            .assign(**{c.name: {"str": "x", "bool": True}.get(c.dtype, 1) for c in PREDICTIONS.columns})
        )
        record = store.write(PREDICTIONS, "v1", part_of(), predictions.astype(PREDICTIONS.dtypes))
        store.publish(manifest_of([record], "v1", table="predictions"))
    monkeypatch.chdir(tmp_path)
    (query,) = fenced("docs/store.md", "sql")
    assert duckdb.sql(query.replace("VERSION", "v1")).fetchall() == [(2023, 1, 3)]
    (script,) = fenced("docs/store.md", "python")
    names: dict[str, object] = {}
    exec(script.replace("VERSION", "v1"), names)  # noqa: S102
    assert names["predictions"].select("version", "year", "month").unique().rows() == [("v1", 2023, 1)]


@pytest.mark.cluster
def test_the_examples_in_python_run(tmp_path):
    """README's and the tour's, one after the other, on few trips."""
    for month in parse_months("2023-01:2023-12"):
        trips = generate(month, Synth(rows=400))
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
    from toytip.schema import trip_id_base

    assert trip_id_base("green", 2023, 1) + 41 == 2202301000000041


def test_every_dependency_has_its_line():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "architecture.md").read_text()
    for dependency in project["dependencies"]:
        name = re.match(r"[a-z0-9-]+", dependency)[0]
        assert name.removesuffix("-cpu") in page, name
