"""Ratios between contenders of the same run, and between numbers of workers."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import NamedTuple

from scipy.stats import t

from benchmarks.results import PARTITION_STAGES, Row, group_by


class Ratio(NamedTuple):
    """The mean ratio of paired values, with its 95 % confidence interval."""

    mean: float
    low: float
    high: float
    pairs: int

    @property
    def is_significant(self) -> bool:
        """Whether the interval does not contain 1."""
        return not self.low <= 1 <= self.high

    def __str__(self) -> str:
        """Return the ratio as text."""
        if self.pairs < 2:
            return f"{self.mean:.2f} (one repeat: no interval)"
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f}, {self.pairs} pairs)"


def paired_ratio(numerators: list[float], denominators: list[float]) -> Ratio:
    """Return the geometric mean ratio of pairs, with a Student's t interval of the logarithms.

    A single pair has an infinite interval.
    """
    logs = [math.log(a / b) for a, b in zip(numerators, denominators, strict=True)]
    mean = fmean(logs)
    if len(logs) < 2:
        return Ratio(math.exp(mean), 0.0, math.inf, len(logs))
    half_width = float(t.ppf(0.975, len(logs) - 1)) * stdev(logs) / math.sqrt(len(logs))
    return Ratio(math.exp(mean), math.exp(mean - half_width), math.exp(mean + half_width), len(logs))


def peer_ratios(rows: list[Row], name: str, column: str = "seconds") -> dict[str, Ratio]:
    """Return the ratio of a contender to each other contender, paired by repeat."""
    by_name = group_by([row for row in rows if row[column] > 0], "name")
    values = {row["repeat"]: row[column] for row in by_name.get((name,), [])}
    ratios = {}
    for (other,), other_rows in by_name.items():
        pairs = [(values[row["repeat"]], row[column]) for row in other_rows if row["repeat"] in values]
        if other != name and pairs:
            ratios[other] = paired_ratio(*map(list, zip(*pairs, strict=True)))
    return ratios


def weak_scaling(rows: list[Row]) -> list[tuple[int, str, float]]:
    """Return (workers, stage, efficiency) of runs whose rows are proportional to their workers.

    The efficiency is the speed per worker, relative to the speed per worker of the run with the
    fewest workers. It is computed for each stage, for all partition-wise stages together, and for
    the complete run.
    """
    by_workers = {workers: runs for (workers,), runs in sorted(group_by(rows, "workers").items())}
    stages = dict.fromkeys(stage for row in rows for stage in row["stage_seconds"])
    efficiencies: list[tuple[int, str, float]] = []
    for stage in (*stages, "partition-wise", "total"):
        seconds = {
            workers: fmean(_seconds(row, stage) for row in runs) for workers, runs in by_workers.items()
        }
        baseline = next(iter(seconds.values()))
        efficiencies += [(workers, stage, baseline / value) for workers, value in seconds.items() if value]
    return efficiencies


def _seconds(row: Row, stage: str) -> float:
    if stage == "total":
        return float(row["seconds"])
    stages = PARTITION_STAGES if stage == "partition-wise" else (stage,)
    return float(sum(row["stage_seconds"].get(name, 0.0) for name in stages))
