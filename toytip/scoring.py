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

from toytip.errors import SchemaError
from toytip.schema import FIELDS, Field, trip_id_base
from toytip.stages import clean, conform, featurize, infer, preprocess, rates
from toytip.values import Model, Month, MonthPart

# Where a field is neither given nor asked for by a feature of the model, this stands in for it: no rule of cleaning
# rejects it, and no feature that counts is made from it. The tip is never known when a trip is scored.
STAND_INS: dict[str, Any] = {
    "tip_amount": 0.0,
    "fare_amount": 1.0,
    "trip_distance": 1.0,
    "DOLocationID": 264.0,
    "PULocationID": 264.0,
}
ARROW = conform.ARROW
# Of every feature, natural or a rate by zone: the fields that it is made from, and the moment at which it is known.
NEEDS = {f.name: f.needs for f in featurize.FEATURES} | {r.name: r.needs for r in rates.RATES}
MOMENTS = {f.name: str(f.moment) for f in featurize.FEATURES} | {r.name: r.moment for r in rates.RATES}


@dataclass(frozen=True)
class Scored:
    """What a model says of trips, row for row: NaN and no for a trip that a rule of cleaning rejects, with the rule."""

    probability: npt.NDArray[np.float32]
    prediction: npt.NDArray[np.bool_]
    rejected: list[str | None]
    reasons: list[list[dict[str, Any]]]


def needed(model: Model) -> tuple[str, ...]:
    """Return the fields of a trip that must not be missing: those that a feature of the model is made from.

    Fields that the batch takes with nulls may be null here too.
    """
    asked = {name for feature in model.encoding.names for name in NEEDS[feature]}
    return tuple(name for name in clean.NEEDED if name in asked | {"pickup_at"})


def to_table(trips: Sequence[dict[str, Any]]) -> pa.Table:
    """Return trips that came as plain values, under the TLC's names, as a raw table.

    Raises SchemaError naming the row and the field that cannot be read.
    """
    names = sorted({name for trip in trips for name in trip})
    columns = {}
    for field in FIELDS:
        found = field.find(names)
        if found is not None:
            values = [trip.get(found) for trip in trips]
            columns[found] = pa.array(_typed(values, field), ARROW[field.kind])
    return pa.table(columns) if columns else pa.table({"none": pa.nulls(len(trips))})


def _typed(values: list[Any], field: Field) -> list[Any]:
    typed = []
    for row, value in enumerate(values):
        try:
            typed.append(None if value is None else _value(value, field))
        except (ValueError, TypeError, OverflowError):
            raise SchemaError(f"trip {row}: {field.name} {value!r:.60} is no {field.kind}") from None
    return typed


def _value(value: Any, field: Field) -> Any:
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


def score(model: Model, raw: pa.Table, reasons: int = 0) -> Scored:
    """Score raw trips; with `reasons`, name for each the features that say most, in log-odds.

    Raises SchemaError where a column that the model needs is missing, or does not convert.
    """
    trips = _trips(model, raw)
    verdict = clean.judge(trips)
    kept = verdict.to_numpy() < 0
    features = featurize.featurize(clean.keep(trips, verdict))
    matrix = preprocess.encode(features, model.encoding)
    probability = np.full(len(trips), np.nan, np.float32)
    probability[kept] = infer.probability(matrix, model.booster)
    told: list[list[dict[str, Any]]] = [[] for _ in range(len(trips))]
    if reasons:
        for row, said in zip(
            np.flatnonzero(kept).tolist(), _reasons(model, features, matrix, reasons), strict=True
        ):
            told[row] = said
    with np.errstate(invalid="ignore"):
        decided = probability >= np.float32(model.threshold)
    rejected = [None if number < 0 else clean.REASONS[number] for number in verdict]
    return Scored(probability, decided, rejected, told)


def _trips(model: Model, raw: pa.Table) -> pd.DataFrame:
    """Return `trips` of raw rows; each stands in the month of its own pickup, as there is no file."""
    asked = needed(model)
    for field in FIELDS:
        if field.required and field.find(raw.column_names) is None:
            if field.name in asked:
                raise SchemaError(f"trips have no {field.name}, which the model needs")
            raw = raw.append_column(field.name, pa.nulls(len(raw), ARROW[field.kind]))
    part = MonthPart(taxi=model.taxi, month=Month(2000, 1), uri="trips", start=0, stop=len(raw), number=0)
    trips = conform.conform(raw, part)
    pickup = trips["pickup_at"].dt
    months = (pickup.year * 100 + pickup.month).fillna(200_001).astype(np.int64) - 200_001
    unit = trip_id_base(model.taxi, 2000, 2) - trip_id_base(model.taxi, 2000, 1)
    trips["trip_id"] += months * unit
    for name, value in STAND_INS.items():
        if name not in asked:
            trips[name] = trips[name].fillna(value)
    if "dropoff_at" not in asked:
        minute = trips["pickup_at"] + pd.Timedelta(minutes=1)
        trips["dropoff_at"] = trips["dropoff_at"].fillna(minute)
    return trips


def _reasons(
    model: Model, features: pd.DataFrame, matrix: pd.DataFrame, most: int
) -> list[list[dict[str, Any]]]:
    """Return for each trip the features that move its log-odds most, with the trip's own values (SHAP, exact for trees)."""
    contributions = infer.contributions(matrix, model.booster)
    names = model.encoding.names
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :most]
    seen = rates.look_up(
        features, model.encoding.history, tuple(name for name in names if name in rates.BY_NAME)
    )
    values = features.assign(**seen)[list(names)].to_numpy(np.float64)
    return [
        [
            {
                "feature": names[k],
                "value": _plain(values[row, k]),
                "log_odds": float(contributions[row, k]),
            }
            for k in best
        ]
        for row, best in enumerate(order.tolist())
    ]


def _plain(value: float) -> float | int | None:
    if np.isnan(value):
        return None
    return int(value) if value == int(value) else float(value)
