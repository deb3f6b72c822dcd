"""Small frozen values that carry meaning between the parts. No rows, no input or output."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from toytip.errors import ConfigError

TAXIS = ("yellow", "green")
# The TLC numbers its zones from 1 to 265.
ZONE_ID_COUNT = 266


class Month(NamedTuple):
    """A calendar month; months sort by time."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2023-01`. Raises ConfigError where the text is no month.

        >>> Month.parse("2023-01")
        Month(year=2023, month=1)
        """
        match = re.fullmatch(r"(\d{4})-(\d{1,2})", text.strip())
        if match is None or not 1 <= int(match[2]) <= 12:
            raise ConfigError(f"{text!r} is not a month; write it as 2023-01")
        return cls(int(match[1]), int(match[2]))

    @property
    def start(self) -> dt.datetime:
        """The first instant of the month."""
        return dt.datetime(self.year, self.month, 1)  # noqa: DTZ001 - TLC times are local, without a zone

    @property
    def next(self) -> Month:
        """The month after.

        >>> Month(2023, 12).next
        Month(year=2024, month=1)
        """
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


def parse_months(text: str) -> tuple[Month, ...]:
    """Read `2023-01`, `2023-01:2023-12` or a list of these with commas, in order of time.

    Raises ConfigError where a range runs backwards or a month comes twice.

    >>> [str(m) for m in parse_months("2022-12:2023-01,2023-03")]
    ['2022-12', '2023-01', '2023-03']
    """
    months: list[Month] = []
    for piece in text.split(","):
        first, colon, last = piece.partition(":")
        month, end = Month.parse(first), Month.parse(last if colon else first)
        if month > end:
            raise ConfigError(f"the range {piece.strip()} runs backwards; write the earlier month first")
        while month <= end:
            months.append(month)
            month = month.next
    if len(set(months)) < len(months):
        raise ConfigError(f"the list {text} names a month twice")
    return tuple(sorted(months))


@dataclass(frozen=True)
class StorageOptions:
    """How an object store is reached: its endpoint (None: Amazon's), and whether requests go unsigned."""

    endpoint_url: str | None = None
    anonymous: bool = False


@dataclass(frozen=True, kw_only=True)
class SourcePartition:
    """One partition of the source: rows `start` to `stop` of one monthly file."""

    taxi: str
    month: Month
    uri: str
    start: int
    stop: int
    number: int
    storage_options: StorageOptions = StorageOptions()

    @property
    def rows(self) -> int:
        """Rows in the partition."""
        return self.stop - self.start

    @property
    def key(self) -> DataFileKey:
        """Where the partition's output goes."""
        return DataFileKey(self.month, self.number)


class DataFileKey(NamedTuple):
    """The place of a part in a table: its month, and its number in the month."""

    month: Month
    number: int

    @property
    def path(self) -> str:
        """The part's path below its version.

        >>> DataFileKey(Month(2023, 1), 0).path
        'year=2023/month=1/part-00000.parquet'
        """
        return f"year={self.month.year}/month={self.month.month}/part-{self.number:05d}.parquet"


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """What is known of a part once it is written; `path` is below the version's folder.

    `input` names the content that it was made from; `identity` is the digest of that content, the code and the
    config together: parts of equal identity are equal, byte for byte.
    """

    path: str
    rows: int
    bytes: int
    checksum: str
    month: Month | None = None
    number: int = 0
    input: str = ""
    identity: str = ""
    rejects: dict[str, int] = field(default_factory=dict)

    @property
    def key(self) -> DataFileKey:
        """Where the part stands in its table."""
        assert self.month is not None, "an artifact's file stands in no month"
        return DataFileKey(self.month, self.number)


@dataclass(frozen=True, kw_only=True)
class StageTiming:
    """How long a stage took for all of its work: rows, or in training rows times rounds; and with what."""

    stage: str
    seconds: float
    work: int
    workers: int
    threads: int


class TimeRange(NamedTuple):
    """A half-open range of pickup times, as ISO texts: `start <= pickup_at < stop`."""

    start: str
    stop: str


SPLITS = ("train", "valid", "test", "other")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which trips are for training, validation and test; trips in none of them are `other`."""

    train: TimeRange
    valid: TimeRange | None
    test: TimeRange

    def time_ranges(self) -> dict[str, TimeRange]:
        """The spans by name, in the order of SPLITS."""
        named = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: span for name, span in named.items() if span is not None}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read back what `asdict` wrote."""
        valid = record["valid"]
        return cls(
            train=TimeRange(*record["train"]),
            valid=valid and TimeRange(*valid),
            test=TimeRange(*record["test"]),
        )


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
    population: str
    rows: int
    positives: int
    rates: tuple[float, ...] = ()
    history: str = ""

    def hour_zone_rate(self, hour: npt.NDArray[Any], zone: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the share of high tips among the training rows of an hour (0 to 23) and pickup zone.

        What has few training rows is drawn to the share of them all: it counts for twenty rows more.
        """
        if not self.rates:
            return np.full(len(hour), self.positives / self.rows, np.float32)
        table = np.asarray(self.rates, np.float32)
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
class BoosterParams:
    """What the booster is trained with."""

    rounds: int = 300
    max_depth: int = 6
    eta: float = 0.1
    early_stop: int = 20
    min_child_weight: float = 1.0
    reg_lambda: float = 1.0
    gamma: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained model, whole: from features to a decision. `booster` is XGBoost's UBJSON."""

    version: str
    booster: bytes
    encoding: Encoding
    rounds: int
    threshold: float = 0.5
    taxi: str = "yellow"
