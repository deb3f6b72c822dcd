"""Result files in JSON Lines, with one row per measured contender and repeat.

A committed result file has the path `benchmarks/results/DATE/MACHINE.jsonl`. It has the rows of all
workloads. The column `series` of a row names the measurement that a table of the pages shows.

A row is in the file as soon as it is measured. Until the run is complete, its rows have the value
true in the column `partial`.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]
RESULTS_FILE = Path("benchmarks/results.jsonl")
RESULTS_FOLDER = Path(__file__).parent / "results"
# Workloads whose rows are no results of contenders. A later row replaces a row of the same name.
SINGLE_VALUE_WORKLOADS = ("serving", "checkout", "aa", "auc-band")
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
    "auc": (*NUMBER_TYPES, type(None)),
    "peak_mb": NUMBER_TYPES,
    "memory": list,
    "cores": int,
    "machine": str,
}
# The conformance levels: the same rows, the same values of the features, and a model as good as the
# others. `benchmarks/RULES.md` defines them.
LEVELS = ("rows", "features", "model")
PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not checked"
# Default values of the columns that a row can leave out.
DEFAULTS: Row = {
    "run": "",
    "partial": False,
    "series": "",
    "threads": None,
    "valid": True,
    "why": "",
    "outcome": "ok",
    "exit_code": None,
    "stderr": "",
    "engine_versions": {},
    "conformance": {level: {"status": NOT_CHECKED, "cause": ""} for level in LEVELS},
    "cold": False,
    "noisy": False,
    "noise": "",
    "activity": None,
    "memory_cap_mb": None,
    "memory_cap": None,
    "price_per_core_hour": None,
    "cost": None,
    "auc_difference": None,
}
# Two rows have the same work if they have equal values in these columns.
WORK_COLUMNS = ("workload", "source", "rows", "rounds", "max_depth")
# The partition-wise stages that precede the training.
PARTITION_STAGES = ("checksum", "featurize", "preprocess")


@dataclass(frozen=True)
class Level:
    """Whether an engine passes a conformance level."""

    status: str
    """`passed`, `failed` or `not checked`."""
    cause: str = ""
    """Cause if the engine does not pass."""

    @classmethod
    def not_checked(cls, cause: str = "") -> Level:
        """Return a level that was not checked."""
        return cls(NOT_CHECKED, cause)

    def __str__(self) -> str:
        """Return the level as text."""
        return f"{self.status}: {self.cause}" if self.cause else self.status


class InvalidInputError(ValueError):
    """An argument or a file that the benchmarks cannot use."""


def load_results(path: Path) -> list[Row]:
    """Return the rows of contenders in a result file, or in all files below a folder.

    Raises InvalidInputError if a file has a different format, or if the file has no row.
    """
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    rows = [
        _check_row(file, number, row)
        for file in files
        for number, row in _read_lines(file)
        if row.get("workload") not in SINGLE_VALUE_WORKLOADS
    ]
    if not rows and not path.is_dir():
        raise InvalidInputError(f"cannot use {path}: it has no results")
    return rows


def load_single_values(path: Path, workload: str) -> dict[str, Row]:
    """Return the newest row of each name, of a workload in SINGLE_VALUE_WORKLOADS.

    A partial row counts only if there is no complete row of its name.
    """
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path] if path.exists() else []
    rows = [row for file in files for _, row in _read_lines(file) if row.get("workload") == workload]
    return {
        row["name"]: row
        for row in sorted(rows, key=lambda row: (not row.get("partial", False), str(row["at"])))
    }


def newest_run(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of the newest run of each series, for each machine and workload.

    A partial run counts only if there is no complete run.
    """
    groups = group_by(rows, "machine_id", "series", "workload").values()
    newest = [(last_run(group), group) for group in groups]
    return [row for run, group in newest for row in group if row["run"] == run]


def last_run(rows: Iterable[Row]) -> str:
    """Return the name of the newest complete run, or of the newest partial run if there is none."""
    return max((not row.get("partial", False), str(row["run"])) for row in rows)[1]


def machine_id(row: Row) -> str:
    """Return the name of the machine of a row, as it is in the names of result files."""
    text = f"{row['machine']} {row['cores']} cores {row.get('machine_gb', 0):.0f} GB"
    return re.sub(r"[^a-z0-9]+", "-", text.lower())


def _read_lines(file: Path) -> list[tuple[int, Row]]:
    """Return the rows of a file with the numbers of their lines."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is not text"
        raise InvalidInputError(f"cannot read {file}: {cause}") from None
    return [(number, _parse_row(file, number, line)) for number, line in enumerate(lines, 1) if line.strip()]


def _parse_row(file: Path, line_number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise InvalidInputError(f"cannot read line {line_number} of {file}: it is not a JSON object")
    return row


def _check_row(file: Path, line_number: int, row: Row) -> Row:
    """Return a row with default values. Raises InvalidInputError if a column has another type."""
    failure = f"cannot read line {line_number} of {file}"
    for name, expected in COLUMN_TYPES.items():
        if not isinstance(row.get(name), expected):
            raise InvalidInputError(f"{failure}: {name} is {row.get(name)!r}")
    if "auc" not in row or (row["auc"] is None and row.get("outcome", "ok") == "ok"):
        raise InvalidInputError(f"{failure}: there is no auc")
    if row["seconds"] <= 0 or row["rows"] <= 0:
        raise InvalidInputError(f"{failure}: seconds and rows must be above zero")
    kind = "tuned" if is_toytip(row) else "vanilla"
    return {**DEFAULTS, "kind": kind, "machine_id": machine_id(row), **row}


def check_output(output: Path) -> None:
    """Raise an error if results cannot be written, before they are measured.

    The benchmark replaces its result file, so the folder of the file must be writable, too.
    """
    if output.exists() and not (output.is_dir() or output.is_file()):
        raise InvalidInputError(f"cannot write to {output}: it is neither a file nor a folder")
    folder = output
    if not output.is_dir():
        output.open("a").close()
        folder = output.resolve().parent
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"cannot write to {folder}")


def result_file(output: Path, row: Row) -> Path:
    """Return the result file of a row. In a folder, it has the date and machine of the row."""
    if output.is_dir():
        date = str(row.get("run") or row["at"])[:10]
        output = output / date / f"{machine_id(row)}.jsonl"
        output.parent.mkdir(exist_ok=True)
    return output


def append_result(output: Path, row: Row) -> None:
    """Append a row to a result file."""
    with result_file(output, row).open("a") as stream:
        stream.write(json.dumps(row) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def replace_lines(file: Path, old: list[bytes], new: list[bytes]) -> None:
    """Replace lines of a result file by new lines at its end. Other lines stay as they are.

    The change is one step, so that the file is complete even if the machine fails at any time.
    """
    file = file.resolve()
    lines = file.read_bytes().splitlines() if file.exists() else []
    lines = [line for line in lines if line not in old] + new
    temporary = file.with_name(f".{file.name}.tmp")
    with temporary.open("wb") as stream:
        stream.write(b"".join(line + b"\n" for line in lines))
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def is_toytip(row: Row) -> bool:
    """Return whether a row is a result of toytip and not of a peer."""
    return str(row["name"]).startswith("toytip")


def group_by(rows: Iterable[Row], *columns: str) -> dict[tuple[Any, ...], list[Row]]:
    """Return lists of rows, by their values in the columns."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[column] for column in columns)].append(row)
    return dict(groups)
