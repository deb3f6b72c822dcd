"""Fit a cost model to measured results, and predict the time for more rows and workers.

    python -m benchmarks.cost_model RESULTS [RESULTS ...] --rows 1.7e9 --workers 16,64,256

The model predicts the seconds of a stage as a constant, plus a cost per row times the number of
rows per core. For training, the cost is per row and round. Everything else (start, evaluation,
report, manifests) is the remainder. Results from one machine do not include network time. The time
of the histogram allreduce is therefore computed from the bytes and the latency per round.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from benchmarks.arguments import distinct_counts, positive_float, positive_int
from benchmarks.quality import validate_rows
from benchmarks.results import PARTITION_STAGES, InvalidInputError, Row, is_toytip, load_results

TASK_STAGES = (*PARTITION_STAGES, "infer")
FITTED_STAGES = (*TASK_STAGES, "train")
REMAINDER = "remainder"
# For each tree node up to the last level, XGBoost has a histogram with two doubles per bin of each
# feature. XGBoost builds half of the histograms, and computes the others as differences.
BYTES_PER_BIN = 16
BINS = 256
# Seconds that the scheduler needs per task (`python -m benchmarks.scheduler`), and rows per task.
TASK_S, PARTITION_ROWS = 2.5e-3, 500_000


class StageCost(NamedTuple):
    """The cost of a stage: constant seconds, and seconds per row on one core.

    For training, the second value is in seconds per row and round.
    """

    fixed_seconds: float
    seconds_per_row: float

    def predict(self, rows: float) -> float:
        """Return the seconds for a number of rows per core."""
        return self.fixed_seconds + self.seconds_per_row * rows


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training that is predicted, and the network between the workers."""

    rounds: int
    depth: int
    features: int
    network: float
    """Bytes per second between two workers."""
    delay: float
    """Latency in seconds from one worker to another."""

    def allreduce_seconds(self, workers: int) -> float:
        """Return the seconds that all ring allreduces of the histograms take."""
        histograms = 2 ** (self.depth - 1) * self.features * BINS * BYTES_PER_BIN
        transfer = 2 * (workers - 1) / workers * histograms / self.network
        latency = self.depth * 2 * (workers - 1) * self.delay
        return self.rounds * (transfer + latency) if workers > 1 else 0.0


def fit_costs(rows: list[Row]) -> dict[str, StageCost]:
    """Fit the cost of every stage with non-negative least squares on relative errors.

    Raises InvalidInputError if all runs have the same number of rows.
    """
    if len({row["rows"] for row in rows}) < 2:
        raise InvalidInputError(
            "cannot fit the costs: no two valid results of toytip differ in their number of rows"
        )
    costs = {}
    for stage in (*FITTED_STAGES, REMAINDER):
        seconds = np.array([_seconds(row, stage) for row in rows])
        share = np.array([_rows_per_core(row, stage) for row in rows])
        weight = 1 / np.maximum(seconds, 0.1)
        costs[stage] = StageCost(*nnls(np.stack([weight, share * weight], axis=1), seconds * weight)[0])
    return costs


def _seconds(row: Row, stage: str) -> float:
    if stage == REMAINDER:
        return float(row["seconds"] - sum(row["stage_seconds"].get(name, 0.0) for name in FITTED_STAGES))
    return float(row["stage_seconds"].get(stage, 0.0))


def _rows_per_core(row: Row, stage: str) -> float:
    if stage == REMAINDER:  # the client process does most of this work
        return float(row["rows"])
    if stage == "train":  # one worker trains with all cores
        return float(row["rows"]) / row["cores"] * row["rounds"]
    return float(row["rows"]) / min(row["workers"], row["cores"])


def predict_seconds(
    costs: dict[str, StageCost], rows: float, workers: int, training: Training
) -> dict[str, float]:
    """Return the predicted seconds of every stage on workers with one core each."""
    share = rows / workers
    scheduling = rows / PARTITION_ROWS * TASK_S
    seconds = {stage: max(costs[stage].predict(share), scheduling) for stage in TASK_STAGES}
    seconds["train"] = costs["train"].predict(share * training.rounds)
    seconds["histograms"] = training.allreduce_seconds(workers)
    seconds[REMAINDER] = costs[REMAINDER].predict(rows)
    return seconds


def main() -> int:
    """Print the fitted costs and the predictions. Return 0, or exit with 2 for invalid results."""
    parser = _parser()
    options = parser.parse_args()
    try:
        rows = [
            row
            for file in options.results
            for row in validate_rows(load_results(file))
            if row["valid"] and is_toytip(row) and row["workload"] == "eleven-features"
        ]
        costs = fit_costs(rows)
    except InvalidInputError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    _print_costs(costs, rows)
    training = Training(
        rounds=options.rounds,
        depth=options.depth,
        features=options.features,
        network=options.network,
        delay=options.delay,
    )
    for workers in options.workers:
        seconds = predict_seconds(costs, options.rows, workers, training)
        stages = ", ".join(f"{stage} {value:,.0f}" for stage, value in seconds.items())
        print(f"{options.rows:,.0f} rows, {workers} workers: {sum(seconds.values()):,.0f} s ({stages})")
    return 0


def _print_costs(costs: dict[str, StageCost], rows: list[Row]) -> None:
    for stage, cost in costs.items():
        unit = "row and round" if stage == "train" else "row"
        print(f"{stage:12s} {cost.fixed_seconds:8.2f} s + {cost.seconds_per_row * 1e9:8.2f} ns per {unit}")
    for row in rows:
        fitted = sum(cost.predict(_rows_per_core(row, stage)) for stage, cost in costs.items())
        print(
            f"{row['rows']:>12,} rows, {row['workers']} workers: "
            f"{row['seconds']:.0f} s measured, {fitted:.0f} s fitted"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_model", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="result files")
    parser.add_argument(
        "--rows", type=positive_float, default=1.7e9, help="number of rows to predict the time for"
    )
    parser.add_argument(
        "--workers", type=distinct_counts, default=[16, 64, 256], help="numbers of workers with one core each"
    )
    parser.add_argument("--rounds", type=positive_int, default=100, help="boosting rounds")
    parser.add_argument("--depth", type=positive_int, default=8, help="maximum depth of a tree")
    parser.add_argument("--features", type=positive_int, default=11, help="number of features")
    parser.add_argument(
        "--network",
        type=positive_float,
        default=1.25e9,
        help="network bandwidth between two workers in bytes per second",
    )
    parser.add_argument(
        "--delay",
        type=positive_float,
        default=1e-4,
        help="network latency from one worker to another in seconds",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
