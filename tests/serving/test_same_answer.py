"""A trip has one answer: in a frame, in a file of any format, in a request, alone, and in a run."""

import csv
import io
import json
import math
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given

from tests.support.any_trips import any_json_trips, any_tables, law
from tests.support.models import train_model
from tests.support.trips import JANUARY
from toytip.core.number_values import NUMBER_PATTERN
from toytip.core.partitions import SourcePartition
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.fields import FIELDS_BY_NAME, field_of, match_fields
from toytip.errors import ToytipError
from toytip.models import raw_trips, scoring
from toytip.serving import batch, trip_files
from toytip.serving.request import parse_body, parse_trips
from toytip.sources.discovery import open_source
from toytip.sources.reader import read_partition
from toytip.stages import clean, conform, featurize, infer, preprocess

MODEL = train_model("yellow")
REFUSED = "refused"


def answers(score):
    """Return the probability and the reason of each trip, or REFUSED for one error."""
    try:
        scored = score()
    except ToytipError:
        return REFUSED
    return list(zip(np.float32(scored.probability).tolist(), scored.reason, strict=True))


def is_equal(first, second):
    return repr(first) == repr(second)  # NaN is NaN


def score_file(name, content):
    """Score a file, as `toytip score` does."""
    scored = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        batches = trip_files.read_batches(str(path), io.BytesIO())
        batch.score_batches(
            MODEL, batches, lambda table, _: scored.append(table), 0, lambda _: None, lambda _: None
        )
    table = pa.concat_tables(scored)
    probability = table["probability"].to_numpy()
    return scoring.ScoredTrips(probability, probability > 0, table["reason"].to_pylist(), [])


def score_run(raw):
    """Score raw trips as the stages of a run do, in a file of January 2023."""
    partition = SourcePartition(taxi="yellow", month=JANUARY, uri="f", start=0, stop=len(raw), number=0)
    trips = conform.conform(raw, partition, TLC)
    kept, rejects = clean.clean(trips, TLC)
    bins = preprocess.encode(featurize.featurize(kept, TLC), MODEL.encoding)
    probability = pd.Series(infer.predict_probabilities(bins, MODEL.booster), index=kept["trip_id"])
    reason = pd.Series(rejects["reason"].to_numpy(), index=rejects["trip_id"], dtype=object)
    probability, reason = (column.reindex(trips["trip_id"]) for column in (probability, reason))
    reasons = [None if pd.isna(item) else item for item in reason]
    return scoring.ScoredTrips(probability.to_numpy(), probability.to_numpy() > 0, reasons, [])


def agree_with_run(expected, raw):
    in_run = answers(lambda: score_run(raw))
    if REFUSED in (expected, in_run):  # a run needs more columns, and knows how many values are unreadable
        return
    for answer, answer_in_run in zip(expected, in_run, strict=True):
        if answer_in_run[1] != "out_of_month":
            assert is_equal(answer, answer_in_run)


def agree_with_run_of_csv(expected, content):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "yellow_tripdata_2023-01.csv").write_bytes(content)
        try:
            (partition,) = open_source(folder).partitions(100)
        except ToytipError:
            return
        agree_with_run(expected, read_partition(partition))


def agree_alone(expected, score_row):
    """Compare each trip alone with the trips together."""
    for row, answer in enumerate(() if expected == REFUSED else expected):
        alone = answers(lambda row=row: score_row(row))
        if alone == REFUSED:  # all of its values in a column are unreadable
            assert answer[1] == "unreadable_value"
        else:
            assert is_equal(alone, [answer])


def with_tips(table):
    """Return trips with a tip, which only a run needs."""
    name = match_fields(table.column_names).get("tip_amount")
    if name is None or table.column_names.count(name) > 1:
        return table
    return table.set_column(table.column_names.index(name), name, pa.array([0.0] * len(table)))


def to_csv(trips):
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(trips[0]))
    writer.writeheader()
    writer.writerows(trips)
    return stream.getvalue().encode(errors="replace")


def is_for_csv(value):
    """Return whether the text of a value means the same in CSV and elsewhere."""
    if isinstance(value, str):
        return not set(value) & set(",\0\r\n") and value != "nan(1)"  # which Arrow reads as NaN
    return not isinstance(value, bool | list)


def is_for_request(name, value):
    """Return whether a value means the same in a request and elsewhere.

    JSON has no NaN, and a time must be text there.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return False
    field = FIELDS_BY_NAME.get(field_of(name) or "")
    if field is None or field.kind != "time":
        return True
    is_number_text = isinstance(value, str) and re.match(NUMBER_PATTERN, value.strip()) is not None
    return not isinstance(value, int | float) and not is_number_text


def agree_with_request(expected, trips):
    parsed = parse_trips(MODEL, parse_body(json.dumps(trips).encode(), 10))
    if not parsed.errors:
        assert is_equal(expected, answers(lambda: scoring.score_columns(MODEL, parsed.columns)))
    elif expected != REFUSED:
        rows = {error.trip for error in parsed.errors}
        reasons = [reason for _, reason in expected]
        unread = {
            row for row, reason in enumerate(reasons) if reason in ("unreadable_value", "missing_value")
        }
        assert rows == unread


@law(100)
@given(any_json_trips())
def test_trips_of_json_values_have_one_answer(trips):
    expected = answers(lambda: scoring.score_raw(MODEL, trips))
    lines = "".join(json.dumps(trip) + "\n" for trip in trips).encode()
    assert is_equal(expected, answers(lambda: score_file("trips.jsonl", lines)))
    assert is_equal(expected, answers(lambda: score_file("trips", json.dumps(trips).encode())))
    frame = pd.DataFrame({name: pd.Series([trip[name] for trip in trips], dtype=object) for name in trips[0]})
    assert is_equal(expected, answers(lambda: scoring.score_raw(MODEL, frame)))
    if all(is_for_csv(value) for trip in trips for value in trip.values()):
        assert is_equal(expected, answers(lambda: score_file("trips.csv", to_csv(trips))))
        agree_with_run_of_csv(expected, to_csv(trips))
    if all(is_for_request(*item) for trip in trips for item in trip.items()):
        agree_with_request(expected, trips)
    agree_with_run(expected, raw_trips.trips_to_table(trips, TLC))
    agree_alone(expected, lambda row: scoring.score_raw(MODEL, [trips[row]]))


@law(60)
@given(any_tables())
def test_an_arrow_table_has_one_answer(table):
    table = with_tips(table)
    expected = answers(lambda: scoring.score_raw(MODEL, table))
    chunks = pa.concat_tables([table.slice(row, 1) for row in range(len(table))])
    assert is_equal(expected, answers(lambda: scoring.score_raw(MODEL, chunks)))
    if len(set(table.column_names)) == table.num_columns:
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        assert is_equal(expected, answers(lambda: scoring.score_raw(MODEL, frame)))
    stream = io.BytesIO()
    try:
        pq.write_table(table, stream)
    except (pa.ArrowException, OverflowError):
        pass
    else:
        assert is_equal(expected, answers(lambda: score_file("trips.parquet", stream.getvalue())))
    if expected != REFUSED:
        agree_with_run(expected, table)
    agree_alone(expected, lambda row: scoring.score_raw(MODEL, table.slice(row, 1)))
