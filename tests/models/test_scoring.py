"""Scoring of raw trips: rules, explanations and missing fields."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.models import train_model
from tests.support.trips import SCORING_TRIP
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import SchemaError
from toytip.models import raw_trips, scoring, trip_columns
from toytip.stages import conform


@pytest.fixture
def scoring_model():
    """A model of yellow taxis, which no run trained."""
    return train_model("yellow")


def test_explanations_add_up_to_the_log_odds(scoring_model):
    scored = scoring.score_trips(scoring_model, raw_trips.trips_to_table([SCORING_TRIP], TLC), shap_top=99)
    (explanations,) = scored.explanations
    assert {item.feature for item in explanations} == set(scoring_model.encoding.feature_names)
    total = sum(item.log_odds for item in explanations)
    prior = scoring_model.encoding.positives / scoring_model.encoding.rows
    log_odds = np.log(scored.probability[0] / (1 - scored.probability[0]))
    assert log_odds == pytest.approx(total + np.log(prior / (1 - prior)), abs=0.3)


def test_explanations_have_the_values_of_the_trip(scoring_model):
    trips = [SCORING_TRIP, {**SCORING_TRIP, "passenger_count": None}, {**SCORING_TRIP, "fare_amount": 0.0}]
    explanations = scoring.score_trips(
        scoring_model, raw_trips.trips_to_table(trips, TLC), shap_top=99
    ).explanations
    values = [{item.feature: item.value for item in largest} for largest in explanations]
    assert (values[0]["PULocationID"], values[0]["passenger_count"]) == (74, 1)
    assert values[1]["passenger_count"] is None
    assert values[2] == {}, "a rejected trip has no explanations"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, None),
        ({"passenger_count": None, "RatecodeID": None, "payment_type": None}, None),
        ({"PULocationID": 999, "DOLocationID": 264}, None),
        ({"tip_amount": -4.0, "total_amount": None}, "negative_tip"),
        ({"tip_amount": None}, None),
        ({"fare_amount": 0.0}, "non_positive_fare"),
        ({"trip_distance": None}, "missing_value"),
        ({"tpep_dropoff_datetime": "2023-01-10 07:00:00"}, "non_positive_duration"),
        (
            {"tpep_pickup_datetime": "1999-01-10 08:00:00", "tpep_dropoff_datetime": "1999-01-10 08:20:00"},
            None,
        ),
    ],
)
def test_trips_are_scored_or_rejected_by_the_cleaning_rules(change, rule, scoring_model):
    trips = raw_trips.trips_to_table([SCORING_TRIP, {**SCORING_TRIP, **change}], TLC)
    scored = scoring.score_trips(scoring_model, trips)
    assert scored.reason == [None, rule]
    assert np.isnan(scored.probability[1]) == (rule is not None)


def test_fields_that_the_model_does_not_need_can_be_missing(scoring_model):
    encoding = scoring_model.encoding
    pickup_hour = tuple(feature for feature in encoding.features if feature.name == "pickup_hour")
    small = replace(scoring_model, encoding=replace(encoding, features=pickup_hour))
    assert trip_columns.required_fields(small) == ("pickup_at",)
    trips = raw_trips.trips_to_table([{"tpep_pickup_datetime": "2023-01-10T08:00:00"}], TLC)
    columns = conform.conform_columns(trips, "trips", TLC)
    assert scoring._complete_trips(small, columns)[0]["fare_amount"].tolist() == [1.0]
    assert set(trip_columns.required_fields(scoring_model)) == set(TLC.required_columns) - {"tip_amount"}
    with pytest.raises(SchemaError, match=r"tpep_dropoff_datetime, VendorID, .* are missing, and the model"):
        scoring.score_trips(scoring_model, trips)


def test_a_card_model_scores_card_trips_exactly_as_before(scoring_model):
    """Other trips in the same table do not change the probability of a trip."""
    model = train_model("yellow", "card")
    cash = {**SCORING_TRIP, "payment_type": 2}
    trips = [cash, SCORING_TRIP, {**cash, "fare_amount": 0.0}, {**SCORING_TRIP, "payment_type": None}]
    scored = scoring.score_trips(model, raw_trips.trips_to_table(trips, TLC), shap_top=1)
    assert scored.reason == ["outside_segment", None, "non_positive_fare", "outside_segment"]
    assert [len(largest) for largest in scored.explanations] == [0, 1, 0, 0]
    alone = scoring.score_trips(model, raw_trips.trips_to_table([SCORING_TRIP], TLC))
    assert scored.probability[1] == alone.probability[0]
    assert np.isnan(scored.probability[[0, 2, 3]]).all()
    assert not scored.prediction[[0, 2, 3]].any()
    assert scoring.score_trips(scoring_model, raw_trips.trips_to_table([cash], TLC)).reason == [None]


@pytest.mark.parametrize(
    ("taxi", "segment", "feature_set", "columns"),
    [
        (
            "green",
            "all",
            "pickup",
            ["lpep_pickup_datetime", "VendorID", "passenger_count", "PULocationID", "trip_type"],
        ),
        (
            "yellow",
            "card",
            "pickup",
            ["tpep_pickup_datetime", "VendorID", "passenger_count", "PULocationID", "payment_type"],
        ),
    ],
)
def test_the_required_columns_are_those_of_the_features(taxi, segment, feature_set, columns):
    model = train_model(taxi, segment, feature_set=feature_set)
    assert sorted(trip_columns.required_columns(model)) == sorted(columns)


@pytest.mark.parametrize("column", trip_columns.required_columns(train_model("green")))
def test_a_column_that_the_model_needs_cannot_be_missing(column):
    """Without an error, the probability of the trip would be that of a trip with a null."""
    model = train_model("green")
    trip = {name.replace("tpep", "lpep"): value for name, value in SCORING_TRIP.items()} | {"trip_type": 1}
    table = raw_trips.trips_to_table([trip], TLC)
    assert scoring.score_trips(model, table).reason == [None]
    with pytest.raises(
        SchemaError, match=f"cannot score the trips: {column} is missing, and the model needs it"
    ):
        scoring.score_trips(model, table.drop_columns([column]))


def test_a_column_that_training_months_do_not_have_can_be_missing():
    """Only a month without any value counts. Single nulls do not make a column optional."""
    model = train_model("yellow")
    feature = next(item for item in model.encoding.features if item.name == "congestion_surcharge")
    assert not feature.absent_in_training
    trip = {**SCORING_TRIP, "congestion_surcharge": None}
    null = scoring.score_trips(model, raw_trips.trips_to_table([trip], TLC))
    del trip["congestion_surcharge"]
    optional = tuple(
        replace(item, absent_in_training=item.name in ("congestion_surcharge", "extra"))
        for item in model.encoding.features
    )
    changed = replace(model, encoding=replace(model.encoding, features=optional))
    assert {*trip_columns.required_columns(model)} - {*trip_columns.required_columns(changed)} == {
        "congestion_surcharge"
    }
    absent = scoring.score_trips(changed, raw_trips.trips_to_table([trip], TLC))
    assert absent.probability[0] == null.probability[0]


def test_trips_of_another_taxi_type_are_an_error():
    with pytest.raises(SchemaError, match="the columns are those of yellow taxis, and model v1 was trained"):
        scoring.score_trips(train_model("green"), raw_trips.trips_to_table([SCORING_TRIP], TLC))


@pytest.mark.parametrize("value", [None, float("nan"), "", "NaN", pd.NA, np.float64("nan"), pd.NaT])
def test_missing_values_are_the_same_in_every_form(value, scoring_model):
    """A missing value has one meaning, so that the trip has the same score."""
    expected = scoring.score_trips(
        scoring_model, raw_trips.trips_to_table([{**SCORING_TRIP, "passenger_count": None}], TLC)
    )
    trips = raw_trips.trips_to_table([{**SCORING_TRIP, "passenger_count": value}], TLC)
    assert scoring.score_trips(scoring_model, trips).probability[0] == expected.probability[0]


def test_two_columns_of_the_same_field_are_refused(scoring_model):
    trips = raw_trips.trips_to_table([SCORING_TRIP], TLC).append_column("FARE_AMOUNT", pa.array([1.0]))
    with pytest.raises(SchemaError, match=r"2 columns contain fare_amount \(fare_amount, FARE_AMOUNT\)"):
        scoring.score_trips(scoring_model, trips)
