"""grid: the state of a run on a terminal: a line a stage, a mark a month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

from rich.text import Text

from toytip.progress.state import MonthProgress, RunState, StageState, format_duration

NAME_WIDTH = 11
# So wide is what stands for the months, at most; and a bar of a stage that has none.
MAX_MONTHS_WIDTH = 36
BAR_WIDTH = 24


class Glyphs(NamedTuple):
    """What is drawn: before a stage, for a month, and in a bar."""

    waiting: str
    running: str
    done: str
    skipped: str
    cell_waiting: str
    cell_running: str
    cell_done: str
    bar_done: str
    bar_remaining: str


UNICODE_GLYPHS = Glyphs("·", "▸", "✓", "-", "·", "▪", "■", "━", "─")
ASCII_GLYPHS = Glyphs(".", ">", "+", "-", ".", "o", "#", "=", "-")
STATUS_STYLES = {"waiting": "dim", "running": "cyan", "done": "green", "skipped": "dim"}


def glyphs_for(encoding: str) -> Glyphs:
    """Return the marks that an encoding has."""
    return UNICODE_GLYPHS if encoding.lower().startswith("utf") else ASCII_GLYPHS


class MonthGroup(NamedTuple):
    """Months that share a mark, and what is written above them."""

    months: tuple[str, ...]
    title: str


def group_months(months: Sequence[str], max_width: int = MAX_MONTHS_WIDTH) -> list[MonthGroup]:
    """Return what stands beside each other: months while they find room, else quarters, else years.

    >>> [span.title for span in group_months(["2023-11", "2023-12", "2024-01"])]
    ['11', '12', '1']
    >>> [(span.title, len(span.months)) for span in group_months([f"{y}-{m:02d}" for y in (2022, 2023) for m in range(1, 13)], 4)]
    [('22', 12), ('23', 12)]
    """
    if 3 * len(months) <= max_width:
        return [MonthGroup((month,), str(int(month[5:]))) for month in months]
    quarters = _group_by(months, lambda month: f"{month[:4]} {(int(month[5:]) + 2) // 3}")
    if len(quarters) <= max_width // 2:
        return [MonthGroup(tuple(found), f"q{name[-1]}") for name, found in quarters.items()]
    years = _group_by(months, lambda month: month[:4])
    return [MonthGroup(tuple(found), name[2:4]) for name, found in years.items()]


def _group_by(months: Sequence[str], name_of: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for month in months:
        groups.setdefault(name_of(month), []).append(month)
    return groups


def render(state: RunState, width: int = 80, glyphs: Glyphs = UNICODE_GLYPHS) -> Text:
    """Return the state as lines of at most so many columns; nothing where no stage has begun."""
    found = group_months(state.months)
    lines = [_header(found, state)] if found and state.stages else []
    lines += [_stage_line(stage, found, state.now, glyphs, width) for stage in state.stages]
    if foot := _footer(state):
        lines.append(foot)
    for line in lines:
        line.truncate(max(width - 1, 20), overflow="crop")
    return Text("\n").join(lines)


def _header(month_groups: list[MonthGroup], state: RunState) -> Text:
    pitch = _cell_width(month_groups)
    years = sorted({month[:4] for month in state.months})
    shown = years[0] if len(years) == 1 else f"{years[0]}-{years[-1][2:]}"
    titles = "".join(f"{span.title:>{pitch}}" for span in month_groups)
    return Text(f"  {shown:<{NAME_WIDTH}} {titles}", style="dim")


def _cell_width(month_groups: list[MonthGroup]) -> int:
    return 3 if len(month_groups) <= MAX_MONTHS_WIDTH // 3 else 2


def _stage_line(
    stage: StageState, month_groups: list[MonthGroup], now: float, glyphs: Glyphs, max_width: int
) -> Text:
    style = STATUS_STYLES[stage.status]
    line = Text.assemble(
        (f"{getattr(glyphs, stage.status)} ", style),
        (
            f"{stage.name[:NAME_WIDTH]:<{NAME_WIDTH}} ",
            "dim" if stage.status in ("waiting", "skipped") else "",
        ),
    )
    width = _cell_width(month_groups) * len(month_groups) if month_groups else BAR_WIDTH
    drawn = _month_cells(stage, month_groups, glyphs) if stage.month_progress else _bar(stage, width, glyphs)
    drawn.pad_right(max(width - drawn.cell_len, 0))
    line += drawn + Text("  ")
    longer = _stage_numbers(stage, now, both=True)
    return line + Text(longer if line.cell_len + len(longer) < max_width else _stage_numbers(stage, now))


def _month_cells(stage: StageState, month_groups: list[MonthGroup], glyphs: Glyphs) -> Text:
    line, pitch = Text(), _cell_width(month_groups)
    for span in month_groups:
        there = [stage.month_progress[month] for month in span.months if month in stage.month_progress]
        whole = reduce(MonthProgress.merge, there, MonthProgress(0))
        if not there:
            line.append(" " * pitch)
            continue
        style = STATUS_STYLES[whole.status]
        if whole.retried:
            style = "yellow"
        elif whole.done and whole.done == whole.reused == whole.partitions:
            style = "dim green"
        line.append(f"{getattr(glyphs, f'cell_{whole.status}'):>{pitch}}", style=style)
    return line


def _bar(stage: StageState, width: int, glyphs: Glyphs) -> Text:
    if stage.status in ("skipped", "waiting") or stage.total <= 1:
        return Text()
    done = round((width - 2) * min(stage.done / stage.total, 1.0))
    return Text.assemble(
        "  ",
        (glyphs.bar_done * done, STATUS_STYLES[stage.status]),
        (glyphs.bar_remaining * (width - 2 - done), "dim"),
    )


def _stage_numbers(stage: StageState, now: float, *, both: bool = False) -> str:
    """Return what stands at the end of a stage's line, with the rate of now if both; what matters most comes first."""
    if stage.status == "waiting":
        return ""
    if stage.status == "skipped":
        return stage.note
    told = [f"{stage.done}/{stage.total}"] if stage.status == "running" else []
    if stage.unit != "rounds" or stage.status == "done":  # the loss needs the room
        told.append(f"{stage.seconds(now):.1f} s")
    if rate := stage.rows_per_second(now):
        fresh = stage.current_rows_per_second(now) if both else None
        told.append(
            f"{abbreviate_number(rate)} rows/s" + (f", {abbreviate_number(fresh)} now" if fresh else "")
        )
    if stage.note:
        told.append(stage.note)
    return "  ".join(told)


def abbreviate_number(number: float) -> str:
    """Return a number in five letters or so.

    >>> abbreviate_number(432.1), abbreviate_number(65_432), abbreviate_number(1_001_459)
    ('432', '65k', '1.0M')
    """
    if number < 1e3:
        return f"{number:.0f}"
    return f"{number / 1e3:.0f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


def _footer(state: RunState) -> Text | None:
    told = []
    if total := sum(state.rejects.values()):
        reason, count = max(state.rejects.items(), key=lambda item: item[1])
        told.append(f"{total:,} rejected, {count:,} of them {reason}")
    current = state.current
    if state.remaining is not None and current is not None:
        told.append(f"about {format_duration(max(state.remaining, 1))} left")
    elif current is not None and (left := current.remaining(state.now)) is not None and current.total > 1:
        told.append(f"about {format_duration(max(left, 1))} left of {current.name}")
    return Text("  " + "; ".join(told), style="dim") if told else None
