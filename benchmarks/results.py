"""Rows of results: one a measured run, in a file of JSON lines; ratios of them, and an honest comparison of two files."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any, NamedTuple

from scipy.stats import t

Row = dict[str, Any]
# A run whose AUC is farther than this from the median of those that train alike is no result.
BAND = 0.005


def load(file: Path) -> list[Row]:
    """Read a file of results."""
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]


def append(file: Path, row: Row) -> None:
    """Add a row to a file of results."""
    with file.open("a") as stream:
        stream.write(json.dumps(row) + "\n")


def out_of_band(rows: list[Row]) -> list[Row]:
    """Return the rows that are no results: another AUC, or other rows kept, than all that do the same."""
    odd = []
    for alike in _groups(rows, "rows", "rounds", "max_depth").values():
        same = [row for row in alike if row["alike"]]
        if same:
            auc, kept = median(row["auc"] for row in same), median(row["kept"] for row in same)
            odd += [row for row in same if abs(row["auc"] - auc) > BAND]
            odd += [row for row in alike if row["kept"] != kept and row not in odd]
    return odd


def _groups(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


class Ratio(NamedTuple):
    """How the times of one side relate to the other's: the mean ratio of pairs, and its 95 % interval."""

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
            return f"{self.mean:.2f} (once)"
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f}, {self.pairs} pairs)"


def ratio(these: list[float], those: list[float]) -> Ratio:
    """Compare values pair by pair, on the logarithmic scale, by Student's t; one pair alone says nothing for sure."""
    logs = [math.log(a / b) for a, b in zip(these, those, strict=False)]
    mean = fmean(logs)
    if len(logs) < 2:
        return Ratio(math.exp(mean), 0.0, math.inf, len(logs))
    half = float(t.ppf(0.975, len(logs) - 1)) * stdev(logs) / math.sqrt(len(logs))
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(logs))


def ratios(rows: list[Row], name: str, value: str = "seconds") -> dict[str, Ratio]:
    """Return how a contender relates to each other one, by the repeats that ran side by side."""
    by_name = _groups(rows, "name")
    mine = {row["repeat"]: row[value] for row in by_name[name,]}
    found = {}
    for (other,), theirs in by_name.items():
        pairs = [(mine[row["repeat"]], row[value]) for row in theirs if row["repeat"] in mine]
        if other != name and pairs:
            found[other] = ratio(*map(list, zip(*pairs, strict=True)))
    return found


def weak(rows: list[Row]) -> list[tuple[int, str, float]]:
    """Return, of runs whose rows grew with their workers, each stage's speed a worker, in shares of the fewest's.

    One of (workers, stage, share) for every stage and for the whole; the means are of all repeats.
    """
    sides = {workers: side for (workers,), side in sorted(_groups(rows, "workers").items())}
    told: list[tuple[int, str, float]] = []
    for stage in (*next(iter(sides.values()))[0]["stages"], "end to end"):
        seconds = {
            workers: fmean(
                row["seconds"] if stage == "end to end" else row["stages"].get(stage, 0.0) for row in side
            )
            for workers, side in sides.items()
        }
        first = next(iter(seconds.values()))
        told += [(workers, stage, first / took) for workers, took in seconds.items() if took]
    return told


class Change(NamedTuple):
    """What has changed from one file of results to another."""

    name: str
    rows: int
    value: str
    ratio: Ratio


def compare(before: list[Row], after: list[Row]) -> list[Change]:
    """Compare time and memory of what both files have, repeat by repeat."""
    names = ("name", "rows", "rounds", "max_depth")
    old, new = _groups(before, *names), _groups(after, *names)
    return [
        Change(
            str(key[0]), int(key[1]), value, ratio([r[value] for r in new[key]], [r[value] for r in old[key]])
        )
        for key in old
        if key in new
        for value in ("seconds", "peak_mb")
    ]
