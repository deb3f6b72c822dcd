"""Execute the notebooks here in place: `python -m examples.execute`, or `make examples`.

What is committed is what came out: outputs, and a digest of the cells that they came from, by which a test sees that nobody
has changed a cell since. Environment variables are the notebooks' parameters: see `examples/README.md`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

HERE = Path(__file__).parent
NOTEBOOKS = tuple(sorted(HERE.glob("*.ipynb")))


def digest(notebook: nbformat.NotebookNode) -> str:
    """Return what names the cells, text and code, without what came out of them."""
    cells = [[cell.cell_type, cell.source] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def execute(path: Path) -> nbformat.NotebookNode:
    """Return a notebook as it comes out of a fresh kernel, in its own folder. Raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    # The kernel listens on loopback, where others may be too.
    config = Config({"KernelManager": {"transport_encryption": "auto"}})
    where = {"metadata": {"path": HERE}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where, config=config).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran says nothing
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "toytip": {"cells": digest(notebook)},
    }
    return notebook


def main() -> None:
    """Execute all of them, and keep what came out."""
    for path in NOTEBOOKS:
        nbformat.write(execute(path), path)
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1000:,.0f} kB\n")


if __name__ == "__main__":
    main()
