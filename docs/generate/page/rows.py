"""Read the committed rows of contenders, with a value in every optional column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.engine_folders import Engine, find_engines
from benchmarks.quality import validate_rows
from benchmarks.results import COLUMN_TYPES, DEFAULTS, InvalidInputError, Row, group_by, is_toytip

# Values of columns that rows of earlier versions of the benchmark do not have.
OPTIONAL: dict[str, Any] = {
    **DEFAULTS,
    "kind": None,
    "cold": False,
    "noisy": False,
    "noise": "",
    "conformance": {},
    "memory_cap_mb": None,
    "memory_cap": None,
    "cost": None,
    "auc_difference": None,
    "cpu_s": None,
    "machine_gb": None,
    "environment": {},
    "engine_versions": {},
    "synthetic": False,
    "uncommitted_changes": False,
}


class Origin(NamedTuple):
    """A result file, and the measurement in this file."""

    file: str
    """Path of the result file, relative to the folder of the results."""
    series: str
    """Name of the measurement."""


def read_rows(folder: Path) -> dict[Origin, list[Row]]:
    """Return the rows of all contenders, by file and measurement.

    Rows of other benchmarks do not count. A contender that failed, or whose result is invalid, has
    the value false in the column `valid`.
    """
    rows: dict[Origin, list[Row]] = {}
    for file in sorted(folder.rglob("*.jsonl")):
        for row in map(with_defaults, _parse(file)):
            if row.keys() >= COLUMN_TYPES.keys():
                origin = Origin(file.relative_to(folder).as_posix(), row.get("series") or file.stem)
                rows.setdefault(origin, []).append(row)
    return {
        origin: [row for same in group_by(measured, "run").values() for row in validate_rows(same)]
        for origin, measured in rows.items()
    }


def _parse(file: Path) -> list[Row]:
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except ValueError as error:
        raise InvalidInputError(f"cannot read {file}: {error}") from None


def with_defaults(row: Row) -> Row:
    """Return a row with a value in every optional column."""
    return {**OPTIONAL, **row}


def kind_of(row: Row, engines: dict[str, Engine]) -> str:
    """Return `vanilla` or `tuned`. Old rows have the kind of the engine's folder."""
    if row["kind"]:
        return str(row["kind"])
    if is_toytip(row):
        return "tuned"
    return engines[row["name"]].kind if row["name"] in engines else "not recorded"


def engines_by_name() -> dict[str, Engine]:
    """Return the engines of the benchmark."""
    return {engine.name: engine for engine in find_engines()}
