"""Measure how much each month differs from each other month: the measures of the data check."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toytip.core.arrays import BoolArray, Float64Array, Int64Array
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.monitoring import MonitoringFacts
from toytip.core.months import Month
from toytip.monitoring import measures, month_distances
from toytip.monitoring.measures import Measure
from toytip.monitoring.month_counts import FeatureCounts, MonthSummary, count_features

# Other measures compare these histograms.
COMPARED_ELSEWHERE = ("label", "day_of_month", "trip_hash")
# If fewer trips than this share use a column, the column is not in use yet.
UNUSED_SHARE = 0.01
# A day is empty if it has less than this share of the trips of the day at the upper quartile.
EMPTY_DAY_SHARE = 0.1
MIN_TRIPS_PER_DAY = 20
# Days of the week are compared only if both months have trips on at least this many days. Part of a
# month, such as the first rows of a file, does not have each day of the week equally often.
MIN_DAYS_OF_WEEKDAYS = 14


@dataclass(frozen=True, kw_only=True)
class Distances:
    """A measure of a feature for all pairs of months.

    `matrix` has a row for each month and a column for each month that it is compared with.
    """

    feature: str
    measure: Measure
    matrix: Float64Array
    rates: Float64Array | None = None
    """The share of each month, if the distance is a difference between shares."""


def measure_months(
    months: Sequence[Month], summaries: Sequence[MonthSummary], dataset: Dataset
) -> list[Distances]:
    """Return all measures of the months, which must be in order of time."""
    counts = count_features(summaries)
    kept_rows = np.array([summary.kept_rows for summary in summaries])
    distances = [
        *_month_distances(months, summaries),
        *_time_distances(months, counts, dataset.monitoring),
        *_label_distances(counts, dataset),
    ]
    for name, feature in counts.items():
        distances += _feature_distances(name, feature, kept_rows, dataset)
    return distances


def _feature_distances(
    name: str, counts: FeatureCounts, kept_rows: Int64Array, dataset: Dataset
) -> Iterator[Distances]:
    facts, field = dataset.monitoring, dataset.fields_by_name.get(name)
    if name in (*COMPARED_ELSEWHERE, *facts.compared_elsewhere):
        return
    is_optional = field is not None and not field.required
    compared = _in_use(counts, kept_rows, is_optional=is_optional)
    for measure, matrix, rates in _compare_feature(name, counts, kept_rows, facts):
        matrix[~compared] = 0.0
        yield Distances(feature=name, measure=measure, matrix=matrix, rates=rates)


_MeasureMatrix = tuple[Measure, Float64Array, Float64Array | None]


def _compare_feature(
    name: str, counts: FeatureCounts, kept_rows: Int64Array, facts: MonitoringFacts
) -> Iterator[_MeasureMatrix]:
    values, trips = counts.values, counts.trips
    missing = kept_rows - trips.sum(axis=1)
    yield (
        measures.MISSING,
        month_distances.share_excess(missing, kept_rows),
        missing / np.maximum(kept_rows, 1),
    )
    if not len(values):
        return
    if name not in facts.measurements:
        constant = measures.CONSTANT_FEE if name in facts.fees else measures.CONSTANT
        yield constant, month_distances.lost_variety(trips), None
    if name in facts.categories:
        yield from _compare_categories(name, trips, facts)
        return
    totals = trips.sum(axis=1)
    yield measures.NEGATIVE, *_shares(trips[:, values < 0].sum(axis=1), totals)
    if name in facts.fees:
        yield measures.ZEROS, *_shares(trips[:, values == 0].sum(axis=1), totals)
        yield measures.FEE, month_distances.moved_share(trips), None
        yield measures.SCALE, month_distances.mean_log_ratio(values, trips), None
    else:
        yield from _compare_numbers(name, values, trips, facts)


def _compare_categories(name: str, trips: Int64Array, facts: MonitoringFacts) -> Iterator[_MeasureMatrix]:
    factor = facts.limit_factors.get(name, 1.0)
    moved = measures.HOURS if name == facts.hour else measures.MOVED.scaled(factor)
    yield moved, month_distances.moved_share(trips), None
    yield measures.NEW.scaled(factor), month_distances.new_share(trips), None
    if name not in facts.unreliable_categories:
        yield measures.VANISHED.scaled(factor), month_distances.vanished_share(trips), None


def _compare_numbers(
    name: str, values: Float64Array, trips: Int64Array, facts: MonitoringFacts
) -> Iterator[_MeasureMatrix]:
    factor = facts.limit_factors.get(name, 1.0)
    yield measures.MOVED.scaled(factor), month_distances.moved_group_share(trips), None
    yield measures.WASSERSTEIN.scaled(factor), month_distances.wasserstein(values, trips), None
    outside = month_distances.new_share(month_distances.range_bins(values, trips))
    yield measures.NEW.scaled(factor), outside, None
    if name not in facts.new_values:
        yield measures.SPIKE.scaled(factor), month_distances.largest_spike(trips), None
    if name in facts.tariffs:
        whole = trips[:, values == np.rint(values)].sum(axis=1)
        yield measures.WHOLE, *_shares(whole, trips.sum(axis=1))
    else:
        yield measures.GRAIN.scaled(factor), month_distances.moved_share(trips), None


def _shares(counts: Int64Array, totals: Int64Array) -> tuple[Float64Array, Float64Array]:
    return month_distances.share_excess(counts, totals), counts / np.maximum(totals, 1)


def _in_use(counts: FeatureCounts, kept_rows: Int64Array, *, is_optional: bool) -> BoolArray:
    """Return the months to compare. An optional column is compared from its first use on."""
    if not is_optional:
        return np.ones(len(kept_rows), bool)
    used = counts.trips[:, counts.values != 0].sum(axis=1) > UNUSED_SHARE * kept_rows
    return np.logical_or.accumulate(used)


def _label_distances(counts: Mapping[str, FeatureCounts], dataset: Dataset) -> Iterator[Distances]:
    if "label" not in counts:
        return
    values, other, segment, _ = counts["label"]
    groups = [(measures.SEGMENT_LABELS, segment), (measures.OTHER_LABELS, other)]
    for measure, trips in groups if dataset.segment else [(measures.LABELS, other)]:
        positive, total = trips[:, values == 1].sum(axis=1), trips.sum(axis=1)
        yield Distances(
            feature=dataset.label.name,
            measure=measure.about(dataset.words.segment),
            matrix=month_distances.share_change(positive, total),
            rates=positive / np.maximum(total, 1),
        )


def _month_distances(months: Sequence[Month], summaries: Sequence[MonthSummary]) -> Iterator[Distances]:
    rows = np.array([summary.rows for summary in summaries])
    days = np.array([calendar.monthrange(*month)[1] for month in months], np.float64)
    yield Distances(
        feature="", measure=measures.ROWS, matrix=month_distances.log_ratio(rows, days), rates=rows / days
    )
    reasons = dict.fromkeys(reason for summary in summaries for reason in summary.rejects)
    for reason in reasons:
        rejected = np.array([summary.rejects.get(reason, 0) for summary in summaries])
        matrix, rates = _shares(rejected, rows)
        yield Distances(feature=reason, measure=measures.REJECTS, matrix=matrix, rates=rates)


def _time_distances(
    months: Sequence[Month], counts: Mapping[str, FeatureCounts], facts: MonitoringFacts
) -> Iterator[Distances]:
    if "day_of_month" in counts:
        shares = np.array([_empty_day_share(days) for days in _days(months, counts["day_of_month"])])
        matrix = np.maximum(shares[:, None] - shares[None, :], 0.0)
        yield Distances(feature="day_of_month", measure=measures.EMPTY_DAYS, matrix=matrix, rates=shares)
    if facts.weekday is not None and facts.weekday in counts and "day_of_month" in counts:
        trips = _weekday_trips(months, counts[facts.weekday])
        trips[_days_with_trips(counts["day_of_month"]) < MIN_DAYS_OF_WEEKDAYS] = 0  # not compared
        matrix = month_distances.moved_share(trips)
        yield Distances(feature=facts.weekday, measure=measures.WEEKDAYS, matrix=matrix)
    if "trip_hash" in counts:
        matrix, rates = _repeated_share(counts["trip_hash"])
        yield Distances(feature="", measure=measures.REPEATED, matrix=matrix, rates=rates)
    lengths = [counts[name].trips for name in facts.lengths if name in counts]
    if lengths:
        copies = month_distances.copy_of_earlier(np.concatenate(lengths, axis=1))
        yield Distances(feature="", measure=measures.COPY, matrix=copies)


def _days(months: Sequence[Month], counts: FeatureCounts) -> Iterator[Int64Array]:
    """Yield the number of trips on each day of each month."""
    for month, row in zip(months, counts.trips, strict=True):
        days = np.zeros(32, np.int64)
        days[counts.values.astype(np.int64)] = row
        yield days[1 : 1 + calendar.monthrange(*month)[1]]


def _days_with_trips(counts: FeatureCounts) -> Int64Array:
    return np.asarray((counts.trips > 0).sum(axis=1))


def _empty_day_share(days: Int64Array) -> float:
    """Return the share of days with hardly any trips, or 0 if a month has few trips per day."""
    usual = float(np.quantile(days, 0.75))
    return float((days < EMPTY_DAY_SHARE * usual).mean()) if usual >= MIN_TRIPS_PER_DAY else 0.0


def _weekday_trips(months: Sequence[Month], counts: FeatureCounts) -> Float64Array:
    """Return the trips by weekday as if each month had each weekday equally often."""
    trips = np.zeros((len(months), 7))
    trips[:, counts.values.astype(np.int64)] = counts.trips
    totals = trips.sum(axis=1, keepdims=True)
    for index, month in enumerate(months):
        first, days = calendar.monthrange(*month)
        trips[index] /= np.bincount((first + np.arange(days)) % 7, minlength=7)
    return np.asarray(trips / np.maximum(trips.sum(axis=1, keepdims=True), 1e-9) * totals)


def repeated_share(month: MonthSummary) -> float:
    """Return an estimate of the share of the trips of a month that repeat an earlier trip."""
    rows = month.histograms
    hashes = replace(month, histograms=rows[rows["feature"] == "trip_hash"])
    counts = count_features([hashes]).get("trip_hash")
    return 0.0 if counts is None else float(_repeated_share(counts)[1][0])


def _repeated_share(counts: FeatureCounts) -> tuple[Float64Array, Float64Array]:
    """Return the excess of repeated trips, and the share of repeated trips of each month.

    Without repeated trips, the variance of the number of trips per hash bucket equals the mean.
    Each repeated trip increases the variance by twice as much as the mean. If all trips occur k
    times, the variance is k times the mean. If all trips of a month are in the segment, or none is,
    only these trips count.
    """
    dispersion, freedom = np.zeros(len(counts.missing)), np.zeros(len(counts.missing))
    for trips in (counts.other, counts.segment):
        mean = np.maximum(trips.mean(axis=1, keepdims=True), 1e-9)
        dispersion += ((trips - mean) ** 2 / mean).sum(axis=1)
        freedom += np.where(trips.any(axis=1), trips.shape[1] - 1, 0)
    freedom = np.maximum(freedom, 1)
    ratio = np.maximum(dispersion / freedom, 1.0)
    repeated = np.minimum((ratio - 1) / 2, 1 - 1 / ratio)
    error = month_distances.NOISE_DEVIATIONS * np.sqrt(2 / freedom.min()) / 2
    return np.maximum(repeated[:, None] - repeated[None, :] - error, 0.0), repeated
