"""The columns that a model needs, and the names that trips use for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pandas as pd

from toytip.core.columns import Columns
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import Field
from toytip.core.dataset.field_names import describe_repeated
from toytip.core.dataset.unnamed import ADD_NAMES, describe_unnamed
from toytip.core.model import TrainedModel
from toytip.core.text import join_words
from toytip.datasets.registry import has_field
from toytip.datasets.words import describe_kind
from toytip.errors import SchemaError

# If a column of at least this many trips has no value, the trips are refused.
MIN_TRIPS_WITHOUT_VALUES = 100


def required_columns(model: TrainedModel) -> tuple[str, ...]:
    """Return the columns that trips must have for a model, with the TLC's names.

    These are the columns of all features. A column is not required if the TLC added it only in
    some year, and if files of the training months do not have the column.
    """
    dataset = model.encoding.dataset
    return tuple(dataset.layout.source_column(name, model.taxi) for name in _required_names(model))


def _required_names(model: TrainedModel) -> list[str]:
    dataset = model.encoding.dataset
    needed = {dataset.time_column, *dataset.segment_columns(model.encoding.segment)}
    for feature in model.encoding.features:
        inputs = dataset.feature_inputs[feature.name]
        needed |= {
            name for name in inputs if dataset.fields_by_name[name].required or not feature.absent_in_training
        }
    return [field.name for field in dataset.fields if field.name in needed]


def missing_columns(model: TrainedModel, columns: Collection[str]) -> list[str]:
    """Return the required columns that trips with these columns do not have."""
    dataset = model.encoding.dataset
    present = dataset.field_names.match(columns)
    return [
        dataset.layout.source_column(name, model.taxi)
        for name in _required_names(model)
        if name not in present
    ]


def require_columns(model: TrainedModel, columns: Collection[str], label: str = "the trips") -> None:
    """Raise SchemaError if trips with these columns cannot be scored by a model.

    The message names the missing columns as the TLC does, and the trips by their label.
    """
    dataset = model.encoding.dataset
    taxi = dataset.layout.detect_kind(columns)
    if taxi not in (None, model.taxi):
        raise SchemaError(
            f"cannot score {label}: the columns are those of {describe_kind(taxi)}, "
            f"and model {model.version} was trained on {describe_kind(model.taxi)}",
            hint=f"Choose a model for {describe_kind(taxi)}.",
        )
    if repeated := dataset.field_names.find_repeated(columns):
        raise SchemaError(
            f"cannot score {label}: {describe_repeated(repeated)}",
            hint="Remove all but one of the columns for each field.",
        )
    require_names(columns, dataset, label)
    if missing := missing_columns(model, columns):
        verb, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise SchemaError(
            f"cannot score {label}: {join_words(missing)} {verb} missing, and the model needs {them}",
            hint="Add the missing columns, or choose a model that does not need them.",
        )


def require_values(model: TrainedModel, columns: Columns) -> None:
    """Raise SchemaError if a column that all source files must have has no value in many trips.

    A run refuses such a file as well. In each of a few trips, a null value is plausible. `columns`
    are columns of `trips`.
    """
    dataset = model.encoding.dataset
    if len(columns[dataset.time_column]) < MIN_TRIPS_WITHOUT_VALUES:
        return
    fields = map(dataset.fields_by_name.__getitem__, _required_names(model))
    empty = [field.name for field in fields if field.required and pd.isna(columns[field.name]).all()]
    if empty:
        names = [dataset.layout.source_column(name, model.taxi) for name in empty]
        verb, them = ("holds", "it") if len(names) == 1 else ("hold", "them")
        raise SchemaError(
            f"cannot score the trips: {join_words(names)} {verb} only nulls, and the model needs {them}",
            hint=f"Add the values of {join_words(names)}, or choose a model that does not need {them}.",
        )


def require_names(columns: Collection[str], dataset: Dataset, label: str = "the trips") -> None:
    """Raise SchemaError if no column is a field, for example because the names are values."""
    if not any(columns) or any(has_field(column, dataset) for column in columns):
        return
    if problem := describe_unnamed(columns):
        raise SchemaError(f"cannot score {label}: {problem}", hint=ADD_NAMES)
    names = ", ".join(f"{name!r:.60}" for name in list(columns)[:3])
    raise SchemaError(
        f"cannot score {label}: no column is a column of {dataset.name if dataset.is_own else 'trips'} "
        f"(the first columns are {names})",
        hint=f"Use the column names of {dataset.name if dataset.is_own else 'the TLC'}.",
    )


def columns_of_trips(
    trips: Iterable[Mapping[str, Any]], label: Callable[[int], str] = "trip {}".format
) -> dict[tuple[str, ...], str]:
    """Return the different combinations of keys of trips, each with the label of its first trip."""
    combinations: dict[tuple[str, ...], str] = {}
    for row, trip in enumerate(trips):
        if (keys := tuple(trip)) not in combinations:
            combinations[keys] = label(row)
    return combinations


def required_fields(model: TrainedModel) -> tuple[str, ...]:
    """Return the fields that must have a value in every trip, because the model needs them.

    A field that can be null in the batch pipeline can also be null here.
    """
    dataset = model.encoding.dataset
    needed = {name for feature in model.encoding.feature_names for name in dataset.feature_inputs[feature]}
    return tuple(name for name in dataset.required_columns if name in needed | {dataset.time_column})


@dataclass(frozen=True)
class NamedTrips:
    """Trips as plain values, and the names that they use for the fields."""

    trips: Sequence[Mapping[str, Any]]
    dataset: Dataset
    names: dict[tuple[str, ...], dict[str, str]]
    """Column names by field, for each combination of keys. Trips can spell a column differently."""

    @classmethod
    def of(cls, trips: Sequence[Mapping[str, Any]], dataset: Dataset) -> NamedTrips:
        """Return trips with the names of their fields."""
        names = {keys: dataset.field_names.match(keys) for keys in columns_of_trips(trips)}
        return cls(trips, dataset, names)

    @property
    def fields(self) -> list[Field]:
        """The fields that at least one trip has."""
        names = {name for names_by_field in self.names.values() for name in names_by_field}
        return [field for field in self.dataset.fields if field.name in names]

    def column_name(self, row: int, field: Field) -> str | None:
        """Return the name that a trip has for a field, or None if the trip does not have it."""
        return self.names[tuple(self.trips[row])].get(field.name)

    def values(self, field: Field) -> list[Any]:
        """Return the value of a field in each trip. None if the trip does not have the field."""
        if len(self.names) == 1:
            (names,) = self.names.values()
            return list(map(itemgetter(names[field.name]), self.trips))
        column_names = (self.column_name(row, field) for row in range(len(self.trips)))
        return [
            None if name is None else trip[name] for name, trip in zip(column_names, self.trips, strict=True)
        ]
