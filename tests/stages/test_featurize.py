"""featurize: what is known of a trip, and when."""

import pandas as pd
import pytest

from tests.conftest import make_trips
from toytip.core.schema import Column
from toytip.errors import ConfigError
from toytip.stages import featurize as stage
from toytip.stages.featurize import FEATURES, SEED_FEATURES, declare_feature, feature_set, featurize

STORIES = [
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
    ("half a tip over a fifth", {"tip_amount": 2.01}, {"high_tip": True}),
    ("exactly a fifth", {"tip_amount": 2.0}, {"high_tip": False}),
    ("cash", {"tip_amount": 0.0, "payment_type": 2}, {"high_tip": False, "payment_type": 2.0}),
    ("a zone", {"PULocationID": 265}, {"PULocationID": 265}),
]


@pytest.mark.parametrize(("story", "change", "wanted"), STORIES, ids=[story[0] for story in STORIES])
def test_story(story, change, wanted):
    row = featurize(make_trips(change)).iloc[0]
    assert {name: row[name] for name in wanted} == wanted


def test_missing_stays_missing():
    row = featurize(make_trips({"passenger_count": None, "airport_fee": None})).iloc[0]
    assert pd.isna(row["passenger_count"])
    assert pd.isna(row["airport_fee"])


def test_every_feature_produces_what_it_declares():
    trips = make_trips({})
    for item in FEATURES:
        alone = item.compute(trips[list(item.needs)])
        assert len(alone) == len(trips)
        assert str(alone.astype(item.column.dtype).dtype) == item.column.dtype


def test_sets_grow_with_the_moment():
    pickup, dropoff, payment = (set(feature_set(name)) for name in ("pickup", "dropoff", "payment"))
    assert pickup < dropoff < payment
    assert payment - dropoff == {"payment_type"}
    assert feature_set("seed") == SEED_FEATURES
    assert set(SEED_FEATURES) < dropoff


@pytest.mark.parametrize("name", ["settled", "all", ""])
def test_other_sets_are_refused(name):
    with pytest.raises(ConfigError, match="payment"):
        feature_set(name)


@pytest.mark.parametrize("column", stage.LEAKING_COLUMNS)
def test_settled_columns_are_refused(column):
    with pytest.raises(ConfigError, match="leakage"):
        declare_feature("dropoff", Column("tip_share", "float32"), (column,), lambda trips: trips[column])


def test_unknown_columns_are_refused():
    with pytest.raises(ConfigError, match="trips have not"):
        declare_feature("pickup", Column("weather", "float32"), ("rain",), lambda trips: trips["rain"])
