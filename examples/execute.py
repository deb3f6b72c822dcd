"""Execute the notebooks in place: `python -m examples.execute`, or `make examples`.

A committed notebook has its outputs, and a digest of the cells that produced them. A test compares
the digest, so that no cell is changed without a new execution. `examples/README.md` lists the
environment variables that the notebooks read.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

HERE = Path(__file__).parent
NOTEBOOKS = tuple(sorted(HERE.glob("*.ipynb")))
TIMEOUT_SECONDS = 600
SOURCE_VARIABLE = "TOYTIP_EXAMPLE_SOURCE"


def digest(notebook: nbformat.NotebookNode) -> str:
    """Return a digest of the text and code of all cells, without their outputs."""
    cells = [[cell.cell_type, cell.source] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def execute(path: Path) -> nbformat.NotebookNode:
    """Return a notebook with the outputs of a new kernel.

    A relative folder in SOURCE_VARIABLE is relative to the current folder, although the kernel runs
    in the folder of the notebook. Raises CellExecutionError if a cell fails.
    """
    if source := os.environ.get(SOURCE_VARIABLE):
        os.environ[SOURCE_VARIABLE] = str(Path(source).resolve())
    notebook = nbformat.read(path, as_version=4)
    # Encrypt the connection to the kernel, because other users can connect to loopback ports.
    config = Config({"KernelManager": {"transport_encryption": "auto"}})
    resources = {"metadata": {"path": HERE}}
    NotebookClient(
        notebook, timeout=TIMEOUT_SECONDS, kernel_name="python3", resources=resources, config=config
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of execution would differ each time
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "toytip": {"cells": digest(notebook)},
    }
    return notebook


def main() -> None:
    """Execute all notebooks, and write their outputs into them."""
    for path in NOTEBOOKS:
        nbformat.write(execute(path), path)
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1000:,.0f} kB\n")


if __name__ == "__main__":
    main()
