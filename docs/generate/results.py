"""Read the committed results of the benchmarks, and compute the figures of the documentation."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.quality import validate_rows
from benchmarks.results import InvalidInputError, Row, group_by, load_results

FOLDER = Path(__file__).parents[2] / "benchmarks" / "results"


@dataclass(frozen=True)
class ResultFile:
    """A result file in `benchmarks/results`, and the arguments of the command that writes it."""

    name: str
    arguments: str

    @property
    def command(self) -> str:
        """The command that writes the file."""
        return f"python -m benchmarks{self.arguments} --output benchmarks/results/{self.name}.jsonl"


FILES = {
    file.name: file
    for file in (
        ResultFile("defaults", " run --workloads defaults --workers 2,8 --repeats 5"),
        ResultFile("reruns", ".reruns --repeats 5"),
        ResultFile("1.2-million", " run --workers 2,8 --repeats 5"),
        ResultFile(
            "24.6-million",
            " run --rows 2050000 --workers 2,8 --peers lower_bound,polars_xgboost --repeats 3",
        ),
        ResultFile("84-million", " run --rows 7000000 --peers none --repeats 1"),
        ResultFile("workers", " run --workers 1,2,4,8 --peers none --repeats 3"),
        ResultFile("random-forest", " run --peers random_forest_year --repeats 1"),
    )
}


# Files with one row per name. A later row replaces an earlier row with the same name.
SINGLE_VALUE_FILES = {
    file.name: file for file in (ResultFile("serving", ".serving"), ResultFile("checkout", ".checkout"))
}


class Figure(NamedTuple):
    """The median of the repeats, and the lowest and highest value."""

    value: float
    low: float
    high: float
    repeats: int

    @classmethod
    def of(cls, values: list[float], value: float | None = None) -> Figure:
        """Return the figure of the values of all repeats. `value` replaces their median."""
        return cls(median(values) if value is None else value, min(values), max(values), len(values))


class Results:
    """The results of the newest run in each file of a folder."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._newest = functools.cache(self._read)

    def _read(self, name: str) -> list[Row]:
        """Return the rows of the newest run. The result is empty if the file does not exist.

        Raises InvalidInputError if the run has an invalid result of a contender that did not fail.
        """
        file = self._folder / f"{FILES[name].name}.jsonl"
        if not file.exists():
            return []
        rows = load_results(file)
        newest = max(row["run"] for row in rows)
        rows = validate_rows([row for row in rows if row["run"] == newest])
        for row in rows:
            if not row["valid"] and row["outcome"] == "ok":
                raise InvalidInputError(f"cannot use {file}: {row['name']} is invalid: {row['why']}")
        return rows

    def rows(self, name: str) -> dict[str, list[Row]]:
        """Return the valid rows of each contender. The result is empty without the file."""
        valid = [row for row in self._newest(name) if row["valid"]]
        return {contender: found for (contender,), found in group_by(valid, "name").items()}

    def failures(self, name: str) -> dict[str, str]:
        """Return the outcome of each contender that failed in a repeat, such as `timeout`."""
        return {row["name"]: row["outcome"] for row in self._newest(name) if row["outcome"] != "ok"}

    def first_row(self, name: str) -> Row | None:
        """Return a row of a file, for facts that are equal in all rows."""
        return next((rows[0] for rows in self.rows(name).values()), None)

    def figure(self, name: str, contender: str, column: str = "seconds") -> Figure | None:
        """Return the figure of a column of a contender. None if it was not measured."""
        values = [row[column] for row in self.rows(name).get(contender, []) if row.get(column) is not None]
        return Figure.of(values) if values else None

    def single_value(self, name: str, row: str, column: str) -> Figure | None:
        """Return a value of a file in SINGLE_VALUE_FILES. None if it was not measured."""
        value = load_rows_by_name(self._folder / f"{name}.jsonl").get(row, {}).get(column)
        return None if value is None else Figure.of([value])

    def stage_seconds(self, name: str, contender: str, stages: tuple[str, ...]) -> float | None:
        """Return the median of the total time of some stages. None if it was not measured."""
        rows = self.rows(name).get(contender)
        if not rows:
            return None
        return float(median(sum(row["stage_seconds"].get(stage, 0.0) for stage in stages) for row in rows))

    def ratio(self, name: str, contender: str, other: str, column: str = "seconds") -> Figure | None:
        """Return the ratio of two medians, with the range of the ratios in each repeat."""
        first, second = self.figure(name, contender, column), self.figure(name, other, column)
        if first is None or second is None:
            return None
        others = {row["repeat"]: row[column] for row in self.rows(name)[other]}
        ratios = [
            row[column] / others[row["repeat"]]
            for row in self.rows(name)[contender]
            if row["repeat"] in others
        ]
        return Figure.of(ratios, first.value / second.value) if ratios else None

    def ratio_per_row(self, name: str, other_name: str, contender: str) -> Figure | None:
        """Return the ratio of the time per row in two files. It has no range of its own."""
        values = []
        for file in (name, other_name):
            figure, row = self.figure(file, contender), self.first_row(file)
            if figure is None or row is None:
                return None
            values.append(figure.value / row["rows"])
        return Figure.of([values[0] / values[1]])


def load_rows_by_name(file: Path) -> dict[str, Row]:
    """Return the newest row of each name. The result is empty if the file does not exist."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}
