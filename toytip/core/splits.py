"""The split of trips by time into training, validation and test trips."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toytip.core.columns import columns_of
from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month, parse_months
from toytip.errors import ConfigError

SPLITS = ("train", "validation", "test", "other")


class TimeRange(NamedTuple):
    """A half-open range of the times of trips in ISO 8601: `start <= time < stop`."""

    start: str
    """Start of the range, inclusive."""
    stop: str
    """End of the range, exclusive."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """The time ranges of the training, validation and test trips. All other trips are `other`."""

    train: TimeRange
    """Time range of the training trips."""
    validation: TimeRange | None
    """Time range of the validation trips. Null without a validation month."""
    test: TimeRange
    """Time range of the test trips."""
    held: tuple[str, ...] = ()
    """Months that the data check holds, for example `2023-05`. Their trips are in no split."""

    def covers(self, month: Month, name: str) -> bool:
        """Return whether a split can have trips of a month."""
        span = self.time_ranges().get(name)
        return span is not None and overlaps(month, span) and str(month) not in self.held

    def fits_on(self, month: Month) -> bool:
        """Return whether a model can learn from trips of a month, in training or validation."""
        return any(self.covers(month, name) for name in self.fitted_ranges())

    def time_ranges(self) -> dict[str, TimeRange]:
        """Return the time ranges by split, in the order of SPLITS."""
        by_name = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: time_range for name, time_range in by_name.items() if time_range is not None}

    def fitted_ranges(self) -> dict[str, TimeRange]:
        """Return the time ranges from which a model learns: training and validation."""
        return {name: time_range for name, time_range in self.time_ranges().items() if name != "test"}

    def within(self, month: Month) -> dict[str, TimeRange]:
        """Return the parts of the time ranges that are in a month, by split.

        >>> split = plan_split(parse_months("2023-01:2023-04"))
        >>> split.within(Month(2023, 2))
        {'train': TimeRange(start='2023-02-01T00:00:00', stop='2023-03-01T00:00:00')}
        """
        start, stop = month.start.isoformat(), month.next.start.isoformat()
        return {
            name: TimeRange(max(span.start, start), min(span.stop, stop))
            for name, span in self.time_ranges().items()
            if self.covers(month, name)
        }

    @property
    def is_by_day(self) -> bool:
        """Whether trips are split by day, because there are fewer than three months."""
        return not self.test.start.startswith("01T", 8)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Return the split of the JSON values that `asdict` returned."""
        validation = record["validation"]
        return cls(
            train=TimeRange(*record["train"]),
            validation=validation and TimeRange(*validation),
            test=TimeRange(*record["test"]),
            held=tuple(record.get("held", ())),
        )


def plan_split(
    months: tuple[Month, ...],
    train: str | None = None,
    validation: str | None = None,
    test: str | None = None,
) -> Split:
    """Return the split of months into training, validation and test months.

    By default, the latest month is the test month, the month before is the validation month, and
    all earlier months are training months. `train`, `validation` and `test` select different
    months. `validation="none"` leaves validation out. If there are fewer than three months, and no
    month is selected, trips are split by day: 60 % training, 20 % validation and 20 % test
    days.

    Raises ConfigError if selected months are missing or overlap, or if no month is left for
    training.
    """
    has_validation = validation is None or validation.lower() != "none"
    if len(months) < 3 and train is None and (validation is None or not has_validation) and test is None:
        return _split_by_day(months, has_validation=has_validation)
    test_months = parse_months(test) if test else (months[-1],)
    validation_months: tuple[Month, ...] = ()
    if has_validation:
        earlier = tuple(month for month in months if month < test_months[0])
        validation_months = parse_months(validation) if validation else earlier[-1:]
    end = (validation_months or test_months)[0]
    train_months = parse_months(train) if train else tuple(month for month in months if month < end)
    if not train_months or (has_validation and not validation_months):
        raise ConfigError(
            f"cannot split the months {months[0]}:{months[-1]}: no month is left for training before {end}",
            hint="Set a later --validation-month or --test-months, or add months.",
        )
    _check_months(months, train_months, validation_months, test_months)
    return Split(
        train=_time_range(train_months),
        validation=_time_range(validation_months) if validation_months else None,
        test=_time_range(test_months),
    )


def _check_months(
    months: tuple[Month, ...],
    train: tuple[Month, ...],
    validation: tuple[Month, ...],
    test: tuple[Month, ...],
) -> None:
    """Raise ConfigError if months of the split are missing, repeated or in the wrong order."""
    selected = [*train, *validation, *test]
    for month in selected:
        if month not in months:
            raise ConfigError(f"cannot split the months {months[0]}:{months[-1]}: {month} is not among them")
        if selected.count(month) > 1:
            raise ConfigError(
                f"cannot split the months: {month} is in more than one of the training, validation "
                "and test months"
            )
    if [month for month in months if train[0] <= month <= train[-1]] != list(train):
        raise ConfigError("cannot split the months: training months must be consecutive")
    if train[-1] > (validation or test)[0] or (validation and validation[-1] > test[0]):
        raise ConfigError(
            "cannot split the months: training must come before validation, and validation before test"
        )


def _time_range(months: tuple[Month, ...]) -> TimeRange:
    return TimeRange(months[0].start.isoformat(), months[-1].next.start.isoformat())


def _split_by_day(months: tuple[Month, ...], *, has_validation: bool) -> Split:
    start, stop = months[0].start, months[-1].next.start
    days = (stop - start).days
    first, second = (start + dt.timedelta(days=round(days * share)) for share in (0.6, 0.8))
    a, b, c, d = (time.isoformat() for time in (start, first, second, stop))
    if has_validation:
        return Split(train=TimeRange(a, b), validation=TimeRange(b, c), test=TimeRange(c, d))
    return Split(train=TimeRange(a, c), validation=None, test=TimeRange(c, d))


def split_codes(features: pd.DataFrame, split: Split, segment: str, dataset: Dataset) -> npt.NDArray[np.int8]:
    """Return the split of every trip, as an index of SPLITS.

    Trips outside the time ranges, in a held month or outside the segment are `other`.
    """
    time = features[dataset.time_column].to_numpy()
    codes = np.full(len(features), SPLITS.index("other"), np.int8)
    for name, time_range in split.time_ranges().items():
        inside = (time >= np.datetime64(time_range.start)) & (time < np.datetime64(time_range.stop))
        codes[inside] = SPLITS.index(name)
    for month in map(Month.parse, split.held):
        start, stop = np.datetime64(month.start), np.datetime64(month.next.start)
        codes[(time >= start) & (time < stop)] = SPLITS.index("other")
    codes[~dataset.in_segment(columns_of(features), segment)] = SPLITS.index("other")
    return codes


def in_split(
    features: pd.DataFrame, split: Split, segment: str, name: str, dataset: Dataset
) -> npt.NDArray[np.bool_]:
    """Return whether each trip is in a split."""
    return np.equal(split_codes(features, split, segment, dataset), SPLITS.index(name))


def split_names(features: pd.DataFrame, split: Split, segment: str, dataset: Dataset) -> pd.Series:
    """Return the name of the split of every trip."""
    codes = pa.array(split_codes(features, split, segment, dataset))
    codes = pa.DictionaryArray.from_arrays(codes, pa.array(SPLITS))
    names = codes.cast(pa.large_string())
    return pd.Series(names, index=features.index, dtype="str", name="split")


def overlaps(month: Month, time_range: TimeRange) -> bool:
    """Return whether a month and a time range overlap."""
    return month.start.isoformat() < time_range.stop and time_range.start < month.next.start.isoformat()
