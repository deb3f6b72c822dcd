"""The examples run, and what is committed of them is what came out of the cells that are there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from examples.execute import NOTEBOOKS, digest, execute

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[1]


def outputs(notebook):
    return [each for cell in notebook.cells for each in cell.get("outputs", ())]


def spoken(notebook):
    """Return all that a notebook shows as text."""
    return json.dumps(
        [each.get("text") or each.get("data", {}).get("text/markdown") for each in outputs(notebook)]
    )


def test_there_is_a_notebook():
    assert [path.name for path in NOTEBOOKS] == ["tip_decay.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_came_out_of_these_cells(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.toytip.cells == digest(notebook), "a cell was changed: make examples"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "is not set" not in spoken(notebook), "it was executed without real trips: see examples/README.md"
    assert path.stat().st_size < 500_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_tells_nothing_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    assert not [each for each in outputs(notebook) if each.output_type in ("stream", "error")]
    for each in outputs(notebook):
        for kind, content in each.get("data", {}).items():
            if not kind.startswith("image/"):
                assert not re.search(r"(?<![\w/<])/(home|root|tmp|usr|work|Users|var|mnt)\b", content), (
                    content
                )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path, monkeypatch):
    """On few rows; their cells assert what they say."""
    monkeypatch.setenv("TOYTIP_EXAMPLE_ROWS", "6000")
    monkeypatch.delenv("TOYTIP_EXAMPLE_SOURCE", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    made = execute(path)
    assert not [each for each in outputs(made) if each.output_type == "stream"]
    assert "TOYTIP_EXAMPLE_SOURCE is not set" in spoken(made)
    assert sum("image/png" in each.get("data", {}) for each in outputs(made)) == 3


@pytest.mark.real
def test_the_notebook_tells_of_real_trips(real, monkeypatch):
    """What the committed outputs say of real trips comes out again."""
    committed = nbformat.read(NOTEBOOKS[0], as_version=4)
    monkeypatch.setenv("TOYTIP_EXAMPLE_ROWS", "6000")
    monkeypatch.setenv("TOYTIP_EXAMPLE_SOURCE", str(real / "yellow-sample-2020"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    told = [spoken_of(execute(NOTEBOOKS[0])), spoken_of(committed)]
    assert told[0] == told[1]


def spoken_of(notebook):
    """Return what the cells about real trips say."""
    cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.source.endswith('no real trips are shown.")')
    ]
    assert len(cells) == 2
    return [
        each.data["text/markdown"]
        for cell in cells
        for each in cell.outputs
        if "text/markdown" in each.get("data", {})
    ]


def test_the_script_reads_a_store(client, synthetic, tmp_path):
    import toytip

    with client.as_current():
        run = toytip.run(synthetic, store=tmp_path, months="2020-01:2020-03", rounds=3, max_depth=3)
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "read_with_duckdb.py", tmp_path],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["month", "trips", "expected", "happened"]
    assert sum(int(line[1]) for line in lines[1:]) == run.rows["kept"]
