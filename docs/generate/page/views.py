"""The views of the benchmark page: the contenders of one run on one machine, under one condition.

A view compares only results that were measured together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.engine_folders import Engine
from benchmarks.results import Row, group_by, is_toytip
from docs.generate.page.labels import contender_label
from docs.generate.page.rows import Origin, engines_by_name, kind_of, read_rows
from docs.generate.results import FOLDER, Figure

WORKLOADS = {
    "eleven-features": "eleven features",
    "defaults": "default settings",
    "fhvhv": "nine features",
    "reruns": "runs in an existing store",
}
# The synthetic trips of all other workloads are of yellow taxis.
SYNTHETIC_TRIPS = {"fhvhv": "synthetic for-hire vehicles"}
# The rows of a view have equal values in these columns.
VIEW_COLUMNS = (
    *("workload", "source", "rounds", "max_depth", "machine", "cores", "memory_cap_mb", "cold", "run"),
)
# Maximum length of the cause of a failure.
MAX_CAUSE = 200
PACKAGES = ("toytip", "python", "xgboost", "xgboost-cpu", "dask", "polars", "duckdb", "pandas")


class Choice(NamedTuple):
    """A value of a selector: its form in the address of the page, and its text."""

    key: str
    label: str


@dataclass(frozen=True)
class Failure:
    """A cause for which repeats of a contender have no result."""

    outcome: str
    """`failed`, `timeout`, `out of memory`, `not installed` or `invalid`."""
    cause: str
    repeats: int


@dataclass(frozen=True)
class AucInterval:
    """The paired difference in AUC to another contender, with its 95 % interval."""

    to: str
    difference: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """The results of a contender in a view. A figure is None if it was not measured."""

    name: str
    label: str
    kind: str
    """`vanilla`, `tuned` or `not recorded`."""
    is_toytip: bool
    description: str
    notes: tuple[str, ...]
    """Limits of the comparison with this contender."""
    repeats: int
    rows: int
    seconds: Figure | None
    peak_mb: Figure | None
    auc: Figure | None
    auc_interval: AucInterval | None
    cpu_s: Figure | None
    cost: Figure | None
    conformance: str
    """Results of the checks of the work, or an empty text."""
    noise: str
    """Cause if other work used the machine, or an empty text."""
    failures: tuple[Failure, ...]


@dataclass(frozen=True, kw_only=True)
class View:
    """A run of the benchmark, with one value of each selector."""

    workload: str
    size: int
    """Number of trips in the source."""
    work: Choice
    machine: Choice
    memory: Choice
    cache: Choice
    date: Choice
    is_partial: bool
    """Whether the run was interrupted."""
    data_set: str
    """`synthetic`, `synthetic for-hire vehicles`, or the name of the source."""
    data: str
    training: str
    file: str
    """Path of the result file, relative to the folder of the results."""
    series: str
    """Name of the measurement."""
    commit: str
    packages: str
    contestants: tuple[Contestant, ...]
    measured: dict[str, list[Row]]
    """The valid rows of each contender."""


def load_views(folder: Path = FOLDER) -> list[View]:
    """Return the views of all result files.

    The first view of a workload is that of the complete run with the most contenders, and then of
    the newest one.
    """
    engines = engines_by_name()
    views = [
        make_view(origin, rows, engines)
        for origin, measured in read_rows(folder).items()
        for rows in group_by(measured, *VIEW_COLUMNS).values()
    ]
    newest = sorted(views, key=lambda view: view.date.key, reverse=True)
    return sorted(newest, key=lambda view: (*_position(view), view.is_partial, -len(view.contestants)))


def _position(view: View) -> tuple[int, int]:
    order = list(WORKLOADS)
    return (order.index(view.workload) if view.workload in order else len(order)), view.size


def make_view(origin: Origin, rows: list[Row], engines: dict[str, Engine]) -> View:
    """Return the view with these rows, which have the same conditions."""
    row, size = rows[0], max(row["rows"] for row in rows)
    data_set = SYNTHETIC_TRIPS.get(row["workload"], "synthetic") if row["synthetic"] else row["source"]
    changes = " with uncommitted changes" if row["uncommitted_changes"] else ""
    commit = row["environment"].get("git_commit")
    partial = ", partial" if row["partial"] else ""
    by_name = {name: found for (name,), found in group_by(rows, "name").items()}
    return View(
        workload=row["workload"],
        size=size,
        work=Choice(
            f"{row['workload']}-{row['source']}-{size}",
            f"{size:,} trips ({data_set}), {WORKLOADS.get(row['workload'], row['workload'])}",
        ),
        machine=_machine(row),
        memory=_memory_cap(row),
        cache=Choice("cold", "cold") if row["cold"] else Choice("warm", "warm"),
        date=Choice(row["run"], f"{_minute(row['run'])}, {_count(len(by_name), 'contender')}{partial}"),
        is_partial=row["partial"],
        data_set=data_set,
        data=f"{size:,} trips, {row['source']}",
        training=f"at most {row['rounds']} rounds of depth {row['max_depth']}",
        file=origin.file,
        series=origin.series,
        commit=f"{commit}{changes}" if commit else "",
        packages=", ".join(
            f"{name} {row['environment'][name]}" for name in PACKAGES if name in row["environment"]
        ),
        contestants=tuple(_contestant(found, size, engines) for found in by_name.values()),
        measured={name: [row for row in found if row["valid"]] for name, found in by_name.items()},
    )


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _minute(time: str) -> str:
    """Return a time in UTC, of the form 2026-11-29T12:38:45Z, to the minute."""
    return f"{time[:10]} {time[11:16]}"


def _machine(row: Row) -> Choice:
    memory = f", {row['machine_gb']:.0f} GB" if row["machine_gb"] else ""
    label = f"{row['machine']}, {row['cores']} cores{memory}"
    return Choice(re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-"), label)


def _memory_cap(row: Row) -> Choice:
    if row["memory_cap_mb"] is None:
        return Choice("none", "no limit")
    enforced = {"cgroup": ", enforced by the system", "sampled": ", checked by sampling"}
    return Choice(
        str(row["memory_cap_mb"]), f"{row['memory_cap_mb']:,} MB{enforced.get(row['memory_cap'], '')}"
    )


def _contestant(rows: list[Row], size: int, engines: dict[str, Engine]) -> Contestant:
    first, valid = rows[0], [row for row in rows if row["valid"]]
    engine = engines.get(first["name"])
    return Contestant(
        name=first["name"],
        label=contender_label(first["name"]),
        kind=kind_of(first, engines),
        is_toytip=is_toytip(first),
        description=engine.description.replace("`", "") if engine else "",
        notes=tuple(_notes(first, size, engine)),
        repeats=len(rows),
        rows=first["rows"],
        seconds=_figure(valid, "seconds"),
        peak_mb=_figure(valid, "peak_mb"),
        auc=_figure(valid, "auc"),
        auc_interval=_auc_interval(valid),
        cpu_s=_figure(valid, "cpu_s"),
        cost=_figure(valid, "cost"),
        conformance=_conformance(first),
        noise=next((row["noise"] or "other work on the machine" for row in rows if row["noisy"]), ""),
        failures=_failures(rows),
    )


def _notes(row: Row, size: int, engine: Engine | None) -> Iterator[str]:
    if engine is not None and engine.time == "laps":
        yield "sum of steps"
    if not row["trains_alike"]:
        yield "other model"
    if row["rows"] != size:
        yield f"{row['rows']:,} trips"


def _figure(rows: list[Row], column: str) -> Figure | None:
    values = [row[column] for row in rows if row[column] is not None]
    return Figure.of(values) if values else None


def _auc_interval(rows: list[Row]) -> AucInterval | None:
    """Return the first interval. A difference without an interval does not count."""
    found = (row["auc_difference"] for row in rows if row["auc_difference"])
    return next((AucInterval(**item) for item in found if item["low"] is not None), None)


def _conformance(row: Row) -> str:
    """Return the status of each checked level in words. Empty if no level was checked."""
    checked = {
        level: check for level, check in row["conformance"].items() if check["status"] != "not checked"
    }
    return ", ".join(
        f"{level} {check['status']}" + (f" ({check['cause']})" if check["cause"] else "")
        for level, check in checked.items()
    )


def _failures(rows: list[Row]) -> tuple[Failure, ...]:
    invalid = [
        {**row, "outcome": "invalid" if row["outcome"] == "ok" else row["outcome"]}
        for row in rows
        if not row["valid"]
    ]
    return tuple(
        Failure(outcome, _cause(found[0]["why"]), len(found))
        for (outcome,), found in group_by(invalid, "outcome").items()
    )


def _cause(text: str) -> str:
    """Return the last line of a cause, without the command. A traceback can be long."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cause = re.sub(r"^cannot measure .*?: (?=it )", "", lines[-1]) if lines else ""
    return cause if len(cause) <= MAX_CAUSE else f"{cause[:MAX_CAUSE].rstrip()} ..."
