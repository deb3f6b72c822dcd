"""Check the data of each month before training, by comparison with the other reference months.

The method follows Shankar et al., "Moving Fast With Broken Data" (2023): a summary of each
partition, limits that adapt to the normal differences between partitions, and one finding for
features that move together. Here, a partition in the sense of the paper is a month.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month
from toytip.monitoring.data_measures import Distances, measure_months
from toytip.monitoring.measures import HOURS, MISSING, MOVED, REJECTS
from toytip.monitoring.month_counts import MonthSummary
from toytip.monitoring.reference_months import Comparison

Verdict = Literal["pass", "warn", "hold"]

# If a cleaning rule rejects at least this share of the rows, the other rows are not typical.
MANY_REJECTS = 0.2
# Missing shares that differ by at most this factor of each other belong to one finding.
SAME_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class DataFinding:
    """A difference between a month and the reference months, for features that move together."""

    feature: str
    """Feature with the largest effect. Empty if the finding is about the rows of the month. The
    reject reason for the measure `reject rate`."""
    features: tuple[str, ...]
    """All features of the group, largest effect first."""
    measure: str
    """Name of the measure."""
    value: float
    """Value of the month."""
    reference: float
    """Typical value of the reference months."""
    limit: float
    """Largest value that counts as normal."""
    share: float
    """Share of the rows of the month that are affected."""
    verdict: Verdict
    """`warn` or `hold`."""
    message: str
    """The finding as a sentence."""


@dataclass(frozen=True, kw_only=True)
class MonthCheck:
    """The verdict on a month."""

    month: str
    """Month that was checked."""
    verdict: Verdict
    """`pass`, `warn` or `hold`: the worst verdict of all findings."""
    findings: tuple[DataFinding, ...]
    """The findings, largest effect first."""
    accepted: str | None
    """The reason why a person accepted the month. Null without one."""

    @property
    def is_held(self) -> bool:
        """Whether the month must not be used for training."""
        return self.verdict == "hold" and self.accepted is None

    def describe_findings(self) -> str:
        """Return the most important finding, and the number of the other findings."""
        message, more = self.findings[0].message, len(self.findings) - 1
        return f"{message.removesuffix('.')} (and {more} more)." if more else message


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """The verdicts on all months."""

    months: tuple[MonthCheck, ...]
    """The verdict on each month, oldest first."""
    reference: tuple[str, ...]
    """Reference months that are not held. toytip compares every month with the other reference
    months."""

    @property
    def held(self) -> tuple[str, ...]:
        """The months that are held and that nobody has accepted."""
        return tuple(month.month for month in self.months if month.is_held)


def check_months(
    months: Mapping[Month, MonthSummary],
    reference: Sequence[Month],
    accepted: Mapping[str, str],
    dataset: Dataset,
) -> DataCheck:
    """Compare each month with the other reference months.

    A held month does not enter the reference of other months: the month with the largest effect
    leaves the reference first, until no month of the reference is held. An accepted month of the
    reference can only show that another month is normal. Because of an accepted month alone, no
    month is held, except if there are only accepted months.
    """
    ordered = sorted(months)
    if not ordered:
        return DataCheck(months=(), reference=())
    comparison = Comparison.of(measure_months(ordered, [months[month] for month in ordered], dataset))
    candidates = [index for index, month in enumerate(ordered) if month in set(reference)]
    normal = comparison.normal_months([index for index in candidates if str(ordered[index]) not in accepted])
    usable = sorted({*normal, *(index for index in candidates if str(ordered[index]) in accepted)})
    references = [normal, usable] if normal else [usable]
    return DataCheck(
        months=tuple(
            replace(
                _check_month(comparison, index, str(month), references, dataset),
                accepted=accepted.get(str(month)),
            )
            for index, month in enumerate(ordered)
        ),
        reference=tuple(str(ordered[index]) for index in usable),
    )


def _check_month(
    comparison: Comparison, index: int, month: str, references: Sequence[Sequence[int]], dataset: Dataset
) -> MonthCheck:
    """Return the verdict with the reference that the month differs less from."""
    reference = min(references, key=lambda others: comparison.effects(index, others).severity)
    single = _single_findings(comparison, index, reference)
    findings = tuple(map(_merge_findings, _group_findings(single, dataset)))
    verdicts = [finding.verdict for finding in findings]
    verdict: Verdict = "hold" if "hold" in verdicts else "warn" if verdicts else "pass"
    return MonthCheck(month=month, verdict=verdict, findings=findings, accepted=None)


class _SingleFinding(NamedTuple):
    """A finding for one feature, with the effect relative to the limit of held months."""

    finding: DataFinding
    severity: float


def _single_findings(comparison: Comparison, month: int, normal: Sequence[int]) -> list[_SingleFinding]:
    """Return all effects that exceed the limit of a warning, largest first."""
    others = [other for other in normal if other != month]
    effects = comparison.effects(month, normal)
    moved = {
        item.feature: float(value)
        for item, value in zip(comparison.items, effects.value, strict=True)
        if item.measure.name in (MOVED.name, HOURS.name)
    }
    singles = [
        _SingleFinding(
            _describe(item, month, others, _Effect(value, typical, warn, hold), moved.get(item.feature, 1.0)),
            value / hold if np.isfinite(hold) else 0.0,
        )
        for item, value, typical, warn, hold in zip(comparison.items, *effects, strict=True)
        if value >= warn
    ]
    return sorted(singles, key=lambda single: (-single.severity, single.finding.feature))


class _Effect(NamedTuple):
    """The effect of one measure in one month."""

    value: float
    typical: float
    warn: float
    hold: float


def _describe(
    item: Distances, month: int, others: Sequence[int], effect: _Effect, moved_share: float
) -> DataFinding:
    measure, is_held = item.measure, effect.value >= effect.hold
    limit = effect.hold if is_held else effect.warn
    value, reference = effect.value, effect.typical
    if item.rates is not None:
        value, reference = float(item.rates[month]), float(np.median(item.rates[others]))
        limit = -limit if value < reference else limit
        limit = reference * np.exp(limit) if measure.is_ratio else reference + limit
    share = measure.affected_share(effect.value, moved_share)
    return DataFinding(
        feature=item.feature,
        features=(item.feature,) if item.feature else (),
        measure=measure.name,
        value=float(value),
        reference=float(reference),
        limit=float(limit),
        share=share,
        verdict="hold" if is_held else "warn",
        message=measure.describe(item.feature, value, reference, share),
    )


def _group_findings(singles: Sequence[_SingleFinding], dataset: Dataset) -> list[list[_SingleFinding]]:
    """Return the findings in groups of features that move together."""
    groups: list[list[_SingleFinding]] = []
    for single in singles:
        related = [
            group for group in groups if any(_move_together(single, other, dataset) for other in group)
        ]
        merged = [member for group in related for member in group] + [single]
        groups = [group for group in groups if group not in related] + [merged]
    ordered = [sorted(group, key=lambda single: -single.severity) for group in groups]
    return sorted(ordered, key=lambda group: -group[0].severity)


def _move_together(one: _SingleFinding, two: _SingleFinding, dataset: Dataset) -> bool:
    """Return whether two features have a common cause.

    They are computed from the same columns, they are missing in the same share of the trips, they
    are amounts, or so many rows are rejected that the other rows are not typical.
    """
    a, b = one.finding, two.finding
    if any(f.measure == REJECTS.name and f.share >= MANY_REJECTS for f in (a, b)):
        return True
    if a.measure == b.measure == MISSING.name:
        return abs(a.value - b.value) <= SAME_SHARE * max(a.value, b.value)
    # A wrong unit changes all amounts.
    amounts = {*dataset.monitoring.fees, *dataset.monitoring.tariffs}
    return {a.feature, b.feature} <= amounts or bool(_causes(a, dataset) & _causes(b, dataset))


def _causes(finding: DataFinding, dataset: Dataset) -> set[str]:
    """Return the columns that can cause a finding, or the measure if it is about all rows."""
    name = finding.feature or finding.measure
    all_inputs = {
        "day_of_month": (dataset.time_column,),
        **dataset.monitoring.other_inputs,
        **dataset.feature_inputs,
    }
    inputs, lengths = set(all_inputs.get(name, (name,))), set(dataset.monitoring.lengths)
    return inputs | lengths if inputs & lengths else inputs


def _merge_findings(group: Sequence[_SingleFinding]) -> DataFinding:
    """Return one finding for a group: the finding with the largest effect, with all features."""
    largest = group[0].finding
    features = tuple(dict.fromkeys(single.finding.feature for single in group if single.finding.feature))
    message = largest.message
    if len(features) > 1:
        message += f" {', '.join(features[1:])} {'change' if len(features) > 2 else 'changes'} as well."
    verdict: Verdict = "hold" if any(single.finding.verdict == "hold" for single in group) else "warn"
    share = max(single.finding.share for single in group)
    return replace(largest, features=features, verdict=verdict, share=share, message=message)
