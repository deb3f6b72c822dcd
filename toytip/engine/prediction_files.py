"""Read files of predictions that any program wrote: trip IDs, probabilities and decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from toytip.core.access import StorageOptions
from toytip.core.arrays import BoolArray, Float32Array, Int64Array
from toytip.core.redact import first_line, mask_credentials
from toytip.core.text import join_words
from toytip.errors import SchemaError, SourceError
from toytip.evaluation.judgment import FaultCount, PredictionFaults
from toytip.io.access import open_file
from toytip.sources.formats import PARQUET_MAGIC
from toytip.sources.listing import list_source_files
from toytip.sources.reader import column_statistics, open_parquet

TRIP_ID, PROBABILITY, DECISION = "trip_id", "probability", "prediction"
# A task reads row groups with about this many predictions. Each needs 13 bytes.
CHUNK_ROWS = 1_000_000
BATCH_ROWS = 65_536
FOOTER_THREADS = 8
FILES_HINT = "Name a Parquet or CSV file, or a folder, glob or URI of such files."
COLUMNS_HINT = f"Write the columns {TRIP_ID} and {PROBABILITY}, one row per trip."
ALL_IDS = (int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max))

IdRange = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class PredictionChunk:
    """The part of a file of predictions that one task reads."""

    uri: str
    """Path or URI of the file."""
    storage_options: StorageOptions
    """Options to access the file."""
    row_groups: tuple[int, ...] | None
    """Row groups of a Parquet file. None for a complete CSV file."""
    id_range: IdRange
    """Range that contains all trip IDs of the chunk."""


@dataclass(frozen=True, kw_only=True)
class PredictionFiles:
    """Files of predictions, divided into chunks."""

    files: int
    """Number of files."""
    chunks: tuple[PredictionChunk, ...]
    """Chunks of all files."""
    has_decisions: bool
    """Whether all files have the column of decisions."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictionRows:
    """Predictions with a trip ID, sorted by trip ID."""

    trip_id: Int64Array
    probability: Float32Array
    """Probabilities. NaN if the probability is missing or out of range."""
    decision: BoolArray | None
    """Decisions, or None if the files have no decisions."""

    def within(self, id_range: IdRange) -> PredictionRows:
        """Return the predictions whose trip IDs are in a range, bounds included."""
        start = int(np.searchsorted(self.trip_id, id_range[0], "left"))
        stop = int(np.searchsorted(self.trip_id, id_range[1], "right"))
        return PredictionRows(
            trip_id=self.trip_id[start:stop],
            probability=self.probability[start:stop],
            decision=None if self.decision is None else self.decision[start:stop],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedChunk:
    """The predictions of a chunk, the number of all rows, and the faults of single rows."""

    predictions: PredictionRows
    rows: int
    faults: PredictionFaults


def find_prediction_files(location: str, endpoint_url: str | None = None) -> PredictionFiles:
    """Return the files of predictions at a path, folder, glob or URI, divided into chunks.

    Raises SourceError if there are no files or if a file cannot be read, and SchemaError if a file
    does not have the columns.
    """
    try:
        options = list_source_files(location, endpoint_url).options
    except SourceError as error:
        raise SourceError(
            str(error).replace("the source", "predictions").replace("source ", "predictions "),
            hint=FILES_HINT,
        ) from None
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        plans = list(pool.map(_plan_file, options.keys(), options.values()))
    return PredictionFiles(
        files=len(plans),
        chunks=tuple(chunk for _, chunks in plans for chunk in chunks),
        has_decisions=all(has_decisions for has_decisions, _ in plans),
    )


def trip_id_range(uri: str, storage_options: StorageOptions) -> IdRange:
    """Return a range that contains all trip IDs of a Parquet file, from its footer."""
    with open_file(uri, storage_options) as stream:
        metadata = open_parquet(stream).metadata
    return _id_range(metadata, range(metadata.num_row_groups))


def _plan_file(uri: str, storage_options: StorageOptions) -> tuple[bool, list[PredictionChunk]]:
    """Return whether a file has decisions, and its chunks."""
    name = mask_credentials(uri)
    chunk = partial(PredictionChunk, uri=uri, storage_options=storage_options)
    try:
        with open_file(uri, storage_options) as stream:
            is_parquet = stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
            stream.seek(0)
            if not is_parquet:
                columns = pv.open_csv(stream).schema.names
                return _require_columns(columns, name), [chunk(row_groups=None, id_range=ALL_IDS)]
            parquet = open_parquet(stream)
            has_decisions = _require_columns(parquet.schema_arrow.names, name)
            metadata = parquet.metadata
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"cannot read predictions {name}: {first_line(error)}", hint=FILES_HINT) from None
    return has_decisions, [
        chunk(row_groups=groups, id_range=_id_range(metadata, groups)) for groups in _group_rows(metadata)
    ]


def _require_columns(names: Sequence[str], uri: str) -> bool:
    """Return whether a file has decisions. Raises SchemaError if it lacks another column."""
    missing = [name for name in (TRIP_ID, PROBABILITY) if name not in names]
    if missing:
        columns = "column" if len(missing) == 1 else "columns"
        raise SchemaError(
            f"cannot use predictions {uri}: there is no {columns} {join_words(missing)}", hint=COLUMNS_HINT
        )
    return DECISION in names


def _group_rows(metadata: pq.FileMetaData) -> Iterator[tuple[int, ...]]:
    """Yield consecutive row groups with about `CHUNK_ROWS` rows."""
    groups: list[int] = []
    rows = 0
    for group in range(metadata.num_row_groups):
        groups.append(group)
        rows += metadata.row_group(group).num_rows
        if rows >= CHUNK_ROWS:
            yield tuple(groups)
            groups, rows = [], 0
    if groups:
        yield tuple(groups)


