"""Ratios: of contenders that ran side by side, and of workers among more and more of them."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import NamedTuple

from scipy.stats import t

from benchmarks.results import ROW_STAGES, Row, group_by


class Ratio(NamedTuple):
    """How the values of one side relate to the other's: the mean ratio of pairs, and its 95 % interval."""

    mean: float
    low: float
    high: float
    pairs: int

    @property
    def changed(self) -> bool:
        """Whether the interval leaves out 1: only then has anything changed."""
        return not self.low <= 1 <= self.high

    def __str__(self) -> str:
        """As people read it."""
        if self.pairs < 2:
            return f"{self.mean:.2f} (one repeat: no spread)"
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f}, {self.pairs} pairs)"


def paired_ratio(these: list[float], those: list[float]) -> Ratio:
    """Compare values pair by pair, on the logarithmic scale, by Student's t; one pair alone says nothing for sure."""
    logs = [math.log(a / b) for a, b in zip(these, those, strict=True)]
    mean = fmean(logs)
    if len(logs) < 2:
        return Ratio(math.exp(mean), 0.0, math.inf, len(logs))
    half = float(t.ppf(0.975, len(logs) - 1)) * stdev(logs) / math.sqrt(len(logs))
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(logs))


def peer_ratios(rows: list[Row], name: str, value: str = "seconds") -> dict[str, Ratio]:
    """Return how a contender relates to each other one of its run, by the repeats that ran side by side."""
    by_name = group_by([row for row in rows if row[value] > 0], "name")
    mine = {row["repeat"]: row[value] for row in by_name.get((name,), [])}
    found = {}
    for (other,), theirs in by_name.items():
        pairs = [(mine[row["repeat"]], row[value]) for row in theirs if row["repeat"] in mine]
        if other != name and pairs:
            found[other] = paired_ratio(*map(list, zip(*pairs, strict=True)))
    return found


def weak_scaling(rows: list[Row]) -> list[tuple[int, str, float]]:
    """Return, of runs whose rows grew with their workers, each stage's speed a worker, in shares of the fewest's.

    One of (workers, stage, share) for every stage, for the row stages together and for the whole, of all repeats.
    """
    sides = {workers: side for (workers,), side in sorted(group_by(rows, "workers").items())}
    stages = dict.fromkeys(stage for row in rows for stage in row["stages"])
    told: list[tuple[int, str, float]] = []
    for stage in (*stages, "row stages", "end to end"):
        seconds = {workers: fmean(_seconds(row, stage) for row in side) for workers, side in sides.items()}
        first = next(iter(seconds.values()))
        told += [(workers, stage, first / took) for workers, took in seconds.items() if took]
    return told


def _seconds(row: Row, stage: str) -> float:
    if stage == "end to end":
        return float(row["seconds"])
    return float(
        sum(row["stages"].get(name, 0.0) for name in (ROW_STAGES if stage == "row stages" else (stage,)))
    )
