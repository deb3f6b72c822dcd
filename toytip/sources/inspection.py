"""Checking a source before it is used: what each monthly file holds, and what stands out beside its neighbours."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from toytip.core.tlc import FIELDS
from toytip.io.access import open_file
from toytip.sources.discovery import Source, SourceFile

INSPECTION_THREADS = 4
# A month with less than half or more than twice the rows of those around it is told; spring 2020 was one.
USUAL_ROW_RATIOS = (0.5, 2.0)
NEIGHBOR_MONTHS = 2
# The columns by whose coming the TLC's files can be dated, the last first.
SCHEMA_VERSIONS = (
    ("cbd_congestion_fee", "since 2025: cbd_congestion_fee"),
    ("Airport_fee", "since 2023: Airport_fee"),
    ("airport_fee", "since 2021: airport_fee"),
    ("congestion_surcharge", "since 2019: congestion_surcharge"),
)


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What a monthly file holds. `nulls` are shares of the rows, of the columns that have any."""

    month: str
    uri: str
    rows: int
    bytes: int
    era: str
    nulls: dict[str, float]
    out_of_month: float
    neighbours: float | None
    warnings: list[str]


def inspect_source(source: Source, on_rows_read: Callable[[int], None]) -> list[FileReport]:
    """Check every file of a source; `on_rows_read` is told the rows of each. Only the columns that must be are read."""
    bands = [_ratio_to_neighbors(source.files, number) for number in range(len(source.files))]

    def one(item: tuple[SourceFile, float | None]) -> FileReport:
        checked = _inspect_file(*item)
        on_rows_read(checked.rows)
        return checked

    with ThreadPoolExecutor(INSPECTION_THREADS) as pool:
        return list(pool.map(one, zip(source.files, bands, strict=True)))


def _ratio_to_neighbors(files: tuple[SourceFile, ...], index: int) -> float | None:
    """Return the rows of a month as a multiple of the median of its neighbours."""
    around = [
        *files[max(index - NEIGHBOR_MONTHS, 0) : index],
        *files[index + 1 : index + 1 + NEIGHBOR_MONTHS],
    ]
    return files[index].rows / statistics.median(file.rows for file in around) if around else None


def _inspect_file(file: SourceFile, neighbours: float | None) -> FileReport:
    with open_file(file.uri, file.storage_options) as stream:
        footer = pq.ParquetFile(stream)
        names = footer.schema_arrow.names
        columns = {field.name: name for field in FIELDS if (name := field.match(names))}
        nulls = {column: _null_share(footer, column) for column in columns.values()}
        pickup = footer.read([columns["pickup_at"]], use_threads=False).column(0)
    outside = _rows_out_of_month(pickup, file) / file.rows
    warnings = []
    if neighbours is not None and not USUAL_ROW_RATIOS[0] <= neighbours <= USUAL_ROW_RATIOS[1]:
        warnings.append(f"{neighbours:.2f} times the rows of the months around it")
    if outside > 0.01:
        warnings.append(f"{outside:.1%} of the pickups are in other months")
    return FileReport(
        month=str(file.month),
        uri=file.uri,
        rows=file.rows,
        bytes=file.bytes,
        era=next((told for column, told in SCHEMA_VERSIONS if nulls.get(column, 1) < 1), "before 2019"),
        nulls={name: round(share, 6) for name, share in nulls.items() if share},
        out_of_month=outside,
        neighbours=None if neighbours is None else round(neighbours, 3),
        warnings=warnings,
    )


def _null_share(footer: pq.ParquetFile, name: str) -> float:
    """Return the share of nulls: from the footer where it has them, else from the column."""
    index = footer.schema_arrow.names.index(name)
    groups = [footer.metadata.row_group(k).column(index) for k in range(footer.num_row_groups)]
    rows = footer.metadata.num_rows
    if all(g.is_stats_set and g.statistics.has_null_count for g in groups):
        return float(sum(g.statistics.null_count for g in groups) / rows)
    return float(footer.read([name], use_threads=False).column(0).null_count / rows)


def _rows_out_of_month(pickup: pa.ChunkedArray, file: SourceFile) -> int:
    start, stop = (pa.scalar(t, pickup.type) for t in (file.month.start, file.month.next.start))
    inside = pc.and_(pc.greater_equal(pickup, start), pc.less(pickup, stop))
    return len(pickup) - int(pc.sum(inside).as_py() or 0)
