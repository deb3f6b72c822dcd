"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable

MADE = "<!-- Made from the code by docs/generate: change it there, then `make reference`. -->"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    lines = [list(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code(value: object) -> str:
    """Return a value as code; nothing for none."""
    return "" if value is None or value == "" else f"`{value}`"


def page(title: str, *pieces: str) -> str:
    """Return a page."""
    return "\n\n".join((MADE, f"# {title}", *(piece.strip() for piece in pieces if piece.strip()))) + "\n"
