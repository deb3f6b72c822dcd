"""The tables: their columns, the exact dtypes in memory and on disk, and the door that checks both."""

from __future__ import annotations

from toytip.core.schema import Column, Table, nullable_int
from toytip.core.tlc import FIELDS, Field


def _to_column(field: Field) -> Column:
    if field.kind == "code":
        return nullable_int(field.name)
    return Column(field.name, "datetime64[us]" if field.kind == "time" else "float64")


TRIPS = Table("trips", (Column("trip_id", "int64", repeats=False), *(_to_column(field) for field in FIELDS)))
REJECTS = Table("rejects", (*TRIPS.columns, Column("reason", "str")))

_TRIP_COLUMNS = (
    Column("trip_id", "int64", repeats=False),
    Column("pickup_at", "datetime64[us]", repeats=False),
    Column("PULocationID", "int32"),
    Column("DOLocationID", "int32"),
    Column("probability", "float32", repeats=False),
)
_LABEL_COLUMNS = (Column("high_tip", "bool"), Column("split", "str"), Column("model_version", "str"))
SCORES = Table("scores", (*_TRIP_COLUMNS, *_LABEL_COLUMNS))
PREDICTIONS = Table("predictions", (*_TRIP_COLUMNS, Column("prediction", "bool"), *_LABEL_COLUMNS))

# How often every feature has about each value, of card trips and the others apart: `value` is null where it is missing,
# `total` the sum of the values in units of 1/1024.
FEATURE_HISTOGRAMS = Table(
    "profiles",
    (
        Column("feature", "str"),
        Column("card", "bool"),
        Column("value", "float32"),
        Column("trips", "int64"),
        Column("total", "int64"),
    ),
)
# What monitoring read of a month: of a kind (drift, missing, ..), the name of a feature, reason or metric, and a measure.
# `threshold` is null if the measure has none. `exceeds_threshold` is about this month, `alert` about the alert rule.
MONITORING = Table(
    "monitors",
    (
        Column("kind", "str"),
        Column("name", "str"),
        Column("measure", "str"),
        Column("value", "float64"),
        Column("reference", "float64"),
        Column("effect", "float64"),
        Column("threshold", "float64"),
        Column("exceeds_threshold", "bool"),
        Column("alert", "bool"),
    ),
)
