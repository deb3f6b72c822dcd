"""Score raw trips with a model, with the stages of the batch pipeline.

A trip always gets exactly the same probability: alone, together with other trips, and in a run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toytip.core.arrays import BoolArray, Float32Array
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.core.tlc import FIELDS, Field, trip_id_base
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

    If a cleaning rule rejects a trip, `rejected` has the name of the rule. The probability is then
    NaN, the prediction is False, and there are no explanations.
    """

    probability: Float32Array
    prediction: BoolArray
    rejected: list[str | None]
    explanations: list[list[Explanation]]


def score_trips(model: TrainedModel, raw: pa.Table, shap_top: int = 0) -> ScoredTrips:
    """Score raw trips, and explain each by the `shap_top` features with the largest SHAP values.

    Raises SchemaError if a column that the model needs is missing or cannot be converted.
    """
    trips = _conform_trips(model, raw)
    rule_index = clean.first_broken_rule(trips)
    accepted = rule_index.to_numpy() < 0
    features = featurize.featurize(clean.accepted_trips(trips, rule_index))
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
    rejected = [None if index < 0 else clean.REJECT_REASONS[index] for index in rule_index]
    return ScoredTrips(probability, prediction, rejected, explanations)


def required_fields(model: TrainedModel) -> tuple[str, ...]:
    """Return the fields that the model needs, and that must therefore not be missing in a trip.

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
    names = sorted({name for trip in trips for name in trip})
    columns = {}
    for field in FIELDS:
        name = field.match(names)
        if name is not None:
            values = [trip.get(name) for trip in trips]
            columns[name] = pa.array(_convert_column(values, field, label), INPUT_ARROW_TYPES[field.kind])
    return pa.table(columns) if columns else pa.table({"none": pa.nulls(len(trips))})


def _convert_column(values: list[Any], field: Field, label: Callable[[int], str]) -> list[Any]:
    converted = []
    for row, value in enumerate(values):
        try:
            converted.append(None if value is None else _convert_value(value, field))
        except (ValueError, TypeError, OverflowError):
            raise SchemaError(
                f"cannot read {label(row)}: {field.name} {value!r:.60} is not {KIND_DESCRIPTIONS[field.kind]}"
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
            if field.name in required:
                raise SchemaError(
                    f"cannot score the trips: {field.name} is missing, and the model needs it",
                    hint="Add the column, or choose a model with fewer features with --model.",
                )
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
