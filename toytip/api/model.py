"""A model, for programs: raw trips in, probabilities out, the same bits as in the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

from toytip.core.model import TrainedModel
from toytip.core.tlc import FIELDS
from toytip.errors import SchemaError
from toytip.models import scoring
from toytip.stages import catalog

RawTrips: TypeAlias = pd.DataFrame | pa.Table | Sequence[Mapping[str, Any]]


@dataclass(frozen=True, repr=False)
class Model:
    """A trained model, whole: it cleans, featurizes, encodes and scores. `toytip.open_store(..).model(..)` gives one.

    It can be pickled, and needs no store any more.
    """

    trained_model: TrainedModel

    @property
    def version(self) -> str:
        """The version that it was trained as."""
        return self.trained_model.version

    @property
    def taxi(self) -> str:
        """`yellow` or `green`."""
        return self.trained_model.taxi

    @property
    def features(self) -> dict[str, str]:
        """The features that it looks at, each with the moment at which it is known: pickup, dropoff or payment."""
        return {
            name: catalog.FEATURE_AVAILABILITY[name] for name in self.trained_model.encoding.feature_names
        }

    @property
    def segment(self) -> str:
        """The trips that it learned from: `all`, or those paid by `card`."""
        return self.trained_model.encoding.segment

    @property
    def threshold(self) -> float:
        """The probability from which on a high tip is predicted, tuned on the validation month."""
        return self.trained_model.threshold

    @property
    def rounds(self) -> int:
        """Boosting rounds."""
        return self.trained_model.rounds

    @property
    def gain_importance(self) -> pd.Series[float]:
        """How much it leans on each feature: the share of the gain of all splits, largest first."""
        from toytip.stages.infer import gain_importance

        return pd.Series(gain_importance(self.trained_model), dtype=float, name="gain").sort_values(
            ascending=False
        )

    def predict(self, trips: RawTrips, *, shap_top: int = 0) -> pd.DataFrame:
        """Score raw trips, as the TLC publishes them: under its column names, whatever their case and taxi.

        Takes a pandas frame, an Arrow table or a list of dicts; what the model does not look at may lack. Returns a row for
        every trip, in order and under the index of a frame:

            probability    float32   of a high tip; NaN for a trip that a rule of cleaning rejects
            prediction     boolean   at the model's threshold; <NA> for a trip that is rejected
            rejected       str       the rule, missing for a trip that was scored
            reasons        object    with `reasons=n`, the n features that say most, with the trip's own value, in log-odds

        Raises SchemaError for a column that the model needs and trips lack, or that does not convert.
        """
        raw = _to_arrow(trips)
        told = scoring.score_trips(self.trained_model, raw, shap_top)
        rejected = pd.array(told.rejected, dtype="str")
        there = rejected.isna()
        frame = pd.DataFrame(
            {
                "probability": told.probability,
                "prediction": pd.arrays.BooleanArray(told.prediction.copy(), ~there),
                "rejected": rejected,
            },
            index=trips.index if isinstance(trips, pd.DataFrame) else None,
        )
        return frame.assign(reasons=told.explanations) if shap_top else frame

    def __repr__(self) -> str:
        return (
            f"<toytip model {self.version}: {self.taxi}, {len(self.features)} features, {self.rounds} rounds>"
        )


def _to_arrow(trips: RawTrips) -> pa.Table:
    if isinstance(trips, pa.Table):
        return trips
    if isinstance(trips, pd.DataFrame):
        try:
            return pa.Table.from_pandas(trips, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaError(f"trips: {error.args[-1]}") from None
    if not isinstance(trips, Sequence) or not all(isinstance(trip, Mapping) for trip in trips):
        raise TypeError(
            f"trips: a pandas frame, an Arrow table or a list of dicts, not {type(trips).__name__}; "
            "of a file: predict(pandas.read_parquet(file))"
        )
    if not trips:
        return pa.table({field.name: pa.array([], scoring.INPUT_ARROW_TYPES[field.kind]) for field in FIELDS})
    return scoring.trips_to_table([dict(trip) for trip in trips])
