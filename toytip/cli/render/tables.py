"""Tables, wrapped lines and numbers as text."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

from toytip.core.splits import TimeRange

# Width of text in a file or a pipe, in columns: in effect, no line is too long.
PIPED_WIDTH = 100_000
# Number of spaces between two columns of a table.
COLUMN_GAP = 2


def make_console() -> Console:
    """Return a console for stdout that prints text unchanged, including brackets.

    Text in a file or a pipe has a maximum width only if the environment variable COLUMNS sets one.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = PIPED_WIDTH
    return console


def wrap_text(
    width: int,
    text: str,
    indent: str = "  ",
    first: str = "",
    *,
    max_lines: int | None = None,
    end: str = " ...",
) -> list[str]:
    """Return a text as lines of at most `width` columns, broken at spaces.

    `first` starts the first line, and `indent` starts the other lines. A word that is longer than a
    line, such as a path, is not broken. A text of more than `max_lines` lines is cut, with `end`.
    """
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        max_lines=max_lines,
        placeholder=end,
    )


def print_wrapped(
    console: Console, text: str, indent: str = "  ", first: str = "", style: str | None = None
) -> None:
    """Print a text, broken at spaces, with `indent` before all lines but the first."""
    for line in wrap_text(console.width, text, indent, first):
        console.print(line, style=style, soft_wrap=True)


def new_table(*titles: str, left: Sequence[str] = (), title: str = "") -> Table:
    """Return a table without borders.

    The first column and the columns named in `left` are aligned to the left.
    """
    table = Table(box=None, pad_edge=False, title=title or None)
    for index, name in enumerate(titles):
        table.add_column(name, justify="left" if not index or name in left else "right", no_wrap=True)
    return table


def show_table(
    console: Console, table: Table, drop: Sequence[str] = (), *, name_dropped: bool = True
) -> None:
    """Print a table. No cell is cut.

    If the console is too narrow, leave out columns of `drop`, in this order, until the table fits.
    If the table still does not fit, print the remaining columns in blocks. Each block repeats the
    first column. Unless `name_dropped` is false, a line below the table names the dropped columns.
    """
    if table.title:
        console.print(table.title, style="italic")
    columns, dropped = _drop_columns(table.columns, console.width, drop)
    for block in _column_blocks(columns, console.width):
        for line, style in _block_lines(block):
            console.print(line, style=style, soft_wrap=True)
    if dropped and name_dropped:
        names = ", ".join(" ".join(title.split()) for title in dropped)
        print_wrapped(console, f"(columns not shown: {names}. See --json)", " ", style="dim")


class Section(str):
    """A cell that is the heading of the rows below. The cell can be wider than its column."""

    __slots__ = ()


def _block_lines(columns: Sequence[Column]) -> Iterator[tuple[str, str | None]]:
    """Yield the lines of columns with their style, without spaces at the end of a line."""
    titles = [str(column.header).split("\n") for column in columns]
    height = max(map(len, titles))
    for cells in zip(*([""] * (height - len(lines)) + lines for lines in titles), strict=True):
        yield _row_line(columns, cells), "bold"
    for cells in zip(*(column.cells for column in columns), strict=True):
        is_heading = isinstance(cells[0], Section)
        yield str(cells[0]) if is_heading else _row_line(columns, [str(cell) for cell in cells]), None


def _row_line(columns: Sequence[Column], cells: Sequence[str]) -> str:
    padded = []
    for column, cell in zip(columns, cells, strict=True):
        space = " " * (_column_width(column) - cell_len(cell))
        padded.append(space + cell if column.justify == "right" else cell + space)
    return (" " * COLUMN_GAP).join(padded).rstrip()


def _drop_columns(
    columns: Sequence[Column], width: int, drop: Sequence[str]
) -> tuple[list[Column], list[str]]:
    """Return the columns that fit into a width, and the titles of the dropped columns."""
    columns, dropped = list(columns), list[str]()
    for title in drop:
        if _width(columns) <= width:
            break
        if any(column.header == title for column in columns):
            dropped.append(title)
            columns = [column for column in columns if column.header != title]
    return columns, dropped


def _column_blocks(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """Return the columns in blocks of at most a width.

    Each block has the first column and at least one other column, even if they are wider.
    """
    first, *rest = columns
    blocks: list[list[Column]] = []
    room = 0
    for column in rest:
        room -= COLUMN_GAP + _column_width(column)
        if not blocks or room < 0:
            blocks.append([first])
            room = width - _column_width(first) - COLUMN_GAP - _column_width(column)
        blocks[-1].append(column)
    return blocks or [[first]]


def _width(columns: Sequence[Column]) -> int:
    return sum(map(_column_width, columns)) + COLUMN_GAP * (len(columns) - 1)


def _column_width(column: Column) -> int:
    cells = [cell for cell in (column.header, *column.cells) if not isinstance(cell, Section)]
    lines = [line for cell in cells for line in str(cell).split("\n")]
    return max(map(cell_len, lines))


def format_number(value: float | None) -> str:
    """Return a number as text, and a hyphen for None."""
    return "-" if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """Return a number with its sign as text, and an empty text for None."""
    return "" if value is None else f"{value:+.4f}"


def format_value(value: Any) -> str:
    """Return a value as text.

    >>> format_value({"psi": 0.2, "months": ["2023-01", "2023-02"]}), format_value(1234)
    ('psi 0.2, months 2023-01, 2023-02', '1,234')
    """
    if isinstance(value, TimeRange):
        return " to ".join(time.removesuffix("T00:00:00") for time in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {format_value(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(format_value, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else str(value)
