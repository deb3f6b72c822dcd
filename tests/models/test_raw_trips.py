"""Raw trips in every form that people have: the same probabilities, or one line of error."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.support.models import raw_month, train_model
from toytip.api.model import Model
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import SchemaError
from toytip.models import raw_trips
from toytip.stages import conform

MODEL = train_model("green")
TRIPS = raw_month("green").slice(0, 40).to_pandas()
TIMES = ["lpep_pickup_datetime", "lpep_dropoff_datetime"]
CODES = ["VendorID", "passenger_count", "RatecodeID", "payment_type"]


def predict(trips):
    return Model(MODEL).predict(trips)


EXPECTED = predict(TRIPS)["probability"].to_numpy()


def with_nulls(frame, column="passenger_count"):
    """Return a frame in which every third trip has no passenger count."""
    return frame.assign(**{column: frame[column].astype("float64").where(np.arange(len(frame)) % 3 > 0)})


EXPECTED_WITH_NULLS = predict(with_nulls(TRIPS))["probability"].to_numpy()

FORMS = {
    "Int64": lambda f: f.astype(dict.fromkeys(CODES, "Int64")),
    "int8": lambda f: f.astype({"VendorID": "int8", "payment_type": "uint8"}),
    "category": lambda f: f.astype(dict.fromkeys(CODES, "category")),
    "object": lambda f: f.astype(object),
    "arrow types": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "sparse": lambda f: f.assign(tolls_amount=pd.arrays.SparseArray(f["tolls_amount"], fill_value=0.0)),
    "nanoseconds": lambda f: f.astype(dict.fromkeys(TIMES, "datetime64[ns]")),
    "text times": lambda f: f.assign(**{name: f[name].astype(str) for name in TIMES}),
    "decimals": lambda f: f.assign(fare_amount=[Decimal(repr(fare)) for fare in f["fare_amount"]]),
    "int and text": lambda f: f.assign(
        VendorID=[str(code) if row % 2 else code for row, code in enumerate(f["VendorID"])]
    ),
    "datetimes and text": lambda f: f.assign(
        lpep_pickup_datetime=[
            time.isoformat() if row % 2 else time for row, time in enumerate(f["lpep_pickup_datetime"])
        ]
    ),
    "odd extra columns": lambda f: f.assign(note=[[{}]] * len(f), z=1j, x=object()),
    "numbers as names": lambda f: pd.concat([f, pd.DataFrame({7: range(len(f))})], axis=1),
    "capitals": lambda f: f.rename(columns=str.upper),
    "Arrow": pa.Table.from_pandas,
    "Arrow batch": pa.RecordBatch.from_pandas,
    "Arrow dictionaries": lambda f: pa.Table.from_pandas(f.astype({"VendorID": "category"})),
    "Polars": pl.from_pandas,
    "Polars text": lambda f: pl.from_pandas(f.assign(VendorID=f["VendorID"].astype(str))).with_columns(
        pl.col("VendorID").cast(pl.Categorical), *(pl.col(name).dt.to_string() for name in TIMES)
    ),
    "list of dicts": lambda f: f.to_dict("records"),
    "pickup as the index": lambda f: f.set_index(TIMES[0]),
    "times as the index": lambda f: f.set_index(TIMES),
    "pickup as the index and as a column": lambda f: f.set_index(TIMES[0], drop=False),
    "pickup of New York as the index": lambda f: f.set_index(
        f[TIMES[0]].dt.tz_localize("America/New_York")
    ).drop(columns=TIMES[0]),
    "list with other keys": lambda f: [{**trip, 7: 1, None: 2} for trip in f.to_dict("records")],
}


@pytest.mark.parametrize("name", FORMS)
def test_trips_in_any_form_have_the_same_probabilities(name):
    assert np.isfinite(EXPECTED).sum() > 30
    assert predict(FORMS[name](TRIPS))["probability"].to_numpy().tobytes() == EXPECTED.tobytes()


def test_frames_and_their_lists_of_dicts_have_equal_missing_values():
    """Missing values are None, NaN, NaT and NA, in frames and in the dicts that come from them."""
    frames = [with_nulls(TRIPS)]
    frames += [frames[0].astype({"passenger_count": kind}) for kind in ("Int64", "category", object)]
    for frame in frames:
        for trips in (frame, frame.to_dict("records"), pa.Table.from_pandas(frame), pl.from_pandas(frame)):
            probability = predict(trips)["probability"].to_numpy()
            assert probability.tobytes() == EXPECTED_WITH_NULLS.tobytes()
    for nan in (Decimal("NaN"), Decimal("sNaN")):
        passengers = [nan if pd.isna(count) else count for count in frames[0]["passenger_count"]]
        probability = predict(frames[0].assign(passenger_count=passengers))["probability"].to_numpy()
        assert probability.tobytes() == EXPECTED_WITH_NULLS.tobytes()
    missing_time = TRIPS.assign(lpep_pickup_datetime=TRIPS["lpep_pickup_datetime"].where(TRIPS.index != 3))
    for trips in (missing_time, missing_time.to_dict("records")):
        assert predict(trips)["reason"].iloc[3] == "missing_value"


def test_the_result_has_the_index_of_the_trips():
    shuffled = TRIPS.sample(frac=1, random_state=1).set_axis(list("abcdefgh") * 5)
    scored = predict(shuffled)
    assert scored.index.tolist() == shuffled.index.tolist()
    by_time = predict(TRIPS.set_index(TIMES[0]))
    assert by_time.index.tolist() == TRIPS[TIMES[0]].tolist()
    one = predict(TRIPS.iloc[7])
    assert (one.index.tolist(), one["probability"].tolist()) == ([7], [EXPECTED[7]])
    assert (
        len(predict(TRIPS.iloc[:0])) == len(predict([])) == len(predict(pl.from_pandas(TRIPS.iloc[:0]))) == 0
    )


THREE = TRIPS.iloc[:3]
RECORDS = THREE.to_dict("records")


@pytest.mark.parametrize(
    ("trips", "message"),
    [
        (
            pd.concat([THREE, THREE["fare_amount"]], axis=1),
            "cannot score the trips: 2 columns contain fare_amount (fare_amount, fare_amount)",
        ),
        (
            pa.Table.from_pandas(THREE).append_column("Extra", pa.array([0.0] * 3)),
            "cannot score the trips: 2 columns contain extra (extra, Extra)",
        ),
        (
            THREE.assign(tpep_pickup_datetime=THREE["lpep_pickup_datetime"]),
            "cannot score the trips: 2 columns contain pickup_at (lpep_pickup_datetime, tpep_pickup_datetime)",
        ),
        ([{**RECORDS[0], "EXTRA": 1}], "cannot score trip 0: 2 columns contain extra (extra, EXTRA)"),
        (
            THREE.set_axis(pd.MultiIndex.from_product([THREE.columns, [""]]), axis=1),
            "cannot score the trips: the columns of the frame are a MultiIndex",
        ),
        (
            THREE.assign(fare_amount=3 + 4j),
            (
                "cannot use the trips: column fare_amount has 3 of 3 values that are not a number up to "
                "1,000,000,000,000, for example '(3+4j)' in row 0 (counted from 0)"
            ),
        ),
        (THREE.assign(VendorID=[[1]] * 3), "cannot use the trips: column VendorID is list<"),
        (
            THREE.assign(VendorID=[True] * 3),
            "cannot use the trips: column VendorID is bool, not a whole number",
        ),
        (
            THREE.assign(lpep_pickup_datetime=THREE["lpep_pickup_datetime"].dt.to_period("D")),
            (
                "cannot use the trips: column lpep_pickup_datetime has 3 of 3 values that are not a time, "
                "for example '2023-03-28' in row 0 (counted from 0)"
            ),
        ),
        (
            [{**RECORDS[0], "VendorID": "x"}],
            (
                "cannot use the trips: column VendorID has 1 of 1 values that are not a whole number up to "
                "16,777,216, for example 'x' in trip 0"
            ),
        ),
        ([{**RECORDS[0], "VendorID": object()}], "cannot use the trips: column VendorID has 1 of 1 values"),
    ],
)
def test_an_error_is_one_line_with_the_column(trips, message):
    with pytest.raises(SchemaError) as caught:
        predict(trips)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("fare_amount", [1.0, "much", 2.0]),
        ("fare_amount", ["1", "much", "2"]),
        ("VendorID", [1.0, 1.5, 2.0]),
        ("VendorID", [1, 2**40, 2]),
        ("VendorID", [1, 2**70, 2]),
        ("VendorID", [1, {}, 2]),
        ("VendorID", [1, True, 2]),
        ("VendorID", [1, "\ud800", 2]),
        ("lpep_pickup_datetime", ["2023-03-01 08:00:00", "soon", "2023-03-01 08:00"]),
    ],
)
def test_a_value_that_cannot_be_read_is_a_reason(column, values):
    """The other trips are scored, as in a run."""
    records = [{**trip, column: value} for trip, value in zip(RECORDS, values, strict=True)]
    for trips in (THREE.assign(**{column: pd.Series(values, dtype=object)}), records):
        reasons = predict(trips)["reason"].tolist()
        assert reasons[1] == "unreadable_value"
        assert "unreadable_value" not in (reasons[0], reasons[2])


@pytest.mark.parametrize(
    "trips",
    ["trips.parquet", {"VendorID": 1}, [1], (x for x in ()), pl.Series([1]), pl.LazyFrame({"a": [1]})],
)
def test_other_objects_are_rejected(trips):
    with pytest.raises(TypeError, match="expected a pandas DataFrame, an Arrow table or a list of dicts"):
        predict(trips)


@pytest.mark.parametrize(
    ("trips", "advice"),
    [
        (RECORDS[0], r"not dict\. To score one trip as a dict, use predict\(\[trip\]\)"),
        ([*RECORDS, THREE.iloc[0]], r"not a list with Series\. Convert each trip to a dict"),
        ("trips.parquet", r"not str\. To score a file, use predict"),
    ],
)
def test_the_error_for_another_object_says_what_to_do(trips, advice):
    with pytest.raises(TypeError, match=advice):
        predict(trips)


@pytest.mark.parametrize(
    ("trips", "cause"),
    [
        (pd.DataFrame(THREE.to_numpy()), "the columns have no names, but values such as '0' and '1'"),
        (pa.table({"a": [1]}), r"no column is a column of trips \(the first columns are 'a'\)"),
        ([{"a": 1}], r"cannot score trip 0: no column is a column of trips"),
        (pd.DataFrame(index=range(3)), "lpep_pickup_datetime, .* are missing, and the model needs them"),
    ],
)
def test_a_frame_without_columns_of_trips_is_an_error(trips, cause):
    with pytest.raises(SchemaError, match=cause) as caught:
        predict(trips)
    assert caught.value.hint


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_far_times_of_pandas_are_no_plausible_times(unit, zone):
    """Arrow would wrap seconds around to a time of 1970."""
    far = np.array(
        ["9999-12-31" if unit == "us" else "35680317-09-25"] + ["2023-03-28"] * 39, f"datetime64[{unit}]"
    )
    frame = TRIPS.assign(lpep_dropoff_datetime=pd.Series(far, TRIPS.index).dt.tz_localize(zone))
    for trips in (frame, frame.to_dict("records"), frame.astype(object), pa.Table.from_pandas(frame)):
        times = conform.conform_columns(raw_trips.to_table(trips, TLC), "f", TLC)["dropoff_at"]
        assert pd.isna(times[0]) or times[0].astype("datetime64[Y]") == np.datetime64("9999")
        assert times[1].astype("datetime64[Y]") == np.datetime64("2023")


def test_times_of_different_zones_are_not_mixed_up():
    """Arrow would drop the zone of all but the first value."""
    aware = dt.datetime(2023, 3, 1, 8, tzinfo=dt.UTC)
    naive = aware.replace(tzinfo=None)
    alone = conform.conform_columns(raw_trips.trips_to_table([{"pickup_at": aware}], TLC), "f", TLC)[
        "pickup_at"
    ]
    mixed = raw_trips.trips_to_table([{"pickup_at": naive}, {"pickup_at": aware}], TLC)
    converted = conform.conform_columns(mixed, "f", TLC)["pickup_at"]
    assert converted.tolist() == [naive, alone.tolist()[0]]
