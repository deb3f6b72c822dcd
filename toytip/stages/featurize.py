"""featurize: cleaned `trips` -> `features`: the natural features, and the label.

A feature is a function with a declaration: the columns it needs, the dtype it produces, and the moment of the
trip at which a driver or a dispatcher could know it. Its name is the function's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from toytip.errors import ConfigError
from toytip.schema import TRIPS, Column, Table, code

Moment = Literal["pickup", "dropoff", "payment"]
MOMENTS: tuple[Moment, ...] = ("pickup", "dropoff", "payment")
# Known only once the tip is: learning from these is leakage.
SETTLED = ("tip_amount", "total_amount")
HIGH_TIP = 0.2

# Of the trips a feature sees the columns that it declares, and no others.
Columns = Mapping[str, pd.Series]


@dataclass(frozen=True)
class Feature:
    """A declared feature. `make` takes the needed columns and returns the values, row for row."""

    column: Column
    moment: Moment
    needs: tuple[str, ...]
    make: Callable[[Columns], pd.Series]

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.column.name


def declare(
    moment: Moment, column: Column, needs: tuple[str, ...], make: Callable[[Columns], pd.Series]
) -> Feature:
    """Declare a feature. Raises ConfigError where it needs a settled column, or one that trips have not."""
    for name in needs:
        if name in SETTLED:
            raise ConfigError(f"feature {column.name} needs {name}, which is settled with the tip: leakage")
        if name not in TRIPS.names:
            raise ConfigError(f"feature {column.name} needs {name}, which trips have not: {TRIPS.names}")
    return Feature(column, moment, needs, make)


def feature(
    moment: Moment, dtype: str, *needs: str, repeats: bool = True
) -> Callable[[Callable[[Columns], pd.Series]], Feature]:
    """Declare the function below as a feature; its values come again and again, or do not."""
    return lambda make: declare(moment, Column(make.__name__, dtype, repeats=repeats), needs, make)


def as_is(moment: Moment, column: Column) -> Feature:
    """Declare a column of the trips as a feature."""
    return declare(moment, column, (column.name,), lambda trips: trips[column.name])


@feature("pickup", "int8", "pickup_at")
def pickup_weekday(trips: Columns) -> pd.Series:
    """0 = Monday."""
    return trips["pickup_at"].dt.day_of_week


@feature("pickup", "int8", "pickup_at")
def pickup_hour(trips: Columns) -> pd.Series:
    """0 to 23."""
    return trips["pickup_at"].dt.hour


@feature("pickup", "int8", "pickup_at")
def pickup_minute(trips: Columns) -> pd.Series:
    """0 to 59."""
    return trips["pickup_at"].dt.minute


@feature("pickup", "int8", "pickup_at")
def work_hours(trips: Columns) -> pd.Series:
    """1 from Monday to Friday, hours 8 to 18 inclusive."""
    pickup = trips["pickup_at"].dt
    return (pickup.day_of_week < 5) & pickup.hour.between(8, 18)


@feature("dropoff", "float32", "pickup_at", "dropoff_at")
def trip_time(trips: Columns) -> pd.Series:
    """Seconds."""
    return (trips["dropoff_at"] - trips["pickup_at"]).dt.total_seconds()


@feature("dropoff", "float32", "pickup_at", "dropoff_at", "trip_distance", repeats=False)
def trip_speed(trips: Columns) -> pd.Series:
    """Miles an hour."""
    hours = (trips["dropoff_at"] - trips["pickup_at"]).dt.total_seconds() / 3600
    return trips["trip_distance"] / hours


def _amount(name: str) -> Feature:
    return as_is("dropoff", Column(name, "float32"))


FEATURES: tuple[Feature, ...] = (
    pickup_weekday,
    pickup_hour,
    pickup_minute,
    work_hours,
    as_is("pickup", code("passenger_count")),
    as_is("pickup", Column("PULocationID", "int32")),
    as_is("pickup", code("VendorID")),
    as_is("pickup", code("trip_type")),
    as_is("dropoff", Column("DOLocationID", "int32")),
    _amount("trip_distance"),
    trip_time,
    trip_speed,
    as_is("dropoff", code("RatecodeID")),
    _amount("fare_amount"),
    _amount("extra"),
    _amount("mta_tax"),
    _amount("tolls_amount"),
    _amount("improvement_surcharge"),
    _amount("congestion_surcharge"),
    _amount("airport_fee"),
    _amount("cbd_congestion_fee"),
    as_is("payment", code("payment_type")),
)

SEED = (
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

TABLE = Table(
    "features",
    (
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
        return SEED
    if name not in MOMENTS:
        raise ConfigError(
            f"no feature set {name!r}; choose seed, {', '.join(MOMENTS)} (settled features leak the tip)"
        )
    known = MOMENTS[: MOMENTS.index(name) + 1]
    return tuple(item.name for item in FEATURES if item.moment in known)


# What splits, scores, rates and slices look at, whatever the model learns from.
ALWAYS = (
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


def table_of(*names: tuple[str, ...]) -> Table:
    """Return the columns of `features` that models of those features need: the others need not be read."""
    return TABLE.pick({*ALWAYS, *(name for some in names for name in some)})


def high_tip(trips: pd.DataFrame) -> pd.Series:
    """Return the label: the tip is more than a fifth of the fare."""
    return trips["tip_amount"] > HIGH_TIP * trips["fare_amount"]


def featurize(trips: pd.DataFrame) -> pd.DataFrame:
    """Return `features` of cleaned `trips`, row for row."""
    TRIPS.check(trips)
    columns = {"trip_id": trips["trip_id"], "pickup_at": trips["pickup_at"]}
    for item in FEATURES:
        with np.errstate(over="ignore"):  # an amount beyond float32 becomes infinite: the last bin
            columns[item.name] = item.make({name: trips[name] for name in item.needs}).astype(
                item.column.dtype
            )
    return TABLE.check(pd.DataFrame({**columns, "high_tip": high_tip(trips)}))
