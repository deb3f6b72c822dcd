"""The progress in a notebook, with a real kernel."""

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from toytip.progress import notebook

# Other users can connect to loopback ports.
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})
CELL = """
import time
from tests.support.states import run_state
from toytip.progress import notebook
from toytip.progress.console import ProgressConsole
from toytip.progress.state import StageState

notebook.REFRESH_SECONDS = 0.01
shown = []

def state():
    done = min(len(shown), 12)
    shown.append(done)
    return run_state(StageState(name="infer", total=12, done=done, started_at=90))

console = ProgressConsole("auto", None)
with console.show_live(state):
    while len(shown) < 20:
        time.sleep(0.01)
    console.print("warning: 3 trips")
"""


def test_a_notebook_has_one_output_with_the_last_state():
    cells = [nbformat.v4.new_code_cell(CELL)]
    executed = NotebookClient(
        nbformat.v4.new_notebook(cells=cells), kernel_name="python3", timeout=120, config=ENCRYPTED
    ).execute()
    grids = [output for output in executed.cells[0].outputs if output.output_type == "display_data"]
    (grid,) = grids
    assert grid.data["text/plain"].startswith(f"▸ infer         {'━' * 22}  12/12  10.0 s")
    others = [output for output in executed.cells[0].outputs if output.output_type != "display_data"]
    assert [output.text for output in others] == ["warning: 3 trips\n"]


def test_a_program_is_not_a_notebook():
    assert not notebook.in_notebook()
