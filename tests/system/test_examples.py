"""The notebooks run, and what is committed of them is what came out of the cells that are there."""

import json
import os
import re
from pathlib import Path

import nbformat
import pytest

from examples.execute import NOTEBOOKS, digest, execute
from tests.support.trips import REAL_DATA_DIR

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
NUMBER = r"[-+]?\d+\.\d+"
UNSET = "TOYTIP_EXAMPLE_SOURCE is not set"


def outputs(cells):
    return [each for cell in cells for each in cell.get("outputs", ())]


def said(cells):
    """Return the sentences that cells have come to."""
    return [each.data["text/markdown"] for each in outputs(cells) if "text/markdown" in each.get("data", {})]


def test_there_is_a_notebook():
    assert [path.name for path in NOTEBOOKS] == ["tip_decay.ipynb"]


@each_notebook
def test_what_is_committed_came_out_of_these_cells(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.toytip.cells == digest(notebook), "a cell was changed: make examples"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert UNSET not in " ".join(said(code)), "it was executed without real trips: see examples/README.md"
    assert path.stat().st_size < 500_000


@each_notebook
def test_what_is_committed_tells_nothing_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    assert {each.output_type for each in outputs(notebook.cells)} <= {"display_data", "execute_result"}
    for each in outputs(notebook.cells):
        for kind, content in each.data.items():
            if not kind.startswith("image/"):
                assert not re.search(r"(?<![\w<])/(home|root|tmp|usr|work|Users|var|mnt)\b", str(content)), (
                    kind
                )


@each_notebook
def test_it_runs_and_says_of_real_trips_what_is_committed(path, monkeypatch):
    """On few synthetic trips, and the real ones where they are there; the cells assert what they say."""
    monkeypatch.setenv("TOYTIP_EXAMPLE_ROWS", "6000")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    source = REAL_DATA_DIR / "yellow-sample-2020"
    if source.is_dir():
        monkeypatch.setenv("TOYTIP_EXAMPLE_SOURCE", str(source))
    else:
        monkeypatch.delenv("TOYTIP_EXAMPLE_SOURCE", raising=False)
    made, committed = execute(path), nbformat.read(path, as_version=4)
    assert not [each for each in outputs(made.cells) if each.output_type in ("stream", "error")]
    about_real = [n for n, cell in enumerate(made.cells) if "if real:" in cell.source]
    assert len(about_real) == 2
    sentences = said(made.cells[n] for n in about_real)
    if source.is_dir():
        then = said(committed.cells[n] for n in about_real)
        assert [re.sub(NUMBER, "#", each) for each in sentences] == [
            re.sub(NUMBER, "#", each) for each in then
        ]
        numbers, before = (
            [float(n) for n in re.findall(NUMBER, " ".join(told))] for told in (sentences, then)
        )
        assert numbers == pytest.approx(before, abs=0.01)  # other versions of XGBoost grow other trees
    else:
        assert [UNSET in each for each in sentences] == [True, True]
    assert json.dumps(said(made.cells)) != json.dumps(said(committed.cells)), "on fewer trips"
