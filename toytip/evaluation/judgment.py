"""Judgments of predictions that any program made: faults, paired differences, and ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

from toytip.core.arrays import Int64Array
from toytip.core.splits import TimeRange
from toytip.core.text import join_words, plural, verb
from toytip.evaluation import metrics
from toytip.evaluation.bootstrap import paired_bootstrap
from toytip.evaluation.report import EvaluationReport, Interval, Metrics
from toytip.evaluation.tally import Tallies, Tally, daily_tallies, tally_of

COMPARED_METRICS = ("auc", "log_loss", "brier", "f1")


class Conclusion(StrEnum):
    """Whether a difference between two predictors is more than chance."""

    BETTER = "better"
    WORSE = "worse"
    NOT_DISTINGUISHABLE = "not_distinguishable"

    @property
    def label(self) -> str:
        """The conclusion as text."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class MetricDifference:
    """The difference between two predictors in one metric, on the same trips."""

    value: float | None
    """Improvement over the other predictor. A positive value is better for every metric. Null if
    the metric is undefined."""
    interval: Interval | None
    """95 % interval of the difference, by a bootstrap that resamples whole days and takes the same
    days for both predictors. Null with fewer than seven days."""
    conclusion: Conclusion
    """`better` or `worse` if the interval is above or below 0. `not_distinguishable` if the
    interval contains 0, or if there is no interval."""

    @classmethod
    def of(cls, value: float | None, interval: Interval | None) -> MetricDifference:
        """Return a difference with its conclusion."""
        conclusion = Conclusion.NOT_DISTINGUISHABLE
        if interval is not None and interval.low > 0:
            conclusion = Conclusion.BETTER
        elif interval is not None and interval.high < 0:
            conclusion = Conclusion.WORSE
        return cls(value=value, interval=interval, conclusion=conclusion)


@dataclass(frozen=True, kw_only=True)
class ScoredDays:
    """The metric histograms of a predictor on one segment: of all trips, and of each day."""

    total: Tally
    days: Sequence[Tally]

    @classmethod
    def of(cls, tallies: Tallies, segment: str, predictor: str = "model") -> ScoredDays:
        """Return the histograms of the test trips of a segment."""
        return cls(
            total=tally_of(tallies, "test", segment, predictor),
            days=daily_tallies(tallies, "test", segment, predictor),
        )

    def differences(self, other: ScoredDays) -> dict[str, MetricDifference]:
        """Return the differences to another predictor on the same trips, by metric."""
        values = metrics.improvement(
            metrics.compute_metrics(self.total), metrics.predictor_metrics(other.total)
        )
        intervals = paired_bootstrap(self.days, other.days)
        return {
            name: MetricDifference.of(getattr(values, name), intervals[name]) for name in COMPARED_METRICS
        }


def differences_to(
    tallies: Tallies, predictor: str, segments: Sequence[str]
) -> dict[str, dict[str, MetricDifference]]:
    """Return the differences to another predictor in the same histograms, by segment and metric."""
    scored = {segment: ScoredDays.of(tallies, segment) for segment in segments}
    return {
        segment: own.differences(ScoredDays.of(tallies, segment, predictor))
        for segment, own in scored.items()
        if own.total.rows
    }


@dataclass(frozen=True, kw_only=True)
class ChampionComparison:
    """The paired differences of predictions to the champion, which scored the same trips."""

    number: int
    """Model number of the champion."""
    version: str
    """Version of the run that trained the champion."""
    differences: dict[str, dict[str, MetricDifference]]
    """Differences by segment (`all` and others) and metric (`auc`, `log_loss`, `brier`, `f1`)."""


class DecisionSource(StrEnum):
    """The origin of the decisions of judged predictions."""

    OPTION = "option"
    COLUMN = "column"
    VALIDATION = "validation"
    DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class DecisionRule:
    """How predictions become decisions, on which F1, precision and recall depend."""

    source: DecisionSource
    """`option`: the threshold was set. `column`: the files have the column `prediction`.
    `validation`: the threshold with the best F1 on the validation trips. `default`: 0.5, because
    not all validation trips have a prediction."""
    threshold: float | None
    """Lowest probability that is a positive decision. Null if the files have decisions."""

    def describe(self) -> str:
        """Return the rule as text."""
        return {
            DecisionSource.OPTION: f"threshold {self.threshold}, as set",
            DecisionSource.COLUMN: "column `prediction` of the files",
            DecisionSource.VALIDATION: f"threshold {self.threshold:.4f}, tuned on the validation trips"
            if self.threshold is not None
            else "",
            DecisionSource.DEFAULT: "threshold 0.5, because not all validation trips have a prediction",
        }[self.source]


@dataclass(frozen=True, kw_only=True)
class JudgedRows:
    """Number of predictions in the files."""

    total: int
    """Predictions in the files."""
    judged: int
    """Predictions of test trips, from which the metrics are computed."""
    other: int
    """Predictions of other trips of the version. They are checked, but do not count in the
    metrics."""


