"""Score raw trips with a model, with the stages of the batch pipeline.

A trip always gets exactly the same probability: alone, together with other trips, and in a run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toytip.core import splits
from toytip.core.arrays import BoolArray, Float32Array
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.core.text import join_words
from toytip.core.tlc import FIELDS, FIELDS_BY_NAME, Field, detect_taxi, source_column, trip_id_base
from toytip.errors import SchemaError
from toytip.stages import clean, conform, featurize, infer, preprocess, zone_rates
from toytip.stages.catalog import FEATURE_INPUTS

# Placeholders for missing fields that the model does not need. No cleaning rule rejects these
# values, and no feature of the model depends on these fields. The tip is always missing, because it
# is not known when a trip is scored.
PLACEHOLDER_VALUES: dict[str, Any] = {
    "tip_amount": 0.0,
    "fare_amount": 1.0,
    "trip_distance": 1.0,
    "DOLocationID": 264.0,
    "PULocationID": 264.0,
}
INPUT_ARROW_TYPES = conform.ARROW_TYPE_BY_KIND
# Reason for a trip that no cleaning rule rejects, but that is not in the segment of the model.
OUTSIDE_SEGMENT = "outside_segment"
UNSCORED_REASONS = (*clean.REJECT_REASONS, OUTSIDE_SEGMENT)
KIND_DESCRIPTIONS = {"time": "a local time", "code": "a whole number", "amount": "a number"}


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The contribution of one feature to the prediction for one trip (a SHAP value)."""

    feature: str
    """Name of the feature."""
    value: float | None
    """Value of the feature for this trip, or null if the value is missing."""
    log_odds: float
    """Contribution to the log-odds of a high tip, relative to the mean prediction."""


@dataclass(frozen=True)
class ScoredTrips:
    """The predictions of a model, one per trip, in the order of the trips.

    If a trip cannot be scored, `reason` has the name of the cleaning rule that rejects the trip, or
    `outside_segment`. The probability is then NaN, the prediction is False, and there are no
    explanations.
    """

    probability: Float32Array
    prediction: BoolArray
    reason: list[str | None]
    explanations: list[list[Explanation]]

    @property
    def is_scored(self) -> BoolArray:
        """Whether each trip has a probability."""
        return np.array([reason is None for reason in self.reason], bool)


def score_trips(model: TrainedModel, raw: pa.Table, shap_top: int = 0) -> ScoredTrips:
    """Score raw trips, and explain each by the `shap_top` features with the largest SHAP values.

    Raises SchemaError if a column that the model needs is missing or cannot be converted, or if the
    trips are from another taxi type.
    """
    require_columns(model, raw.column_names)
    trips = _conform_trips(model, raw)
    reason_index = clean.first_broken_rule(trips)
    outside = (reason_index < 0) & ~splits.in_segment(trips, model.encoding.segment)
    reason_index[outside] = UNSCORED_REASONS.index(OUTSIDE_SEGMENT)
    accepted = reason_index.to_numpy() < 0
    features = featurize.featurize(clean.accepted_trips(trips, reason_index))
    matrix = preprocess.encode(features, model.encoding)
    probability = np.full(len(trips), np.nan, np.float32)
    probability[accepted] = infer.predict_probabilities(matrix, model.booster)
    explanations: list[list[Explanation]] = [[] for _ in range(len(trips))]
    if shap_top:
        rows = np.flatnonzero(accepted).tolist()
        for row, largest in zip(rows, _explain(model, features, matrix, shap_top), strict=True):
            explanations[row] = largest
    with np.errstate(invalid="ignore"):
        prediction = probability >= np.float32(model.threshold)
    reason = [None if index < 0 else UNSCORED_REASONS[index] for index in reason_index]
    return ScoredTrips(probability, prediction, reason, explanations)


def describe_reason(reason: str, model: TrainedModel) -> str:
    """Return why a model cannot score a trip, as text for a message."""
    if reason == OUTSIDE_SEGMENT:
        return f"the model scores only trips of segment {model.encoding.segment} (payment_type 1)"
    return f"rule {reason} rejects it"


def required_columns(model: TrainedModel) -> tuple[str, ...]:
    """Return the columns that trips must have for a model, with the TLC's names.

    These are the columns of all features. A column is not required if the TLC added it only in
    some year, and if files of the training months do not have the column.
    """
    return tuple(source_column(name, model.taxi) for name in _required_names(model))


def _required_names(model: TrainedModel) -> list[str]:
    needed = {"pickup_at"} if model.encoding.segment == "all" else {"pickup_at", "payment_type"}
    for feature in model.encoding.features:
        inputs = FEATURE_INPUTS[feature.name]
        needed |= {name for name in inputs if FIELDS_BY_NAME[name].required or not feature.absent_in_training}
    return [field.name for field in FIELDS if field.name in needed]


def missing_columns(model: TrainedModel, columns: Collection[str]) -> list[str]:
    """Return the required columns that trips with these columns do not have."""
    names = [name for name in _required_names(model) if FIELDS_BY_NAME[name].match(columns) is None]
    return [source_column(name, model.taxi) for name in names]


