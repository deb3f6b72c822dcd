"""Render the state of a run for a terminal: one line per stage, and one mark per month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

from rich.text import Text

from toytip.progress.state import MonthProgress, RunState, StageState, format_duration

NAME_WIDTH = 11
# Maximum width of the month marks of a stage, and width of the progress bar of other stages.
MAX_MONTHS_WIDTH = 36
BAR_WIDTH = 24


class Glyphs(NamedTuple):
    """The characters for stages, months and progress bars."""

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
    """Return the glyphs that an encoding can represent."""
    return UNICODE_GLYPHS if encoding.lower().startswith("utf") else ASCII_GLYPHS


class MonthGroup(NamedTuple):
    """Months that share one mark, and the title of their column."""

    months: tuple[str, ...]
    title: str


def group_months(months: Sequence[str], max_width: int = MAX_MONTHS_WIDTH) -> list[MonthGroup]:
    """Return one group per month if all months fit, else one per quarter, else one per year.

    >>> [group.title for group in group_months(["2023-11", "2023-12", "2024-01"])]
    ['11', '12', '1']
    >>> two_years = [f"{y}-{m:02d}" for y in (2022, 2023) for m in range(1, 13)]
    >>> [(group.title, len(group.months)) for group in group_months(two_years, 4)]
    [('22', 12), ('23', 12)]
    """
    if 3 * len(months) <= max_width:
        return [MonthGroup((month,), str(int(month[5:]))) for month in months]
    quarters = _group_by(months, lambda month: f"{month[:4]} {(int(month[5:]) + 2) // 3}")
    if len(quarters) <= max_width // 2:
        return [MonthGroup(tuple(group), f"q{name[-1]}") for name, group in quarters.items()]
    years = _group_by(months, lambda month: month[:4])
    return [MonthGroup(tuple(group), name[2:4]) for name, group in years.items()]


def _group_by(months: Sequence[str], name_of: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for month in months:
        groups.setdefault(name_of(month), []).append(month)
    return groups


def render(state: RunState, width: int = 80, glyphs: Glyphs = UNICODE_GLYPHS) -> Text:
    """Return the state as lines of less than `width` columns. Empty if there is nothing to show."""
    groups = group_months(state.months)
    lines = [_header(groups, state)] if groups and state.stages else []
    lines += [_stage_line(stage, groups, state.now, glyphs, width) for stage in state.stages]
    if footer := _footer(state):
        lines.append(footer)
    for line in lines:
        line.truncate(max(width - 1, 20), overflow="crop")
    return Text("\n").join(lines)


def _header(groups: list[MonthGroup], state: RunState) -> Text:
    width = _cell_width(groups)
    years = sorted({month[:4] for month in state.months})
    label = years[0] if len(years) == 1 else f"{years[0]}-{years[-1][2:]}"
    titles = "".join(f"{group.title:>{width}}" for group in groups)
    return Text(f"  {label:<{NAME_WIDTH}} {titles}", style="dim")


def _cell_width(groups: list[MonthGroup]) -> int:
    return 3 if len(groups) <= MAX_MONTHS_WIDTH // 3 else 2


def _stage_line(
    stage: StageState, groups: list[MonthGroup], now: float, glyphs: Glyphs, max_width: int
) -> Text:
    mark, name = getattr(glyphs, stage.status), stage.name[:NAME_WIDTH]
    name_style = "dim" if stage.status in ("waiting", "skipped") else ""
    line = Text.assemble((f"{mark} ", STATUS_STYLES[stage.status]), (f"{name:<{NAME_WIDTH}} ", name_style))
    width = _cell_width(groups) * len(groups) if groups else BAR_WIDTH
    cells = _month_cells(stage, groups, glyphs) if stage.month_progress else _bar(stage, width, glyphs)
    cells.pad_right(max(width - cells.cell_len, 0))
    line += cells + Text("  ")
    numbers = _stage_numbers(stage, now, with_current_rate=True)
    fits = line.cell_len + len(numbers) < max_width
    return line + Text(numbers if fits else _stage_numbers(stage, now))


def _month_cells(stage: StageState, groups: list[MonthGroup], glyphs: Glyphs) -> Text:
    line, width = Text(), _cell_width(groups)
    for group in groups:
        months = [stage.month_progress[month] for month in group.months if month in stage.month_progress]
        if not months:
            line.append(" " * width)
            continue
        total = reduce(MonthProgress.merge, months)
        mark = getattr(glyphs, f"cell_{total.status}")
        line.append(f"{mark:>{width}}", style=_cell_style(total))
    return line


def _cell_style(total: MonthProgress) -> str:
    if total.retried:
        return "yellow"
    is_reused = total.done and total.done == total.reused == total.partitions
    return "dim green" if is_reused else STATUS_STYLES[total.status]


def _bar(stage: StageState, width: int, glyphs: Glyphs) -> Text:
    if stage.status in ("skipped", "waiting") or stage.total <= 1:
        return Text()
    done = round((width - 2) * min(stage.done / stage.total, 1.0))
    return Text.assemble(
        "  ",
        (glyphs.bar_done * done, STATUS_STYLES[stage.status]),
        (glyphs.bar_remaining * (width - 2 - done), "dim"),
    )


def _stage_numbers(stage: StageState, now: float, *, with_current_rate: bool = False) -> str:
    """Return the text at the end of a stage's line, most important numbers first."""
    if stage.status == "waiting":
        return ""
    if stage.status == "skipped":
        return stage.note
    numbers = [f"{stage.done}/{stage.total}"] if stage.status == "running" else []
    if stage.unit != "rounds" or stage.status == "done":  # the note with the loss needs the space
        numbers.append(f"{stage.seconds(now):.1f} s")
    if rate := stage.rows_per_second(now):
        current = stage.current_rows_per_second(now) if with_current_rate else None
        suffix = f", {abbreviate_number(current)} now" if current else ""
        numbers.append(f"{abbreviate_number(rate)} rows/s{suffix}")
    if stage.note:
        numbers.append(stage.note)
    return "  ".join(numbers)


def abbreviate_number(number: float) -> str:
    """Return a number as a text of about five characters.

    >>> abbreviate_number(432.1), abbreviate_number(65_432), abbreviate_number(1_001_459)
    ('432', '65k', '1.0M')
    """
    if number < 1e3:
        return f"{number:.0f}"
    return f"{number / 1e3:.0f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


def _footer(state: RunState) -> Text | None:
    parts = []
    if rejected := sum(state.rejects.values()):
        reason, count = max(state.rejects.items(), key=lambda item: item[1])
        parts.append(f"{rejected:,} rejected, {count:,} of them {reason}")
    current = state.current
    if state.remaining is not None and current is not None:
        parts.append(f"about {format_duration(max(state.remaining, 1))} left")
    elif current is not None and (left := current.remaining(state.now)) is not None and current.total > 1:
        parts.append(f"about {format_duration(max(left, 1))} left in {current.name}")
    return Text("  " + "; ".join(parts), style="dim") if parts else None
