"""featurize: cleaned `trips` -> `features`: the natural features, and the label.

A feature is a function with a declaration: the columns it needs, the dtype it produces, and the moment of the
trip at which a driver or a dispatcher could know it. Its name is the function's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from toytip.core.schema import Column, Table, nullable_int
from toytip.core.tables import FEATURES_TABLE, TRIPS
from toytip.errors import ConfigError

AvailabilityTime = Literal["pickup", "dropoff", "payment"]
AVAILABILITY_TIMES: tuple[AvailabilityTime, ...] = ("pickup", "dropoff", "payment")
# Known only once the tip is: learning from these is leakage.
LEAKING_COLUMNS = ("tip_amount", "total_amount")
HIGH_TIP_RATIO = 0.2

# Of the trips a feature sees the columns that it declares, and no others.
TripColumns = Mapping[str, pd.Series]


@dataclass(frozen=True)
class Feature:
    """A declared feature. `compute` takes the needed columns and returns the values, row for row."""

    column: Column
    available_at: AvailabilityTime
    needs: tuple[str, ...]
    compute: Callable[[TripColumns], pd.Series]

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.column.name


def declare_feature(
    available_at: AvailabilityTime,
    column: Column,
    needs: tuple[str, ...],
    compute: Callable[[TripColumns], pd.Series],
) -> Feature:
    """Declare a feature. Raises ConfigError where it needs a settled column, or one that trips have not."""
    for name in needs:
        if name in LEAKING_COLUMNS:
            raise ConfigError(f"feature {column.name} needs {name}, which is settled with the tip: leakage")
        if name not in TRIPS.names:
            raise ConfigError(f"feature {column.name} needs {name}, which trips have not: {TRIPS.names}")
    return Feature(column, available_at, needs, compute)


def feature(
    available_at: AvailabilityTime, dtype: str, *needs: str, repeats: bool = True
) -> Callable[[Callable[[TripColumns], pd.Series]], Feature]:
    """Declare the function below as a feature; its values come again and again, or do not."""
    return lambda make: declare_feature(
        available_at, Column(make.__name__, dtype, repeats=repeats), needs, make
    )


def passthrough(available_at: AvailabilityTime, column: Column) -> Feature:
    """Declare a column of the trips as a feature."""
    return declare_feature(available_at, column, (column.name,), lambda trips: trips[column.name])


@feature("pickup", "int8", "pickup_at")
def pickup_weekday(trips: TripColumns) -> pd.Series:
    """0 = Monday."""
    return trips["pickup_at"].dt.day_of_week


@feature("pickup", "int8", "pickup_at")
def pickup_hour(trips: TripColumns) -> pd.Series:
    """0 to 23."""
    return trips["pickup_at"].dt.hour


@feature("pickup", "int8", "pickup_at")
def pickup_minute(trips: TripColumns) -> pd.Series:
    """0 to 59."""
    return trips["pickup_at"].dt.minute


@feature("pickup", "int8", "pickup_at")
def work_hours(trips: TripColumns) -> pd.Series:
    """1 from Monday to Friday, hours 8 to 18 inclusive."""
    pickup = trips["pickup_at"].dt
    return (pickup.day_of_week < 5) & pickup.hour.between(8, 18)


@feature("dropoff", "float32", "pickup_at", "dropoff_at")
def trip_time(trips: TripColumns) -> pd.Series:
    """Seconds."""
    return (trips["dropoff_at"] - trips["pickup_at"]).dt.total_seconds()


@feature("dropoff", "float32", "pickup_at", "dropoff_at", "trip_distance", repeats=False)
def trip_speed(trips: TripColumns) -> pd.Series:
    """Miles an hour."""
    hours = (trips["dropoff_at"] - trips["pickup_at"]).dt.total_seconds() / 3600
    return trips["trip_distance"] / hours


def _amount_feature(name: str) -> Feature:
    return passthrough("dropoff", Column(name, "float32"))


FEATURES: tuple[Feature, ...] = (
    pickup_weekday,
    pickup_hour,
    pickup_minute,
    work_hours,
    passthrough("pickup", nullable_int("passenger_count")),
    passthrough("pickup", Column("PULocationID", "int32")),
    passthrough("pickup", nullable_int("VendorID")),
    passthrough("pickup", nullable_int("trip_type")),
    passthrough("dropoff", Column("DOLocationID", "int32")),
    _amount_feature("trip_distance"),
    trip_time,
    trip_speed,
    passthrough("dropoff", nullable_int("RatecodeID")),
    _amount_feature("fare_amount"),
    _amount_feature("extra"),
    _amount_feature("mta_tax"),
    _amount_feature("tolls_amount"),
    _amount_feature("improvement_surcharge"),
    _amount_feature("congestion_surcharge"),
    _amount_feature("airport_fee"),
    _amount_feature("cbd_congestion_fee"),
    passthrough("payment", nullable_int("payment_type")),
)

SEED_FEATURES = (
    "pickup_weekday",
    "pickup_hour",
    "pickup_minute",
    "work_hours",
    "passenger_count",
    "trip_distance",
    "trip_time",
    "trip_speed",
    "PULocationID",
    "DOLocationID",
    "RatecodeID",
)

FEATURES_SCHEMA = replace(
    FEATURES_TABLE,
    columns=(
        Column("trip_id", "int64", repeats=False),
        Column("pickup_at", "datetime64[us]", repeats=False),
        *(item.column for item in FEATURES),
        Column("high_tip", "bool"),
    ),
)


def feature_set(name: str) -> tuple[str, ...]:
    """Return the features of a set: `seed`, or all that are known by the moment of that name.

    Raises ConfigError for a name that is neither; the settled columns are in no set.
    """
    if name == "seed":
        return SEED_FEATURES
    if name not in AVAILABILITY_TIMES:
        raise ConfigError(
            f"no feature set {name!r}; choose seed, {', '.join(AVAILABILITY_TIMES)} (settled features leak the tip)"
        )
    known = AVAILABILITY_TIMES[: AVAILABILITY_TIMES.index(name) + 1]
    return tuple(item.name for item in FEATURES if item.available_at in known)


# What splits, scores, rates and slices look at, whatever the model learns from.
ALWAYS_READ_COLUMNS = (
    "trip_id",
    "pickup_at",
    "pickup_weekday",
    "pickup_hour",
    "PULocationID",
    "DOLocationID",
    "VendorID",
    "trip_distance",
    "RatecodeID",
    "payment_type",
    "high_tip",
)


def feature_table(*names: tuple[str, ...]) -> Table:
    """Return the columns of `features` that models of those features need: the others need not be read."""
    return FEATURES_SCHEMA.select_existing({*ALWAYS_READ_COLUMNS, *(name for some in names for name in some)})


def high_tip(trips: pd.DataFrame) -> pd.Series:
    """Return the label: the tip is more than a fifth of the fare."""
    return trips["tip_amount"] > HIGH_TIP_RATIO * trips["fare_amount"]


def featurize(trips: pd.DataFrame) -> pd.DataFrame:
    """Return `features` of cleaned `trips`, row for row."""
    TRIPS.validate(trips)
    columns = {"trip_id": trips["trip_id"], "pickup_at": trips["pickup_at"]}
    for item in FEATURES:
        with np.errstate(over="ignore"):  # an amount beyond float32 becomes infinite: the last bin
            columns[item.name] = item.compute({name: trips[name] for name in item.needs}).astype(
                item.column.dtype
            )
    return FEATURES_SCHEMA.validate(pd.DataFrame({**columns, "high_tip": high_tip(trips)}))
