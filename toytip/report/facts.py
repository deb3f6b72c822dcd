"""The facts of a version that the report presents, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from toytip.core.dataset.words import PLAIN_WORDS, ReportWords
from toytip.evaluation.report import SegmentReport
from toytip.evaluation.tally import Tally
from toytip.monitoring.drift import FeatureHistogram
from toytip.store.lineage import LineageNode
from toytip.store.manifest import SourceFileRef

if TYPE_CHECKING:
    from toytip.monitoring.report import MonitoringReport
    from toytip.pipeline.result import RunResult


class MonthRows(NamedTuple):
    """Number of trips in a month: read, kept (`accepted`), and rejected by reason."""

    read: int
    accepted: int
    rejects: dict[str, int]


class FeatureDistribution(NamedTuple):
    """The distribution of a feature by month, with the share of missing values.

    A numeric feature has `quantiles` (see `curves.DISTRIBUTION_QUANTILES`) and a `value_range` over
    all months. A categorical feature has the `shares` of its most common values.
    """

    name: str
    quantiles: list[list[float]]
    shares: dict[str, list[float]]
    missing_shares: list[float]
    value_range: tuple[float, float] | None = None


class FeatureImportance(NamedTuple):
    """The importance of a feature to the model.

    `gain_share` is the feature's share of the total gain, and `mean_abs_shap` is its mean absolute
    SHAP value in log-odds. `shap_by_value` has (first value, last value, mean SHAP value) of groups
    of values. NaN stands for missing and unseen values.

    For a numeric feature, the groups are quantile groups in ascending order of values, NaN last.
    For a categorical feature, each value is a group. The groups are in ascending order of the mean
    SHAP value.
    """

    name: str
    gain_share: float
    mean_abs_shap: float | None
    shap_by_value: list[tuple[float, float, float]]
    is_categorical: bool = False
    """Whether the values are unordered categories."""
    words: Mapping[str, str] = {}
    """Words for the values."""
    is_zone: bool = False
    """Whether the values are zones."""


class ZoneSummary(NamedTuple):
    """Trips that start in a zone.

    `label_share` is the share of positive labels in the segment in the training months.
    """

    zone_id: int
    name: str
    borough: str
    trips: int
    segment_trips: int
    training_trips: int | None
    label_share: float | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All facts of a version. Absent facts are None or empty, with the reason in `missing_reasons`.

    `missing_reasons` is keyed by section. `failed_sections` lists the sections whose data exists
    but could not be read. `histograms` cover all trips and months. `feature_distributions` cover
    the segment that the model was trained on.
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
    group_mean_tally: Tally | None = None
    feature_importance: Sequence[FeatureImportance] = ()
    explained_trips: int = 0
    leakage_aucs: Mapping[str, float] = field(default_factory=dict)
    monitoring: MonitoringReport | None = None
    segment_note: str = ""
    words: ReportWords = PLAIN_WORDS
    listed_slices: Sequence[str] = ()
    value_words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    has_zones: bool = True
    zones: Sequence[ZoneSummary] = ()
    zone_outlines: Mapping[int, Sequence[Sequence[tuple[float, float]]]] = field(default_factory=dict)
    run_result: RunResult | None = None
    lineage: LineageNode | None = None
    missing_reasons: Mapping[str, str] = field(default_factory=dict)
    failed_sections: Sequence[str] = ()

    @property
    def segment_colors(self) -> dict[str, str]:
        """The key of the color of each segment in charts."""
        return dict(zip(self.tallies, "ab", strict=False))

    @property
    def reported_split(self) -> str:
        """The split that the report presents in detail: test, or else the last split with trips."""
        return "test" if "test" in self.evaluation else next(iter([*self.evaluation][::-1]), "")

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments with an evaluation of the reported split."""
        return tuple(self.evaluation.get(self.reported_split, {}))

    @property
    def reported_segment(self) -> str:
        """The segment that the model was trained on, or else the first segment with trips."""
        segments = self.evaluation.get(self.reported_split, {})
        return next((name for name in (self.segment, *segments) if name in segments), self.segment or "all")

    def evaluation_of(self, segment: str) -> SegmentReport | None:
        """Return the evaluation of a segment of the reported split, or None if it has no trips."""
        return self.evaluation.get(self.reported_split, {}).get(segment)
