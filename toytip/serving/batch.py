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

from toytip.config import mask_credentials
from toytip.core.model import TrainedModel
from toytip.errors import ConfigError, SchemaError, SourceError
from toytip.io.access import open_file, resolve_storage_options
from toytip.models import scoring

SCORING_BATCH_ROWS = 50_000
PARQUET_MAGIC = b"PAR1"
ANSWER_SCHEMA = pa.schema(
    [
        ("row", pa.int64()), ("probability", pa.float32()), ("prediction", pa.bool_()),
        ("model_version", pa.string()), ("rejected", pa.string()),
    ]
)  # fmt: skip
AnswerWriter = Callable[[pa.Table, list[list[dict[str, Any]]]], None]


def read_batches(path: str, stdin: BinaryIO, endpoint_url: str | None = None) -> Iterator[pa.Table]:
    """Yield the raw trips of a parquet, CSV or JSON lines file, or of what comes in on stdin (`-`).

    Raises SourceError for what is none of these, naming the line where there is one.
    """
    shown = "stdin" if path == "-" else mask_credentials(path)
    try:
        with contextlib.ExitStack() as stack:
            stream: Any = (
                io.BufferedReader(stdin, 2**20)
                if path == "-"
                else stack.enter_context(open_file(path, resolve_storage_options(path, endpoint_url)))
            )
            if path == "-":
                head = stream.peek(2**16)[: 2**16]
                stream = io.BytesIO(stream.read()) if head.startswith(PARQUET_MAGIC) else stream
            else:
                head = stream.read(2**16)
                stream.seek(0)
            yield from _read_stream(stream, head.lstrip(), shown)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise SourceError(f"{shown}: cannot be read as trips: {str(error).splitlines()[0]}") from None


def _read_stream(stream: Any, head: bytes, shown: str) -> Iterator[pa.Table]:
    if head.startswith(PARQUET_MAGIC):
        for batch in pq.ParquetFile(pa.PythonFile(stream, "r")).iter_batches(SCORING_BATCH_ROWS):
            yield pa.Table.from_batches([batch])
    elif head.startswith(b"{"):
        yield from _read_json_lines(stream, shown)
    elif b"," in head.partition(b"\n")[0]:
        for batch in pv.open_csv(stream):
            yield pa.Table.from_batches([batch])
    else:
        raise SourceError(f"{shown}: neither parquet, nor CSV with a header, nor a JSON object a line")


def _read_json_lines(stream: Any, shown: str) -> Iterator[pa.Table]:
    trips: list[dict[str, Any]] = []
    with io.TextIOWrapper(stream, encoding="utf-8") as text:
        for number, line in enumerate(text, 1):
            if line.strip():
                trips.append(_parse_trip(line, f"{shown}, line {number}"))
            if len(trips) == SCORING_BATCH_ROWS:
                yield scoring.trips_to_table(trips)
                trips = []
    yield scoring.trips_to_table(trips)


def _parse_trip(line: str, where: str) -> dict[str, Any]:
    try:
        trip = json.loads(line)
        scoring.trips_to_table([trip])
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise SourceError(f"{where}: no JSON object of a trip") from None
    except SchemaError as error:
        raise SourceError(f"{where}: {str(error).partition(': ')[2]}") from None
    return dict(trip)


def score_batches(
    model: TrainedModel,
    trips: Iterator[pa.Table],
    write: AnswerWriter,
    shap_top: int,
    on_scored: Callable[[int], None],
) -> Counter[str]:
    """Score all trips and write an answer for each, in order; return how many were scored and rejected, by rule."""
    counts: Counter[str] = Counter()
    row = 0
    for raw in trips:
        if not raw.num_rows:
            continue
        told = scoring.score_trips(model, raw, shap_top)
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
            schema=ANSWER_SCHEMA,
        )
        write(answer, told.explanations)
        counts.update(rule or "scored" for rule in told.rejected)
        row += size
        on_scored(size)
    return counts


@contextlib.contextmanager
def open_answer_writer(output: str | None, stdout: BinaryIO) -> Iterator[AnswerWriter]:
    """Yield what writes answers: JSON lines on stdout, or a file of the kind that its name says, whole or not at all."""
    if output is None:
        yield _json_lines_writer(stdout)
        return
    target = Path(output)
    part = target.with_name(f".{target.name}.part")
    try:
        with contextlib.ExitStack() as stack:
            if target.suffix == ".parquet":
                parquet = stack.enter_context(pq.ParquetWriter(part, ANSWER_SCHEMA))
                yield lambda table, _: parquet.write_table(table)
            elif target.suffix == ".csv":
                csv = stack.enter_context(pv.CSVWriter(part, ANSWER_SCHEMA))
                yield lambda table, _: csv.write_table(table)
            elif target.suffix == ".jsonl":
                yield _json_lines_writer(stack.enter_context(part.open("wb")))
            else:
                raise ConfigError(f"--output {output}: name it .parquet, .csv or .jsonl")
        part.replace(target)
    except OSError as error:
        raise ConfigError(f"--output {output} cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def _json_lines_writer(stream: BinaryIO) -> AnswerWriter:
    def write(table: pa.Table, reasons: list[list[dict[str, Any]]]) -> None:
        for row, said in zip(table.to_pylist(), reasons, strict=True):
            told = {name: value for name, value in row.items() if name != "rejected" or value}
            stream.write(json.dumps({**told, "reasons": said} if said else told).encode() + b"\n")
        stream.flush()

    return write
