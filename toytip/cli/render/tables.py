"""Tables and numbers as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

# Width of text in a file or a pipe, in columns. A wider table is still printed completely.
PIPED_WIDTH = 132
# Number of spaces between two columns of a table.
COLUMN_GAP = 2


def make_console() -> Console:
    """Return a console for stdout that prints text unchanged, including brackets."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def new_table(*titles: str, left: Sequence[str] = (), title: str = "") -> Table:
    """Return a table without borders.

    The first column and the columns named in `left` are aligned to the left.
    """
    table = Table(box=None, pad_edge=False, title=title or None)
    for index, name in enumerate(titles):
        table.add_column(name, justify="left" if not index or name in left else "right", no_wrap=True)
    return table


def show_table(console: Console, table: Table, drop: Sequence[str] = ()) -> None:
    """Print a table. No cell is cut.

    If the terminal is too narrow, leave out columns of `drop`, in this order, until the table fits.
    If the table still does not fit, print the remaining columns in blocks. Each block repeats the
    first column.
    """
    if table.title:
        console.print(table.title, style="italic")
    columns, dropped = list(table.columns), list[str]()
    if console.is_terminal:
        columns, dropped = _drop_columns(columns, console.width, drop)
    for block in _column_blocks(columns, console.width) if console.is_terminal else [columns]:
        _show_block(console, block)
    if dropped:
        names = ", ".join(" ".join(title.split()) for title in dropped)
        console.print(f"(too narrow for: {names})", style="dim")


class Section(str):
    """A cell that is the heading of the rows below. It can be wider than its column."""

    __slots__ = ()


def _show_block(console: Console, columns: Sequence[Column]) -> None:
    """Print columns. A heading interrupts the table, but does not change the column widths."""
    block = _empty_block(columns, header=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        if isinstance(cells[0], Section):
            console.print(block, soft_wrap=True)
            console.print(str(cells[0]), soft_wrap=True)
            block = _empty_block(columns, header=False)
        else:
            block.add_row(*cells)
    if block.row_count or block.show_header:
        console.print(block, soft_wrap=True)


def _empty_block(columns: Sequence[Column], *, header: bool) -> Table:
    block = Table(box=None, pad_edge=False, show_header=header)
    for column in columns:
        block.add_column(column.header, justify=column.justify, no_wrap=True, min_width=_column_width(column))
    block.width = _width(columns)
    return block


def _drop_columns(columns: list[Column], width: int, drop: Sequence[str]) -> tuple[list[Column], list[str]]:
    """Return the columns that fit into a width, and the titles of the dropped columns."""
    dropped: list[str] = []
    for title in drop:
        if _width(columns) <= width:
            break
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
    return max(column.min_width or 0, *map(cell_len, lines))


def fit(console: Console, text: str) -> str:
    """Return a text, shortened to one line of the terminal."""
    if not console.is_terminal or cell_len(text) <= console.width:
        return text
    return text[: console.width - 3].rstrip() + "..."


def format_number(value: float | None) -> str:
    """Return a number as text, and a hyphen for None."""
    return "-" if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """Return a number with its sign as text, and an empty text for None."""
    return "" if value is None else f"{value:+.4f}"


def format_value(value: Any) -> str:
    """Return a value as text."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def plural(count: int, noun: str) -> str:
    """Return a number with its noun.

    >>> plural(1, "warning"), plural(1200, "trip")
    ('1 warning', '1,200 trips')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
