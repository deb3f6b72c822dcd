"""Measure toytip and its peers, which take turns on the same months, repeat by repeat."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.metadata
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks import results
from benchmarks.contenders import BenchmarkTask, Contender, ContenderOutput, last_month_auc
from benchmarks.engine_folders import engine_versions, prepare_environment
from benchmarks.harness import CommandFailedError, Limits, Measurement, loopback_prefix, measure
from benchmarks.quality import validate_rows
from benchmarks.ratios import peer_ratios, weak_scaling
from benchmarks.results import InvalidInputError, Row
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
# Maximum number of samples of the memory in a row.
MEMORY_SAMPLES = 100


class Entry(NamedTuple):
    """A contender of a run, with the months that it processes."""

    contender: Contender
    source: BenchmarkSource


def run_benchmarks(options: argparse.Namespace) -> int:
    """Measure all contenders, print ratios, and append the results to the result file.

    Returns 1 if a result is invalid, else 0.
    """
    options.output.open("a").close()  # fail early if the file is not writable
    if options.weak and options.workloads != ["eleven-features"]:
        raise InvalidInputError("--weak measures the workload eleven-features only")
    rows = [row for name in options.workloads for row in _run_workload(WORKLOADS[name], options)]
    return report_invalid(rows)


def report_invalid(rows: list[Row]) -> int:
    """Print the invalid results. Return 1 if there are any, else 0."""
    invalid = [row for row in rows if not row["valid"]]
    for row in invalid:
        print_line(f"invalid result: {row['name']}, repeat {row['repeat']}: {row['why']}")
    return int(bool(invalid))


def _run_workload(workload: Workload, options: argparse.Namespace) -> list[Row]:
    """Measure all contenders of a workload in each repeat, and print the ratios."""
    entries = _entries(workload, options)
    run = timestamp()
    rows: list[Row] = []
    for repeat in range(options.repeats):
        rows += _run_repeat(rotate(entries, repeat), workload, options, {"run": run, "repeat": repeat})
    print_line("")
    valid = [row for row in rows if row["valid"]]
    if options.weak:
        _print_weak_scaling(valid)
    else:
        print_ratios(valid, entries[0].contender.name)
    return rows


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
    return real or synthetic_source(options.data, rows_per_month, options.seed)


def rotate(entries: list[Entry], repeat: int) -> list[Entry]:
    """Return the entries in an order that starts with a different entry in each repeat."""
    first = repeat % len(entries)
    return entries[first:] + entries[:first]


def _run_repeat(
    entries: list[Entry], workload: Workload, options: argparse.Namespace, keys: Row
) -> list[Row]:
    """Measure all contenders once. A contender that fails has a row with the cause."""
    rows: list[Row] = []
    try:
        for entry in entries:
            task = BenchmarkTask(
                entry.source.folder,
                rounds=options.rounds or workload.rounds,
                max_depth=options.max_depth or workload.max_depth,
                memory_mb=options.memory_mb,
            )
            row = _measure_entry(entry, task, options)
            rows.append({**keys, "workload": workload.name, **row})
            print_row(rows[-1])
    finally:
        rows = store_rows(options.output, rows)
    return rows


def print_row(row: Row) -> None:
    """Print the most important columns of a result."""
    print_line("  ".join(f"{column} {row[column]}" for column in PRINTED_COLUMNS))


def store_rows(file: Path, rows: list[Row]) -> list[Row]:
    """Append results of a repeat to a result file, and return them with their validity."""
    rows = validate_rows(rows)
    for row in rows:
        results.append_result(file, row)
    return rows


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


def _measure_entry(entry: Entry, task: BenchmarkTask, options: argparse.Namespace) -> Row:
    """Run a contender, and return its result as a row, even if the contender fails."""
    contender = entry.contender
    program, variables = contender.program(options.environments)
    out = Path(tempfile.mkdtemp(prefix="toytip-bench-"))
    try:
        measurement = measure(
            contender.command(task, out),
            isolated=contender.isolated,
            program=program,
            variables=variables,
            limits=Limits(options.timeout, options.memory_mb),
        )
        output, auc = _read_result(contender, measurement, out)
    except CommandFailedError as error:
        return _failed_row(entry, task, error)
    finally:
        shutil.rmtree(out)
    stage_total = round(sum(output.stage_seconds.values()), 3)
    seconds = measurement.wall_s if contender.uses_wall_time else stage_total
    measured = {"seconds": seconds, "auc": round(auc, 5)}
    return {**make_row(entry, task, measurement, output, measured), **_engine_columns(contender, options)}


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


def _failed_row(entry: Entry, task: BenchmarkTask, error: CommandFailedError) -> Row:
    """Return the row of a contender that failed or exceeded a limit."""
    output = ContenderOutput({}, 0, Path(), (), 0)
    measured = {"seconds": max(error.measurement.wall_s, 0.001), "auc": 0.0}
    row = make_row(entry, task, error.measurement, output, measured)
    return {**row, "outcome": error.outcome, "valid": False, "why": str(error)}


def _engine_columns(contender: Contender, options: argparse.Namespace) -> Row:
    """Return the columns that only the result of an engine has."""
    if contender.engine is None:
        return {}
    programs = prepare_environment(contender.engine, options.environments)
    versions = engine_versions(contender.engine, programs)
    return {"kind": contender.engine.kind, "engine_versions": versions}


def make_row(
    entry: Entry, task: BenchmarkTask, measurement: Measurement, output: ContenderOutput, measured: Row
) -> Row:
    """Return the row of a result. `measured` has the columns `seconds` and `auc`."""
    contender, source = entry
    return {
        "name": contender.name,
        "workers": contender.workers,
        "trains_alike": contender.trains_alike,
        "source": source.name,
        "rows": source.rows,
        "synthetic": source.synthetic,
        "rounds": task.rounds,
        "max_depth": task.max_depth,
        "outcome": "ok",
        **measured,
        "rows_per_second": round(source.rows / measured["seconds"]),
        "stage_seconds": output.stage_seconds,
        "kept": output.accepted_rows,
        "features": len(output.features),
        "model_rounds": output.model_rounds,
        "isolated": contender.isolated and bool(loopback_prefix()),
        "open_addresses": sorted(measurement.open_addresses),
        **_resource_columns(measurement, contender),
        **machine_columns(),
    }


def _resource_columns(measurement: Measurement, contender: Contender) -> Row:
    return {
        "threads": measurement.threads or contender.workers,
        "memory_limit_mb": measurement.memory_limit_mb,
        "first_task_s": measurement.first_task_s,
        "first_task": measurement.first_task,
        "cpu_s": measurement.cpu_s,
        "peak_mb": measurement.peak_mb,
        "read_mb": measurement.read_mb,
        "written_mb": measurement.written_mb,
        "spilled_mb": measurement.spilled_mb,
        "memory": measurement.memory[:: len(measurement.memory) // MEMORY_SAMPLES + 1],
    }


def machine_columns() -> Row:
    """Return the columns of a row that describe the machine and its packages."""
    from toytip.cluster import available_cores

    return {
        "at": timestamp(),
        "cores": available_cores(),
        "machine_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "machine": _processor_name(),
        "environment": _package_versions(),
        "uncommitted_changes": _has_uncommitted_changes(),
    }


def timestamp() -> str:
    """Return the current time in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _processor_name() -> str:
    """Return the architecture, and the name of the processor if the system reports one."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{platform.machine()}, {line.split(':', 1)[1].strip()}"
    return platform.machine()


def _package_versions() -> dict[str, Any]:
    """Return the package versions of toytip and of the peers."""
    from toytip.pipeline.context import collect_environment

    peers = {name: importlib.metadata.version(name) for name in ("polars", "duckdb")}
    return {**collect_environment(), **peers}


@functools.cache
def _has_uncommitted_changes() -> bool:
    """Return whether the checkout differs from its commit, apart from the result files."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parents[1]),
        "status",
        "--porcelain",
        "--",
        ":!benchmarks/results",
    ]
    with contextlib.suppress(OSError):
        return bool(subprocess.run(command, capture_output=True, check=False).stdout.strip())
    return False


def print_line(text: str) -> None:
    """Print a line immediately, without buffering."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
