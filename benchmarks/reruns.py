"""Measure runs in a store that already has most of the output: `python -m benchmarks.reruns`.

Each repeat measures three commands with default settings: a complete run in a new store, the same
command again, and a run that scores the latest month with the champion. The store of the third
command is a copy of a store with a run of all earlier months.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.arguments import add_output_option, add_source_options, positive_int
from benchmarks.contenders import BenchmarkTask, Contender, ContenderOutput, last_month_auc, read_toytip
from benchmarks.harness import Measurement, exit_on_sigterm, measure
from benchmarks.machine.facts import timestamp
from benchmarks.results import RESULTS_FILE, InvalidInputError, Row, check_output
from benchmarks.rows import Entry, make_row
from benchmarks.run import print_ratios, print_row, report_invalid, temporary_folder
from benchmarks.run_rows import RunRows
from benchmarks.workloads import DEFAULTS, BenchmarkSource, real_source, synthetic_source

WORKLOAD = "reruns"
# `toytip run --model` exits with 3 if an alert fires.
EXIT_CODES = (0, 3)


@dataclass(frozen=True)
class Reruns:
    """The commands of the benchmark, and the store with all months but the latest."""

    full: Entry
    new_month: Entry
    task: BenchmarkTask
    earlier_store: Path

    @property
    def unchanged(self) -> Entry:
        """The command of the full run, under its own name."""
        return self.full._replace(
            contender=replace(self.full.contender, name=f"{self.full.contender.name}-unchanged")
        )

    def measure_full_and_unchanged(self) -> list[Row]:
        """Measure a run in a new store, and the same command again."""
        with temporary_folder() as store:
            full, _ = self._measure(self.full, store)
            before = _published(store)
            unchanged, measurement = self._measure(self.unchanged, store)
            published = _published(store) - before
        result = json.loads(measurement.output.splitlines()[-1])
        unchanged["stage_seconds"] = {}  # those in the output are of the earlier run
        if published or not result["up_to_date"]:
            unchanged["why"] = f"it published {len(published)} tables, although nothing had changed"
        return [full, unchanged]

    def measure_new_month(self) -> list[Row]:
        """Measure a run that scores the latest month with the champion."""
        with temporary_folder() as store:
            shutil.copytree(self.earlier_store, store, dirs_exist_ok=True)
            row, measurement = self._measure(self.new_month, store)
        if "train" in json.loads(measurement.output.splitlines()[-1])["stage_seconds"]:
            row["why"] = "it trained a model"
        return [row]

    def _measure(self, entry: Entry, store: Path) -> tuple[Row, Measurement]:
        measurement = measure(entry.contender.command(self.task, store), exit_codes=EXIT_CODES)
        output: ContenderOutput = entry.contender.read_output(measurement, store)
        auc = round(last_month_auc(output.predictions), 5)
        measured = {"seconds": measurement.wall_s, "auc": auc}
        return make_row(entry, self.task, measurement, output, measured), measurement


def _published(store: Path) -> set[tuple[str, str]]:
    """Return the tables of a store, with their versions."""
    from toytip.config import Settings
    from toytip.store.store import store_from_settings

    manifests = store_from_settings(Settings.load(store=str(store), env="dev")).list_manifests()
    return {(manifest.table, manifest.version) for manifest in manifests}


def _make_reruns(source: BenchmarkSource, workers: int, rounds: int | None, store: Path) -> Reruns:
    """Run all months but the latest in a store, and return the commands to measure."""
    from toytip.sources.discovery import open_source

    files = open_source(str(source.folder)).files
    task = BenchmarkTask(source.folder, rounds=rounds or DEFAULTS.rounds, max_depth=DEFAULTS.max_depth)
    full = DEFAULTS.make_toytip(workers)
    months = ",".join(str(file.month) for file in files[:-1])
    earlier = measure([*full.command(task, store), "--months", months])
    status = json.loads(earlier.output.splitlines()[-1])["status"]
    if status != "passed":
        raise InvalidInputError(f"cannot score a month with the champion: the run of {months} is {status}")

    def score_latest(task: BenchmarkTask, out: Path) -> list[str]:
        options = ("--source", task.source, "--store", out, "--workers", workers, "--months", files[-1].month)
        return ["-m", "toytip", "run", "--json", "--model", "champion", *map(str, options)]

    latest = Contender(f"{full.name}-new-month", workers, score_latest, read_toytip)
    month = replace(source, rows=files[-1].rows)
    return Reruns(Entry(full, source), Entry(latest, month), task, store)


def run_reruns(options: argparse.Namespace) -> int:
    """Measure the commands in turns. Return 1 if a result is invalid, else 0."""
    check_output(options.output)
    source = real_source(options.source) or synthetic_source(options.data, options.rows, options.seed)
    with temporary_folder() as store, RunRows(options.output) as run:
        reruns = _make_reruns(source, options.workers, options.rounds, store)
        keys = {"run": timestamp(), "series": options.series, "workload": WORKLOAD}
        for repeat in range(options.repeats):
            _run_repeat(run, reruns, {**keys, "repeat": repeat})
    valid = [row for row in run.rows if row["valid"]]
    for name in (reruns.unchanged.contender.name, reruns.new_month.contender.name):
        print_ratios(valid, name)
    return report_invalid(run.rows)


def _run_repeat(run: RunRows, reruns: Reruns, keys: Row) -> None:
    """Measure each command once, and store each result."""
    measured: list[Row] = []
    for measure_ in _order(reruns, keys["repeat"]):
        found = [{**keys, **row} for row in measure_()]
        measured += found
        run.store(keys["repeat"], measured)
        for row in found:
            print_row(row)


def _order(reruns: Reruns, repeat: int) -> list[Callable[[], list[Row]]]:
    """Return the measurements of a repeat, in an order that changes with each repeat."""
    order = [reruns.measure_full_and_unchanged, reruns.measure_new_month]
    return order if repeat % 2 == 0 else order[::-1]


def main() -> int:
    """Run the command. Return 1 if a result is invalid, and exit with 2 for invalid input."""
    parser = make_parser()
    options = parser.parse_args()
    exit_on_sigterm()
    try:
        return run_reruns(options)
    except (InvalidInputError, OSError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except KeyboardInterrupt:
        parser.exit(128 + signal.SIGINT, f"{parser.prog}: interrupted\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reruns",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_source_options(parser)
    parser.add_argument("--workers", type=positive_int, default=2, help="number of toytip workers")
    parser.add_argument("--rounds", type=positive_int, help="maximum number of boosting rounds")
    parser.add_argument("--repeats", type=positive_int, default=3, help="number of repeats")
    parser.add_argument("--series", default="", help="name of the measurement in the tables of the pages")
    add_output_option(parser, RESULTS_FILE)
    return parser


if __name__ == "__main__":
    sys.exit(main())
