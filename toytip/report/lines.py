"""lines: what pictures have in common: labelled lines, and axes without clutter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toytip.report import ink
from toytip.report.facts import Line
from toytip.report.ink import DASHES, KEYS

# What a picture draws: by colour, a label and points.
Lines = Mapping[str, tuple[str, Line]]


def keys_of(lines: Lines) -> list[tuple[str, str]]:
    """Return the colour and label of every line."""
    return [(colour, label) for colour, (label, _) in lines.items()]


def names_of(lines: Lines) -> str:
    """Return the labels of lines, in words."""
    return ", ".join(label for label, _ in lines.values())


def known(x: Sequence[float], y: Sequence[float | None]) -> Line:
    """Return the points that are known."""
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if b is not None]
    return [a for a, _ in pairs], [b for _, b in pairs]


def draw(axes: Any, lines: Lines) -> None:
    """Draw every line in its colour and dashes."""
    for colour, (_, (x, y)) in lines.items():
        axes.plot(x, y, color=KEYS[colour], linestyle=DASHES[colour])


def unit(axes: Any, x: str, y: str) -> None:
    """Make both axes go from 0 to 1; `y` stands above, where it can be read."""
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel=x)
    axes.set_title(y, loc="left", fontsize=ink.TEXT, color=ink.MUTED, pad=4)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])


def few(axes: Any, ticks: int = 5) -> None:
    """Have a few ticks, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(ticks, min_n_ticks=2, steps=[1, 2, 5, 10]))


def thousands(axes: Any) -> None:
    """Tell thousands as 20k."""
    from matplotlib.ticker import FuncFormatter

    few(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e3:g}k" if value else "0"))
