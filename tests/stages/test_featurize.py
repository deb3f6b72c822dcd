"""The features of trips, and their availability."""

import dataclasses

import pandas as pd
import pytest

from tests.support.trips import make_trips
from toytip.core.columns import columns_of, on_frame
from toytip.core.dataset.declarations import Feature
from toytip.core.schema import Column
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ConfigError, SchemaError
from toytip.stages.featurize import compute_features, featurize

EXAMPLES = [
    ("Tuesday morning", {}, {"pickup_weekday": 1, "pickup_hour": 8, "pickup_minute": 0, "work_hours": 1}),
    (
        "six in the evening",
        {"pickup_at": "2023-01-10 18:59:59", "dropoff_at": "2023-01-10 19:30:00"},
        {"work_hours": 1},
    ),
    (
        "seven in the evening",
        {"pickup_at": "2023-01-10 19:00:00", "dropoff_at": "2023-01-10 19:30:00"},
        {"work_hours": 0},
    ),
    ("before eight", {"pickup_at": "2023-01-10 07:59:59"}, {"work_hours": 0, "pickup_minute": 59}),
    (
        "Saturday noon",
        {"pickup_at": "2023-01-14 12:00:00", "dropoff_at": "2023-01-14 12:20:00"},
        {"work_hours": 0, "pickup_weekday": 5},
    ),
    ("twenty minutes, five miles", {}, {"trip_time": 1200.0, "trip_speed": 15.0, "trip_distance": 5.0}),
    ("a whole day does not wrap", {"dropoff_at": "2023-01-11 08:00:00"}, {"trip_time": 86_400.0}),
    ("just above a fifth", {"tip_amount": 2.01}, {"high_tip": True}),
    ("exactly a fifth", {"tip_amount": 2.0}, {"high_tip": False}),
    ("cash", {"tip_amount": 0.0, "payment_type": 2}, {"high_tip": False, "payment_type": 2.0}),
    ("a zone", {"PULocationID": 265}, {"PULocationID": 265}),
]


@pytest.mark.parametrize(("name", "change", "expected"), EXAMPLES, ids=[example[0] for example in EXAMPLES])
def test_features_of_a_trip(name, change, expected):
    row = featurize(make_trips(change), TLC).iloc[0]
    assert {name: row[name] for name in expected} == expected


def test_missing_stays_missing():
    row = featurize(make_trips({"passenger_count": None, "airport_fee": None}), TLC).iloc[0]
    assert pd.isna(row["passenger_count"])
    assert pd.isna(row["airport_fee"])


def test_every_feature_produces_what_it_declares():
    trips = make_trips({})
    for feature in TLC.features:
        values = feature.compute(trips[list(feature.needs)])
        assert len(values) == len(trips)
        assert str(values.astype(feature.column.dtype).dtype) == feature.column.dtype


def test_sets_grow_with_the_availability():
    pickup, dropoff, payment = (set(TLC.feature_set(name)) for name in ("pickup", "dropoff", "payment"))
    assert pickup < dropoff < payment
    assert payment - dropoff == {"payment_type"}
    seed = TLC.feature_set("seed")
    assert len(seed) == 11
    assert set(seed) < dropoff


@pytest.mark.parametrize("name", ["settled", "all", ""])
def test_other_sets_are_rejected(name):
    with pytest.raises(ConfigError, match="there is no such set") as caught:
        TLC.feature_set(name)
    assert "payment" in caught.value.hint


def declare(available, column, name):
    """Return a feature with the values of a column of trips."""
    return Feature(column, available, (name,), lambda trips: trips[name])


@pytest.mark.parametrize("column", TLC.leaking_columns)
def test_leaking_columns_are_rejected(column):
    with pytest.raises(ConfigError, match=f"{column} leaks the label"):
        TLC.check_feature(declare("dropoff", Column("tip_share", "float32"), column))


def test_columns_that_do_not_exist_are_rejected():
    with pytest.raises(ConfigError, match="trips have no column rain"):
        TLC.check_feature(declare("pickup", Column("weather", "float32"), "rain"))


def test_a_function_of_a_frame_is_a_feature_as_well():
    """Such a feature can use all methods of pandas, and has the same values as one on arrays."""
    by_name = {feature.name: feature for feature in TLC.features}
    on_frames = [
        dataclasses.replace(
            by_name["pickup_hour"], compute=on_frame(lambda trips: trips["pickup_at"].dt.hour)
        ),
        dataclasses.replace(
            by_name["trip_time"],
            compute=on_frame(lambda trips: (trips["dropoff_at"] - trips["pickup_at"]).dt.total_seconds()),
        ),
    ]
    trips = columns_of(make_trips({}, {"dropoff_at": "2023-01-10 09:01:00.25"}))
    expected = compute_features(trips, [by_name["pickup_hour"], by_name["trip_time"]])
    for name, values in compute_features(trips, on_frames).items():
        assert (values.tolist(), values.dtype) == (expected[name].tolist(), expected[name].dtype)


def test_a_whole_number_cannot_be_missing():
    riders = declare("dropoff", Column("riders", "int8"), "passenger_count")
    with pytest.raises(SchemaError, match="cannot compute feature riders: a value of type int8 is missing"):
        compute_features(columns_of(make_trips({"passenger_count": None})), [riders])
