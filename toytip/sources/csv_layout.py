"""Find the columns, types, rows and months of a CSV file, by reading it once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pyarrow as pa

from toytip.core.partitions import CsvLayout
from toytip.datasets.tlc.fields import match_fields
from toytip.sources.csv_rows import AMOUNTS, iterate_blocks, open_text, parse_rows, read_header
from toytip.sources.month_rows import CountedBlock, MonthCounts, count_numbers
from toytip.sources.windows import pickup_months


@dataclass(frozen=True, kw_only=True)
class CsvContent:
    """The content of a CSV file."""

    schema: pa.Schema
    """Names and types of all columns. Ignored columns, and columns of nulls, have the type null."""
    columns: tuple[str, ...]
    """Names of all columns."""
    rows: int
    nulls: dict[str, int]
    """Number of nulls by column."""
    layouts: tuple[CsvLayout, ...]
    """Layout of each block."""
    blocks: tuple[CountedBlock, ...]
    """Rows of each block by month."""


def read_csv_content(stream: Any, uri: str) -> CsvContent:
    """Return the content of a CSV file. Raises OSError or ValueError if it cannot be parsed.

    Each column has the type that all its values have: a number, a time in ISO 8601, or else text.
    The values become values of trips by the same rules as those of other files.
    """
    text = open_text(stream)
    header, offset = read_header(text)
    matches = match_fields(header.columns)
    used = list(matches.values())
    if not used:  # without names, Arrow would read all columns
        return CsvContent(
            schema=_full_schema(header, {}), columns=header.columns, rows=0, nulls={}, layouts=(), blocks=()
        )
    lines = iterate_blocks(text)
    first = next(lines, b"")
    layout = replace(header, decimal_point=_decimal_point(first, header, used))
    types: dict[str, set[pa.DataType]] = {name: set() for name in used}
    nulls = dict.fromkeys(used, 0)
    starts, blocks, position = [], [], 0
    for block in chain([first] if first else [], lines):
        table = _parse_block(block, layout, used, position)
        for field, column in zip(table.schema, table.columns, strict=True):
            types[field.name].add(field.type)
            nulls[field.name] += column.null_count
        counts = _count_pickups(table, matches, uri)
        starts.append((offset, position))
        blocks.append(CountedBlock(position, position + len(table), counts))
        offset, position = offset + len(block), position + len(table)
    common = {name: _common_type(types[name]) for name in used}
    layout = replace(layout, types=tuple((name, str(item)) for name, item in common.items()))
    return CsvContent(
        schema=_full_schema(layout, common),
        columns=layout.columns,
        rows=position,
        nulls=nulls,
        layouts=tuple(replace(layout, offset=start, offset_row=row) for start, row in starts),
        blocks=tuple(blocks),
    )


def _full_schema(layout: CsvLayout, types: Mapping[str, pa.DataType]) -> pa.Schema:
    return pa.schema([(name, types.get(name, pa.null())) for name in layout.columns])


def _count_pickups(table: pa.Table, matches: Mapping[str, str], uri: str) -> MonthCounts:
    """Count the months of the pickups of a block. Its types can differ from those of the file."""
    name = matches.get("pickup_at")
    if name is None:
        return MonthCounts()
    column = table.column(name)
    column = column.cast(_common_type({column.type}))
    return count_numbers(pickup_months(pa.table({name: column}), uri))


def _parse_block(block: bytes, layout: CsvLayout, used: list[str], position: int) -> pa.Table:
    try:
        return parse_rows(block, layout, used)
    except ValueError as error:
        where = f"after row {position:,}: " if position else ""
        raise ValueError(f"{where}{error}") from None


def _decimal_point(lines: bytes, layout: CsvLayout, used: list[str]) -> str:
    """Return the decimal point of the first rows: a comma, if only that makes amounts numbers."""
    amounts = [name for field, name in match_fields(used).items() if field in AMOUNTS]
    if layout.delimiter == "," or not amounts or not lines:
        return "."

    def count_text(decimal_point: str) -> int:
        table = parse_rows(lines, replace(layout, decimal_point=decimal_point), amounts)
        return sum(pa.types.is_string(field.type) for field in table.schema)

    return "," if count_text(",") < count_text(".") else "."


def _common_type(types: set[pa.DataType]) -> pa.DataType:
    """Return the type that can hold the values of all blocks.

    >>> str(_common_type({pa.int64(), pa.null(), pa.float64()}))
    'double'
    >>> str(_common_type({pa.int64(), pa.string()}))
    'string'
    """
    value_types = types - {pa.null()}
    if len(value_types) == 1:
        only = next(iter(value_types))
        zone = getattr(only, "tz", None)
        is_number = pa.types.is_integer(only) or pa.types.is_floating(only)
        return only if is_number or (pa.types.is_timestamp(only) and zone is None) else pa.string()
    if not value_types:
        return pa.null()
    if all(pa.types.is_integer(item) or pa.types.is_floating(item) for item in value_types):
        return pa.float64()
    if all(pa.types.is_timestamp(item) and item.tz is None for item in value_types):
        return pa.timestamp("ns")
    return pa.string()
