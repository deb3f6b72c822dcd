"""Rows of results: one a measured run, in a file of JSON lines. A row that is no result says so, and counts nowhere."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
NUMBER_TYPES = (int, float)
# What every row has, and of which kind.
COLUMN_TYPES: dict[str, type | tuple[type, ...]] = {
    "name": str, "workers": int, "alike": bool, "repeat": int, "rows": NUMBER_TYPES, "seed": int, "rounds": int, "max_depth": int,
    "seconds": NUMBER_TYPES, "stages": dict, "kept": NUMBER_TYPES, "auc": NUMBER_TYPES, "peak_mb": NUMBER_TYPES, "memory": list, "cores": int,
    "machine": str,
}  # fmt: skip
# What rows of before these were measured are taken to have.
DEFAULTS: Row = {"run": "", "threads": None, "valid": True, "why": ""}
# Rows are of the same work where these are the same.
WORK_COLUMNS = ("rows", "seed", "rounds", "max_depth")
# The stages that are tasks of rows alone, before there is a model.
ROW_STAGES = ("checksum", "featurize", "preprocess")


class InvalidInputError(ValueError):
    """What was given is no input of the benchmarks; the message is the line that says so."""


def load_results(file: Path) -> list[Row]:
    """Read a file of results. Raises InvalidInputError where it is none, or has no row."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or 'no text'}"
        ) from None
    rows = [_parse_row(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise InvalidInputError(f"{file} has no row of results")
    return rows


def _parse_row(file: Path, line_number: int, line: str) -> Row:
    where = f"{file}, line {line_number}"
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise InvalidInputError(f"{where} is no row of results")
    for name, kind in COLUMN_TYPES.items():
        if not isinstance(row.get(name), kind):
            raise InvalidInputError(f"{where} is no row of results: its {name} is {row.get(name)!r}")
    if row["seconds"] <= 0 or row["rows"] <= 0:
        raise InvalidInputError(f"{where} is no row of results: nothing was done, or in no time")
    return {**DEFAULTS, **row}


def append_result(file: Path, row: Row) -> None:
    """Add a row to a file of results."""
    with file.open("a") as stream:
        stream.write(json.dumps(row) + "\n")


def is_toytip(row: Row) -> bool:
    """Whether a row is toytip's, and not a peer's."""
    return str(row["name"]).startswith("toytip")


def group_by(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """Return the rows by their values of some names."""
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in names)].append(row)
    return dict(found)
