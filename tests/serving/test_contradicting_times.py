"""A wrong time zone in one time column is an error in every entrance, and a right one is read."""

import io
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.models import raw_month, train_model
from toytip.api.model import Model
from toytip.errors import SchemaError, SourceError
from toytip.serving import batch, trip_files
from toytip.serving.request import parse_body, parse_trips
from toytip.sources.discovery import open_source

MODEL = train_model("green")
FRAME = raw_month("green").slice(0, 40).to_pandas()
PICKUP, DROPOFF = "lpep_pickup_datetime", "lpep_dropoff_datetime"


def digits_as_utc(times):
    return times.dt.tz_localize("UTC")


def instants(times):
    return times.dt.tz_localize("America/New_York").dt.tz_convert("UTC")


def as_text(change):
    return lambda times: change(times).astype(str)


def utc_epochs(times):
    return instants(times).astype("datetime64[ms, UTC]").astype("int64")


# The wrong form of one column: the form, the name of the column, and the fix.
WRONG = {
    "dropoff with the label UTC": (DROPOFF, digits_as_utc, "Remove the label"),
    "dropoff with the label UTC as text": (DROPOFF, as_text(digits_as_utc), "Remove the label"),
    "dropoff as UTC epoch numbers": (
        DROPOFF,
        utc_epochs,
        f"Convert {DROPOFF} to timestamps with the time zone UTC",
    ),
    "pickup with the label UTC": (PICKUP, digits_as_utc, "Remove the label"),
}


def write_files(frame, folder):
    """Return a file of each format, whose name does not name the month."""
    paths = [folder / f"green_trips.{suffix}" for suffix in ("parquet", "csv", "jsonl")]
    pq.write_table(pa.Table.from_pandas(frame), paths[0])
    frame.to_csv(paths[1], index=False)
    paths[2].write_text(to_json_lines(frame))
    return paths


def to_json_lines(frame):
    times = {
        name: frame[name].map(lambda time: time if isinstance(time, int) else str(time))
        for name in (PICKUP, DROPOFF)
    }
    return frame.assign(**times).to_json(orient="records", lines=True)


def score(path):
    tables = []
    batches = trip_files.read_batches(str(path), io.BytesIO())
    batch.score_batches(
        MODEL, batches, lambda table, _: tables.append(table), 0, lambda _: None, lambda _: None
    )
    return pa.concat_tables(tables)


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_time_zone_of_one_column_is_refused_everywhere(name, rows, tmp_path):
    column, change, fix = WRONG[name]
    other = PICKUP if column == DROPOFF else DROPOFF
    frame = FRAME.iloc[:rows].assign(**{column: change(FRAME[column])})
    files = write_files(frame, tmp_path)
    entrances = [
        *(lambda path=path: open_source(str(path)) for path in files[:2]),
        *(lambda path=path: score(path) for path in files),
        lambda: Model(MODEL).predict(frame),
    ]
    for enter in entrances:
        with pytest.raises((SourceError, SchemaError)) as caught:
            enter()
        assert f"column {column} contradicts column {other}" in str(caught.value)
        assert f"{rows} of {rows} trips end before they start" in str(caught.value)
        assert fix in caught.value.hint


@pytest.mark.parametrize("column", [PICKUP, DROPOFF])
def test_a_wrong_offset_in_a_request_is_an_error_of_each_trip(column):
    frame = FRAME.iloc[:3].assign(**{column: digits_as_utc(FRAME[column])})
    body = json.dumps([json.loads(line) for line in to_json_lines(frame).splitlines()]).encode()
    errors = parse_trips(MODEL, parse_body(body, 10)).errors
    other = PICKUP if column == DROPOFF else DROPOFF
    assert [(error.trip, error.field) for error in errors] == [(row, column) for row in range(3)]
    assert errors[0].message.startswith(f"contradicts {other}: with its UTC offset, the trip ends before it")


@pytest.mark.parametrize("change", [instants, as_text(instants)])
@pytest.mark.parametrize("column", [PICKUP, DROPOFF])
def test_instants_in_one_column_are_the_same_trips(column, change, tmp_path):
    frame = FRAME.assign(**{column: change(FRAME[column])})
    expected = Model(MODEL).predict(FRAME)
    pd.testing.assert_frame_equal(Model(MODEL).predict(frame), expected)
    for path in write_files(frame, tmp_path):
        scored = score(path)["probability"].to_pylist()
        assert scored == [None if pd.isna(value) else value for value in expected["probability"].tolist()]
    assert open_source(str(tmp_path / "green_trips.parquet")).rows == len(FRAME)


def test_a_few_trips_do_not_decide_on_a_column(tmp_path):
    """Single trips without a usual duration are rejected one by one."""
    late = FRAME[DROPOFF].where(FRAME.index > 5, FRAME[PICKUP] - pd.Timedelta("4h"))
    frame = FRAME.assign(**{DROPOFF: instants(late)})
    for path in write_files(frame, tmp_path):
        assert score(path)["reason"].to_pylist().count("non_positive_duration") >= 5
