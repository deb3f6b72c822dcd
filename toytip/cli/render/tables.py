"""What a person reads at the end of a run: metrics beside their baselines, and where everything is."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

from toytip.sources.inspection import SourceReport

# What is piped into a file or a log is no wider, but for tables, which keep their columns whole.
PIPED_WIDTH = 132
# Spaces between the columns of a table.
COLUMN_GAP = 2


def make_console() -> Console:
    """Return a console that takes what it is given as it is, brackets too."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def show_table(console: Console, table: Table) -> None:
    """Print a table; what a terminal is too narrow for comes below, beside the first column again. Nothing is cut."""
    if table.title:
        console.print(table.title, style="italic")
    for columns in _column_blocks(table, console.width) if console.is_terminal else [table.columns]:
        block = Table(box=None, pad_edge=False, header_style=table.header_style)
        for column in columns:
            block.add_column(column.header, justify=column.justify, no_wrap=True, min_width=column.min_width)
        for cells in zip(*(column.cells for column in columns), strict=True):
            block.add_row(*cells)
        block.width = sum(map(_column_width, columns)) + COLUMN_GAP * (len(columns) - 1)
        console.print(block, soft_wrap=True)


def _column_blocks(table: Table, width: int) -> list[list[Column]]:
    """Return the columns in blocks that a width has room for, each with the first; one has another at least."""
    first, *rest = table.columns
    blocks: list[list[Column]] = []
    room = 0
    for column in rest:
        room -= COLUMN_GAP + _column_width(column)
        if not blocks or room < 0:
            blocks.append([first])
            room = width - _column_width(first) - COLUMN_GAP - _column_width(column)
        blocks[-1].append(column)
    return blocks


def _column_width(column: Column) -> int:
    return max(column.min_width or 0, *(cell_len(str(each)) for each in (column.header, *column.cells)))


def format_number(value: float | None) -> str:
    """Return a number as text."""
    return "-" if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """Return a number with its sign; empty for None."""
    return "" if value is None else f"{value:+.4f}"


def format_value(value: Any) -> str:
    """Return a value as text."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def show_inspection(report: SourceReport) -> None:
    """Print one line per file of a source, and the shares of nulls and the warnings below."""
    console = make_console()
    table = Table(box=None, pad_edge=False)
    for title in ("month", "rows", "vs. adjacent", "out of month", "schema version"):
        left = title in ("month", "schema version")
        table.add_column(title, justify="left" if left else "right", no_wrap=True)
    for file in report.files:
        ratio = "" if file.adjacent_row_ratio is None else f"{file.adjacent_row_ratio:.2f}"
        outside = f"{file.out_of_month_share:.4%}"
        table.add_row(file.month, f"{file.rows:,}", ratio, outside, file.schema_version)
    show_table(console, table)
    for name in dict.fromkeys(name for file in report.files for name in file.null_shares):
        shares = [file.null_shares.get(name, 0.0) for file in report.files]
        console.print(f"{name} is missing in {min(shares):.2%} to {max(shares):.2%} of the rows of a month")
    for file in report.files:
        for warning in file.warnings:
            console.print(f"{file.month}: warning: {warning}")
