"""Compare toytip with itself (A/A), to see how often `compare` reports a change without a change.

The intervals of `compare` have a level of 95 %. If they are right, about 1 of 20 comparisons of
toytip with itself reports a change.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

from benchmarks import results
from benchmarks.comparison import MeasuredChange, compare_results
from benchmarks.contenders import BenchmarkTask
from benchmarks.harness import measure
from benchmarks.machine.facts import machine_columns, timestamp
from benchmarks.results import Row
from benchmarks.rows import Entry, make_row
from benchmarks.run import print_line, temporary_folder
from benchmarks.run_rows import RunFile
from benchmarks.workloads import ELEVEN_FEATURES, synthetic_source

WORKLOAD = "aa"
SIDES = ("A", "B")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How many comparisons of a contender with itself reported a change of the time."""

    comparisons: int
    pairs: int
    """Pairs of measurements per comparison."""
    no_change: int
    slower: int
    faster: int
    ratios: list[float]
    """Mean ratio of the times of each comparison."""

    @classmethod
    def of(cls, changes: list[MeasuredChange]) -> Summary:
        """Return the summary of comparisons."""
        significant = [change for change in changes if change.ratio.is_significant]
        slower = sum(change.is_slower for change in significant)
        return cls(
            comparisons=len(changes),
            pairs=changes[0].ratio.pairs,
            no_change=len(changes) - len(significant),
            slower=slower,
            faster=len(significant) - slower,
            ratios=[round(change.ratio.mean, 4) for change in changes],
        )


def run_aa(options: argparse.Namespace) -> int:
    """Measure toytip in pairs, compare the sides of each comparison, and print the summary.

    Until all comparisons are finished, the row in the result file is marked as partial.
    """
    results.check_output(options.output)
    source = synthetic_source(options.data, options.rows, options.seed)
    entry = Entry(ELEVEN_FEATURES.make_toytip(options.workers), source)
    task = BenchmarkTask(source.folder, options.rounds, ELEVEN_FEATURES.max_depth)
    keys = {"workload": WORKLOAD, "name": f"{entry.contender.name}, {source.rows:,} rows", "run": timestamp()}
    changes, file = list[MeasuredChange](), RunFile(options.output)
    for trial in range(options.trials):
        changes.append(_compare_once(entry, task, options.repeats, trial))
        print_line(f"comparison {trial}: {changes[-1]}")
        summary, partial = Summary.of(changes), {"partial": len(changes) < options.trials}
        file.replace([{**keys, **asdict(summary), **partial, **machine_columns()}])
    print_line(
        f"no change in {summary.no_change} of {summary.comparisons} comparisons of toytip with itself, "
        f"with {summary.pairs} pairs each"
    )
    return 0


def _compare_once(entry: Entry, task: BenchmarkTask, repeats: int, trial: int) -> MeasuredChange:
    """Return the change of the time from side A to side B. The sides take turns to be first."""
    rows: dict[str, list[Row]] = {side: [] for side in SIDES}
    for repeat in range(repeats):
        for side in SIDES if (repeat + trial) % 2 == 0 else reversed(SIDES):
            rows[side].append(_measure_row(entry, task, {"run": side, "repeat": repeat}))
    seconds, _memory = compare_results(rows["A"], rows["B"])
    return seconds


def _measure_row(entry: Entry, task: BenchmarkTask, keys: Row) -> Row:
    with temporary_folder() as out:
        measurement = measure(entry.contender.command(task, out))
        output = entry.contender.read_output(measurement, out)
    # The AUC of a model of few rows and rounds is of no interest here.
    row = make_row(entry, task, measurement, output, {"seconds": measurement.wall_s, "auc": 0.0})
    return {**keys, "workload": ELEVEN_FEATURES.name, "valid": True, **row}
