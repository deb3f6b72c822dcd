"""A required column without values is refused, however the trips come."""

import json

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from tests.support.models import raw_month, train_model
from tests.support.runs import require_error, run_toytip
from toytip.api.model import Model
from toytip.errors import SchemaError, SourceError
from toytip.models.trip_columns import MIN_TRIPS_WITHOUT_VALUES
from toytip.sources.discovery import open_source

MESSAGE = "cannot score the trips: {} holds only nulls, and the model needs it"


def with_nulls(column, rows=MIN_TRIPS_WITHOUT_VALUES):
    raw = raw_month("yellow").slice(0, rows)
    position = raw.column_names.index(column)
    return raw.set_column(position, column, pa.nulls(rows, raw.schema.field(position).type))


def write_file(suffix, raw, path, to_dicts):
    if suffix == "parquet":
        pq.write_table(raw, path)
    elif suffix == "csv":
        pv.write_csv(raw, path)
    else:
        path.write_text("".join(json.dumps(trip) + "\n" for trip in to_dicts(raw)))


@pytest.mark.parametrize("column", ["payment_type", "fare_amount"])
@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_file_is_refused_as_in_a_run(column, suffix, model_store, to_dicts, tmp_path, invoke_cli):
    path, output = tmp_path / f"yellow_tripdata_2023-03.{suffix}", tmp_path / "scores.parquet"
    write_file(suffix, with_nulls(column), path, to_dicts)
    done = invoke_cli("score", path, "--store", model_store, "--output", output)
    require_error(done, MESSAGE.format(column), f"Add the values of {column}")
    assert not output.exists()
    if suffix != "jsonl":  # a run reads no JSON
        with pytest.raises(SourceError, match=rf"{column} holds only nulls"):
            open_source(str(path))


def test_a_frame_is_refused(served_model):
    with pytest.raises(SchemaError, match="payment_type holds only nulls"):
        Model(served_model).predict(with_nulls("payment_type").to_pandas())


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("payment_type", MESSAGE.format("payment_type")),
        ("fare_amount", "is null, and the model needs a value"),
    ],
)
def test_a_request_is_refused(column, message, app, to_dicts):
    answer = app.post(to_dicts(with_nulls(column)))
    assert answer.status_code == 422
    assert message in answer.text


def test_of_a_few_trips_all_can_be_null(served_model, app, to_dicts):
    raw = with_nulls("payment_type", MIN_TRIPS_WITHOUT_VALUES - 1)
    expected = Model(served_model).predict(raw)["probability"]
    answers = app.post(to_dicts(raw)).json()["trips"]
    assert [answer["probability"] for answer in answers] == expected.where(expected.notna(), None).tolist()


def test_a_column_that_the_model_does_not_need_can_be_empty():
    model = Model(train_model("yellow", feature_set="pickup"))
    assert model.predict(with_nulls("payment_type"))["probability"].notna().any()


@pytest.mark.cluster
def test_later_trips_of_a_file_can_be_null(model_store, tmp_path):
    """The first batch of a file decides, as for values that cannot be read."""
    raw = raw_month("yellow")
    full = pa.concat_tables([raw] * (50_000 // len(raw) + 1)).slice(0, 50_000)
    pq.write_table(pa.concat_tables([full, with_nulls("payment_type")]), tmp_path / "trips.parquet")
    options = ("--store", model_store, "--output", tmp_path / "scores.parquet")
    assert run_toytip("score", tmp_path / "trips.parquet", *options).returncode == 0
