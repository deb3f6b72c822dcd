"""Measure toytip and its peers, which take turns on the same synthetic year, repeat by repeat."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks import results
from benchmarks.contenders import PEERS, BenchmarkTask, Contender, last_month_auc, make_toytip
from benchmarks.harness import Measurement, measure
from benchmarks.quality import validate_rows
from benchmarks.ratios import peer_ratios, weak_scaling
from benchmarks.results import Row

PRINTED_COLUMNS = ("name", "repeat", "seconds", "first_task_s", "cpu_s", "peak_mb", "rows_per_second", "auc")
MONTHS = 12


def run_benchmarks(options: argparse.Namespace) -> int:
    """Measure all contenders, print ratios, and append the results to the result file.

    Returns 1 if a result is invalid, else 0.
    """
    options.out.open("a").close()  # fail early if the file is not writable
    peers = [] if options.weak else options.peers
    years = {
        workers: _synthetic_year(options, options.rows * (workers if options.weak else 1))
        for workers in options.workers
    }
    contenders = [(make_toytip(workers), years[workers]) for workers in options.workers]
    contenders += [(PEERS[name], years[options.workers[0]]) for name in peers]
    run = _timestamp()
    rows: list[Row] = []
    for repeat in range(options.repeats):
        rows += _run_repeat(contenders, options, {"run": run, "repeat": repeat})
    print_line("")
    valid = [row for row in rows if row["valid"]]
    if options.weak:
        _print_weak_scaling(valid)
    else:
        _print_ratios(valid, rows[0]["name"])
    invalid = [row for row in rows if not row["valid"]]
    for row in invalid:
        print_line(f"invalid result: {row['name']}, repeat {row['repeat']}: {row['why']}")
    return int(bool(invalid))


def _run_repeat(
    contenders: list[tuple[Contender, Path]], options: argparse.Namespace, keys: Row
) -> list[Row]:
    """Measure all contenders once. If one of them fails, the results so far are stored."""
    rows: list[Row] = []
    try:
        for contender, source in contenders:
            task = BenchmarkTask(source, rounds=options.rounds, max_depth=options.max_depth)
            rows.append({**keys, **_measure_contender(contender, task, options.seed)})
            print_line("  ".join(f"{column} {rows[-1][column]}" for column in PRINTED_COLUMNS))
    finally:
        rows = validate_rows(rows)
        for row in rows:
            results.append_result(options.out, row)
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


def _print_ratios(rows: list[Row], name: str) -> None:
    """Print time and peak memory of a contender, divided by those of each other contender."""
    for column, label in (("seconds", "time"), ("peak_mb", "peak memory")):
        for other, ratio in peer_ratios(rows, name, column).items():
            print_line(f"{label}, {name} / {other}: {ratio}")


def _synthetic_year(options: argparse.Namespace, rows_per_month: int) -> Path:
    """Return the folder of a synthetic year. Generate the year if it does not exist."""
    folder = Path(options.data, f"synthetic-{rows_per_month}-{options.seed}")
    if len(list(folder.glob("*.parquet"))) < MONTHS:
        from benchmarks.dataset import write_year

        print_line(f"generating a year with {rows_per_month:,} trips per month in {folder}")
        write_year(folder, rows_per_month, options.seed)
    return folder


def _measure_contender(contender: Contender, task: BenchmarkTask, seed: int) -> Row:
    """Run a contender, and return its result as a row."""
    from toytip.sources.discovery import open_source

    out = Path(tempfile.mkdtemp(prefix="toytip-bench-"))
    try:
        measurement = measure(contender.command(task, out))
        output = contender.read_output(measurement, out)
        auc = last_month_auc(output.predictions)
    finally:
        shutil.rmtree(out)
    rows = open_source(str(task.source)).rows
    stage_total = round(sum(output.stage_seconds.values()), 3)
    seconds = measurement.wall_s if contender.uses_wall_time else stage_total
    return {
        "name": contender.name,
        "workers": contender.workers,
        "trains_alike": contender.trains_alike,
        "rows": rows,
        "seed": seed,
        "synthetic": True,
        "rounds": task.rounds,
        "max_depth": task.max_depth,
        "seconds": seconds,
        "rows_per_second": round(rows / seconds),
        "stage_seconds": output.stage_seconds,
        "kept": output.accepted_rows,
        "auc": round(auc, 5),
        **_resource_columns(measurement, contender),
        **machine_columns(),
    }


def _resource_columns(measurement: Measurement, contender: Contender) -> Row:
    return {
        "threads": measurement.threads or contender.workers,
        "memory_limit_mb": measurement.memory_limit_mb,
        "first_task_s": measurement.first_task_s,
        "cpu_s": measurement.cpu_s,
        "peak_mb": measurement.peak_mb,
        "read_mb": measurement.read_mb,
        "written_mb": measurement.written_mb,
        "spilled_mb": measurement.spilled_mb,
        "memory": measurement.memory,
    }


def machine_columns() -> Row:
    """Return the columns of a row that describe the machine and its packages."""
    from toytip.cluster import available_cores

    return {
        "at": _timestamp(),
        "cores": available_cores(),
        "machine_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "machine": _processor_name(),
        "environment": _package_versions(),
    }


def _timestamp() -> str:
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


def print_line(text: str) -> None:
    """Print a line immediately, without buffering."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
