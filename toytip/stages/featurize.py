"""Compute the features and the label of kept `trips`.

A feature is a function with a declaration: the columns that the function needs, the dtype of the
values, and the availability. The availability is the earliest point in a trip at which the value is
known. The name of the function is the name of the feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BoolArray
from toytip.core.columns import Columns, columns_of
from toytip.core.schema import Column, Table, nullable_int
from toytip.core.tables import FEATURES_TABLE, TRIPS
from toytip.core.times import hour, minute, seconds_between, weekday
from toytip.errors import ConfigError, SchemaError

AvailabilityTime = Literal["pickup", "dropoff", "payment"]
AVAILABILITY_TIMES: tuple[AvailabilityTime, ...] = ("pickup", "dropoff", "payment")
# These columns are known only after the tip is paid. A feature that uses them would leak the label.
LEAKING_COLUMNS = ("tip_amount", "total_amount")
HIGH_TIP_RATIO = 0.2
WORK_HOURS = tuple(range(8, 19))


@dataclass(frozen=True)
class Feature:
    """A declared feature. `compute` returns one value per row of the needed columns.

    A feature has access only to the columns that it declares.
    """

    column: Column
    available_at: AvailabilityTime
    needs: tuple[str, ...]
    compute: Callable[[Columns], npt.ArrayLike]

    @property
    def name(self) -> str:
        """The name of the feature."""
        return self.column.name


def declare_feature(
    available_at: AvailabilityTime,
    column: Column,
    needs: tuple[str, ...],
    compute: Callable[[Columns], npt.ArrayLike],
) -> Feature:
    """Declare a feature.

    Raises ConfigError if the feature needs a column that leaks the label or does not exist.
    """
    for name in needs:
        if name in LEAKING_COLUMNS:
            raise ConfigError(
                f"cannot declare feature {column.name}: {name} leaks the label, "
                "because it is known only after the tip is paid"
            )
        if name not in TRIPS.names:
            raise ConfigError(
                f"cannot declare feature {column.name}: trips have no column {name}",
                hint=f"Choose from {', '.join(TRIPS.names)}.",
            )
    return Feature(column, available_at, needs, compute)


def feature(
    available_at: AvailabilityTime, dtype: str, *needs: str, repeats: bool = True
) -> Callable[[Callable[[Columns], npt.ArrayLike]], Feature]:
    """Declare the decorated function as a feature. `repeats`: whether equal values occur often."""
    return lambda make: declare_feature(
        available_at, Column(make.__name__, dtype, repeats=repeats), needs, make
    )


def passthrough(available_at: AvailabilityTime, column: Column) -> Feature:
    """Declare a column of `trips` as a feature."""
    return declare_feature(available_at, column, (column.name,), lambda trips: trips[column.name])


@feature("pickup", "int8", "pickup_at")
def pickup_weekday(trips: Columns) -> npt.ArrayLike:
    """Return the day of the week, 0 for Monday."""
    return weekday(trips["pickup_at"])


@feature("pickup", "int8", "pickup_at")
def pickup_hour(trips: Columns) -> npt.ArrayLike:
    """Return the hour, 0 to 23."""
    return hour(trips["pickup_at"])


@feature("pickup", "int8", "pickup_at")
def pickup_minute(trips: Columns) -> npt.ArrayLike:
    """Return the minute, 0 to 59."""
    return minute(trips["pickup_at"])


@feature("pickup", "int8", "pickup_at")
def work_hours(trips: Columns) -> npt.ArrayLike:
    """Return 1 from Monday to Friday, from 8:00 to 18:59, else 0."""
    pickup_at = trips["pickup_at"]
    return (weekday(pickup_at) < 5) & np.isin(hour(pickup_at), WORK_HOURS)


@feature("dropoff", "float32", "pickup_at", "dropoff_at")
def trip_time(trips: Columns) -> npt.ArrayLike:
    """Return the duration in seconds."""
    return seconds_between(trips["pickup_at"], trips["dropoff_at"])


@feature("dropoff", "float32", "pickup_at", "dropoff_at", "trip_distance", repeats=False)
def trip_speed(trips: Columns) -> npt.ArrayLike:
    """Return the mean speed in miles per hour."""
    hours = seconds_between(trips["pickup_at"], trips["dropoff_at"]) / 3600
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
        *(declared.column for declared in FEATURES),
        Column("high_tip", "bool"),
    ),
)


def feature_set(name: str) -> tuple[str, ...]:
    """Return the names of the features of a set.

    The set `seed` has the features of toy-ml-pipeline. Each other set is named after a point in a
    trip, and has all features that are known at this point. No feature leaks the label. Raises
    ConfigError for an unknown set.
    """
    if name == "seed":
        return SEED_FEATURES
    if name not in AVAILABILITY_TIMES:
        raise ConfigError(
            f"cannot use feature set {name!r}: there is no such set",
            hint=f"Choose seed, {', '.join(AVAILABILITY_TIMES)}.",
        )
    available = AVAILABILITY_TIMES[: AVAILABILITY_TIMES.index(name) + 1]
    return tuple(declared.name for declared in FEATURES if declared.available_at in available)


# The columns that splits, scores, target encodings and evaluation slices need, for every model.
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
    """Return the schema of `features`, with only the columns that these features need."""
    return FEATURES_SCHEMA.select_existing({*ALWAYS_READ_COLUMNS, *chain.from_iterable(names)})


def high_tip(trips: Columns) -> BoolArray:
    """Return the label: whether the tip exceeds 20 % of the fare."""
    return trips["tip_amount"] > HIGH_TIP_RATIO * trips["fare_amount"]


def compute_features(trips: Columns, features: Iterable[Feature]) -> dict[str, npt.NDArray[Any]]:
    """Return the values of features of kept trips, by name, with their declared types."""
    # A large amount becomes infinite in float32, and gets the last bin.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return {
            declared.name: _cast(declared.compute({name: trips[name] for name in declared.needs}), declared)
            for declared in features
        }


def _cast(values: npt.ArrayLike, declared: Feature) -> npt.NDArray[Any]:
    array, dtype = np.asarray(values), np.dtype(declared.column.dtype)
    if dtype.kind in "iu" and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise SchemaError(
            f"cannot compute feature {declared.name}: a value of type {dtype} is missing or infinite"
        )
    return array.astype(dtype, copy=False)


def featurize(trips: pd.DataFrame) -> pd.DataFrame:
    """Return the `features` of kept `trips`, one row per trip, in the same order."""
    columns = columns_of(TRIPS.validate(trips))
    keys = {"trip_id": columns["trip_id"], "pickup_at": columns["pickup_at"]}
    values = compute_features(columns, FEATURES)
    return FEATURES_SCHEMA.validate(
        pd.DataFrame({**keys, **values, "high_tip": high_tip(columns)}, index=trips.index)
    )
