"""grid: the state of a run on a terminal: a line a stage, a mark a month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

from rich.text import Text

from toytip.state import Cell, RunState, StageState, spoken

NAME = 11
# So wide is what stands for the months, at most; and a bar of a stage that has none.
MOST = 36
BAR = 24


class Marks(NamedTuple):
    """What is drawn: before a stage, for a month, and in a bar."""

    waiting: str
    running: str
    done: str
    skipped: str
    cell_waiting: str
    cell_running: str
    cell_done: str
    full: str
    rest: str


FINE = Marks("·", "▸", "✓", "-", "·", "▪", "■", "━", "─")
PLAIN = Marks(".", ">", "+", "-", ".", "o", "#", "=", "-")
STYLES = {"waiting": "dim", "running": "cyan", "done": "green", "skipped": "dim"}


def marks_of(encoding: str) -> Marks:
    """Return the marks that an encoding has."""
    return FINE if encoding.lower().startswith("utf") else PLAIN


class Span(NamedTuple):
    """Months that share a mark, and what is written above them."""

    months: tuple[str, ...]
    title: str


def spans(months: Sequence[str], most: int = MOST) -> list[Span]:
    """Return what stands beside each other: months while they find room, else quarters, else years.

    >>> [span.title for span in spans(["2023-11", "2023-12", "2024-01"])]
    ['11', '12', '1']
    >>> [(span.title, len(span.months)) for span in spans([f"{y}-{m:02d}" for y in (2022, 2023) for m in range(1, 13)], 4)]
    [('22', 12), ('23', 12)]
    """
    if 3 * len(months) <= most:
        return [Span((month,), str(int(month[5:]))) for month in months]
    quarters = _grouped(months, lambda month: f"{month[:4]} {(int(month[5:]) + 2) // 3}")
    if len(quarters) <= most // 2:
        return [Span(tuple(found), f"q{name[-1]}") for name, found in quarters.items()]
    years = _grouped(months, lambda month: month[:4])
    return [Span(tuple(found), name[2:4]) for name, found in years.items()]


def _grouped(months: Sequence[str], name_of: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for month in months:
        groups.setdefault(name_of(month), []).append(month)
    return groups


def draw(state: RunState, width: int = 80, marks: Marks = FINE) -> Text:
    """Return the state as lines of at most so many columns; nothing where no stage has begun."""
    found = spans(state.months)
    lines = [_head(found, state)] if found and state.stages else []
    lines += [_line(stage, found, state.now, marks, width) for stage in state.stages]
    if foot := _foot(state):
        lines.append(foot)
    for line in lines:
        line.truncate(max(width - 1, 20), overflow="crop")
    return Text("\n").join(lines)


def _head(found: list[Span], state: RunState) -> Text:
    pitch = _pitch(found)
    years = sorted({month[:4] for month in state.months})
    shown = years[0] if len(years) == 1 else f"{years[0]}-{years[-1][2:]}"
    titles = "".join(f"{span.title:>{pitch}}" for span in found)
    return Text(f"  {shown:<{NAME}} {titles}", style="dim")


def _pitch(found: list[Span]) -> int:
    return 3 if len(found) <= MOST // 3 else 2


def _line(stage: StageState, found: list[Span], now: float, marks: Marks, most: int) -> Text:
    style = STYLES[stage.standing]
    line = Text.assemble(
        (f"{getattr(marks, stage.standing)} ", style),
        (f"{stage.name[:NAME]:<{NAME}} ", "dim" if stage.standing in ("waiting", "skipped") else ""),
    )
    width = _pitch(found) * len(found) if found else BAR
    drawn = _cells(stage, found, marks) if stage.cells else _bar(stage, width, marks)
    drawn.pad_right(max(width - drawn.cell_len, 0))
    line += drawn + Text("  ")
    longer = _figures(stage, now, both=True)
    return line + Text(longer if line.cell_len + len(longer) < most else _figures(stage, now))


def _cells(stage: StageState, found: list[Span], marks: Marks) -> Text:
    line, pitch = Text(), _pitch(found)
    for span in found:
        there = [stage.cells[month] for month in span.months if month in stage.cells]
        whole = reduce(Cell.plus, there, Cell(0))
        if not there:
            line.append(" " * pitch)
            continue
        style = STYLES[whole.standing]
        if whole.retried:
            style = "yellow"
        elif whole.done and whole.done == whole.taken == whole.parts:
            style = "dim green"
        line.append(f"{getattr(marks, f'cell_{whole.standing}'):>{pitch}}", style=style)
    return line


def _bar(stage: StageState, width: int, marks: Marks) -> Text:
    if stage.standing in ("skipped", "waiting") or stage.total <= 1:
        return Text()
    done = round((width - 2) * min(stage.done / stage.total, 1.0))
    return Text.assemble(
        "  ", (marks.full * done, STYLES[stage.standing]), (marks.rest * (width - 2 - done), "dim")
    )


def _figures(stage: StageState, now: float, *, both: bool = False) -> str:
    """Return what stands at the end of a stage's line, with the rate of now if both; what matters most comes first."""
    if stage.standing == "waiting":
        return ""
    if stage.standing == "skipped":
        return stage.note
    told = [f"{stage.done}/{stage.total}"] if stage.standing == "running" else []
    if stage.unit != "rounds" or stage.standing == "done":  # the loss needs the room
        told.append(f"{stage.seconds(now):.1f} s")
    if rate := stage.rate(now):
        fresh = stage.rate_now(now) if both else None
        told.append(f"{short(rate)} rows/s" + (f", {short(fresh)} now" if fresh else ""))
    if stage.note:
        told.append(stage.note)
    return "  ".join(told)


def short(number: float) -> str:
    """Return a number in five letters or so.

    >>> short(432.1), short(65_432), short(1_001_459)
    ('432', '65k', '1.0M')
    """
    if number < 1e3:
        return f"{number:.0f}"
    return f"{number / 1e3:.0f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


def _foot(state: RunState) -> Text | None:
    told = []
    if total := sum(state.rejects.values()):
        reason, count = max(state.rejects.items(), key=lambda item: item[1])
        told.append(f"{total:,} rejected, {count:,} of them {reason}")
    current = state.current
    if state.left is not None and current is not None:
        told.append(f"about {spoken(max(state.left, 1))} left")
    elif current is not None and (left := current.left(state.now)) is not None and current.total > 1:
        told.append(f"about {spoken(max(left, 1))} left of {current.name}")
    return Text("  " + "; ".join(told), style="dim") if told else None
