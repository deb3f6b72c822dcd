"""Pictures of results: throughput by stage, by workers, by rows; memory over time."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.results import Row


def draw(rows: list[Row], folder: Path) -> list[Path]:
    """Draw what the rows tell; return the files."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    ours = [row for row in rows if row["name"].startswith("toytip")]
    for name, x, label in (("workers", "workers", "workers"), ("rows", "rows", "rows")):
        sizes = sorted({row[x] for row in ours})
        if len(sizes) < 2:
            continue
        figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
        speed = [median(row["rows"] / row["seconds"] for row in ours if row[x] == size) for size in sizes]
        axes.plot(sizes, speed, marker="o")
        axes.set(xlabel=label, ylabel="rows a second", title=f"toytip run, by {label}", ylim=(0, None))
        drawn.append(_save(figure, folder / f"scaling-by-{name}.png"))
    if rows:
        figure, axes = plt.subplots(
            figsize=(8, 0.5 * len({r["name"] for r in rows}) + 1.5), layout="constrained"
        )
        names = list(dict.fromkeys(row["name"] for row in rows))
        left = dict.fromkeys(names, 0.0)
        stages = list(dict.fromkeys(stage for row in rows for stage in row["stages"]))
        for number, stage in enumerate(stages):
            width = [
                median(row["stages"].get(stage, 0.0) for row in rows if row["name"] == name) for name in names
            ]
            axes.barh(
                names,
                width,
                left=list(left.values()),
                label=stage,
                color=f"C{number}",
                hatch="/" * (number // 10),
            )
            left = {name: left[name] + add for name, add in zip(names, width, strict=True)}
        axes.set(xlabel="seconds", title="Where the time goes")
        axes.legend(ncols=2, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        axes.invert_yaxis()
        drawn.append(_save(figure, folder / "stages.png"))
        figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
        for name in names:
            told = next(row["memory"] for row in reversed(rows) if row["name"] == name)
            axes.plot([at for at, _ in told], [mb / 1e3 for _, mb in told], label=name)
        axes.set(xlabel="seconds", ylabel="GB, all processes", title="Memory over time", ylim=(0, None))
        axes.legend(fontsize="small")
        drawn.append(_save(figure, folder / "memory.png"))
    return drawn


def _save(figure: object, file: Path) -> Path:
    from matplotlib import pyplot as plt
    from matplotlib.figure import Figure

    assert isinstance(figure, Figure)
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file
