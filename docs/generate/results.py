"""Read the committed results of the benchmarks, and compute the figures of the documentation."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.quality import validate_rows
from benchmarks.ratios import peer_ratios
from benchmarks.results import (
    RESULTS_FOLDER,
    SINGLE_VALUE_WORKLOADS,
    InvalidInputError,
    Row,
    group_by,
    load_results,
    load_single_values,
    newest_run,
)

FOLDER = RESULTS_FOLDER


@dataclass(frozen=True)
class Series:
    """A series of committed results, and the arguments of the command that measures it."""

    name: str
    arguments: str

    @property
    def command(self) -> str:
        """The command that appends a run of the series."""
        option = "" if self.name in SINGLE_VALUE_WORKLOADS else f" --series {self.name}"
        return f"python -m benchmarks{self.arguments}{option} --output benchmarks/results"


SERIES = {
    series.name: series
    for series in (
        Series("defaults", " run --workloads defaults --workers 2,8 --repeats 5"),
        Series("reruns", ".reruns --repeats 5"),
        Series("1.2-million", " run --workers 2,8 --repeats 5"),
        Series("fhvhv", " run --workloads fhvhv --workers 2,8 --repeats 5"),
        Series(
            "24.6-million",
            " run --rows 2050000 --workers 2,8 --peers lower_bound,polars_xgboost --repeats 3",
        ),
        Series("84-million", " run --rows 7000000 --peers none --repeats 1"),
        Series("workers", " run --workers 1,2,4,8 --peers none --repeats 3"),
        Series("random-forest", " run --peers random_forest_year --repeats 1"),
        Series("every-engine", " run --peers every --repeats 1"),
    )
}


# Series with one row per name. A later row replaces an earlier row with the same name.
SINGLE_VALUE_SERIES = {
    series.name: series
    for series in (
        Series("serving", ".serving"),
        Series("checkout", ".checkout"),
        Series("aa", " aa"),
        Series("auc-band", ".bands"),
    )
}


class Figure(NamedTuple):
    """The median of the repeats with the lowest and highest value, or a ratio with its interval."""

    value: float
    low: float
    high: float
    repeats: int

    @classmethod
    def of(cls, values: list[float], value: float | None = None) -> Figure:
        """Return the figure of the values of all repeats. `value` replaces their median."""
        return cls(median(values) if value is None else value, min(values), max(values), len(values))


class Results:
    """The results of the newest run of each series in a folder.

    If the folder has results of several machines, those of the machine with the most results count.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._all = functools.cache(self._read_all)
        self._newest = functools.cache(self._read)

    def _read_all(self) -> list[Row]:
        """Return the rows of the machine. The result is empty without a result file."""
        machines = group_by(load_results(self._folder), "machine_id")
        return max(machines.values(), key=len, default=[])

    def _read(self, name: str) -> list[Row]:
        """Return the rows of the newest run of a series. The result is empty without such rows.

        Raises InvalidInputError if the run has an invalid result of a contender that did not fail.
        """
        rows = validate_rows(newest_run(row for row in self._all() if row["series"] == name))
        for row in rows:
            if not row["valid"] and row["outcome"] == "ok":
                raise InvalidInputError(f"cannot use series {name}: {row['name']} is invalid: {row['why']}")
        return rows

    def rows(self, name: str) -> dict[str, list[Row]]:
        """Return the valid rows of each contender. The result is empty without the series."""
        valid = [row for row in self._newest(name) if row["valid"]]
        return {contender: found for (contender,), found in group_by(valid, "name").items()}

    def all_rows(self, name: str) -> dict[str, list[Row]]:
        """Return the rows of each contender, also of those that failed."""
        return {contender: found for (contender,), found in group_by(self._newest(name), "name").items()}

    def single_values(self, workload: str) -> dict[str, Row]:
        """Return the newest row of each name, of a series in SINGLE_VALUE_SERIES."""
        return load_single_values(self._folder, workload)

    def failures(self, name: str) -> dict[str, str]:
        """Return the outcome of each contender that failed in a repeat, such as `timeout`."""
        return {row["name"]: row["outcome"] for row in self._newest(name) if row["outcome"] != "ok"}

    def first_row(self, name: str) -> Row | None:
        """Return a row of a series, for facts that are equal in all rows."""
        return next((rows[0] for rows in self.rows(name).values()), None)

    def figure(self, name: str, contender: str, column: str = "seconds") -> Figure | None:
        """Return the figure of a column of a contender. None if it was not measured."""
        values = [row[column] for row in self.rows(name).get(contender, []) if row.get(column) is not None]
        return Figure.of(values) if values else None

    def single_value(self, name: str, row: str, column: str) -> Figure | None:
        """Return a value of a series in SINGLE_VALUE_SERIES. None if it was not measured."""
        value = load_single_values(self._folder, name).get(row, {}).get(column)
        return None if value is None else Figure.of([value])

    def stage_seconds(self, name: str, contender: str, stages: tuple[str, ...]) -> float | None:
        """Return the median of the total time of some stages. None if it was not measured."""
        rows = self.rows(name).get(contender)
        if not rows:
            return None
        return float(median(sum(row["stage_seconds"].get(stage, 0.0) for stage in stages) for row in rows))

    def ratio(self, name: str, contender: str, other: str, column: str = "seconds") -> Figure | None:
        """Return the mean ratio in paired repeats, with its 95 % interval."""
        rows = [row for found in self.rows(name).values() for row in found]
        found = peer_ratios(rows, contender, column).get(other)
        return None if found is None else Figure(found.mean, found.low, found.high, found.pairs)

    def ratio_per_row(self, name: str, other_name: str, contender: str) -> Figure | None:
        """Return the ratio of the time per row in two series. It has no range of its own."""
        values = []
        for file in (name, other_name):
            figure, row = self.figure(file, contender), self.first_row(file)
            if figure is None or row is None:
                return None
            values.append(figure.value / row["rows"])
        return Figure.of([values[0] / values[1]])