def _id_range(metadata: pq.FileMetaData, groups: Sequence[int]) -> IdRange:
    """Return a range that contains the trip IDs of some row groups.

    Statistics count only if they are of integers: those of text have another order.
    """
    statistics = [column_statistics(metadata, TRIP_ID)[group] for group in groups]
    lows = [item.min for item in statistics if item is not None and item.has_min_max]
    highs = [item.max for item in statistics if item is not None and item.has_min_max]
    if len(lows) < len(groups) or not all(isinstance(value, int) for value in (*lows, *highs)):
        return ALL_IDS
    return min(lows, default=ALL_IDS[0]), max(highs, default=ALL_IDS[1])


def load_chunk(chunk: PredictionChunk, *, has_decisions: bool) -> LoadedChunk:
    """Read a chunk. Raises SourceError for damaged files, and SchemaError for wrong types."""
    name = mask_credentials(chunk.uri)
    names = [TRIP_ID, PROBABILITY, *([DECISION] if has_decisions else [])]
    try:
        with open_file(chunk.uri, chunk.storage_options) as stream:
            batches = [_convert(batch, name) for batch in _read_batches(stream, chunk.row_groups, names)]
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"cannot read predictions {name}: {first_line(error)}", hint=FILES_HINT) from None
    return _merge(batches, has_decisions=has_decisions)


def _read_batches(
    stream: Any, row_groups: tuple[int, ...] | None, names: list[str]
) -> Iterator[pa.RecordBatch]:
    if row_groups is None:
        reader = pv.open_csv(stream, convert_options=pv.ConvertOptions(include_columns=names))
        yield from reader
    else:
        yield from open_parquet(stream).iter_batches(
            BATCH_ROWS, row_groups=list(row_groups), columns=names, use_threads=False
        )


def _convert(batch: pa.RecordBatch, uri: str) -> LoadedChunk:
    """Return the predictions of a batch, in their order, without rows that have no trip ID."""
    ids = _cast(_nan_as_null(batch.column(TRIP_ID)), pa.int64(), TRIP_ID, uri)
    exact = _cast(batch.column(PROBABILITY), pa.float64(), PROBABILITY, uri)
    probability = exact.fill_null(np.nan).to_numpy(zero_copy_only=False)
    has_id, is_null = ids.is_valid().to_numpy(zero_copy_only=False), np.isnan(probability)
    decision = None
    if DECISION in batch.schema.names:
        decisions = _decisions(batch.column(DECISION), uri)
        is_null |= decisions.is_null().to_numpy(zero_copy_only=False)
        decision = decisions.fill_null(False).to_numpy(zero_copy_only=False)[has_id]
    is_outside = ~np.isnan(probability) & ~((probability >= 0) & (probability <= 1))
    valid = np.where(is_outside, np.nan, probability).astype(np.float32)[has_id]
    trip_ids = ids.drop_null().to_numpy()
    return LoadedChunk(
        predictions=PredictionRows(trip_id=trip_ids, probability=valid, decision=decision),
        rows=len(ids),
        faults=PredictionFaults(
            null=FaultCount.of(trip_ids[is_null[has_id]], count=int((is_null | ~has_id).sum())),
            out_of_range=FaultCount.of(trip_ids[is_outside[has_id]], count=int(is_outside.sum())),
        ),
    )


def _nan_as_null(column: pa.Array) -> pa.Array:
    """Return a column in which NaN, pandas' missing value, is null."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _cast(column: pa.Array, kind: pa.DataType, name: str, uri: str) -> pa.Array:
    try:
        return pc.cast(column, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        expected = "whole numbers" if pa.types.is_integer(kind) else "numbers"
        raise SchemaError(
            f"cannot use predictions {uri}: column {name} has values of type {column.type} "
            f"that are not {expected}",
            hint=COLUMNS_HINT,
        ) from None


def _decisions(column: pa.Array, uri: str) -> pa.Array:
    """Return decisions that are booleans, or the numbers 0 and 1."""
    if pa.types.is_boolean(column.type):
        return column
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if is_number and all(value in (0, 1, None) for value in pc.unique(_nan_as_null(column)).to_pylist()):
        return pc.equal(_nan_as_null(column), 1)
    raise SchemaError(
        f"cannot use predictions {uri}: column {DECISION} has values other than true and false",
        hint=f"Write the decision of each trip as {DECISION}, or rename the column.",
    )


def _merge(batches: Sequence[LoadedChunk], *, has_decisions: bool) -> LoadedChunk:
    """Return the predictions of all batches, sorted by trip ID."""
    parts = [batch.predictions for batch in batches]
    ids = np.concatenate([np.empty(0, np.int64), *(part.trip_id for part in parts)])
    probability = np.concatenate([np.empty(0, np.float32), *(part.probability for part in parts)])
    decision = None
    if has_decisions:
        decision = np.concatenate(
            [np.empty(0, bool), *(part.decision for part in parts if part.decision is not None)]
        )
    if len(ids) and (np.diff(ids) < 0).any():
        order = np.argsort(ids, kind="stable")
        ids, probability = ids[order], probability[order]
        decision = None if decision is None else decision[order]
    return LoadedChunk(
        predictions=PredictionRows(trip_id=ids, probability=probability, decision=decision),
        rows=sum(batch.rows for batch in batches),
        faults=sum((batch.faults for batch in batches), PredictionFaults()),
    )
