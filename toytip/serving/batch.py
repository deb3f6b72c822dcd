"""Score files of raw trips in batches, so that memory does not grow with the file."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from toytip.config import Settings
from toytip.core.jsonable import dump_json, to_json
from toytip.core.model import TrainedModel
from toytip.core.redact import first_line
from toytip.datasets.registry import detect_kind
from toytip.errors import ConfigError, ToytipError
from toytip.models import scoring, trip_columns
from toytip.models.scoring import Explanation, ScoredTrips
from toytip.models.selection import ModelChoice, load_models, select_model
from toytip.serving.trip_files import TripBatch
from toytip.stages import conform

ANSWER_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("probability", pa.float32()),
        ("prediction", pa.bool_()),
        ("model_version", pa.string()),
        ("reason", pa.string()),
    ]
)


SUFFIXES = (".parquet", ".csv", ".jsonl")
# Writes a table of ANSWER_SCHEMA, and the explanations of each row.
AnswerWriter = Callable[[pa.Table, list[list[Explanation]]], None]


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """The result of scoring a file."""

    model_version: str
    """Version of the run that trained the model."""
    scored_count: int
    """Number of trips with a probability."""
    unscored: dict[str, int]
    """Number of trips without a probability by reason: a cleaning rule, or `outside_segment`."""
    notes: tuple[str, ...]
    """Conversions of time columns whose meaning depends on a rule, in the first rows."""
    output: str | None
    """Path of the file with the scored trips. Null if the trips were printed to stdout."""

    @classmethod
    def of(
        cls, model_version: str, counts: Mapping[str | None, int], notes: Sequence[str], output: str | None
    ) -> ScoreReport:
        """Return the report on the counts that `score_batches` returned, and on its notes."""
        unscored = {reason: count for reason, count in counts.items() if reason is not None}
        return cls(
            model_version=model_version,
            scored_count=counts.get(None, 0),
            unscored=unscored,
            notes=tuple(notes),
            output=output,
        )


def select_model_for(
    settings: Settings, choice: ModelChoice, batches: Iterator[TripBatch]
) -> tuple[TrainedModel, Iterator[TripBatch]]:
    """Return the model for the trips of a file, and an iterator over all batches.

    Without a taxi type in `choice`, the columns of the first batch show the taxi type. Raises
    SchemaError if no column is one of trips.
    """
    first = next(batches, None)
    columns = first.table.column_names if first is not None else []
    if choice.taxi is None:
        choice = replace(choice, taxi=detect_kind(columns))
    models = load_models(settings, choice)
    datasets = [model.encoding.dataset for model in models.values()]
    trip_columns.require_names(columns, next((item for item in datasets if item.is_own), datasets[0]))
    model = select_model(models, columns)
    return model, batches if first is None else chain([first], batches)


def score_batches(
    model: TrainedModel,
    batches: Iterator[TripBatch],
    write: AnswerWriter,
    shap_top: int,
    on_scored: Callable[[int], None],
    on_note: Callable[[str], None],
) -> Counter[str | None]:
    """Score all trips, and write one answer per trip, in order.

    `on_note` receives each conversion of a time column of the first rows. Returns the number of
    trips by reason for a missing probability. The key None counts the scored trips. Raises
    SchemaError if a trip does not have a column that the model needs.
    """
    counts: Counter[str | None] = Counter()
    for batch in batches:
        for columns, label in batch.columns.items():
            trip_columns.require_columns(model, columns, label)
        if batch.table.num_rows:
            # As in a run, the first rows decide whether a column is what its name says.
            is_first = not counts.total()
            scored = scoring.score_trips(model, batch.table, shap_top, batch.label, refuse_most=is_first)
            for note in conform.describe_conversions(batch.table, model.encoding.dataset) if is_first else ():
                on_note(note)
            write(_answer_table(scored, counts.total(), model.version), scored.explanations)
            counts.update(scored.reason)
            on_scored(batch.table.num_rows)
    return counts


def _answer_table(scored: ScoredTrips, first_row: int, model_version: str) -> pa.Table:
    rows = len(scored.reason)
    return pa.table(
        [
            pa.array(np.arange(first_row, first_row + rows)),
            pa.array(scored.probability, mask=~scored.is_scored),
            pa.array(scored.prediction, mask=~scored.is_scored),
            pa.array([model_version] * rows, pa.string()),
            pa.array(scored.reason, pa.string()),
        ],
        schema=ANSWER_SCHEMA,
    )


@contextlib.contextmanager
def open_answer_writer(trips: str, output: str | None, stdout: BinaryIO) -> Iterator[AnswerWriter]:
    """Yield a writer of answers: JSON Lines to stdout, or a file in the format of its suffix.

    The file appears only when it is complete. Raises ConfigError for an unknown suffix, or if the
    file is that of the trips, and ToytipError if the file cannot be written.
    """
    if output is None:
        yield _json_lines_writer(stdout)
        return
    target, source = _expand_home(output), _expand_home(trips)
    if trips != "-" and _is_same_file(target, source):
        raise ConfigError(
            f"cannot write the scores to {output}: it is the file with the trips",
            hint="Set --output to a different file.",
        )
    if (suffix := target.suffix.lower()) not in SUFFIXES:
        raise ConfigError(
            f"cannot write the output: unknown suffix {target.suffix!r}", hint="Use .parquet, .csv or .jsonl."
        )
    target = Path(os.path.realpath(target))  # a link stays a link
    partial = target.with_name(f".{target.name}.part")
    try:
        with contextlib.ExitStack() as stack:
            yield _file_writer(partial, suffix, stack)
        partial.replace(target)
    except OSError as error:
        raise ToytipError(
            f"cannot write {output}: {first_line(error)}", hint="Set --output to a writable file."
        ) from None
    finally:
        with contextlib.suppress(OSError):  # for example because its name is too long
            partial.unlink(missing_ok=True)


def _is_same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # a file does not exist, or its name is too long
        return False


def _expand_home(path: str) -> Path:
    """Return a path with the home folder in place of ~, or as it is without a home."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - never fails


def _file_writer(path: Path, suffix: str, stack: contextlib.ExitStack) -> AnswerWriter:
    if suffix == ".parquet":
        parquet = stack.enter_context(pq.ParquetWriter(path, ANSWER_SCHEMA))
        return lambda table, _: parquet.write_table(table)
    if suffix == ".csv":
        csv = stack.enter_context(pv.CSVWriter(path, ANSWER_SCHEMA))
        return lambda table, _: csv.write_table(table)
    return _json_lines_writer(stack.enter_context(path.open("wb")))


def _json_lines_writer(stream: BinaryIO) -> AnswerWriter:
    def write(table: pa.Table, explanations: list[list[Explanation]]) -> None:
        for row, largest in zip(table.to_pylist(), explanations, strict=True):
            answer = {name: value for name, value in row.items() if name != "reason" or value}
            if largest:
                answer["explanations"] = to_json(largest)
            stream.write(dump_json(answer).encode() + b"\n")
        stream.flush()

    return write
