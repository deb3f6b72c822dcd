"""Scoring files of raw trips: read batch by batch, scored, written batch by batch; memory does not grow with the file."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from toytip import scoring
from toytip.config import mask
from toytip.errors import ConfigError, SchemaError, SourceError
from toytip.reach import access_of, open_file
from toytip.values import Model

BATCH = 50_000
PARQUET = b"PAR1"
ANSWER = pa.schema(
    [
        ("row", pa.int64()), ("probability", pa.float32()), ("prediction", pa.bool_()),
        ("model_version", pa.string()), ("rejected", pa.string()),
    ]
)  # fmt: skip
Write = Callable[[pa.Table, list[list[dict[str, Any]]]], None]


def batches(trips: str, stdin: BinaryIO, endpoint: str | None = None) -> Iterator[pa.Table]:
    """Yield the raw trips of a parquet, CSV or JSON lines file, or of what comes in on stdin (`-`).

    Raises SourceError for what is none of these, naming the line where there is one.
    """
    shown = "stdin" if trips == "-" else mask(trips)
    try:
        with contextlib.ExitStack() as stack:
            stream: Any = (
                io.BufferedReader(stdin, 2**20)
                if trips == "-"
                else stack.enter_context(open_file(trips, access_of(trips, endpoint)))
            )
            if trips == "-":
                head = stream.peek(2**16)[: 2**16]
                stream = io.BytesIO(stream.read()) if head.startswith(PARQUET) else stream
            else:
                head = stream.read(2**16)
                stream.seek(0)
            yield from _read(stream, head.lstrip(), shown)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise SourceError(f"{shown}: cannot be read as trips: {str(error).splitlines()[0]}") from None


def _read(stream: Any, head: bytes, shown: str) -> Iterator[pa.Table]:
    if head.startswith(PARQUET):
        for batch in pq.ParquetFile(pa.PythonFile(stream, "r")).iter_batches(BATCH):
            yield pa.Table.from_batches([batch])
    elif head.startswith(b"{"):
        yield from _lines(stream, shown)
    elif b"," in head.partition(b"\n")[0]:
        for batch in pv.open_csv(stream):
            yield pa.Table.from_batches([batch])
    else:
        raise SourceError(f"{shown}: neither parquet, nor CSV with a header, nor a JSON object a line")


def _lines(stream: Any, shown: str) -> Iterator[pa.Table]:
    trips: list[dict[str, Any]] = []
    with io.TextIOWrapper(stream, encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            if line.strip():
                trips.append(_trip(line, f"{shown}, line {number}"))
            if len(trips) == BATCH:
                yield scoring.to_table(trips)
                trips = []
    yield scoring.to_table(trips)


def _trip(line: str, where: str) -> dict[str, Any]:
    try:
        trip = json.loads(line)
        scoring.to_table([trip])
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise SourceError(f"{where}: no JSON object of a trip") from None
    except SchemaError as error:
        raise SourceError(f"{where}: {str(error).partition(': ')[2]}") from None
    return dict(trip)


def score(
    model: Model, trips: Iterator[pa.Table], write: Write, reasons: int, seen: Callable[[int], None]
) -> Counter[str]:
    """Score all trips and write an answer for each, in order; return how many were scored and rejected, by rule."""
    counts: Counter[str] = Counter()
    row = 0
    for raw in trips:
        if not raw.num_rows:
            continue
        told = scoring.score(model, raw, reasons)
        size = len(told.rejected)
        there = np.array([rule is None for rule in told.rejected], bool)
        answer = pa.table(
            [
                pa.array(np.arange(row, row + size)),
                pa.array(told.probability, mask=~there),
                pa.array(told.prediction, mask=~there),
                pa.array([model.version] * size, pa.string()),
                pa.array(told.rejected, pa.string()),
            ],
            schema=ANSWER,
        )
        write(answer, told.reasons)
        counts.update(rule or "scored" for rule in told.rejected)
        row += size
        seen(size)
    return counts


@contextlib.contextmanager
def writer(out: str | None, stdout: BinaryIO) -> Iterator[Write]:
    """Yield what writes answers: JSON lines on stdout, or a file of the kind that its name says, whole or not at all."""
    if out is None:
        yield _json_lines(stdout)
        return
    target = Path(out)
    part = target.with_name(f".{target.name}.part")
    try:
        with contextlib.ExitStack() as stack:
            if target.suffix == ".parquet":
                parquet = stack.enter_context(pq.ParquetWriter(part, ANSWER))
                yield lambda table, _: parquet.write_table(table)
            elif target.suffix == ".csv":
                csv = stack.enter_context(pv.CSVWriter(part, ANSWER))
                yield lambda table, _: csv.write_table(table)
            elif target.suffix == ".jsonl":
                yield _json_lines(stack.enter_context(part.open("wb")))
            else:
                raise ConfigError(f"--out {out}: name it .parquet, .csv or .jsonl")
        part.replace(target)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def _json_lines(stream: BinaryIO) -> Write:
    def write(table: pa.Table, reasons: list[list[dict[str, Any]]]) -> None:
        for row, said in zip(table.to_pylist(), reasons, strict=True):
            told = {name: value for name, value in row.items() if name != "rejected" or value}
            stream.write(json.dumps({**told, "reasons": said} if said else told).encode() + b"\n")
        stream.flush()

    return write
