"""Split `trips` into kept trips and `rejects`.

A rule is a function in RULES that marks the rows to reject. The reason for a rejected row is the
name of the first rule that marks the row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BoolArray
from toytip.core.columns import Columns, columns_of
from toytip.core.tables import REJECTS, TRIPS
from toytip.core.times import month_index
from toytip.core.tlc import file_month_index

MAX_HOURS = 24
MAX_MILES = 300
REQUIRED_TRIP_COLUMNS = [
    "pickup_at",
    "dropoff_at",
    "fare_amount",
    "tip_amount",
    "trip_distance",
    "PULocationID",
    "DOLocationID",
]


def unreadable_value(trips: Columns) -> BoolArray:
    """A value is not a time, a code or an amount, for example the text `ten` as a fare."""
    unreadable = trips.get("unreadable")
    return np.zeros(len(trips["trip_id"]), bool) if unreadable is None else np.asarray(unreadable, bool)


def missing_value(trips: Columns) -> BoolArray:
    """The pickup or dropoff time, the fare, the tip, the distance, or a zone is null."""
    missing = [pd.isna(trips[name]) for name in REQUIRED_TRIP_COLUMNS]
    return np.asarray(np.logical_or.reduce(missing), bool)


def out_of_month(trips: Columns) -> BoolArray:
    """The pickup is not in the month of the file."""
    return np.not_equal(month_index(trips["pickup_at"]), file_month_index(trips["trip_id"]))


def non_positive_fare(trips: Columns) -> BoolArray:
    """The fare is zero or negative (a refund)."""
    return trips["fare_amount"] <= 0


def negative_tip(trips: Columns) -> BoolArray:
    """The tip is negative."""
    return trips["tip_amount"] < 0


def non_positive_duration(trips: Columns) -> BoolArray:
    """The dropoff is not after the pickup."""
    return trips["dropoff_at"] <= trips["pickup_at"]


def overlong_trip(trips: Columns) -> BoolArray:
    """The trip takes more than 24 hours. Probably, the meter was not stopped."""
    return trips["dropoff_at"] - trips["pickup_at"] > np.timedelta64(MAX_HOURS, "h")


def implausible_distance(trips: Columns) -> BoolArray:
    """The distance is negative or more than 300 miles."""
    return (trips["trip_distance"] < 0) | (trips["trip_distance"] > MAX_MILES)


RULES: tuple[Callable[[Columns], BoolArray], ...] = (
    unreadable_value,
    missing_value,
    out_of_month,
    non_positive_fare,
    negative_tip,
    non_positive_duration,
    overlong_trip,
    implausible_distance,
)
REJECT_REASONS = tuple(rule.__name__ for rule in RULES)


def rule_indices(trips: Columns) -> npt.NDArray[np.int8]:
    """Return the index of the first rule that rejects each trip, or -1 without one."""
    rule_index = np.full(len(trips["trip_id"]), -1, dtype=np.int8)
    for index, rule in reversed(list(enumerate(RULES))):
        rule_index[np.asarray(rule(trips), bool)] = index
    return rule_index


def first_broken_rule(trips: pd.DataFrame) -> pd.Series:
    """Return the index of the first rule that rejects each trip, or -1 without one (int8)."""
    return pd.Series(rule_indices(columns_of(trips)), index=trips.index, name="rule_index")


def accepted_trips(trips: pd.DataFrame, rule_index: pd.Series) -> pd.DataFrame:
    """Return the `trips` that no rule rejects."""
    return TRIPS.validate(_trips_in(trips, rule_index < 0))


def rejected_trips(trips: pd.DataFrame, rule_index: pd.Series) -> pd.DataFrame:
    """Return `rejects`: the trips that a rule rejects, with the column `reason`."""
    rejected = rule_index >= 0
    names = np.array(REJECT_REASONS, dtype=object)[rule_index[rejected]]
    reasons = pd.Series(names, dtype="str", name="reason")
    return REJECTS.validate(_trips_in(trips, rejected).assign(reason=reasons))


def _trips_in(trips: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    """Return rows of `trips` or `raw_trips` as `trips`."""
    selected = trips[rows].reset_index(drop=True)
    if "unreadable" in selected:
        del selected["unreadable"]  # `drop` would copy all other columns
    return selected


def clean(trips: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split `trips` or `raw_trips` into kept trips and `rejects`. Every row is in one of them."""
    rule_index = first_broken_rule(trips)
    return accepted_trips(trips, rule_index), rejected_trips(trips, rule_index)


def count_reasons(rejects: pd.DataFrame) -> dict[str, int]:
    """Return the number of rows per reason, in the order of the rules, without zeros."""
    counts = rejects["reason"].value_counts()
    return {reason: int(counts[reason]) for reason in REJECT_REASONS if reason in counts.index}
