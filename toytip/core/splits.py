"""The split by time: planned from the months of the data, and told of every trip."""

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
    """Split months by time: the last is test, the one before valid, all earlier train.

    Fewer than three months, with nothing asked for, are split by pickup day, 60/20/20.
    `valid="none"` leaves validation out. Raises ConfigError where the asked months are not there, overlap,
    or leave nothing to train on.
    """
    if len(months) < 3 and train is None and valid in (None, "none") and test is None:
        return _split_by_day(months, with_valid=valid != "none")
    test_months = parse_months(test) if test else (months[-1],)
    earlier = tuple(month for month in months if month < test_months[0])
    if valid == "none":
        valid_months: tuple[Month, ...] = ()
    else:
        valid_months = parse_months(valid) if valid else earlier[-1:]
    before = valid_months[0] if valid_months else test_months[0]
    train_months = parse_months(train) if train else tuple(month for month in months if month < before)
    if not train_months or (valid != "none" and not valid_months):
        raise ConfigError(
            f"no month is left to train on before {before} in {months[0]}:{months[-1]}; "
            "choose a later --validation-month or --test-months, or read more months"
        )
    asked = [*train_months, *valid_months, *test_months]
    for month in asked:
        if month not in months:
            raise ConfigError(f"the split names {month}, which the data has not ({months[0]}:{months[-1]})")
        if asked.count(month) > 1:
            raise ConfigError(
                f"{month} is in more than one of --train-months, --validation-month and --test-months"
            )
    inside = [month for month in months if train_months[0] <= month <= train_months[-1]]
    if inside != list(train_months):
        raise ConfigError(
            f"--train-months {train} leaves out months in between; training months must follow each other"
        )
    if train_months[-1] > before or (valid_months and valid_months[-1] > test_months[0]):
        raise ConfigError("training must come before validation, and validation before the test, in time")
    return Split(
        train=_time_range(train_months),
        validation=_time_range(valid_months) if valid_months else None,
        test=_time_range(test_months),
    )


def _time_range(months: tuple[Month, ...]) -> TimeRange:
    return TimeRange(months[0].start.isoformat(), months[-1].next.start.isoformat())


def _split_by_day(months: tuple[Month, ...], *, with_valid: bool) -> Split:
    start, stop = months[0].start, months[-1].next.start
    days = (stop - start).days
    first, second = (start + dt.timedelta(days=round(days * share)) for share in (0.6, 0.8))
    a, b, c, d = (moment.isoformat() for moment in (start, first, second, stop))
    if with_valid:
        return Split(train=TimeRange(a, b), validation=TimeRange(b, c), test=TimeRange(c, d))
    return Split(train=TimeRange(a, c), validation=None, test=TimeRange(c, d))


def split_codes(features: pd.DataFrame, split: Split, segment: str) -> npt.NDArray[np.int8]:
    """Return the split of every trip, as its place in SPLITS."""
    pickup = features["pickup_at"].to_numpy()
    found = np.full(len(features), SPLITS.index("other"), np.int8)
    for name, span in split.time_ranges().items():
        inside = (pickup >= np.datetime64(span.start)) & (pickup < np.datetime64(span.stop))
        found[inside] = SPLITS.index(name)
    if segment == "card":
        found[features["payment_type"].to_numpy() != CARD_PAYMENT_TYPE] = SPLITS.index("other")
    return found


def in_split(features: pd.DataFrame, split: Split, segment: str, name: str) -> npt.NDArray[np.bool_]:
    """Tell of every trip whether it is in a split."""
    return np.equal(split_codes(features, split, segment), SPLITS.index(name))


def split_names(features: pd.DataFrame, split: Split, segment: str) -> pd.Series:
    """Return the split of every trip (str): train, validation or test; other outside of them or of the population."""
    codes = pa.DictionaryArray.from_arrays(pa.array(split_codes(features, split, segment)), pa.array(SPLITS))
    names = codes.cast(pa.large_string())
    return pd.Series(names, index=features.index, dtype="str", name="split")


def overlaps(month: Month, time_range: TimeRange) -> bool:
    """Tell whether a month has trips in a span."""
    return month.start.isoformat() < time_range.stop and time_range.start < month.next.start.isoformat()


class TimeRange(NamedTuple):
    """A half-open range of pickup times, as ISO texts: `start <= pickup_at < stop`."""

    start: str
    """First pickup time, in ISO 8601."""
    stop: str
    """First pickup time after the range, in ISO 8601."""


SPLITS = ("train", "validation", "test", "other")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which trips are for training, validation and test; trips in none of them are `other`."""

    train: TimeRange
    validation: TimeRange | None
    test: TimeRange

    def time_ranges(self) -> dict[str, TimeRange]:
        """The spans by name, in the order of SPLITS."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: span for name, span in named.items() if span is not None}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read back what `asdict` wrote."""
        validation = record["validation"]
        return cls(
            train=TimeRange(*record["train"]),
            validation=validation and TimeRange(*validation),
            test=TimeRange(*record["test"]),
        )
