"""Score raw trips with a model, with the stages of the batch pipeline.

A trip always gets exactly the same probability: alone, together with other trips, and in a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toytip._version import __version__
from toytip.core.arrays import BinIndices, BoolArray, Float32Array
from toytip.core.columns import Columns, row_count
from toytip.core.dataset.dataset import Dataset
from toytip.core.model import TrainedModel
from toytip.core.times import month_index
from toytip.errors import RegistryError
from toytip.models import raw_trips
from toytip.models.trip_columns import (
    columns_of_trips,
    require_columns,
    require_values,
    required_fields,
)
from toytip.stages import clean, conform, featurize, infer, preprocess

# Reason for a trip that no cleaning rule rejects, but that is not in the segment of the model.
OUTSIDE_SEGMENT = "outside_segment"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The contribution of one feature to the prediction for one trip (a SHAP value)."""

    feature: str
    """Name of the feature."""
    value: float | None
    """Value of the feature for this trip, or null if the value is missing."""
    log_odds: float
    """Contribution to the log-odds of a positive label, relative to the mean prediction."""


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


def unscored_reasons(dataset: Dataset) -> tuple[str, ...]:
    """Return all reasons why a trip of a data set cannot be scored."""
    return (*dataset.reject_reasons, OUTSIDE_SEGMENT)


def require_usable(model: TrainedModel) -> None:
    """Raise RegistryError if this toytip, or its XGBoost, cannot score with a model."""
    declared = model.encoding.dataset.feature_inputs
    unknown = [name for name in model.encoding.feature_names if name not in declared]
    if unknown:
        raise RegistryError(
            f"cannot load model {model.version}: toytip {__version__} has no feature {unknown[0]}",
            hint="Install the toytip version that trained the model, or train the model again.",
        )
    infer.load_booster(model.booster)


def score_raw(model: TrainedModel, trips: Any, shap_top: int = 0) -> ScoredTrips:
    """Score raw trips of any kind that `raw_trips.to_table` accepts, as `score_trips` does.

    In a list of dicts, each trip must have all columns that the model needs.
    """
    if not raw_trips.is_list_of_trips(trips):
        return score_trips(model, raw_trips.to_table(trips, model.encoding.dataset), shap_top)
    named = [{name: value for name, value in trip.items() if isinstance(name, str)} for trip in trips]
    for columns, label in columns_of_trips(named).items():
        require_columns(model, columns, label)
    table = raw_trips.to_table(named, model.encoding.dataset)
    return score_trips(model, table, shap_top, raw_trips.TRIP_LABEL)


def score_trips(
    model: TrainedModel,
    raw: pa.Table,
    shap_top: int = 0,
    label: conform.RowLabel = conform.label_row,
    *,
    refuse_most: bool = True,
) -> ScoredTrips:
    """Score raw trips, and explain each by the `shap_top` features with the largest SHAP values.

    Raises SchemaError if a column that the model needs is missing, exists twice or cannot be
    converted, or if the trips are from another taxi type. With `refuse_most`, also raises
    SchemaError if most values of a column cannot be read, or if a column of many trips has no
    value. The message has the label of a trip.
    """
    require_columns(model, raw.column_names)
    dataset = model.encoding.dataset
    columns = conform.conform_columns(raw, "the trips", dataset, label, refuse_most=refuse_most)
    if refuse_most:
        require_values(model, columns)
    return score_columns(model, columns, shap_top)


def score_columns(model: TrainedModel, columns: Columns, shap_top: int = 0) -> ScoredTrips:
    """Score trips, given as columns of `trips`, with all columns that the model needs.

    No step needs a frame, which would take most of the time of a single trip.
    """
    (trips, placeholders), dataset = _complete_trips(model, columns), model.encoding.dataset
    reasons = unscored_reasons(dataset)
    reason_index = clean.rule_indices(trips, dataset, placeholders)
    outside = (reason_index < 0) & ~dataset.in_segment(trips, model.encoding.segment)
    reason_index[outside] = reasons.index(OUTSIDE_SEGMENT)
    accepted = reason_index < 0
    features = _features_of(model, {name: values[accepted] for name, values in trips.items()})
    bins = preprocess.bin_indices(features, model.encoding)
    probability = np.full(len(accepted), np.nan, np.float32)
    probability[accepted] = infer.predict_probabilities(bins, model.booster)
    explanations: list[list[Explanation]] = [[] for _ in range(len(accepted))]
    if shap_top:
        rows = np.flatnonzero(accepted).tolist()
        for row, largest in zip(rows, _explain(model, features, bins, shap_top), strict=True):
            explanations[row] = largest
    with np.errstate(invalid="ignore"):
        prediction = probability >= np.float32(model.threshold)
    reason = [None if index < 0 else reasons[index] for index in reason_index.tolist()]
    return ScoredTrips(probability, prediction, reason, explanations)


def _features_of(model: TrainedModel, trips: Columns) -> dict[str, npt.NDArray[Any]]:
    """Return the features of a model, and the columns from which it computes rates of zones."""
    dataset = model.encoding.dataset
    needed = {*model.encoding.feature_names, *(key.column for key in dataset.encoding_keys)}
    declared = (feature for feature in dataset.features if feature.name in needed)
    time = dataset.time_column
    return {time: trips[time], **featurize.compute_features(trips, declared)}


def describe_reason(reason: str, model: TrainedModel) -> str:
    """Return why a model cannot score a trip, as text for a message."""
    if reason == OUTSIDE_SEGMENT:
        segment = model.encoding.dataset.segment
        condition = f" ({segment.words.condition})" if segment else ""
        return f"the model scores only trips of segment {model.encoding.segment}{condition}"
    return f"rule {reason} rejects it"


def _complete_trips(
    model: TrainedModel, columns: Columns
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, BoolArray]]:
    """Return all columns of `trips`, with placeholders for values that the model does not use.

    Also returns which trips have no value of a column, by column. The month of a trip is that of
    its time, as there is no file.
    """
    rows, dataset = row_count(columns), model.encoding.dataset
    trips = {
        field.name: columns[field.name] if field.name in columns else conform.missing_values(field, rows)
        for field in dataset.fields
    }
    if "unreadable" in columns:
        trips["unreadable"] = columns["unreadable"]
    required, filled = required_fields(model), dataset.placeholders(trips)
    absent = {name: np.ones(rows, bool) for name in trips if name not in columns}
    for name, value in filled.items():
        if name not in required:
            absent[name] = pd.isna(trips[name])
            trips[name] = np.where(absent[name], value, trips[name]).astype(trips[name].dtype)
    years, months = np.divmod(month_index(trips[dataset.time_column]), 12)
    first_id = dataset.first_trip_id(model.taxi, 2000, 1)
    ids_per_month = dataset.first_trip_id(model.taxi, 2000, 2) - first_id
    month_number = years * 100 + months + 1 - 200_001
    trips["trip_id"] = first_id + month_number * ids_per_month + np.arange(rows)
    return trips, absent


def _explain(
    model: TrainedModel, features: Columns, bins: BinIndices, shap_top: int
) -> list[list[Explanation]]:
    """Return the features with the largest SHAP values for each trip. The values are exact."""
    contributions = infer.shap_values(bins, model.booster)
    names = model.encoding.feature_names
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :shap_top]
    by_name = {**features, **preprocess.rates_of(features, model.encoding)}
    values = np.stack([by_name[name].astype(np.float64) for name in names], axis=1)
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
