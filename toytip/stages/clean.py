"""clean: `trips` -> trips to keep, and `rejects` with the reason for each.

A rule is a line in RULES: a reason, and a function that marks the rows it is true of. The first rule that
applies names the reason.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from toytip.core.tables import REJECTS, TRIPS
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


def missing_value(trips: pd.DataFrame) -> pd.Series:
    """A column without which there is no trip, fare or label is null."""
    return trips[REQUIRED_TRIP_COLUMNS].isna().any(axis=1)


def out_of_month(trips: pd.DataFrame) -> pd.Series:
    """The pickup lies outside the month of the file (half-open)."""
    months = trips["pickup_at"].to_numpy().astype("datetime64[M]").astype(np.int64)
    return 1970 * 12 + months != file_month_index(trips["trip_id"])


def non_positive_fare(trips: pd.DataFrame) -> pd.Series:
    """The fare is zero, or a refund."""
    return trips["fare_amount"] <= 0


def negative_tip(trips: pd.DataFrame) -> pd.Series:
    """The tip is negative."""
    return trips["tip_amount"] < 0


def non_positive_duration(trips: pd.DataFrame) -> pd.Series:
    """The dropoff is not after the pickup."""
    return trips["dropoff_at"] <= trips["pickup_at"]


def overlong_trip(trips: pd.DataFrame) -> pd.Series:
    """The trip takes more than a day: a meter left running."""
    return trips["dropoff_at"] - trips["pickup_at"] > pd.Timedelta(hours=MAX_HOURS)


def implausible_distance(trips: pd.DataFrame) -> pd.Series:
    """The distance is negative, or farther than a taxi goes."""
    return (trips["trip_distance"] < 0) | (trips["trip_distance"] > MAX_MILES)


RULES: tuple[Callable[[pd.DataFrame], pd.Series], ...] = (
    missing_value,
    out_of_month,
    non_positive_fare,
    negative_tip,
    non_positive_duration,
    overlong_trip,
    implausible_distance,
)
REJECT_REASONS = tuple(rule.__name__ for rule in RULES)


def first_broken_rule(trips: pd.DataFrame) -> pd.Series:
    """Return per trip the number of the first rule that rejects it, or -1 to keep it (int8)."""
    verdict = np.full(len(trips), -1, dtype=np.int8)
    for number, rule in reversed(list(enumerate(RULES))):
        verdict[rule(trips).to_numpy(dtype=bool)] = number
    return pd.Series(verdict, index=trips.index, name="verdict")


def accepted_trips(trips: pd.DataFrame, verdict: pd.Series) -> pd.DataFrame:
    """Return the `trips` that no rule rejects."""
    return TRIPS.validate(trips[verdict < 0].reset_index(drop=True))


def rejected_trips(trips: pd.DataFrame, verdict: pd.Series) -> pd.DataFrame:
    """Return the `rejects`: the trips that a rule rejects, as they came, each with its reason."""
    rejected = verdict >= 0
    reasons = pd.Series(np.array(REJECT_REASONS, dtype=object)[verdict[rejected]], dtype="str", name="reason")
    return REJECTS.validate(trips[rejected].reset_index(drop=True).assign(reason=reasons))


def clean(trips: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split `trips` into those to keep and the `rejects`; every row is in exactly one of them."""
    verdict = first_broken_rule(trips)
    return accepted_trips(trips, verdict), rejected_trips(trips, verdict)


def count_reasons(rejects: pd.DataFrame) -> dict[str, int]:
    """Return how many rows each reason rejects, in the order of the rules, reasons without rows left out."""
    counts = rejects["reason"].value_counts()
    return {reason: int(counts[reason]) for reason in REJECT_REASONS if reason in counts.index}
