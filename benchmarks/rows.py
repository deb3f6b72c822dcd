"""The rows of a result: facts about a contender, its output, its resources and the machine."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from benchmarks.contenders import BenchmarkTask, Contender, ContenderOutput
from benchmarks.engine_folders import engine_versions, prepare_environment
from benchmarks.harness import CommandFailedError, Measurement, loopback_prefix
from benchmarks.machine.facts import machine_columns
from benchmarks.results import DEFAULTS, Row
from benchmarks.workloads import BenchmarkSource

# Maximum number of samples of the memory in a row.
MEMORY_SAMPLES = 100


class Entry(NamedTuple):
    """A contender of a run, with the months that it processes."""

    contender: Contender
    source: BenchmarkSource


def make_row(
    entry: Entry, task: BenchmarkTask, measurement: Measurement, output: ContenderOutput, measured: Row
) -> Row:
    """Return the row of a result. `measured` has the columns `seconds` and `auc`."""
    contender, source = entry
    return {
        "name": contender.name,
        "workers": contender.workers,
        "trains_alike": contender.trains_alike,
        "kind": contender.kind,
        "source": source.name,
        "rows": source.rows,
        "synthetic": source.synthetic,
        "rounds": task.rounds,
        "max_depth": task.max_depth,
        "outcome": "ok",
        **{name: DEFAULTS[name] for name in ("noisy", "noise", "activity", "conformance")},
        **measured,
        "rows_per_second": round(source.rows / measured["seconds"]),
        "stage_seconds": output.stage_seconds,
        "kept": output.accepted_rows,
        "features": len(output.features),
        "model_rounds": output.model_rounds,
        "isolated": contender.isolated and bool(loopback_prefix()),
        "open_addresses": sorted(measurement.open_addresses),
        **_resource_columns(measurement, contender),
        "memory_cap_mb": task.memory_mb,
        "memory_cap": measurement.memory_cap,
        **machine_columns(),
    }


def failed_row(entry: Entry, task: BenchmarkTask, error: CommandFailedError) -> Row:
    """Return the row of a contender that failed or exceeded a limit. It has no AUC."""
    output = ContenderOutput({}, 0, Path(), None, (), 0)
    measured = {"seconds": max(error.measurement.wall_s, 0.001), "auc": None}
    row = make_row(entry, task, error.measurement, output, measured)
    failure = {"outcome": error.outcome, "valid": False, "why": str(error)}
    return {**row, **failure, "exit_code": error.exit_code, "stderr": error.stderr}


def engine_columns(contender: Contender, environments: Path) -> Row:
    """Return the columns that only the result of an engine has."""
    if contender.engine is None:
        return {}
    programs = prepare_environment(contender.engine, environments)
    return {"engine_versions": engine_versions(contender.engine, programs)}


def cost_columns(row: Row, price: float | None) -> Row:
    """Return the price of a core per hour, and the cost of all cores for a result."""
    cost = None if price is None else round(price * row["cores"] * row["seconds"] / 3_600, 6)
    return {"price_per_core_hour": price, "cost": cost}


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
