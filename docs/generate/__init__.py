"""Generate the reference from the code: `python -m docs.generate`.

With `--check`, it only lists outdated files.

All files in `docs/reference/` and the page of benchmark results (`docs.generate.page`) are
generated. In other pages, only the tables of benchmark results are generated
(`docs.generate.benchmarks`).
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from docs.generate.commands import commands_page, settings_page
from docs.generate.json_schema import RESULTS, schema
from docs.generate.pages import errors_page, json_page, metrics_page, python_page
from docs.generate.tables import tables_page

FOLDER = Path(__file__).parents[1] / "reference"


@functools.cache
def generated_files() -> dict[str, str]:
    """Return the text of each file of the reference by its path in the folder."""
    pages = {
        "commands": commands_page(),
        "settings": settings_page(),
        "tables": tables_page(),
        "json": json_page(),
        "metrics": metrics_page(),
        "errors": errors_page(),
        "python": python_page(),
    }
    schemas = {
        f"schemas/{name.replace(' ', '-')}.json": json.dumps(schema(name), indent=1) + "\n"
        for name in RESULTS
    }
    return {f"{name}.md": text for name, text in pages.items()} | schemas


def outdated(folder: Path = FOLDER) -> list[str]:
    """Return the paths of missing, changed and surplus files of the reference."""
    expected = generated_files()
    existing = {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }
    return sorted(name for name in {*expected, *existing} if expected.get(name) != existing.get(name))
