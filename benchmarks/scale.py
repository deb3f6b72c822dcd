"""The model of cost: fitted on rows of results, and what it says of more rows and workers than any machine here has.

    python -m benchmarks.scale RESULTS [RESULTS ...] --rows 1.7e9 --workers 16,64,256

A stage's seconds are a constant and so much for every row of a core's share; training pays for every round and row, and
for every round and rank that its histograms travel through. What no result can tell, the network, is given.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from benchmarks.results import Row, load

ROW_STAGES = ("checksum", "featurize", "preprocess", "infer")
# Of XGBoost's histograms: two doubles a bin, of every feature, for every node but the last level's, half of them built.
BYTES_A_BIN = 16
# Seconds that the scheduler takes for a task (`python -m benchmarks.scheduler`), and rows in one.
TASK_S, PARTITION_ROWS = 2.5e-3, 500_000


class Cost(NamedTuple):
    """Seconds of a stage: `fixed`, and `row` for every row of a core's share (of training: and for every round)."""

    fixed: float
    row: float

    def at(self, rows: float) -> float:
        """Return the seconds for so many rows a core."""
        return self.fixed + self.row * rows


def fit(rows: list[Row]) -> dict[str, Cost]:
    """Fit every stage's cost to runs of toytip, by least squares of relative errors, none below zero."""
    ours = [row for row in rows if row["name"].startswith("toytip")]
    found = {}
    for stage in (*ROW_STAGES, "train", "the rest"):
        took = np.array([_seconds(row, stage) for row in ours])
        share = np.array([_share(row, stage) for row in ours])
        weight = 1 / np.maximum(took, 0.1)
        found[stage] = Cost(*nnls(np.stack([weight, share * weight], axis=1), took * weight)[0])
    return found


def _seconds(row: Row, stage: str) -> float:
    if stage == "the rest":
        return float(row["seconds"] - sum(row["stages"].values()))
    return float(row["stages"].get(stage, 0.0))


def _share(row: Row, stage: str) -> float:
    if stage == "the rest":  # the driver's own: starting, checking, manifests
        return float(row["rows"])
    share = float(row["rows"]) / min(row["workers"], row["cores"])
    return share * row["rounds"] if stage == "train" else share


def predict(
    costs: dict[str, Cost],
    rows: float,
    workers: int,
    *,
    rounds: int,
    depth: int,
    features: int,
    network: float,
    delay: float,
) -> dict[str, float]:
    """Return the seconds of every stage on `workers` of one core each; `network` in bytes/s, `delay` in seconds."""
    share = rows / workers
    tasks = rows / PARTITION_ROWS * TASK_S
    told = {stage: max(costs[stage].at(share), tasks) for stage in ROW_STAGES}
    told["train"] = costs["train"].at(share * rounds)
    histograms = 2 ** (depth - 1) * features * 256 * BYTES_A_BIN
    ring = 2 * (workers - 1) / workers * histograms / network + depth * 2 * (workers - 1) * delay
    told["histograms"] = rounds * ring if workers > 1 else 0.0
    told["the rest"] = costs["the rest"].at(rows)
    return told


def main() -> int:
    """Print the fitted costs, and the prediction."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--rows", type=float, default=1.7e9)
    parser.add_argument("--workers", default="16,64,256", help="workers of one core each")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--features", type=int, default=11)
    parser.add_argument("--network", type=float, default=1.25e9, help="bytes a second between two workers")
    parser.add_argument("--delay", type=float, default=1e-4, help="seconds from one worker to another")
    options = parser.parse_args()
    rows = [row for file in options.results for row in load(file)]
    costs = fit(rows)
    say = sys.stdout.write
    for stage, cost in costs.items():
        say(
            f"{stage:12s} {cost.fixed:8.2f} s and {cost.row * 1e9:8.2f} ns a row{' and round' * (stage == 'train')}\n"
        )
    for row in (row for row in rows if row["name"].startswith("toytip")):
        say(
            f"{row['rows']:>12,} rows, {row['workers']} workers: {row['seconds']:.0f} s measured, {_again(costs, row):.0f} s by the model\n"
        )
    for workers in map(int, options.workers.split(",")):
        told = predict(
            costs, options.rows, workers, rounds=options.rounds, depth=options.depth, features=options.features,
            network=options.network, delay=options.delay,
        )  # fmt: skip
        stages = ", ".join(f"{stage} {seconds:,.0f}" for stage, seconds in told.items())
        say(f"{options.rows:,.0f} rows, {workers} workers: {sum(told.values()):,.0f} s ({stages})\n")
    return 0


def _again(costs: dict[str, Cost], row: Row) -> float:
    return sum(cost.at(_share(row, stage)) for stage, cost in costs.items())


if __name__ == "__main__":
    sys.exit(main())
