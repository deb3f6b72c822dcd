"""The fitted encoding and the trained model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np

from toytip.core.arrays import Float32Array
from toytip.core.columns import Columns, row_count
from toytip.core.dataset.dataset import Dataset, load_dataset
from toytip.core.dataset.declarations import group_index
from toytip.core.dataset.module_source import ModuleSource
from toytip.core.splits import Split


@dataclass(frozen=True, kw_only=True)
class FeatureEncoding:
    """The bins of a feature.

    If `exact`, `values` are the distinct training values, and a bin index is a position in
    `values`. Unseen values have the bin index `len(values)`. If not `exact`, `values` are the inner
    edges of the bins, and a bin index is the number of edges that are at most the value. In both
    cases, missing values have the last bin index.
    """

    name: str
    exact: bool
    values: tuple[float, ...]
    absent_in_training: bool = False
    """Whether a training month has no values of the feature, because its files do not have the
    column."""

    @property
    def unseen_bin(self) -> int:
        """The bin index of a value that is not in the training rows, for exact features."""
        return len(self.values) if self.exact else len(self.values) + 1

    @property
    def missing_bin(self) -> int:
        """The bin index of a missing value."""
        return self.unseen_bin + 1

    @property
    def bin_count(self) -> int:
        """The number of bins."""
        return self.missing_bin + 1

    def __hash__(self) -> int:
        """Return a hash without the values, which take a third of the time to score a trip."""
        return hash((self.name, self.exact, len(self.values)))


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The fitted encoding: the bins of every feature, and facts about the training rows."""

    dataset: Dataset
    """Data set of the trips."""
    features: tuple[FeatureEncoding, ...]
    """Bins by feature, in the order of the matrix columns."""
    split: Split
    """Time ranges of the training, validation and test rows."""
    segment: str
    """Name of the segment of the training rows, for example `all`."""
    rows: int
    """Number of training rows."""
    positives: int
    """Number of training rows with a positive label."""
    baseline_rates: tuple[float, ...] = ()
    """Rate of positive labels by group, for the baseline of the data set."""
    target_history: str = ""
    """Packed counts from which `stages.target_encoding` computes the target encodings."""

    def baseline_rate(self, features: Columns) -> Float32Array:
        """Return the rate of positive labels in the group of each row.

        The rates are smoothed: each rate includes 20 additional rows that have the overall rate.
        """
        if not self.baseline_rates:
            return np.full(row_count(features), self.positives / self.rows, np.float32)
        rates = np.asarray(self.baseline_rates, np.float32)
        return np.asarray(rates[group_index(features, self.dataset.baseline)], np.float32)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features, in the order of the matrix columns."""
        return tuple(feature.name for feature in self.features)

    @property
    def bin_counts(self) -> tuple[int, ...]:
        """The number of bins of each feature."""
        return tuple(feature.bin_count for feature in self.features)

    @property
    def max_bin(self) -> int:
        """The value of XGBoost's `max_bin` at which every bin index has its own bin."""
        return max(self.bin_counts)

    def to_json(self) -> dict[str, Any]:
        """Return the encoding as JSON values, with the name or the module of the data set."""
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        parts = {"features": list(map(asdict, self.features)), "split": asdict(self.split)}
        return record | parts | {"dataset": self.dataset.to_json()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Return the encoding of the JSON values that `to_json` returned."""
        features = tuple(
            FeatureEncoding(**{**feature, "values": tuple(feature["values"])})
            for feature in record["features"]
        )
        rates = tuple(record.get("baseline_rates", ()))
        split = Split.from_json(record["split"])
        named = record["dataset"]
        dataset = load_dataset(named if isinstance(named, str) else ModuleSource.from_json(named))
        parts = {"dataset": dataset, "features": features, "split": split, "baseline_rates": rates}
        return cls(**{**record, **parts})


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained model: everything that turns the features of a trip into a decision."""

    version: str
    """Version of the run that trained the model."""
    booster: bytes
    """Booster in XGBoost's UBJSON format."""
    encoding: Encoding
    """Fitted encoding."""
    rounds: int
    """Number of boosting rounds."""
    threshold: float = 0.5
    """Lowest probability for which the model predicts a positive label."""
    group_mean_threshold: float = 0.5
    """Decision threshold of the group mean, tuned on the same validation trips."""
    taxi: str = "yellow"
    """Taxi type, `yellow`, `green` or `fhvhv`."""

    def with_split(self, split: Split) -> Self:
        """Return the model with a different split, for example with more test months.

        The training and validation ranges must stay the same, because the model learned from them.
        """
        return replace(self, encoding=replace(self.encoding, split=split))