@dataclass(frozen=True, kw_only=True)
class Judgment:
    """The evaluation of predictions that any program made."""

    name: str
    """Name of the predictions."""
    predictions: str
    """Path or URI of the predictions, without credentials."""
    version: str
    """Version whose test trips are judged. Its model has the values of the baselines."""
    store: str
    """Path or URI of the store."""
    env: str
    """Environment in the store, `dev` or `prod`."""
    taxi: str
    """Taxi type, `yellow` or `green`."""
    segment: str
    """Segment of the trips that the model of the version was trained on, such as `all`."""
    test: TimeRange
    """Test period of the version, which is judged."""
    trips_digest: str
    """Hash of the IDs and labels of the judged trips. It is equal in comparable judgments."""
    created_at: str
    """Time of the judgment in UTC (ISO 8601)."""
    files: int
    """Number of files of predictions."""
    rows: JudgedRows
    """Number of predictions."""
    decisions: DecisionRule
    """How the predictions became decisions."""
    metrics: dict[str, dict[str, Metrics]]
    """Metrics of the split `test` by segment (`all` and others)."""
    evaluation: EvaluationReport
    """Complete evaluation of the split `test` by segment, with intervals, baselines, curves and
    slices."""
    champion: ChampionComparison | None
    """Paired differences to the champion. Null without a champion that can be compared."""
    not_compared_reason: str | None
    """Reason why there is no comparison with the champion. Null with a comparison."""
    report_path: str | None
    """Path of the HTML report."""
    leaderboard_path: str | None
    """Path of the page of the leaderboard. Null without --leaderboard."""

    @property
    def reported_segment(self) -> str:
        """The segment of the version, or else the first segment with trips."""
        segments = self.evaluation["test"]
        return self.segment if self.segment in segments else next(iter(segments))


@dataclass(frozen=True, kw_only=True)
class LeaderboardEntry:
    """A judgment, and the daily metric histograms from which entries are compared."""

    judgment: Judgment
    tallies: Tallies


@dataclass(frozen=True, kw_only=True)
class RankedEntry:
    """An entry of a leaderboard, and its difference in AUC to the best entry."""

    judgment: Judgment
    difference: MetricDifference | None
    """Paired difference to the best entry. None for the best entry itself."""

    @property
    def is_distinguishable(self) -> bool:
        """Whether the difference to the best entry is more than chance."""
        return (
            self.difference is not None and self.difference.conclusion is not Conclusion.NOT_DISTINGUISHABLE
        )


def rank_entries(entries: Sequence[LeaderboardEntry], segment: str) -> list[RankedEntry]:
    """Return the entries with the AUC of a segment, highest first, compared with the best one."""
    scored = [
        (entry.judgment, ScoredDays.of(entry.tallies, segment), values[segment].auc or 0.0)
        for entry in entries
        if segment in (values := entry.judgment.metrics["test"])
    ]
    scored.sort(key=lambda item: (-item[2], item[0].name))
    return [
        RankedEntry(
            judgment=judgment,
            difference=None if number == 0 else days.differences(scored[0][1])["auc"],
        )
        for number, (judgment, days, _) in enumerate(scored)
    ]


@dataclass(frozen=True)
class FaultCount:
    """The number of predictions or trips that have a fault, and the first of them."""

    count: int = 0
    first: int | None = None
    """Smallest trip ID with the fault. None if no prediction with the fault has a trip ID."""

    @classmethod
    def of(cls, trip_ids: Int64Array, count: int | None = None) -> FaultCount:
        """Return the fault of these trips. `count` replaces their number."""
        first = int(trip_ids.min()) if len(trip_ids) else None
        return cls(len(trip_ids) if count is None else count, first)

    def __add__(self, other: FaultCount) -> FaultCount:
        firsts = [first for first in (self.first, other.first) if first is not None]
        return FaultCount(self.count + other.count, min(firsts, default=None))

    def __bool__(self) -> bool:
        return self.count > 0

    def counted(self, noun: str, singular: str, several: str) -> str:
        """Return the number with its noun and verb."""
        return f"{plural(self.count, noun)} {verb(self.count, singular, several)}"

    def note(self, *notes: str) -> str:
        """Return notes and the first trip ID in parentheses, or an empty text without any."""
        if self.first is not None:
            notes = (*notes, f"{'first ' if self.count > 1 else ''}trip ID {self.first}")
        return f" ({', '.join(notes)})" if notes else ""


NO_FAULT = FaultCount()


@dataclass(frozen=True, kw_only=True)
class PredictionFaults:
    """The predictions, and the trips without a prediction, that have a fault."""

    missing: FaultCount = NO_FAULT
    """Test trips without a prediction."""
    repeated: FaultCount = NO_FAULT
    """Predictions of a trip that already has one."""
    unknown: FaultCount = NO_FAULT
    """Predictions of trips that are not in the features."""
    null: FaultCount = NO_FAULT
    """Predictions without a trip ID, a probability or a decision."""
    out_of_range: FaultCount = NO_FAULT
    """Predictions whose probability is not between 0 and 1."""

    def __add__(self, other: PredictionFaults) -> PredictionFaults:
        return PredictionFaults(
            **{item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self)}
        )

    def __bool__(self) -> bool:
        return any(getattr(self, item.name) for item in fields(self))

    def describe(self, features: str) -> str:
        """Return all faults with their counts and first trip IDs. `features` names the features.

        >>> PredictionFaults(missing=FaultCount(1), null=FaultCount(20, first=5)).describe("v1")
        '1 test trip has no prediction and 20 predictions are incomplete (null, first trip ID 5)'
        """
        return join_words(list(self._texts(features)))

    def _texts(self, features: str) -> Iterator[str]:
        if fault := self.missing:
            yield f"{fault.counted('test trip', 'has', 'have')} no prediction{fault.note()}"
        if fault := self.repeated:
            yield f"{fault.counted('prediction', 'repeats', 'repeat')} a trip{fault.note()}"
        if fault := self.unknown:
            subject = fault.counted("prediction", "is", "are")
            yield f"{subject} of trips that {features} does not contain{fault.note()}"
        if fault := self.null:
            yield f"{fault.counted('prediction', 'is', 'are')} incomplete{fault.note('null')}"
        if fault := self.out_of_range:
            subject = fault.counted("prediction", "has", "have")
            yield f"{subject} a probability that is not between 0 and 1{fault.note()}"
