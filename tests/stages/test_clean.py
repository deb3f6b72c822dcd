"""The cleaning rules: trips, and the reason that rejects each."""

import pytest

from tests.support.trips import make_trips
from toytip.core.months import Month
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.stages.clean import clean, count_reasons

ACCEPTED = None
EXAMPLES = [
    ("a good trip", {}, ACCEPTED),
    ("a cash trip", {"payment_type": 2, "tip_amount": 0.0}, ACCEPTED),
    (
        "a dispatch trip has no passenger count or rate",
        {"passenger_count": None, "RatecodeID": None, "payment_type": 0},
        ACCEPTED,
    ),
    (
        "the first instant of the month",
        {"pickup_at": "2023-01-01 00:00:00", "dropoff_at": "2023-01-01 00:00:01"},
        ACCEPTED,
    ),
    (
        "the last instant of the month",
        {"pickup_at": "2023-01-31 23:59:59.999999", "dropoff_at": "2023-02-01 00:10:00"},
        ACCEPTED,
    ),
    (
        "one instant late",
        {"pickup_at": "2023-02-01 00:00:00", "dropoff_at": "2023-02-01 00:10:00"},
        "out_of_month",
    ),
    ("one instant early", {"pickup_at": "2022-12-31 23:59:59.999999"}, "out_of_month"),
    ("the same month of another year", {"pickup_at": "2008-01-10 08:00:00"}, "out_of_month"),
    ("no fare", {"fare_amount": 0.0}, "non_positive_fare"),
    ("a refund", {"fare_amount": -10.0, "tip_amount": -2.0}, "non_positive_fare"),
    ("the smallest fare", {"fare_amount": 0.01}, ACCEPTED),
    ("a negative tip", {"tip_amount": -0.01}, "negative_tip"),
    ("no duration", {"dropoff_at": "2023-01-10 08:00:00"}, "non_positive_duration"),
    ("back in time", {"dropoff_at": "2023-01-10 07:59:59"}, "non_positive_duration"),
    ("one second", {"dropoff_at": "2023-01-10 08:00:01"}, ACCEPTED),
    ("a whole day", {"dropoff_at": "2023-01-11 08:00:00"}, ACCEPTED),
    ("a day and a second", {"dropoff_at": "2023-01-11 08:00:01"}, "overlong_trip"),
    ("no distance", {"trip_distance": 0.0}, ACCEPTED),
    ("a negative distance", {"trip_distance": -0.1}, "implausible_distance"),
    ("300 miles", {"trip_distance": 300.0}, ACCEPTED),
    ("more than 300 miles", {"trip_distance": 300.01}, "implausible_distance"),
    (
        "the first rule gives the reason",
        {"fare_amount": -1.0, "trip_distance": 1e6, "tip_amount": -1.0},
        "non_positive_fare",
    ),
    ("an unreadable value comes first", {"unreadable": True, "fare_amount": None}, "unreadable_value"),
    *((f"no {name}", {name: None}, "missing_value") for name in TLC.required_columns),
]


@pytest.mark.parametrize(("name", "change", "reason"), EXAMPLES, ids=[example[0] for example in EXAMPLES])
def test_cleaning_of_a_trip(name, change, reason):
    unreadable = [False, change.get("unreadable", False)]
    values = {column: value for column, value in change.items() if column != "unreadable"}
    accepted, rejects = clean(make_trips({}, values).assign(unreadable=unreadable), TLC)
    assert rejects["reason"].tolist() == ([] if reason is None else [reason])
    assert len(accepted) == 2 - len(rejects)


def test_every_reason_has_an_example():
    assert {reason for _, _, reason in EXAMPLES} == {*TLC.reject_reasons, ACCEPTED}


def test_leap_day_belongs_to_february():
    leap = make_trips(
        {"pickup_at": "2024-02-29 23:59:59", "dropoff_at": "2024-03-01 00:05:00"}, month=Month(2024, 2)
    )
    assert len(clean(leap, TLC)[0]) == 1


def test_rejects_are_not_changed():
    trips = make_trips({"fare_amount": -5.0}, {}, {"PULocationID": None})
    _, rejects = clean(trips, TLC)
    assert rejects["trip_id"].tolist() == trips["trip_id"].iloc[[0, 2]].tolist()
    assert rejects["fare_amount"].tolist() == [-5.0, 10.0]
    assert count_reasons(rejects) == {"missing_value": 1, "non_positive_fare": 1}
