"""Pictures of results: throughput by stage, by workers, by rows; memory over time. None mixes sizes."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.results import Row, group_by, is_toytip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What one picture is of: runs of another training, or on another machine, do not belong beside each other.
SETUP_COLUMNS = ("seed", "rounds", "max_depth", "machine", "cores")


def draw_all(rows: list[Row], folder: Path) -> list[Path]:
    """Draw the rows that are set up as the last one is; return the files."""
    import matplotlib as mpl

    mpl.use("agg")
    rows = group_by(rows, *SETUP_COLUMNS)[tuple(rows[-1][name] for name in SETUP_COLUMNS)]
    mine = [row for row in rows if is_toytip(row)]
    size = max(row["rows"] for row in rows)
    largest = [row for row in rows if row["rows"] == size]
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "scaling-by-workers.png": draw_scaling(mine, "workers", "rows"),
        "scaling-by-rows.png": draw_scaling(mine, "rows", "workers"),
        "throughput-by-stage.png": draw_throughput(largest),
        "memory.png": _draw_memory(largest),
    }
    return [_save_figure(figure, folder / name) for name, figure in figures.items() if figure is not None]


def _new_figure(height: float = 3.6) -> Figure:
    from matplotlib import pyplot as plt

    return plt.figure(figsize=(8, height), layout="constrained")


def draw_scaling(rows: list[Row], column: str, line: str) -> Figure | None:
    """Draw rows a second by `column`, with a line for every value of another name; none where `column` never differs."""
    lines = {value: group_by(side, column) for (value,), side in sorted(group_by(rows, line).items())}
    if all(len(points) < 2 for points in lines.values()):
        return None
    figure = _new_figure()
    axes = figure.subplots()
    for value, points in lines.items():
        sizes = sorted(size for (size,) in points)
        speed = [median(row["rows"] / row["seconds"] for row in points[size,]) for size in sizes]
        axes.plot(sizes, speed, marker="o", label=f"{value:,} {line}")
    axes.set(xlabel=column, ylabel="rows a second", title=f"toytip run, by {column}", ylim=(0, None))
    axes.legend(fontsize="small")
    return figure


def draw_throughput(rows: list[Row]) -> Figure:
    """Draw the rows a second of every stage of every contender; a line is a contender, a mark a stage."""
    named = group_by(rows, "name")
    figure = _new_figure(0.5 * len(named) + 2)
    axes = figure.subplots()
    for number, stage in enumerate(dict.fromkeys(stage for row in rows for stage in row["stages"])):
        speeds = {
            name: [row["rows"] / row["stages"][stage] for row in side if row["stages"].get(stage)]
            for (name,), side in named.items()
        }
        told = {name: median(speed) for name, speed in speeds.items() if speed}
        axes.plot(
            list(told.values()), list(told), linestyle="", marker="osv^D"[number // 10 % 5], color=f"C{number % 10}",
            label=stage,
        )  # fmt: skip
    axes.set(xscale="log", xlabel="rows a second", title=f"Throughput by stage, {rows[0]['rows']:,} rows")
    axes.grid(alpha=0.3)
    axes.invert_yaxis()
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _draw_memory(rows: list[Row]) -> Figure:
    """Draw the memory of the last run of every contender."""
    figure = _new_figure()
    axes = figure.subplots()
    for (name,), side in group_by(rows, "name").items():
        told = side[-1]["memory"]
        axes.plot([at for at, _ in told], [mb / 1e3 for _, mb in told], label=name)
    title = f"Memory over time, {rows[0]['rows']:,} rows"
    axes.set(xlabel="seconds", ylabel="GB, all processes", title=title, ylim=(0, None))
    axes.legend(fontsize="small")
    return figure


def _save_figure(figure: Figure, file: Path) -> Path:
    from matplotlib import pyplot as plt

    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file
