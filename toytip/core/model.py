"""The fitted encoding, the booster's parameters, and the trained model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from toytip.core.splits import Split
from toytip.core.tlc import ZONE_ID_COUNT


@dataclass(frozen=True, kw_only=True)
class FeatureEncoding:
    """How one feature becomes a small integer.

    `exact`: `values` are the distinct training values and the code is the position; a value that is none of
    them gets the code `len(values)`. Otherwise `values` are the inner edges of the bins, and the code is the
    number of edges at or below the value. One more code, the last, stands for missing.
    """

    name: str
    exact: bool
    values: tuple[float, ...]

    @property
    def unseen_bin(self) -> int:
        """The code of a value that training never saw (exact features)."""
        return len(self.values) if self.exact else len(self.values) + 1

    @property
    def missing_bin(self) -> int:
        """The code of a missing value."""
        return self.unseen_bin + 1

    @property
    def bin_count(self) -> int:
        """The number of codes."""
        return self.missing_bin + 1


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The fitted preprocessing: the codes of every feature, and what they were fitted on.

    `rates` are those of the trivial predictor, by hour and pickup zone; `history` the counts that the rates by zone are
    looked up in, packed (`stages.rates`).
    """

    features: tuple[FeatureEncoding, ...]
    split: Split
    segment: str
    rows: int
    positives: int
    hour_zone_rates: tuple[float, ...] = ()
    zone_history: str = ""

    def hour_zone_rate(self, hour: npt.NDArray[Any], zone: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the share of high tips among the training rows of an hour (0 to 23) and pickup zone.

        What has few training rows is drawn to the share of them all: it counts for twenty rows more.
        """
        if not self.hour_zone_rates:
            return np.full(len(hour), self.positives / self.rows, np.float32)
        table = np.asarray(self.hour_zone_rates, np.float32)
        place = hour.astype(np.int64) * ZONE_ID_COUNT + np.clip(zone.astype(np.int64), 0, ZONE_ID_COUNT - 1)
        return np.asarray(table[place], np.float32)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features, in the order of the matrix' columns."""
        return tuple(feature.name for feature in self.features)

    @property
    def bin_counts(self) -> tuple[int, ...]:
        """The number of codes of each feature."""
        return tuple(feature.bin_count for feature in self.features)

    @property
    def max_bin(self) -> int:
        """The bins that XGBoost needs so that every code is a bin of its own."""
        return max(self.bin_counts)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read back what `to_json` gave."""
        features = tuple(FeatureEncoding(**{**f, "values": tuple(f["values"])}) for f in record["features"])
        split, rates = Split.from_json(record["split"]), tuple(record.get("rates", ()))
        return cls(**{**record, "features": features, "split": split, "rates": rates})


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained model, whole: from features to a decision. `booster` is XGBoost's UBJSON."""

    version: str
    booster: bytes
    encoding: Encoding
    rounds: int
    threshold: float = 0.5
    taxi: str = "yellow"
