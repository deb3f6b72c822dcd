"""The split into training, validation and test trips by pickup time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toytip.core.months import Month, parse_months
from toytip.errors import ConfigError

CARD_PAYMENT_TYPE = 1


def plan_split(
    months: tuple[Month, ...], train: str | None = None, valid: str | None = None, test: str | None = None
) -> Split:
    """Split months by time: the last is test, the one before validation, earlier ones train.

    Fewer than three months are split by pickup day, 60/20/20, unless months are set. With
    `valid="none"` there is no validation month. Raises ConfigError if the months are not in the
    data, overlap, are out of order, or leave no month for training.
    """
    if len(months) < 3 and train is None and valid in (None, "none") and test is None:
        return _split_by_day(months, with_valid=valid != "none")
    test_months = parse_months(test) if test else (months[-1],)
    earlier = tuple(month for month in months if month < test_months[0])
    if valid == "none":
        valid_months: tuple[Month, ...] = ()
    else:
        valid_months = parse_months(valid) if valid else earlier[-1:]
    limit = valid_months[0] if valid_months else test_months[0]
    train_months = parse_months(train) if train else tuple(month for month in months if month < limit)
    if not train_months or (valid != "none" and not valid_months):
        raise ConfigError(
            f"cannot split the months {months[0]}:{months[-1]}: there is no month to train on before {limit}",
            hint="Set a later --validation-month or --test-months, or read more months.",
        )
    _check_months(months, (*train_months, *valid_months, *test_months))
    _check_order(months, train_months, valid_months, test_months)
    return Split(
        train=_time_range(train_months),
        validation=_time_range(valid_months) if valid_months else None,
        test=_time_range(test_months),
    )


def _check_months(months: tuple[Month, ...], selected: tuple[Month, ...]) -> None:
    for month in selected:
        if month not in months:
            raise ConfigError(
                f"cannot split by time: the data has no month {month}",
                hint=f"Use months from {months[0]} to {months[-1]}.",
            )
        if selected.count(month) > 1:
            raise ConfigError(
                f"cannot split by time: {month} is in more than one split",
                hint="Set --train-months, --validation-month and --test-months to different months.",
            )


def _check_order(
    months: tuple[Month, ...],
    train: tuple[Month, ...],
    validation: tuple[Month, ...],
    test: tuple[Month, ...],
) -> None:
    if [month for month in months if train[0] <= month <= train[-1]] != list(train):
        raise ConfigError(
            "cannot split by time: --train-months has gaps", hint="Training months must be consecutive."
        )
    limit = validation[0] if validation else test[0]
    if train[-1] > limit or (validation and validation[-1] > test[0]):
        raise ConfigError(
            "cannot split by time: the splits are out of order",
            hint="Training must come before validation, and validation before the test.",
        )


def _time_range(months: tuple[Month, ...]) -> TimeRange:
    return TimeRange(months[0].start.isoformat(), months[-1].next.start.isoformat())


def _split_by_day(months: tuple[Month, ...], *, with_valid: bool) -> Split:
    start, stop = months[0].start, months[-1].next.start
    days = (stop - start).days
    first, second = (start + dt.timedelta(days=round(days * share)) for share in (0.6, 0.8))
    a, b, c, d = (time.isoformat() for time in (start, first, second, stop))
    if with_valid:
        return Split(train=TimeRange(a, b), validation=TimeRange(b, c), test=TimeRange(c, d))
    return Split(train=TimeRange(a, c), validation=None, test=TimeRange(c, d))


def split_codes(features: pd.DataFrame, split: Split, segment: str) -> npt.NDArray[np.int8]:
    """Return the split of every trip, as its index in SPLITS."""
    pickup = features["pickup_at"].to_numpy()
    codes = np.full(len(features), SPLITS.index("other"), np.int8)
    for name, period in split.time_ranges().items():
        in_range = (pickup >= np.datetime64(period.start)) & (pickup < np.datetime64(period.stop))
        codes[in_range] = SPLITS.index(name)
    if segment == "card":
        codes[features["payment_type"].to_numpy() != CARD_PAYMENT_TYPE] = SPLITS.index("other")
    return codes


def in_split(features: pd.DataFrame, split: Split, segment: str, name: str) -> npt.NDArray[np.bool_]:
    """Return whether each trip is in a split."""
    return np.equal(split_codes(features, split, segment), SPLITS.index(name))


def split_names(features: pd.DataFrame, split: Split, segment: str) -> pd.Series:
    """Return the split of every trip: train, validation, test, or other.

    Trips outside of the segment are `other`.
    """
    codes = pa.DictionaryArray.from_arrays(pa.array(split_codes(features, split, segment)), pa.array(SPLITS))
    names = codes.cast(pa.large_string())
    return pd.Series(names, index=features.index, dtype="str", name="split")


def overlaps(month: Month, time_range: TimeRange) -> bool:
    """Return whether a month overlaps a time range."""
    return month.start.isoformat() < time_range.stop and time_range.start < month.next.start.isoformat()


class TimeRange(NamedTuple):
    """A half-open range of pickup times in ISO 8601: `start <= pickup_at < stop`."""

    start: str
    """First pickup time, in ISO 8601."""
    stop: str
    """First pickup time after the range, in ISO 8601."""


SPLITS = ("train", "validation", "test", "other")


@dataclass(frozen=True, kw_only=True)
class Split:
    """The time ranges of training, validation and test. Trips in none of them are `other`."""

    train: TimeRange
    validation: TimeRange | None
    test: TimeRange

    def time_ranges(self) -> dict[str, TimeRange]:
        """The time ranges by name, in the order of SPLITS."""
        ranges = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: period for name, period in ranges.items() if period is not None}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read a split from JSON."""
        validation = record["validation"]
        return cls(
            train=TimeRange(*record["train"]),
            validation=validation and TimeRange(*validation),
            test=TimeRange(*record["test"]),
        )
