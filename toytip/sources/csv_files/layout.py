"""Find the columns, rows and months of a CSV file, by reading it once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toytip.core.dataset.dataset import Dataset
from toytip.core.number_values import is_missing_text
from toytip.core.partitions import CsvLayout
from toytip.core.time_values import FROM_TEXT
from toytip.core.times import month_index
from toytip.datasets.registry import match_dataset
from toytip.sources.csv_files.rows import read_csv
from toytip.sources.month_rows import CountedBlock, MonthCounts, count_numbers
from toytip.stages.conform import read_column


@dataclass(frozen=True, kw_only=True)
class CsvContent:
    """The content of a CSV file."""

    schema: pa.Schema
    """Names and types of all columns: null for ignored columns and columns without values,
    timestamps for columns of times in ISO 8601 without zones, and text for the others."""
    rows: int
    layouts: tuple[CsvLayout, ...]
    """Layout of each block."""
    blocks: tuple[CountedBlock, ...]
    """Rows of each block by month."""


@dataclass
class _Columns:
    """The columns of a data set in a file, as the blocks show them one by one."""

    dataset: Dataset
    names: dict[str, str]
    """Names in the file by field."""
    without_values: set[str] = field(default_factory=set)
    """Names of the columns whose values are all missing."""
    with_other_times: set[str] = field(default_factory=set)
    """Names of the time columns with values other than times in ISO 8601 without zones."""

    def add(self, rows: pa.Table) -> MonthCounts:
        """Note the values of a block, and return its number of rows per month."""
        columns: dict[str, pa.ChunkedArray] = {}
        for name, values in zip(rows.column_names, rows.columns, strict=True):
            columns.setdefault(name, values)  # the check of the columns reports a repeated name
        self.without_values -= {name for name in self.without_values if _has_values(columns[name])}
        counts = MonthCounts()
        for item in self.dataset.fields:
            if item.kind != "time" or item.name not in self.names:
                continue
            column = self.names[item.name]
            times = read_column(columns[column], item, column, "")
            if times.unreadable is not None or times.conversion not in ("", FROM_TEXT):
                self.with_other_times.add(column)
            if item.name == self.dataset.time_column:
                counts = count_numbers(month_index(times.array))
        return counts

    def type_of(self, name: str) -> pa.DataType:
        """Return the type of a column."""
        fields = {column: field for field, column in self.names.items()}
        if name not in fields or name in self.without_values:
            return pa.null()
        is_time = self.dataset.fields_by_name[fields[name]].kind == "time"
        return pa.timestamp("us") if is_time and name not in self.with_other_times else pa.string()


def _has_values(text: pa.ChunkedArray) -> bool:
    is_missing = is_missing_text(pc.utf8_trim_whitespace(text))
    return pc.any(pc.and_not(text.is_valid(), is_missing)).as_py() is True


def read_csv_content(text: Any, dataset: Dataset | None = None) -> CsvContent:
    """Return the content of a CSV file, given its decompressed bytes.

    Raises OSError or ValueError if the file cannot be read.

    If the file has no column of the data set, its rows are not read.
    """
    csv_blocks = read_csv(text, dataset)
    header = next(csv_blocks).layout
    dataset = match_dataset(header.columns, dataset)
    names = dataset.field_names.match(header.columns)
    columns = _Columns(dataset, names, without_values=set(names.values()))
    layouts: list[CsvLayout] = []
    blocks: list[CountedBlock] = []
    for layout, rows in csv_blocks if names else ():
        start = layout.offset_row
        blocks.append(CountedBlock(start, start + len(rows), columns.add(rows)))
        layouts.append(layout)
    return CsvContent(
        schema=pa.schema([(name, columns.type_of(name)) for name in header.columns]),
        rows=blocks[-1].stop if blocks else 0,
        layouts=tuple(layouts),
        blocks=tuple(blocks),
    )
