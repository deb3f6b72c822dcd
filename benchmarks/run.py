"""Measure toytip and its peers, which take turns on the same months, repeat by repeat."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from benchmarks import results
from benchmarks.conformance.differences import ScoredDays
from benchmarks.conformance.run import check_output, conform
from benchmarks.contenders import BenchmarkTask, Contender, ContenderOutput, last_month_auc
from benchmarks.engine_folders import InstallationError
from benchmarks.harness import CommandFailedError, Limits, Measurement, measure
from benchmarks.machine.activity import describe_noise, drop_page_cache, observe, read_ticks
from benchmarks.machine.facts import timestamp
from benchmarks.ratios import peer_ratios, weak_scaling
from benchmarks.results import InvalidInputError, Level, Row
from benchmarks.rows import Entry, cost_columns, engine_columns, failed_row, make_row
from benchmarks.run_rows import RunRows
from benchmarks.workloads import WORKLOADS, BenchmarkSource, Workload, real_source, synthetic_source

PRINTED_COLUMNS = (
    "name",
    "repeat",
    "outcome",
    "seconds",
    "first_task_s",
    "cpu_s",
    "peak_mb",
    "rows_per_second",
    "auc",
)
FAILURE_COLUMNS = ("name", "repeat", "outcome", "seconds", "peak_mb")


class Measured(NamedTuple):
    """The row of a contender, and its predictions of the test month if they are comparable."""

    row: Row
    scored: ScoredDays | None


def run_benchmarks(options: argparse.Namespace) -> int:
    """Measure all contenders, print ratios, and add the results to the result file.

    Returns 1 if a result is invalid, else 0.
    """
    results.check_output(options.output)
    if options.weak and options.workloads != ["eleven-features"]:
        raise InvalidInputError("--weak measures the workload eleven-features only")
    if options.cold:
        drop_page_cache()  # fail early without the right to do so
    rows = [row for name in options.workloads for row in _run_workload(WORKLOADS[name], options)]
    return report_invalid(rows)


def report_invalid(rows: list[Row]) -> int:
    """Print the noisy and the invalid results. Return 1 if there are invalid ones, else 0."""
    for row in rows:
        if row["noisy"]:
            print_line(f"noisy result: {row['name']}, repeat {row['repeat']}: {row['noise']}")
    invalid = [row for row in rows if not row["valid"]]
    for row in invalid:
        print_line(f"invalid result: {row['name']}, repeat {row['repeat']}: {row['why']}")
    return int(bool(invalid))


def _run_workload(workload: Workload, options: argparse.Namespace) -> list[Row]:
    """Measure all contenders of a workload in each repeat, and print the ratios."""
    entries = _entries(workload, options)
    features = _conform(workload, entries, options)
    keys = {"run": timestamp(), "series": options.series, "workload": workload.name}
    with RunRows(options.output) as run:
        for repeat in range(options.repeats):
            _run_repeat(run, rotate(entries, repeat), workload, options, {**keys, "repeat": repeat}, features)
    print_line("")
    valid = [row for row in run.rows if row["valid"]]
    if options.weak:
        _print_weak_scaling(valid)
    else:
        print_ratios(valid, entries[0].contender.name)
    return run.rows


def _entries(workload: Workload, options: argparse.Namespace) -> list[Entry]:
    """Return toytip with each number of workers, then the peers."""
    sources = {
        workers: _source(workload, options, options.rows * (workers if options.weak else 1))
        for workers in options.workers
    }
    peers = [] if options.weak else workload.select_peers(options.peers)
    first = sources[options.workers[0]]
    return [
        *(Entry(workload.make_toytip(workers), sources[workers]) for workers in options.workers),
        *(Entry(peer, first) for peer in peers),
    ]


def _source(workload: Workload, options: argparse.Namespace, rows_per_month: int) -> BenchmarkSource:
    """Return real months for the workload `defaults` if there are any, else a synthetic year."""
    real = real_source(options.source) if workload.name == "defaults" else None
    return real or synthetic_source(options.data, rows_per_month, options.seed, workload.taxi)


def _conform(workload: Workload, entries: list[Entry], options: argparse.Namespace) -> dict[str, Level]:
    """Return the level `features` of each contender, from untimed runs on a small year."""
    if not workload.defines_features:
        cause = "the job does not define the values of the features"
    elif not options.conformance_rows:
        cause = "the option --conformance-rows is 0"
    else:
        source = synthetic_source(options.data, options.conformance_rows, options.seed, workload.taxi)
        levels, limits = {}, Limits(options.timeout, options.memory_mb)
        for contender, _ in entries:
            levels[contender.name] = conform(contender, source, options.environments, limits)
            print_line(f"features of {contender.name}: {levels[contender.name]}")
        return levels
    return {entry.contender.name: Level.not_checked(cause) for entry in entries}


def rotate(entries: list[Entry], repeat: int) -> list[Entry]:
    """Return the entries in an order that starts with a different entry in each repeat."""
    first = repeat % len(entries)
    return entries[first:] + entries[:first]


def _run_repeat(
    run: RunRows,
    entries: list[Entry],
    workload: Workload,
    options: argparse.Namespace,
    keys: Row,
    features: dict[str, Level],
) -> None:
    """Measure all contenders once, and store each result. A failure is a row with the cause."""
    measured: list[Measured] = []
    for entry in entries:
        task = BenchmarkTask(
            entry.source.folder,
            rounds=options.rounds or workload.rounds,
            max_depth=options.max_depth or workload.max_depth,
            memory_mb=options.memory_mb,
        )
        row, scored = _measure_entry(entry, task, options)
        row["conformance"]["features"] = asdict(features[entry.contender.name])
        measured.append(Measured({**keys, **row, "auc_difference": None}, scored))
        _add_differences(measured, f"toytip-{options.workers[0]}")
        run.store(keys["repeat"], (row for row, _ in measured))
        print_row(measured[-1].row)


def _add_differences(measured: list[Measured], reference: str) -> None:
    """Add the paired difference of each AUC to the AUC of a contender, if both are measured."""
    first = {row["name"]: scored for row, scored in measured}.get(reference)
    for row, own in measured:
        is_new = row["auc_difference"] is None and row["name"] != reference
        if is_new and own is not None and first is not None:
            found = own.difference_to(first)
            low, high = found.interval or (None, None)
            row["auc_difference"] = {"to": reference, "difference": found.value, "low": low, "high": high}


def print_row(row: Row) -> None:
    """Print the most important columns of a result, or the cause if there is no result."""
    has_failed = row["outcome"] != "ok"
    columns = FAILURE_COLUMNS if has_failed else PRINTED_COLUMNS
    texts = [f"{column} {row[column]}" for column in columns]
    print_line("  ".join([*texts, *([row["why"]] if has_failed else [])]))


def _print_weak_scaling(rows: list[Row]) -> None:
    """Print the efficiency of each stage, then that of all partition-wise stages and of the run."""
    efficiencies = {
        (workers, stage): f"{efficiency:.2f}"
        for workers, stage, efficiency in (weak_scaling(rows) if rows else ())
    }
    for (workers, stage), efficiency in efficiencies.items():
        print_line(f"{workers} workers, {stage}: {efficiency}")
    for workers in dict.fromkeys(workers for workers, _ in efficiencies):
        summary = (
            f"{stage} {efficiencies[workers, stage]}" for stage in ("partition-wise", "infer", "total")
        )
        print_line(f"{workers} workers: {', '.join(summary)}")


def print_ratios(rows: list[Row], name: str) -> None:
    """Print time and peak memory of a contender, divided by those of each other contender."""
    for column, label in (("seconds", "time"), ("peak_mb", "peak memory")):
        for other, ratio in peer_ratios(rows, name, column).items():
            print_line(f"{label}, {name} / {other}: {ratio}")


def _measure_entry(entry: Entry, task: BenchmarkTask, options: argparse.Namespace) -> Measured:
    """Run a contender, and return its result as a row, even if the contender fails."""
    contender = entry.contender
    with temporary_folder() as out:
        try:
            program, variables = contender.program(options.environments)
            activity, measurement = _measure_in_quiet(
                contender, task, out, program, variables, options=options
            )
            output, auc = _read_result(contender, measurement, out)
        except InstallationError as error:
            failure = CommandFailedError(str(error), "not installed", Measurement())
            return Measured(_with_levels(failed_row(entry, task, failure), options), None)
        except CommandFailedError as error:
            return Measured(_with_levels(failed_row(entry, task, error), options), None)
        level, scored = check_output(output.predictions, entry.source)
    stage_total = round(sum(output.stage_seconds.values()), 3)
    seconds = measurement.wall_s if contender.uses_wall_time else stage_total
    measured = {"seconds": seconds, "auc": round(auc, 5)}
    row = make_row(entry, task, measurement, output, measured)
    row |= {**engine_columns(contender, options.environments), **activity}
    return Measured(_with_levels(row, options, level), scored)


def _with_levels(row: Row, options: argparse.Namespace, level: Level | None = None) -> Row:
    """Return a row with its conformance levels, and with the columns that the options determine."""
    levels = {name: asdict(Level.not_checked()) for name in results.LEVELS}
    levels["rows"] = asdict(level or Level.not_checked("there are no predictions"))
    return {**row, "cold": options.cold, "conformance": levels, **cost_columns(row, options.price)}


def _measure_in_quiet(
    contender: Contender,
    task: BenchmarkTask,
    out: Path,
    program: str,
    variables: dict[str, str],
    *,
    options: argparse.Namespace,
) -> tuple[Row, Measurement]:
    """Measure a contender, and the other work on the machine before and after it."""
    command = contender.command(task, out)
    if options.cold:
        drop_page_cache()
    before, start = observe(), read_ticks()
    measurement = measure(
        command,
        name=contender.name,
        isolated=contender.isolated,
        program=program,
        variables=variables,
        limits=Limits(options.timeout, options.memory_mb),
    )
    end = read_ticks()
    steal = end.steal_since(start) if start and end else 0.0
    after = observe()
    noise = describe_noise(before, after, steal)
    activity = {
        "before": asdict(before) if before else None,
        "after": asdict(after) if after else None,
        "steal": round(steal, 4),
    }
    return {"noisy": bool(noise), "noise": noise, "activity": activity}, measurement


def _read_result(contender: Contender, measurement: Measurement, out: Path) -> tuple[ContenderOutput, float]:
    """Return the output of a contender, and the AUC of its predictions.

    Raises CommandFailedError if the contender has not written its output as it must.
    """
    try:
        output = contender.read_output(measurement, out)
        return output, last_month_auc(output.predictions)
    except (OSError, ValueError, LookupError) as error:
        cause = f"cannot use the output of {contender.name}: {type(error).__name__}: {error}"
        raise CommandFailedError(cause, "failed", measurement) from None


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create an empty folder for the output of a contender, and delete it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="toytip-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def print_line(text: str) -> None:
    """Print a line immediately, without buffering."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
