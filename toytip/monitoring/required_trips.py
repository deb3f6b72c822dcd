"""The trips that a run needs to train a model, and the errors of a source that lacks them.

A run and `toytip source check` use these functions, so that both refuse a source in equal words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import MISSING_VALUE
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.months import Month
from toytip.core.splits import Split
from toytip.core.text import all_of
from toytip.errors import DataCheckError, StoreError
from toytip.monitoring.month_counts import MonthSummary

CHECK_SOURCE = "Check the source with `toytip source check`."
SCORE_WITHOUT_LABELS = "To score trips without labels, use `toytip score`."


@dataclass(frozen=True, kw_only=True)
class CleanedRows:
    """The numbers of accepted and rejected rows of a month."""

    accepted: int
    """Number of rows that the cleaning rules accepted."""
    rejects: Mapping[str, int]
    """Number of rejected rows by reason."""


def require_accepted_rows(
    table: str,
    months: Mapping[Month, CleanedRows],
    leaking_columns: Collection[str],
    find_missing: Callable[[Sequence[Month]], str | None],
) -> str | None:
    """Return a warning about the months of which the cleaning rules rejected all trips, or None.

    `find_missing` returns the column that is null in most rejected trips of these months, or None
    without missing values. The message names the column only if the most frequent reason is a
    missing value. If the column is one of `leaking_columns`, the hint suggests scoring. Raises
    StoreError if no month has trips for a table.
    """
    rejected = [month for month, rows in months.items() if not rows.accepted]
    if not rejected:
        return None
    reasons = Counter[str]()
    for month in rejected:
        reasons.update(months[month].rejects)
    is_missing = max(reasons, key=reasons.__getitem__, default="") == MISSING_VALUE
    missing = find_missing(rejected) if is_missing else None
    counts = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    problem = f"the cleaning rules rejected all trips of {', '.join(map(str, rejected))} ({counts}"
    problem += f", most often because {missing} is null)" if missing else ")"
    fix = SCORE_WITHOUT_LABELS if missing in leaking_columns else CHECK_SOURCE
    if len(rejected) == len(months):
        raise StoreError(f"cannot publish {table}: {problem}", hint=fix)
    return f"{problem}. {fix.removesuffix('.')}"


def require_trips(months: Mapping[Month, MonthSummary], split: Split, segment: str) -> None:
    """Raise DataCheckError if no trip of the training, validation or test period was kept."""
    for name, period in split.time_ranges().items():
        if not _count_trips(months, split, name, segment):
            days = f"{period.start[:10]} until {period.stop[:10]}"
            words = "" if segment == ALL_ROWS else f"{segment} "
            raise DataCheckError(
                f"cannot train: the {name} period ({days}) has no {words}trips after cleaning",
                hint="Check the source with `toytip source check`, or select other months with "
                "--train-months, --validation-month and --test-months.",
            )


def _count_trips(months: Mapping[Month, MonthSummary], split: Split, name: str, segment: str) -> int:
    """Return the number of kept trips that are in a split and in a segment."""
    trips = 0
    for month, summary in months.items():
        if period := split.within(month).get(name):
            rows = _rows_of(summary, "day_of_month", segment)
            days = pd.to_datetime(month.start) + pd.to_timedelta(rows["value"] - 1, unit="D")
            trips += int(rows["trips"][(days >= period.start) & (days < period.stop)].sum())
    return trips


def _rows_of(summary: MonthSummary, feature: str, segment: str) -> pd.DataFrame:
    rows = summary.histograms
    return rows[(rows["feature"] == feature) & (rows["in_segment"] | (segment == ALL_ROWS))]


def _count_kept(months: Mapping[Month, MonthSummary], segment: str) -> int:
    """Return the number of kept trips in a segment."""
    rows = (_rows_of(summary, "day_of_month", segment) for summary in months.values())
    return sum(int(item["trips"].sum()) for item in rows)


def find_empty_segment(months: Mapping[Month, MonthSummary], dataset: Dataset, *, trains: bool) -> str | None:
    """Return a warning if no trip of any month is in the segment of a data set, or None.

    `trains` is whether a model learns from the months.
    """
    segment = dataset.segment
    if segment is None or not _count_kept(months, ALL_ROWS) or _count_kept(months, segment.name):
        return None
    lost = "there are no metrics for this segment"
    if trains and dataset.target_encoding is not None:
        lost += ", and the model has no target-encoded features"
    name = f"{segment.name} ({segment.words.condition})"
    return f"no trip is in the segment {name}, so {lost} (check the condition and the values)"


def require_labels_in_months(
    months: Mapping[Month, MonthSummary], split: Split, segment: str, dataset: Dataset
) -> None:
    """Raise DataCheckError if all trips of the training months have the same label.

    If trips are split by day, the other days of these months count too. A run, which reads the
    trips of the training days, can then still find that all of them have the same label.
    """
    training = [summary for month, summary in months.items() if split.covers(month, "train")]
    labels = [_rows_of(summary, "label", segment) for summary in training]
    total = sum(int(rows["trips"].sum()) for rows in labels)
    positives = sum(int(rows["trips"][rows["value"] == 1].sum()) for rows in labels)
    if positives in (0, total):
        trips = _count_trips(months, split, "train", segment)
        require_two_labels(dataset, trips, trips if positives else 0, segment)


def require_two_labels(dataset: Dataset, trips: int, positives: int, segment: str = ALL_ROWS) -> None:
    """Raise DataCheckError if there are no training trips, or if all have the same label.

    `trips` is the number of training trips in the segment, and `positives` the number of those for
    which the label is true.
    """
    label = dataset.label.name
    if not trips:
        cause, hint = "there are no training trips", CHECK_SOURCE
    elif positives in (0, trips):
        value = "true" if positives else "false"
        cause = f"the label {label} is {value} for {all_of(trips, 'training trip')}"
        hint = f"Add months or trips to the source{_or_correct(dataset)}."
        if segment != ALL_ROWS:
            cause += f" in the segment {segment}"
            hint += f" To train on all trips, set --segment {ALL_ROWS}."
    else:
        return
    raise DataCheckError(f"cannot train: {cause}", hint=hint)


def _or_correct(dataset: Dataset) -> str:
    """Return the end of a hint that names the function of the label in the module of a project."""
    name = dataset.label.name
    if dataset.module is None or name not in dataset.part_code:
        return ""
    return f", or correct the label function {name} in {dataset.module.file}"
