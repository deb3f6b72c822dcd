"""The columns of the tables that depend on the data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toytip.core.dataset.declarations import Field
from toytip.core.schema import Column, nullable_int
from toytip.core.tables import FEATURES, PREDICTIONS, RAW_TRIPS, REJECTS, SCORES, TRIPS

if TYPE_CHECKING:
    from toytip.core.dataset.dataset import Dataset

_DTYPES = {"time": "datetime64[us]", "amount": "float64"}


def table_columns(dataset: Dataset) -> dict[str, tuple[Column, ...]]:
    """Return the columns that each of these tables has for a data set, by table."""
    trips = (Column("trip_id", "int64", repeats=False), *map(field_column, dataset.fields))
    by_name = {declared.name: declared.column for declared in dataset.features}
    keys = (trips[0], Column(dataset.time_column, "datetime64[us]", repeats=False))
    label = Column(dataset.label.name, "bool")
    # The check of a module, which needs the columns, reports names that do not exist.
    scored = (*keys, *(by_name[name] for name in dataset.score_columns if name in by_name))
    scored = (*scored, Column("probability", "float32", repeats=False))
    facts = (label, Column("split", "str"), Column("model_version", "str"))
    return {
        TRIPS.name: trips,
        RAW_TRIPS.name: (*trips, Column("unreadable", "bool")),
        REJECTS.name: (*trips, Column("reason", "str")),
        FEATURES.name: (*keys, *by_name.values(), label),
        SCORES.name: (*scored, *facts),
        PREDICTIONS.name: (*scored, Column("prediction", "bool"), *facts),
    }


def field_column(field: Field) -> Column:
    """Return the column of `trips` that has the values of a field."""
    return nullable_int(field.name) if field.kind == "code" else Column(field.name, _DTYPES[field.kind])
