"""facts: what a report tells, as plain values; and the numbers of its pictures, from counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from toytip.evaluation.report import SegmentReport
from toytip.evaluation.tally import Tally
from toytip.monitoring.drift import CATEGORICAL_FEATURES, FeatureHistogram
from toytip.store.lineage import LineageNode
from toytip.store.manifest import SourceFileRef

if TYPE_CHECKING:
    from toytip.monitoring.report import MonitoringReport
    from toytip.pipeline.result import RunResult


class MonthRows(NamedTuple):
    """Trips of a month: read, kept, and rejected by reason."""

    read: int
    kept: int
    rejects: dict[str, int]


class FeatureDistribution(NamedTuple):
    """A feature month by month: quantiles of an amount, or shares of a category's values; and the share that lacks it.

    `value_range` are the least and the largest amount of all months.
    """

    name: str
    quantiles: list[list[float]]
    shares: dict[str, list[float]]
    missing_shares: list[float]
    value_range: tuple[float, float] | None = None


class FeatureImportance(NamedTuple):
    """How the model leans on a feature.

    `gain_share` is its share of the gain of all splits, `mean_abs_shap` the mean size of its contribution to the log-odds, `shap_by_value` the mean
    contribution in even groups of its values, from the smallest, with the first and last value of each group; those of trips
    that lack it, or have a value that training never saw, come last, as NaN. Of a category, every value is a group, and the
    lowest mean comes first.
    """

    name: str
    gain_share: float
    mean_abs_shap: float | None
    shap_by_value: list[tuple[float, float, float]]

    @property
    def is_categorical(self) -> bool:
        """Whether its values are names, in no order."""
        return self.name in CATEGORICAL_FEATURES


class ZoneSummary(NamedTuple):
    """A pickup zone: trips kept, of them by card; card trips of the training months, and the share of high tips there."""

    zone_id: int
    name: str
    borough: str
    trips: int
    card_trips: int
    training_card_trips: int | None
    high_tip_share: float | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is told of a version. What is not there is None or empty, and `missing_reasons` says why, by section.

    `failed_sections` are the sections of these that should be there, and could not be read or told.

    `histograms` are of all trips and months; `feature_distributions` of the trips of the population that was learned from.
    """

    version: str
    created_at: str
    store: str
    env: str
    taxi: str = ""
    months: Sequence[str] = ()
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[SourceFileRef] = ()
    features: Sequence[str] = ()
    segment: str = ""
    split: Mapping[str, Sequence[str]] = field(default_factory=dict)
    threshold: float | None = None
    rounds: int | None = None
    rows: Mapping[str, MonthRows] = field(default_factory=dict)
    feature_distributions: Sequence[FeatureDistribution] = ()
    histograms: Mapping[str, FeatureHistogram] = field(default_factory=dict)
    learning_curve: Mapping[str, Sequence[float]] = field(default_factory=dict)
    evaluation: Mapping[str, Mapping[str, SegmentReport]] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    daily_tallies: Mapping[str, Mapping[str, Tally]] = field(default_factory=dict)
    hour_zone_tally: Tally | None = None
    feature_importance: Sequence[FeatureImportance] = ()
    explained_trips: int = 0
    leakage_aucs: Mapping[str, float] = field(default_factory=dict)
    monitoring: MonitoringReport | None = None
    zones: Sequence[ZoneSummary] = ()
    zone_outlines: Mapping[int, Sequence[Sequence[tuple[float, float]]]] = field(default_factory=dict)
    run_result: RunResult | None = None
    lineage: LineageNode | None = None
    missing_reasons: Mapping[str, str] = field(default_factory=dict)
    failed_sections: Sequence[str] = ()

    @property
    def reported_split(self) -> str:
        """The split that the page tells most of: the test months, or the last there is."""
        return "test" if "test" in self.evaluation else next(iter([*self.evaluation][::-1]), "")

    @property
    def reported_segment(self) -> str:
        """The population that was learned from, or the one that there is: what a model is judged by."""
        there = self.evaluation.get(self.reported_split, {})
        return next((name for name in (self.segment, *there) if name in there), self.segment or "all")

    def evaluation_of(self, segment: str) -> SegmentReport | None:
        """Return the evaluation of a segment of the reported split; None if it has no trips."""
        return self.evaluation.get(self.reported_split, {}).get(segment)
