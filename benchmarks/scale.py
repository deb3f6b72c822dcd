"""The model of cost: fitted on rows of results, and what it says of more rows and workers than any machine here has.

    python -m benchmarks.scale RESULTS [RESULTS ...] --rows 1.7e9 --workers 16,64,256

A stage's seconds are a constant and so much for every row of a core's share; training pays for every round and row. What is no
stage of its own here (starting, evaluating, the report, manifests, the end) is the rest. What no result can tell is given, and
added to training: how long the histograms take through the network, for every round and rank.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from benchmarks.arguments import distinct_counts, positive_float, positive_int
from benchmarks.quality import validate_rows
from benchmarks.results import ROW_STAGES, InvalidInputError, Row, is_toytip, load_results

# The stages that are tasks, and those that have a cost of their own.
TASK_STAGES = (*ROW_STAGES, "infer")
FITTED_STAGES = (*TASK_STAGES, "train")
# Of XGBoost's histograms: two doubles a bin, of every feature, for every node but the last level's, half of them built.
BYTES_PER_BIN = 16
# Seconds that the scheduler takes for a task (`python -m benchmarks.scheduler`), and rows in one.
TASK_S, PARTITION_ROWS = 2.5e-3, 500_000


class StageCost(NamedTuple):
    """Seconds of a stage: `fixed_seconds`, and `seconds_per_row` for every row of a core's share (of training: and for every round)."""

    fixed_seconds: float
    seconds_per_row: float

    def predict(self, rows: float) -> float:
        """Return the seconds for so many rows a core."""
        return self.fixed_seconds + self.seconds_per_row * rows


def fit_costs(rows: list[Row]) -> dict[str, StageCost]:
    """Fit every stage's cost to runs of toytip, by least squares of relative errors, none below zero.

    Raises InvalidInputError where the runs are of one size: what is constant, and what grows, cannot be told apart.
    """
    if len({row["rows"] for row in rows}) < 2:
        raise InvalidInputError(
            "these are not runs of toytip on years of two sizes: there is nothing to fit a cost to"
        )
    found = {}
    for stage in (*FITTED_STAGES, "the rest"):
        took = np.array([_seconds(row, stage) for row in rows])
        share = np.array([_rows_per_core(row, stage) for row in rows])
        weight = 1 / np.maximum(took, 0.1)
        found[stage] = StageCost(*nnls(np.stack([weight, share * weight], axis=1), took * weight)[0])
    return found


def _seconds(row: Row, stage: str) -> float:
    if stage == "the rest":
        return float(row["seconds"] - sum(row["stages"].get(name, 0.0) for name in FITTED_STAGES))
    return float(row["stages"].get(stage, 0.0))


def _rows_per_core(row: Row, stage: str) -> float:
    if stage == "the rest":  # the driver's own, most of it
        return float(row["rows"])
    share = float(row["rows"]) / min(row["workers"], row["cores"])
    return share * row["rounds"] if stage == "train" else share


def predict_seconds(
    costs: dict[str, StageCost],
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
    told = {stage: max(costs[stage].predict(share), tasks) for stage in TASK_STAGES}
    told["train"] = costs["train"].predict(share * rounds)
    histograms = 2 ** (depth - 1) * features * 256 * BYTES_PER_BIN
    ring = 2 * (workers - 1) / workers * histograms / network + depth * 2 * (workers - 1) * delay
    told["histograms"] = rounds * ring if workers > 1 else 0.0
    told["the rest"] = costs["the rest"].predict(rows)
    return told


def main() -> int:
    """Print the fitted costs, and the prediction."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--rows", type=positive_float, default=1.7e9)
    parser.add_argument(
        "--workers", type=distinct_counts, default=[16, 64, 256], help="workers of one core each"
    )
    parser.add_argument("--rounds", type=positive_int, default=100)
    parser.add_argument("--depth", type=positive_int, default=8)
    parser.add_argument("--features", type=positive_int, default=11)
    parser.add_argument(
        "--network", type=positive_float, default=1.25e9, help="bytes a second between two workers"
    )
    parser.add_argument(
        "--delay", type=positive_float, default=1e-4, help="seconds from one worker to another"
    )
    options = parser.parse_args()
    try:
        rows = [
            row
            for file in options.results
            for row in validate_rows(load_results(file))
            if row["valid"] and is_toytip(row)
        ]
        costs = fit_costs(rows)
    except InvalidInputError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    say = sys.stdout.write
    for stage, cost in costs.items():
        say(
            f"{stage:12s} {cost.fixed_seconds:8.2f} s and {cost.seconds_per_row * 1e9:8.2f} ns a row{' and round' * (stage == 'train')}\n"
        )
    for row in rows:
        say(
            f"{row['rows']:>12,} rows, {row['workers']} workers: {row['seconds']:.0f} s measured, {_repredict(costs, row):.0f} s by the model\n"
        )
    for workers in options.workers:
        told = predict_seconds(
            costs, options.rows, workers, rounds=options.rounds, depth=options.depth, features=options.features,
            network=options.network, delay=options.delay,
        )  # fmt: skip
        stages = ", ".join(f"{stage} {seconds:,.0f}" for stage, seconds in told.items())
        say(f"{options.rows:,.0f} rows, {workers} workers: {sum(told.values()):,.0f} s ({stages})\n")
    return 0


def _repredict(costs: dict[str, StageCost], row: Row) -> float:
    return sum(cost.predict(_rows_per_core(row, stage)) for stage, cost in costs.items())


if __name__ == "__main__":
    sys.exit(main())
