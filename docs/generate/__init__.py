"""Generate the reference from the code: `python -m docs.generate`. `--check` only lists outdated pages.

All pages in `docs/reference/` are generated.
"""

from __future__ import annotations

import functools
from pathlib import Path

from docs.generate.commands import commands_page, settings_page
from docs.generate.tables import tables_page
from docs.generate.told import errors_page, json_page, metrics_page, python_page

FOLDER = Path(__file__).parents[1] / "reference"


@functools.cache
def pages() -> dict[str, str]:
    """Return the text of each page by name."""
    return {
        "commands": commands_page(), "settings": settings_page(), "tables": tables_page(), "json": json_page(),
        "metrics": metrics_page(), "errors": errors_page(), "python": python_page(),
    }  # fmt: skip


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of outdated pages."""
    made = pages()
    there = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in {*made, *there} if made.get(name) != there.get(name))
