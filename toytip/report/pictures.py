"""pictures: how well a model ranks and decides, and how it learned; each with a sentence of what to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toytip.report import facts as numbers
from toytip.report import ink
from toytip.report.blocks import Picture
from toytip.report.facts import Line
from toytip.report.ink import DASHES, KEYS, drawing, inline
from toytip.report.lines import Lines, draw, few, keys_of, names_of, thousands, unit
from toytip.tally import Tally


def roc(name: str, lines: Lines, says: str, *, title: str = "ROC") -> Picture:
    """Draw ROC curves above the line of guessing."""
    with drawing(top=22) as drawn:
        drawn.axes.plot([0, 1], [0, 1], color=ink.RULE, linewidth=1)
        draw(drawn.axes, lines)
        unit(drawn.axes, "share of the other trips flagged", "share of high tips found")
    alt = f"{title}, of {names_of(lines)}: the share of high tips found by the share of other trips flagged. {says}"
    return Picture(title=title, svg=inline(drawn.svg, alt, name), alt=alt, says=says, keys=keys_of(lines))


def precision_recall(
    name: str,
    lines: Lines,
    floors: Mapping[str, float],
    says: str,
    *,
    title: str = "Precision and recall",
) -> Picture:
    """Draw precision by recall, above the shares of high tips, which are their floors."""
    with drawing(top=22) as drawn:
        for colour, floor in floors.items():
            drawn.axes.axhline(floor, color=KEYS[colour], linewidth=0.7, alpha=0.6)
        draw(drawn.axes, lines)
        unit(
            drawn.axes, "recall: share of high tips found", "precision: share of flagged trips that tip high"
        )
    alt = f"{title}: precision by recall of {names_of(lines)}. {says}"
    return Picture(title=title, svg=inline(drawn.svg, alt, name), alt=alt, says=says, keys=keys_of(lines))


def calibration(name: str, lines: Lines, says: str) -> Picture:
    """Draw what happened by what was predicted, along the diagonal."""
    with drawing(top=22) as drawn:
        drawn.axes.plot([0, 1], [0, 1], color=ink.RULE, linewidth=1)
        for colour, (_, (x, y)) in lines.items():
            drawn.axes.plot(x, y, color=KEYS[colour], linestyle=DASHES[colour], marker="o", markersize=3.4)
        unit(drawn.axes, "predicted probability", "share with a high tip")
    alt = f"Calibration of {names_of(lines)}: the share of high tips by the probability that was predicted. {says}"
    return Picture(
        title="Calibration", svg=inline(drawn.svg, alt, name), alt=alt, says=says, keys=keys_of(lines)
    )


def thresholds(
    name: str, title: str, curve: Sequence[Mapping[str, Any]], yes: float | None, at: float | None, says: str
) -> Picture:
    """Draw F1, precision and recall by threshold, the F1 of always yes, and the threshold in use."""
    lines = {
        colour: (label, _points(curve, "threshold", key))
        for colour, label, key in (
            ("a", "F1", "f1"), ("b", "precision", "precision"), ("c", "recall", "recall"),
        )
    }  # fmt: skip
    with drawing(top=22) as drawn:
        if yes is not None:
            drawn.axes.axhline(yes, color=ink.MUTED, linewidth=0.9)
        if at is not None:
            drawn.axes.axvline(at, color=ink.INK, linewidth=0.9)
        draw(drawn.axes, lines)
        unit(drawn.axes, "threshold", "")
    alt = f"{title}: F1, precision and recall by threshold. {says}"
    keys = [*keys_of(lines), *([("muted", "F1 of always yes")] if yes is not None else [])]
    return Picture(title=title, svg=inline(drawn.svg, alt, name), alt=alt, says=says, keys=keys)


def _points(curve: Sequence[Mapping[str, Any]], x: str, y: str) -> Line:
    known = [point for point in curve if point[y] is not None]
    return [point[x] for point in known], [point[y] for point in known]


def probabilities(name: str, tally: Tally, says: str) -> Picture:
    """Draw how many trips have about each probability, by what happened."""
    without, with_ = numbers.bars(tally)
    wide = 1 / len(without)
    places = [(k + 0.5) * wide for k in range(len(without))]
    with drawing(left=46, top=22) as drawn:
        drawn.axes.bar(places, without, wide * 0.84, color=ink.GREY, linewidth=0)
        drawn.axes.bar(places, with_, wide * 0.84, bottom=without, color=ink.A, linewidth=0)
        drawn.axes.set(xlim=(0, 1), xlabel="predicted probability")
        drawn.axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
        drawn.axes.set_title("trips", loc="left", fontsize=ink.TEXT, color=ink.MUTED, pad=4)
        thousands(drawn.axes)
    alt = f"Trips by predicted probability, with and without a high tip. {says}"
    keys = [("box-a", "high tip"), ("box-muted", "no high tip")]
    return Picture(title="Probabilities", svg=inline(drawn.svg, alt, name), alt=alt, says=says, keys=keys)


def training(name: str, lines: Lines, best: int | None, says: str) -> Picture:
    """Draw the log loss by round."""
    with drawing(left=44, top=22) as drawn:
        draw(drawn.axes, lines)
        if best is not None:
            drawn.axes.axvline(best, color=ink.INK, linewidth=0.9)
        ends = [y[len(y) // 20] for _, (_, y) in lines.values() if y]
        lows = [min(y) for _, (_, y) in lines.values() if y]
        if ends and max(ends) > min(lows):
            drawn.axes.set_ylim(min(lows) - 0.05 * (max(ends) - min(lows)), max(ends))
        drawn.axes.set(xlabel="round")
        drawn.axes.set_title("log loss", loc="left", fontsize=ink.TEXT, color=ink.MUTED, pad=4)
        few(drawn.axes)
    alt = f"Log loss by round of {names_of(lines)}. {says}"
    return Picture(
        title="Training", svg=inline(drawn.svg, alt, name), alt=alt, says=says, keys=keys_of(lines)
    )
