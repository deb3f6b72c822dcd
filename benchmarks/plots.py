"""Charts of results: throughput by stage, by workers and by rows, and memory over time."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.results import Row, group_by, is_toytip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A chart shows only results with equal values in these columns: the same training and machine.
SETUP_COLUMNS = ("workload", "rounds", "max_depth", "machine", "cores")
MARKERS = "osv^D"


def draw_all(rows: list[Row], folder: Path) -> list[Path]:
    """Draw all results with the same set-up as the last result. Return the chart files."""
    import matplotlib as mpl

    mpl.use("agg")
    rows = group_by(rows, *SETUP_COLUMNS)[tuple(rows[-1][name] for name in SETUP_COLUMNS)]
    toytip_rows = [row for row in rows if is_toytip(row)]
    size = max(row["rows"] for row in rows)
    largest = [row for row in rows if row["rows"] == size]
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "scaling-by-workers.png": draw_scaling(toytip_rows, "workers", "rows"),
        "scaling-by-rows.png": draw_scaling(toytip_rows, "rows", "workers"),
        "throughput-by-stage.png": draw_throughput(largest),
        "memory.png": _draw_memory(largest),
    }
    return [_save_figure(figure, folder / name) for name, figure in figures.items() if figure is not None]


def _new_figure(height: float = 3.6) -> Figure:
    from matplotlib import pyplot as plt

    return plt.figure(figsize=(8, height), layout="constrained")


def draw_scaling(rows: list[Row], column: str, line_column: str) -> Figure | None:
    """Draw rows per second by a column, with one line per value of another column.

    Returns None if no line has two points.
    """
    lines = {
        value: group_by(line_rows, column)
        for (value,), line_rows in sorted(group_by(rows, line_column).items())
    }
    if all(len(points) < 2 for points in lines.values()):
        return None
    figure = _new_figure()
    axes = figure.subplots()
    for value, points in lines.items():
        sizes = sorted(size for (size,) in points)
        speeds = [median(row["rows"] / row["seconds"] for row in points[size,]) for size in sizes]
        axes.plot(sizes, speeds, marker="o", label=f"{value:,} {line_column}")
    axes.set(xlabel=column, ylabel="rows/s", title=f"toytip run, by {column}", ylim=(0, None))
    axes.legend(fontsize="small")
    return figure


def draw_throughput(rows: list[Row]) -> Figure:
    """Draw rows per second of every stage (a marker) of every contender (a line)."""
    by_name = group_by(rows, "name")
    figure = _new_figure(0.5 * len(by_name) + 2)
    axes = figure.subplots()
    for index, stage in enumerate(dict.fromkeys(stage for row in rows for stage in row["stage_seconds"])):
        speeds = {
            name: [row["rows"] / seconds for row in runs if (seconds := row["stage_seconds"].get(stage))]
            for (name,), runs in by_name.items()
        }
        medians = {name: median(values) for name, values in speeds.items() if values}
        axes.plot(
            list(medians.values()),
            list(medians),
            linestyle="",
            marker=MARKERS[index // 10 % len(MARKERS)],
            color=f"C{index % 10}",
            label=stage,
        )
    axes.set(xscale="log", xlabel="rows/s", title=f"Throughput by stage, {rows[0]['rows']:,} rows")
    axes.grid(alpha=0.3)
    axes.invert_yaxis()
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _draw_memory(rows: list[Row]) -> Figure:
    """Draw the memory over time in the last run of every contender."""
    figure = _new_figure()
    axes = figure.subplots()
    for (name,), runs in group_by(rows, "name").items():
        samples = runs[-1]["memory"]
        axes.plot([seconds for seconds, _ in samples], [mb / 1e3 for _, mb in samples], label=name)
    title = f"Memory over time, {rows[0]['rows']:,} rows"
    axes.set(xlabel="seconds", ylabel="GB, all processes", title=title, ylim=(0, None))
    axes.legend(fontsize="small")
    return figure


def _save_figure(figure: Figure, file: Path) -> Path:
    from matplotlib import pyplot as plt

    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file
