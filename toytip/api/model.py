"""The public class of a trained model, which scores raw trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import pandas as pd
import pyarrow as pa

from toytip.api.wording import with_python_errors_of_methods
from toytip.core.model import TrainedModel
from toytip.core.text import plural
from toytip.errors import ConfigError
from toytip.models import raw_trips, scoring, trip_columns


class ArrowStream(Protocol):
    """An object that exports Arrow data, such as a Polars DataFrame."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Return the data as a capsule with an Arrow C stream."""


RawTrips: TypeAlias = pd.DataFrame | pd.Series | pa.Table | ArrowStream | Sequence[Mapping[str, Any]]


@with_python_errors_of_methods
@dataclass(frozen=True, repr=False)
class Model:
    """A trained model, with all stages from a raw trip to a decision.

    `Store.model` returns a model. You can pickle a model. A loaded model does not need the store.
    """

    trained_model: TrainedModel

    @property
    def version(self) -> str:
        """The version of the run that trained the model."""
        return self.trained_model.version

    @property
    def taxi(self) -> str:
        """The taxi type of the training trips: `yellow`, `green` or `fhvhv`."""
        return self.trained_model.taxi

    @property
    def features(self) -> dict[str, str]:
        """The availability (`pickup`, `dropoff` or `payment`) of each feature, by feature name."""
        encoding = self.trained_model.encoding
        return {name: encoding.dataset.feature_availability[name] for name in encoding.feature_names}

    @property
    def segment(self) -> str:
        """The segment of the training trips: `all`, or `card` for trips paid by card."""
        return self.trained_model.encoding.segment

    @property
    def threshold(self) -> float:
        """The decision threshold.

        The threshold is the lowest probability for which the model predicts a positive label.
        """
        return self.trained_model.threshold

    @property
    def rounds(self) -> int:
        """The number of boosting rounds that the model has, after early stopping."""
        return self.trained_model.rounds

    @property
    def required_columns(self) -> tuple[str, ...]:
        """The columns that trips must have, with the names of the TLC."""
        return trip_columns.required_columns(self.trained_model)

    @property
    def gain_importance(self) -> pd.Series[float]:
        """The share of each feature in the gain of all splits, largest first. The total is 1."""
        from toytip.stages.infer import gain_importance

        importance = pd.Series(gain_importance(self.trained_model), dtype=float, name="gain")
        return importance.sort_values(ascending=False)

    def predict(self, trips: RawTrips, *, shap_top: int = 0) -> pd.DataFrame:
        """Score raw trips, and return one row per trip, in the order of the trips.

        `trips` is a pandas DataFrame, an Arrow table, a list of dicts, a Series (one trip), or a
        frame of another library that exports Arrow data, such as Polars. The columns have the names
        of the TLC, in any case. Columns that the model does not need can be missing (see
        `required_columns`). None, NaN, NaT and NA are missing values. If `trips` is a pandas
        DataFrame, the result has the index of `trips`. Columns of the result:

            probability    float32   probability of a positive label (NaN for trips with a reason)
            prediction     boolean   whether the decision is positive (<NA> for trips with a reason)
            reason         str       reason why a trip is not scored (missing for scored trips)
            explanations   object    list of the `shap_top` largest explanations (if > 0)

        A trip is not scored if a cleaning rule rejects the trip (the reason is the name of the
        rule), or if the trip is not in the segment of the model (`outside_segment`).

        An explanation has the attributes `feature`, `value` (the value of the feature) and
        `log_odds` (the contribution of the feature to the log-odds of a positive label).

        Raises SchemaError if a column that the model needs is missing, if a column exists twice, if
        a value cannot be converted, or if the trips are from another taxi type. Raises TypeError if
        `trips` is another kind of object, and ConfigError if `shap_top` is negative.

            model.predict(pandas.read_parquet("green_tripdata_2023-12.parquet"), shap_top=3)
        """
        if shap_top < 0:
            raise ConfigError(f"cannot explain the trips: shap_top={shap_top} is negative")
        scored = scoring.score_raw(self.trained_model, trips, shap_top)
        frame = pd.DataFrame(
            {
                "probability": scored.probability,
                "prediction": pd.arrays.BooleanArray(scored.prediction.copy(), ~scored.is_scored),
                "reason": pd.array(scored.reason, dtype="str"),
            },
            index=raw_trips.index_of(trips),
        )
        return frame.assign(explanations=scored.explanations) if shap_top else frame

    def __repr__(self) -> str:
        return f"<toytip model {self.version}: {self.taxi}, {plural(len(self.features), 'feature')}, {plural(self.rounds, 'round')}>"
