"""The zones, rules, features and slices that all data sets of rides in New York have."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BoolArray
from toytip.core.columns import Columns
from toytip.core.dataset.declarations import Key, Moment, Rule, TargetEncoding, TargetRate, feature, rule
from toytip.core.dataset.slices import MISSING, Slice, SliceCodes, column_slice, default_label, factorize
from toytip.core.dataset.words import LabelWords
from toytip.core.times import hour, minute, weekday
from toytip.datasets.row_rules import any_missing, out_of_month_rule, unreadable_value
from toytip.datasets.tlc.time_words import TIME_WORDS
from toytip.datasets.tlc.zones import ZONE_ID_COUNT

WORK_HOURS = tuple(range(8, 19))
MAX_HOURS = 24
MAX_MILES = 300
# Edges of the distance slices in miles. The last slice has no upper edge.
DISTANCE_EDGES_MILES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)
# The zone IDs of Newark, JFK and LaGuardia.
AIRPORT_ZONES = (1, 132, 138)
HOUR_WORDS = {str(hour): f"{hour}:00 to {hour}:59" for hour in range(24)}
AIRPORT_WORDS = {"yes": "airport trips", "no": "trips without an airport"}

MOMENTS = (Moment("pickup", "pickup_at"), Moment("dropoff", "dropoff_at"), Moment("payment", "dropoff_at"))
out_of_month = out_of_month_rule(MOMENTS[0].column)
# The points in a trip at which values become available, in order.
AVAILABILITY_DESCRIPTIONS = {
    "pickup": "when the passenger gets in",
    "dropoff": "when the ride ends, before payment",
    "payment": "when the passenger chooses how to pay",
    "settled": "when the tip is paid, or later. Columns with this availability are never features.",
}
HIGH_TIP_WORDS = LabelWords(one="high tip", many="high tips")
# Rates of high tips by zone. Only rides of the segment count, if the data set has one.
PICKUP_ZONE, DROPOFF_ZONE = (Key(name, ZONE_ID_COUNT) for name in ("PULocationID", "DOLocationID"))
ZONE_RATES = TargetEncoding(
    keys=(PICKUP_ZONE, DROPOFF_ZONE),
    rates=(
        TargetRate("pickup_zone_rate", "pickup", ("PULocationID",)),
        TargetRate("dropoff_zone_rate", "dropoff", ("DOLocationID",)),
        TargetRate("zone_pair_rate", "dropoff", ("PULocationID", "DOLocationID")),
    ),
)
BASELINE_NAME = "hour-and-zone mean"
HOUR_AND_ZONE = (Key("pickup_hour", 24), PICKUP_ZONE)


def stage_modules(package: str) -> dict[str, tuple[str, ...]]:
    """Return the modules that decide on the rows of each stage: of this package, and this one.

    A change of their code makes the stage run again.
    """

    def modules_of(*names: str) -> tuple[str, ...]:
        return (
            "datasets.tlc.rides",
            "datasets.row_rules",
            *(f"datasets.tlc.{package}.{name}" for name in names),
        )

    return {
        "clean": modules_of("dataset", "fields", "layout", "names", "rules"),
        **dict.fromkeys(("featurize", "preprocess", "train", "infer"), modules_of("dataset", "features")),
    }


@rule
def non_positive_duration(trips: Columns) -> BoolArray:
    """The dropoff is not after the pickup."""
    return trips["dropoff_at"] <= trips["pickup_at"]


@rule
def overlong_trip(trips: Columns) -> BoolArray:
    """The trip takes more than 24 hours. Probably, the meter was not stopped."""
    return trips["dropoff_at"] - trips["pickup_at"] > np.timedelta64(MAX_HOURS, "h")


def required_columns(fare: str, tip: str, distance: str) -> tuple[str, ...]:
    """Return the columns that must have a value, given those of fare, tip and distance."""
    return ("pickup_at", "dropoff_at", fare, tip, distance, "PULocationID", "DOLocationID")


def ride_rules(fare: str, tip: str, distance: str) -> tuple[Rule, ...]:
    """Return the cleaning rules, given the columns of fare, tip and distance."""

    @rule
    def missing_value(trips: Columns) -> BoolArray:
        """The pickup or dropoff time, the fare, the tip, the distance, or a zone is null."""
        return any_missing(trips, required_columns(fare, tip, distance))

    @rule
    def non_positive_fare(trips: Columns) -> BoolArray:
        """The fare is zero or negative (a refund or a promotion)."""
        return trips[fare] <= 0

    @rule
    def negative_tip(trips: Columns) -> BoolArray:
        """The tip is negative."""
        return trips[tip] < 0

    @rule
    def implausible_distance(trips: Columns) -> BoolArray:
        """The distance is negative or more than 300 miles."""
        return (trips[distance] < 0) | (trips[distance] > MAX_MILES)

    values = (unreadable_value, missing_value, out_of_month, non_positive_fare, negative_tip)
    return (*values, non_positive_duration, overlong_trip, implausible_distance)


@feature(available="pickup", needs=["pickup_at"], dtype="int8")
def pickup_weekday(trips: Columns) -> npt.ArrayLike:
    """Return the day of the week, 0 for Monday."""
    return weekday(trips["pickup_at"])


@feature(available="pickup", needs=["pickup_at"], dtype="int8")
def pickup_hour(trips: Columns) -> npt.ArrayLike:
    """Return the hour, 0 to 23."""
    return hour(trips["pickup_at"])


@feature(available="pickup", needs=["pickup_at"], dtype="int8")
def pickup_minute(trips: Columns) -> npt.ArrayLike:
    """Return the minute, 0 to 59."""
    return minute(trips["pickup_at"])


@feature(available="pickup", needs=["pickup_at"], dtype="int8")
def work_hours(trips: Columns) -> npt.ArrayLike:
    """Return 1 from Monday to Friday, from 8:00 to 18:59, else 0."""
    pickup_at = trips["pickup_at"]
    return (weekday(pickup_at) < 5) & np.isin(hour(pickup_at), WORK_HOURS)


TIME_FEATURES = (pickup_weekday, pickup_hour, pickup_minute, work_hours)


def distance_slice(column: str) -> Slice:
    """Return the slices by distance, given the column with the distance in miles."""

    def group(features: pd.DataFrame, _: tuple[str, ...]) -> SliceCodes:
        codes = np.digitize(features[column], DISTANCE_EDGES_MILES[1:]).astype(np.int64)
        values = [f"{low:g}-{high:g} miles" for low, high in pairwise(DISTANCE_EDGES_MILES)]
        return codes, [*values, f"{DISTANCE_EDGES_MILES[-1]:g} miles or more"]

    return Slice("distance", (column,), group, str)


def _by_airport(features: pd.DataFrame, _: tuple[str, ...]) -> SliceCodes:
    is_airport = np.isin(np.arange(ZONE_ID_COUNT), AIRPORT_ZONES)
    pickup, dropoff = (
        features[name].clip(0, ZONE_ID_COUNT - 1).to_numpy() for name in ("PULocationID", "DOLocationID")
    )
    return (is_airport[pickup] | is_airport[dropoff]).astype(np.int64), ["no", "yes"]


def _by_borough(features: pd.DataFrame, boroughs: tuple[str, ...]) -> SliceCodes | None:
    if not boroughs:
        return None
    zone = features["PULocationID"].clip(0, len(boroughs) - 1).to_numpy()
    return factorize(pd.Series(np.array(boroughs, dtype=object)[zone]))


def _borough_label(value: str) -> str:
    return default_label("borough", value) if value in (MISSING, "unknown") else value


AIRPORT_SLICE = Slice(
    "airport",
    ("PULocationID", "DOLocationID"),
    _by_airport,
    lambda value: AIRPORT_WORDS.get(value, value),
)
HOUR_SLICE = column_slice("hour", "pickup_hour", HOUR_WORDS)
WEEKDAY_SLICE = column_slice("weekday", "pickup_weekday", TIME_WORDS["pickup_weekday"])
BOROUGH_SLICE = Slice("borough", ("PULocationID",), _by_borough, _borough_label)