def require_columns(model: TrainedModel, columns: Collection[str], label: str = "the trips") -> None:
    """Raise SchemaError if trips with these columns cannot be scored by a model.

    The message names the missing columns as the TLC does, and the trips by their label.
    """
    taxi = detect_taxi(columns)
    if taxi not in (None, model.taxi):
        raise SchemaError(
            f"cannot score {label}: the pickup column is that of {taxi} taxis, "
            f"and model {model.version} was trained on {model.taxi} taxis",
            hint=f"Choose a model for {taxi} taxis.",
        )
    if missing := missing_columns(model, columns):
        verb, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise SchemaError(
            f"cannot score {label}: {join_words(missing)} {verb} missing, and the model needs {them}",
            hint="Add the missing columns, or choose a model that does not need them.",
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
    needed = {name for feature in model.encoding.feature_names for name in FEATURE_INPUTS[feature]}
    return tuple(name for name in clean.REQUIRED_TRIP_COLUMNS if name in needed | {"pickup_at"})


def trips_to_table(
    trips: Sequence[Mapping[str, Any]], label: Callable[[int], str] = "trip {}".format
) -> pa.Table:
    """Return a raw table of trips, given as plain values under the TLC's column names.

    Raises SchemaError if a value cannot be converted. The message contains the field, and the label
    of the trip.
    """
    combinations = columns_of_trips(trips)
    keys = [tuple(trip) for trip in trips]
    columns = {}
    for field in FIELDS:
        # Trips can spell a column in different ways.
        names = {spelling: field.match(spelling) for spelling in combinations}
        if spelled := next(filter(None, names.values()), None):
            values = [trip.get(names[key] or "") for key, trip in zip(keys, trips, strict=True)]
            converted = _convert_column(values, spelled, field, label)
            columns[spelled] = pa.array(converted, INPUT_ARROW_TYPES[field.kind])
    return pa.table(columns) if columns else pa.table({"none": pa.nulls(len(trips))})


def _convert_column(values: list[Any], name: str, field: Field, label: Callable[[int], str]) -> list[Any]:
    converted = []
    for row, value in enumerate(values):
        try:
            converted.append(None if value is None else _convert_value(value, field))
        except (ValueError, TypeError, OverflowError):
            raise SchemaError(
                f"cannot read {label(row)}: {name} {value!r:.60} is not {KIND_DESCRIPTIONS[field.kind]}"
            ) from None
    return converted


def _convert_value(value: Any, field: Field) -> Any:
    if field.kind == "time":
        time = pd.Timestamp(value) if isinstance(value, str | dt.datetime) else None
        if time is None or time.tzinfo is not None:  # TLC times are New York times without an offset
            raise ValueError
        return time.as_unit("us").to_pydatetime()
    number = float(value)
    if field.kind == "code":
        if number != int(number) or abs(number) >= 2**31:
            raise ValueError
        return int(number)
    return number


def _conform_trips(model: TrainedModel, raw: pa.Table) -> pd.DataFrame:
    """Return raw rows as `trips`. The month of a trip is its pickup month, as there is no file."""
    required = required_fields(model)
    for field in FIELDS:
        if field.required and field.match(raw.column_names) is None:
            raw = raw.append_column(field.name, pa.nulls(len(raw), INPUT_ARROW_TYPES[field.kind]))
    partition = SourcePartition(
        taxi=model.taxi, month=Month(2000, 1), uri="trips", start=0, stop=len(raw), number=0
    )
    trips = conform.conform(raw, partition)
    pickup = trips["pickup_at"].dt
    months = (pickup.year * 100 + pickup.month).fillna(200_001).astype(np.int64) - 200_001
    ids_per_month = trip_id_base(model.taxi, 2000, 2) - trip_id_base(model.taxi, 2000, 1)
    trips["trip_id"] += months * ids_per_month
    for name, value in PLACEHOLDER_VALUES.items():
        if name not in required:
            trips[name] = trips[name].fillna(value)
    if "dropoff_at" not in required:
        one_minute_later = trips["pickup_at"] + pd.Timedelta(minutes=1)
        trips["dropoff_at"] = trips["dropoff_at"].fillna(one_minute_later)
    return trips


def _explain(
    model: TrainedModel, features: pd.DataFrame, matrix: pd.DataFrame, shap_top: int
) -> list[list[Explanation]]:
    """Return the features with the largest SHAP values for each trip. The values are exact."""
    contributions = infer.shap_values(matrix, model.booster)
    names = model.encoding.feature_names
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :shap_top]
    rate_names = tuple(name for name in names if name in zone_rates.ZONE_RATES_BY_NAME)
    rates = zone_rates.lookup_rates(features, model.encoding.zone_history, rate_names)
    values = features.assign(**rates)[list(names)].to_numpy(np.float64)
    return [
        [
            Explanation(
                feature=names[column],
                value=_plain_number(values[row, column]),
                log_odds=float(contributions[row, column]),
            )
            for column in largest
        ]
        for row, largest in enumerate(order.tolist())
    ]


def _plain_number(value: float) -> float | int | None:
    if np.isnan(value):
        return None
    return int(value) if value == int(value) else float(value)
