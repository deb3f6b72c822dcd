"""Measures toytip beside its peers: contenders take turns, repeat after repeat, on the same generated year."""

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
from benchmarks.harness import measure
from benchmarks.quality import validate_rows
from benchmarks.ratios import peer_ratios, weak_scaling
from benchmarks.results import Row
from benchmarks.workloads import PEERS, BenchmarkTask, Contender, last_month_auc, make_toytip

PRINTED_COLUMNS = ("name", "repeat", "seconds", "first_task_s", "cpu_s", "peak_mb", "rows_per_s", "auc")


def run_benchmarks(options: argparse.Namespace) -> int:
    """Measure all, say the ratios, and add the rows to the file; 1 where one is no result."""
    options.out.open("a").close()  # what cannot be kept is not measured
    names = [] if options.weak else options.peers
    years = {
        count: _generated_year(options, options.rows * (count if options.weak else 1))
        for count in options.workers
    }
    sides = [(make_toytip(count), years[count]) for count in options.workers]
    sides += [(PEERS[name], years[options.workers[0]]) for name in names]
    began = _timestamp()
    rows: list[Row] = []
    for repeat in range(options.repeats):
        rows += _run_repeat(sides, options, {"run": began, "repeat": repeat})
    print_line("")
    good = [row for row in rows if row["valid"]]
    (_print_weak_scaling if options.weak else _print_ratios)(good, rows[0]["name"])
    odd = [row for row in rows if not row["valid"]]
    for row in odd:
        print_line(f"no result: {row['name']}, repeat {row['repeat']}: {row['why']}")
    return int(bool(odd))


def _run_repeat(sides: list[tuple[Contender, Path]], options: argparse.Namespace, named: Row) -> list[Row]:
    """Measure all once; judge what there is and keep it, also where one of them fails."""
    rows: list[Row] = []
    try:
        for contender, source in sides:
            task = BenchmarkTask(source, rounds=options.rounds, max_depth=options.max_depth)
            rows.append({**named, **_measure_contender(contender, task, options.seed)})
            print_line("  ".join(f"{key} {rows[-1][key]}" for key in PRINTED_COLUMNS))
    finally:
        rows = validate_rows(rows)
        for row in rows:
            results.append_result(options.out, row)
    return rows


def _print_weak_scaling(rows: list[Row], _: str) -> None:
    """Say how much of its speed a worker keeps among many, stage by stage; then the stages that are tasks, and all."""
    told = {(workers, stage): f"{kept:.2f}" for workers, stage, kept in weak_scaling(rows)} if rows else {}
    for (workers, stage), kept in told.items():
        print_line(f"{workers} workers, {stage}: {kept}")
    for workers in dict.fromkeys(workers for workers, _ in told):
        shares = (f"{stage} {told[workers, stage]}" for stage in ("row stages", "infer", "end to end"))
        print_line(f"{workers} workers: {', '.join(shares)}")


def _print_ratios(rows: list[Row], first: str) -> None:
    """Say the ratios of the first contender to all others."""
    for value, what in (("seconds", "time"), ("peak_mb", "peak memory")):
        for other, found in peer_ratios(rows, first, value).items():
            print_line(f"{what} of {first} / {other}: {found}")


def _generated_year(options: argparse.Namespace, size: int) -> Path:
    """Return the folder of a generated year of so many trips a month; made where it is not there yet, by toytip."""
    folder = Path(options.data, f"synthetic-{size}-{options.seed}")
    if len(list(folder.glob("*.parquet"))) < 12:
        from benchmarks.year import write_year

        print_line(f"making a year of {size:,} trips a month in {folder}")
        write_year(folder, size, options.seed)
    return folder


def _measure_contender(contender: Contender, task: BenchmarkTask, seed: int) -> Row:
    """Run a contender; return what it took, what came out, and with what."""
    from toytip.cluster import available_cores
    from toytip.sources.discovery import open_source

    out = Path(tempfile.mkdtemp(prefix="toytip-bench-"))
    try:
        taken = measure(contender.command(task, out))
        told = contender.read_result(taken, out)
        auc = last_month_auc(Path(told["predictions"]))
    finally:
        shutil.rmtree(out)
    rows = open_source(str(task.source)).rows
    seconds = taken.wall_s if contender.uses_wall_time else round(sum(told["stages"].values()), 3)
    return {
        "name": contender.name, "workers": contender.workers, "threads": taken.threads or contender.workers,
        "memory_limit_mb": taken.memory_limit_mb, "alike": contender.trains_alike, "rows": rows, "seed": seed, "synthetic": True,
        "rounds": task.rounds, "max_depth": task.max_depth, "seconds": seconds, "rows_per_s": round(rows / seconds),
        "first_task_s": taken.first_task_s, "stages": told["stages"], "kept": told["kept"], "auc": round(auc, 5),
        "cpu_s": taken.cpu_s, "peak_mb": taken.peak_mb, "read_mb": taken.read_mb, "written_mb": taken.written_mb,
        "spilled_mb": taken.spilled_mb, "memory": taken.memory, "at": _timestamp(), "cores": available_cores(),
        "machine_gb": round(psutil.virtual_memory().total / 1e9, 1), "machine": _processor_name(), "environment": _package_versions(),
    }  # fmt: skip


def _timestamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _processor_name() -> str:
    """Return the kind of the processors, by name where the system tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{platform.machine()}, {line.split(':', 1)[1].strip()}"
    return platform.machine()


def _package_versions() -> dict[str, Any]:
    """Return the versions of what toytip is made with, and of what its peers are."""
    from toytip.pipeline.context import collect_environment

    return {
        **collect_environment(),
        **{name: importlib.metadata.version(name) for name in ("polars", "duckdb")},
    }


def print_line(text: str) -> None:
    """Say a line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
