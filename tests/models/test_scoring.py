"""Scoring of raw trips: rules, explanations and missing fields."""

import numpy as np
import pytest

from tests.support.models import train_model
from tests.support.trips import SCORING_TRIP
from toytip.errors import SchemaError
from toytip.models import scoring
from toytip.stages.clean import REQUIRED_TRIP_COLUMNS


@pytest.fixture
def scoring_model():
    """A model of yellow taxis, which no run trained."""
    return train_model("yellow")


def test_explanations_add_up_to_the_log_odds(scoring_model):
    scored = scoring.score_trips(scoring_model, scoring.trips_to_table([SCORING_TRIP]), shap_top=99)
    (explanations,) = scored.explanations
    assert {item.feature for item in explanations} == set(scoring_model.encoding.feature_names)
    total = sum(item.log_odds for item in explanations)
    prior = scoring_model.encoding.positives / scoring_model.encoding.rows
    log_odds = np.log(scored.probability[0] / (1 - scored.probability[0]))
    assert log_odds == pytest.approx(total + np.log(prior / (1 - prior)), abs=0.3)


def test_explanations_have_the_values_of_the_trip(scoring_model):
    trips = [SCORING_TRIP, {**SCORING_TRIP, "passenger_count": None}, {**SCORING_TRIP, "fare_amount": 0.0}]
    explanations = scoring.score_trips(scoring_model, scoring.trips_to_table(trips), shap_top=99).explanations
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
    trips = scoring.trips_to_table([SCORING_TRIP, {**SCORING_TRIP, **change}])
    scored = scoring.score_trips(scoring_model, trips)
    assert scored.rejected == [None, rule]
    assert np.isnan(scored.probability[1]) == (rule is not None)


def test_fields_that_the_model_does_not_need_can_be_missing(scoring_model):
    from dataclasses import replace

    encoding = scoring_model.encoding
    pickup_hour = tuple(feature for feature in encoding.features if feature.name == "pickup_hour")
    small = replace(scoring_model, encoding=replace(encoding, features=pickup_hour))
    assert scoring.required_fields(small) == ("pickup_at",)
    trips = scoring.trips_to_table([{"tpep_pickup_datetime": "2023-01-10T08:00:00"}])
    assert scoring._conform_trips(small, trips)["fare_amount"].tolist() == [1.0]
    assert set(scoring.required_fields(scoring_model)) == set(REQUIRED_TRIP_COLUMNS) - {"tip_amount"}
    with pytest.raises(SchemaError, match="dropoff_at is missing, and the model needs it"):
        scoring.score_trips(scoring_model, trips)
