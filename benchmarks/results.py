"""Result files in JSON Lines, with one row per measured contender and repeat."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
RESULTS_FILE = Path("benchmarks/results.jsonl")
NUMBER_TYPES = (int, float)
# The columns that every row has, and their types.
COLUMN_TYPES: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "workers": int,
    "trains_alike": bool,
    "repeat": int,
    "workload": str,
    "source": str,
    "rows": NUMBER_TYPES,
    "rounds": int,
    "max_depth": int,
    "seconds": NUMBER_TYPES,
    "stage_seconds": dict,
    "kept": NUMBER_TYPES,
    "auc": NUMBER_TYPES,
    "peak_mb": NUMBER_TYPES,
    "memory": list,
    "cores": int,
    "machine": str,
}
# Default values of the columns that a row can leave out.
DEFAULTS: Row = {"run": "", "threads": None, "valid": True, "why": "", "outcome": "ok"}
# Two rows have the same work if they have equal values in these columns.
WORK_COLUMNS = ("workload", "source", "rows", "rounds", "max_depth")
# The partition-wise stages that precede the training.
PARTITION_STAGES = ("checksum", "featurize", "preprocess")


class InvalidInputError(ValueError):
    """An argument or a file that the benchmarks cannot use."""


def load_results(file: Path) -> list[Row]:
    """Read a result file. Raises InvalidInputError if it has a different format, or no row."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is not text"
        raise InvalidInputError(f"cannot read {file}: {cause}") from None
    rows = [_parse_row(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise InvalidInputError(f"cannot use {file}: it has no results")
    return rows


def _parse_row(file: Path, line_number: int, line: str) -> Row:
    failure = f"cannot read line {line_number} of {file}"
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise InvalidInputError(f"{failure}: it is not a JSON object")
    for name, expected in COLUMN_TYPES.items():
        if not isinstance(row.get(name), expected):
            raise InvalidInputError(f"{failure}: {name} is {row.get(name)!r}")
    if row["seconds"] <= 0 or row["rows"] <= 0:
        raise InvalidInputError(f"{failure}: seconds and rows must be above zero")
    return {**DEFAULTS, **row}


def append_result(file: Path, row: Row) -> None:
    """Append a row to a result file."""
    with file.open("a") as stream:
        stream.write(json.dumps(row) + "\n")


def is_toytip(row: Row) -> bool:
    """Return whether a row is a result of toytip and not of a peer."""
    return str(row["name"]).startswith("toytip")


def group_by(rows: Iterable[Row], *columns: str) -> dict[tuple[Any, ...], list[Row]]:
    """Return lists of rows, by their values in the columns."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[column] for column in columns)].append(row)
    return dict(groups)
