"""The notebooks run, and their committed outputs belong to their cells."""

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
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
NUMBER = r"[-+]?\d+\.\d+"
UNSET = "TOYTIP_EXAMPLE_SOURCE is not set"
# Text in the source of each code cell whose sentences are about real trips, if they exist.
ABOUT_REAL_TRIPS = {"dask_ml_pipeline": "Markdown(", "tip_decay": "if real:"}


def outputs(cells):
    return [output for cell in cells for output in cell.get("outputs", ())]


def sentences(cells):
    """Return the Markdown texts that cells display."""
    return [
        output.data["text/markdown"] for output in outputs(cells) if "text/markdown" in output.get("data", {})
    ]


def test_the_notebooks():
    assert [path.name for path in NOTEBOOKS] == [f"{name}.ipynb" for name in ABOUT_REAL_TRIPS]


@every_notebook
def test_the_committed_outputs_belong_to_the_cells(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.toytip.cells == digest(notebook), "a cell was changed: run make examples"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert UNSET not in " ".join(sentences(code)), "executed without real trips: see examples/README.md"
    assert path.stat().st_size < 500_000


@every_notebook
def test_the_committed_outputs_have_no_paths_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    results = outputs(notebook.cells)
    assert {output.output_type for output in results} <= {"display_data", "execute_result"}
    for output in results:
        for kind, content in output.data.items():
            if not kind.startswith("image/"):
                folders = r"(?<![\w<])/(home|root|tmp|usr|work|Users|var|mnt)\b"
                assert not re.search(folders, str(content)), kind


@every_notebook
def test_the_notebook_runs_and_its_sentences_about_real_trips_are_those_committed(path, monkeypatch):
    """On few synthetic trips, and on the real ones if they exist.

    The cells assert their statements.
    """
    monkeypatch.setenv("TOYTIP_EXAMPLE_ROWS", "6000")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    source = REAL_DATA_DIR / "yellow-sample-2020"
    if source.is_dir():
        monkeypatch.setenv("TOYTIP_EXAMPLE_SOURCE", os.path.relpath(source))
    else:
        monkeypatch.delenv("TOYTIP_EXAMPLE_SOURCE", raising=False)
    executed, committed = execute(path), nbformat.read(path, as_version=4)
    assert not [output for output in outputs(executed.cells) if output.output_type in ("stream", "error")]
    about_real = [
        number for number, cell in enumerate(executed.cells) if ABOUT_REAL_TRIPS[path.stem] in cell.source
    ]
    assert len(about_real) >= 2
    executed_texts = sentences(executed.cells[number] for number in about_real)
    if source.is_dir():
        committed_texts = sentences(committed.cells[number] for number in about_real)
        assert [re.sub(NUMBER, "#", text) for text in executed_texts] == [
            re.sub(NUMBER, "#", text) for text in committed_texts
        ]
        numbers, expected = (
            [float(number) for number in re.findall(NUMBER, " ".join(texts))]
            for texts in (executed_texts, committed_texts)
        )
        assert numbers == pytest.approx(expected, abs=0.01)  # other XGBoost versions build other trees
    elif path.stem == "tip_decay":
        assert [UNSET in text for text in executed_texts] == [True, True]
    if path.stem == "tip_decay" or not source.is_dir():
        assert json.dumps(sentences(executed.cells)) != json.dumps(sentences(committed.cells)), "fewer trips"
