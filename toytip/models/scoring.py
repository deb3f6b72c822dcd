"""scoring: raw trips, TLC-shaped, and a model -> probabilities and decisions, through the stages of the batch.

A trip alone, among others, or in a run's partition gets the same probability, bit for bit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.core.tlc import FIELDS, Field, trip_id_base
from toytip.errors import SchemaError
from toytip.stages import clean, conform, featurize, infer, preprocess, zone_rates
from toytip.stages.catalog import FEATURE_INPUTS

# Where a field is neither given nor asked for by a feature of the model, this stands in for it: no rule of cleaning
# rejects it, and no feature that counts is made from it. The tip is never known when a trip is scored.
PLACEHOLDER_VALUES: dict[str, Any] = {
    "tip_amount": 0.0,
    "fare_amount": 1.0,
    "trip_distance": 1.0,
    "DOLocationID": 264.0,
    "PULocationID": 264.0,
}
INPUT_ARROW_TYPES = conform.ARROW_TYPE_BY_KIND


@dataclass(frozen=True)
class ScoredTrips:
    """What a model says of trips, row for row: NaN and no for a trip that a rule of cleaning rejects, with the rule."""

    probability: npt.NDArray[np.float32]
    prediction: npt.NDArray[np.bool_]
    rejected: list[str | None]
    explanations: list[list[dict[str, Any]]]


def required_fields(model: TrainedModel) -> tuple[str, ...]:
    """Return the fields of a trip that must not be missing: those that a feature of the model is made from.

    Fields that the batch takes with nulls may be null here too.
    """
    asked = {name for feature in model.encoding.feature_names for name in FEATURE_INPUTS[feature]}
    return tuple(name for name in clean.REQUIRED_TRIP_COLUMNS if name in asked | {"pickup_at"})


def trips_to_table(trips: Sequence[dict[str, Any]]) -> pa.Table:
    """Return trips that came as plain values, under the TLC's names, as a raw table.

    Raises SchemaError naming the row and the field that cannot be read.
    """
    names = sorted({name for trip in trips for name in trip})
    columns = {}
    for field in FIELDS:
        found = field.match(names)
        if found is not None:
            values = [trip.get(found) for trip in trips]
            columns[found] = pa.array(_convert_column(values, field), INPUT_ARROW_TYPES[field.kind])
    return pa.table(columns) if columns else pa.table({"none": pa.nulls(len(trips))})


def _convert_column(values: list[Any], field: Field) -> list[Any]:
    typed = []
    for row, value in enumerate(values):
        try:
            typed.append(None if value is None else _convert_value(value, field))
        except (ValueError, TypeError, OverflowError):
            raise SchemaError(f"trip {row}: {field.name} {value!r:.60} is no {field.kind}") from None
    return typed


def _convert_value(value: Any, field: Field) -> Any:
    if field.kind == "time":
        moment = pd.Timestamp(value) if isinstance(value, str | dt.datetime) else None
        if moment is None or moment.tzinfo is not None:  # the TLC's times are New York's, without a zone
            raise ValueError
        return moment.as_unit("us").to_pydatetime()
    number = float(value)
    if field.kind == "code":
        if number != int(number) or abs(number) >= 2**31:
            raise ValueError
        return int(number)
    return number


def score_trips(model: TrainedModel, raw: pa.Table, shap_top: int = 0) -> ScoredTrips:
    """Score raw trips; with `shap_top`, name for each the features that say most, in log-odds.

    Raises SchemaError where a column that the model needs is missing, or does not convert.
    """
    trips = _conform_trips(model, raw)
    verdict = clean.first_broken_rule(trips)
    kept = verdict.to_numpy() < 0
    features = featurize.featurize(clean.accepted_trips(trips, verdict))
    matrix = preprocess.encode(features, model.encoding)
    probability = np.full(len(trips), np.nan, np.float32)
    probability[kept] = infer.predict_probabilities(matrix, model.booster)
    told: list[list[dict[str, Any]]] = [[] for _ in range(len(trips))]
    if shap_top:
        for row, said in zip(
            np.flatnonzero(kept).tolist(), _explain(model, features, matrix, shap_top), strict=True
        ):
            told[row] = said
    with np.errstate(invalid="ignore"):
        decided = probability >= np.float32(model.threshold)
    rejected = [None if number < 0 else clean.REJECT_REASONS[number] for number in verdict]
    return ScoredTrips(probability, decided, rejected, told)


def _conform_trips(model: TrainedModel, raw: pa.Table) -> pd.DataFrame:
    """Return `trips` of raw rows; each stands in the month of its own pickup, as there is no file."""
    asked = required_fields(model)
    for field in FIELDS:
        if field.required and field.match(raw.column_names) is None:
            if field.name in asked:
                raise SchemaError(f"trips have no {field.name}, which the model needs")
            raw = raw.append_column(field.name, pa.nulls(len(raw), INPUT_ARROW_TYPES[field.kind]))
    part = SourcePartition(
        taxi=model.taxi, month=Month(2000, 1), uri="trips", start=0, stop=len(raw), number=0
    )
    trips = conform.conform(raw, part)
    pickup = trips["pickup_at"].dt
    months = (pickup.year * 100 + pickup.month).fillna(200_001).astype(np.int64) - 200_001
    unit = trip_id_base(model.taxi, 2000, 2) - trip_id_base(model.taxi, 2000, 1)
    trips["trip_id"] += months * unit
    for name, value in PLACEHOLDER_VALUES.items():
        if name not in asked:
            trips[name] = trips[name].fillna(value)
    if "dropoff_at" not in asked:
        minute = trips["pickup_at"] + pd.Timedelta(minutes=1)
        trips["dropoff_at"] = trips["dropoff_at"].fillna(minute)
    return trips


def _explain(
    model: TrainedModel, features: pd.DataFrame, matrix: pd.DataFrame, shap_top: int
) -> list[list[dict[str, Any]]]:
    """Return for each trip the features that move its log-odds most, with the trip's own values (SHAP, exact for trees)."""
    contributions = infer.shap_values(matrix, model.booster)
    names = model.encoding.feature_names
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :shap_top]
    seen = zone_rates.lookup_rates(
        features,
        model.encoding.zone_history,
        tuple(name for name in names if name in zone_rates.ZONE_RATES_BY_NAME),
    )
    values = features.assign(**seen)[list(names)].to_numpy(np.float64)
    return [
        [
            {
                "feature": names[k],
                "value": _plain_number(values[row, k]),
                "log_odds": float(contributions[row, k]),
            }
            for k in best
        ]
        for row, best in enumerate(order.tolist())
    ]


def _plain_number(value: float) -> float | int | None:
    if np.isnan(value):
        return None
    return int(value) if value == int(value) else float(value)
