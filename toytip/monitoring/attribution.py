"""Attribute a change in performance to the mix of trips and to the model.

A metric F(p, s) is a function of the prevalence p (the share of positive labels) and of the
performance s of the model on each class. From a reference (p, s) to a month (p', s'), the change in
the metric is the sum of two parts:

    prevalence   [F(p', s) - F(p, s) + F(p', s') - F(p, s')] / 2
    model        [F(p, s') - F(p, s) + F(p', s') - F(p', s)] / 2

The parts are the Shapley values of two players: they add up exactly and do not depend on an order.
For F1, s consists of the true positive rate and the false positive rate. For the log loss, s is the
mean log loss of each class. The AUC does not depend on the prevalence, so that its whole change is
due to the model.

The prevalence depends on the share of the segment, and on the shares of positive labels in the
segment and among other trips. If the share of the segment changes, the true positive rate over all
trips changes too, even if the model works as before in the segment and on other trips.
`attribute_change` therefore separates the trips in the segment from other trips. The function
splits a change into three parts: the share of the segment, the shares of positive labels in the
segment and among other trips, and the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

from toytip.evaluation.tally import LOSS_SCALE, Tally

# True positive rate and false positive rate of a model, or its mean log loss on positives and on
# negatives.
ClassRates = tuple[float, float]
# The tally of the trips in the segment, and the tally of other trips.
SegmentAndOtherTallies = tuple[Tally, Tally]
# True and false positive rate on one kind of trips (in the segment or not), and mean log loss by
# class. A value is None without trips of its class.
RatesByKind = tuple[tuple[float | None, float | None], tuple[float | None, float | None]]


@dataclass(frozen=True)
class ChangeSplit:
    """Change in a metric since the validation month of a model, and its two parts."""

    total: float
    """Change in the metric, the sum of the parts."""
    prevalence: float
    """Part due to the change in the share of positive labels."""
    model: float
    """Part due to the change in the performance of the model on each class."""


@dataclass(frozen=True)
class ChangeParts:
    """Change in a metric since the reference, and its three parts."""

    total: float
    """Change in the metric: the sum of the parts."""
    segment_share: float
    """Part due to the change in the share of the segment."""
    prevalence: float
    """Part due to changes in the share of positive labels in the segment and among other trips."""
    model: float
    """Part due to the change in the performance of the model in the segment and on other trips."""


@dataclass(frozen=True)
class _KindRates:
    """The share of the segment, and values for each kind of trips: in the segment, then others."""

    segment_share: float
    prevalences: tuple[float, ...]
    performance: tuple[RatesByKind, ...]


def split_change(
    metric: Callable[[float, ClassRates], float],
    reference: tuple[float, ClassRates],
    current: tuple[float, ClassRates],
) -> ChangeSplit:
    """Split the change in a metric into a part due to prevalence and a part due to the model.

    `reference` and `current` each contain the prevalence and the class rates, the arguments of
    `metric`.
    """
    (p, s), (q, t) = reference, current
    prevalence = (metric(q, s) - metric(p, s) + metric(q, t) - metric(p, t)) / 2
    total = metric(q, t) - metric(p, s)
    return ChangeSplit(total, prevalence, total - prevalence)


def f1_from_rates(prevalence: float, rates: ClassRates) -> float:
    """Return F1, given the prevalence, the true positive rate and the false positive rate."""
    hits, false_alarms = rates[0] * prevalence, rates[1] * (1 - prevalence)
    return 2 * hits / (hits + false_alarms + prevalence)


def f1_and_log_loss_changes(
    reference: Tally, current: Tally
) -> tuple[ChangeSplit | None, ChangeSplit | None]:
    """Return the changes in F1 and log loss. None if one side has trips of one class only."""
    a, b = _class_rates(reference), _class_rates(current)
    if a is None or b is None:
        return None, None
    return (
        split_change(f1_from_rates, (a[0], a[1]), (b[0], b[1])),
        split_change(_log_loss, (a[0], a[2]), (b[0], b[2])),
    )


def attribute_change(
    reference: SegmentAndOtherTallies, current: SegmentAndOtherTallies
) -> tuple[ChangeParts | None, ChangeParts | None, ChangeParts | None]:
    """Return the changes in prevalence, F1 and log loss, each split into three parts.

    All changes are None if the reference or the month has trips of one class only. The model part
    of the change in prevalence is 0.
    """
    if any(_class_rates(pair[0].merge(pair[1])) is None for pair in (reference, current)):
        return None, None, None
    a, b = _kind_rates(reference), _kind_rates(current)
    rates = [_fill_unknown_rates(*pair) for pair in zip(a.performance, b.performance, strict=True)]

    def attribute(metric: Callable[..., float], index: int) -> ChangeParts:
        old, new = (
            (side.segment_share, side.prevalences, tuple(kind[position][index] for kind in rates))
            for position, side in enumerate((a, b))
        )
        return ChangeParts(metric(*new) - metric(*old), *shapley_parts(metric, old, new))

    return attribute(_prevalence_of_kinds, 0), attribute(_f1_of_kinds, 0), attribute(_log_loss_of_kinds, 1)


def shapley_parts(
    metric: Callable[..., float], reference: Sequence[Any], current: Sequence[Any]
) -> list[float]:
    """Return the part of each argument in the change in a metric (Shapley, 1953).

    The parts add up to the change.
    """
    players = range(len(reference))

    def value(changed: Sequence[int]) -> float:
        return metric(*(current[k] if k in changed else reference[k] for k in players))

    def part(player: int) -> float:
        others = [other for other in players if other != player]
        return sum(
            factorial(size)
            * factorial(len(others) - size)
            / factorial(len(reference))
            * (value((*coalition, player)) - value(coalition))
            for size in players
            for coalition in combinations(others, size)
        )

    return [part(player) for player in players]


def _log_loss(prevalence: float, rates: ClassRates) -> float:
    return prevalence * rates[0] + (1 - prevalence) * rates[1]


def _class_rates(tally: Tally) -> tuple[float, ClassRates, ClassRates] | None:
    """Return prevalence, true and false positive rate, and the mean log loss of each class.

    Returns None if a class has no trips.
    """
    positives = int(tally.positives.sum())
    negatives = tally.rows - positives
    if not positives or not negatives:
        return None
    rates = tally.true_positives / positives, tally.false_positives / negatives
    losses = (
        tally.log_loss_positives / LOSS_SCALE / positives,
        (tally.log_loss - tally.log_loss_positives) / LOSS_SCALE / negatives,
    )
    return positives / tally.rows, rates, losses


def _kind_rates(tallies: SegmentAndOtherTallies) -> _KindRates:
    rows = tallies[0].rows + tallies[1].rows
    prevalences, performance = [], []
    for tally in tallies:
        positives = int(tally.positives.sum())
        negatives = tally.rows - positives
        losses = (
            tally.log_loss_positives / LOSS_SCALE,
            (tally.log_loss - tally.log_loss_positives) / LOSS_SCALE,
        )
        prevalences.append(positives / tally.rows if tally.rows else 0.0)
        rates = _ratio(tally.true_positives, positives), _ratio(tally.false_positives, negatives)
        performance.append((rates, (_ratio(losses[0], positives), _ratio(losses[1], negatives))))
    return _KindRates(tallies[0].rows / rows, tuple(prevalences), tuple(performance))


def _ratio(part: float, total: int) -> float | None:
    return part / total if total else None


def _fill_unknown_rates(reference: RatesByKind, current: RatesByKind) -> tuple[Any, Any]:
    """Replace each unknown rate by the rate of the other side, as if the rate had not changed."""
    filled = [
        tuple(
            tuple((own if own is not None else other) or 0.0 for own, other in zip(mine, theirs, strict=True))
            for mine, theirs in zip(side, opposite, strict=True)
        )
        for side, opposite in ((reference, current), (current, reference))
    ]
    return filled[0], filled[1]


def _prevalence_of_kinds(segment: float, prevalences: Sequence[float], _rates: Sequence[ClassRates]) -> float:
    return segment * prevalences[0] + (1 - segment) * prevalences[1]


def _f1_of_kinds(segment: float, prevalences: Sequence[float], rates: Sequence[ClassRates]) -> float:
    hits = false_alarms = positives = 0.0
    shares = (segment, 1 - segment)
    for share, prevalence, (hit_rate, false_alarm_rate) in zip(shares, prevalences, rates, strict=True):
        hits += share * prevalence * hit_rate
        false_alarms += share * (1 - prevalence) * false_alarm_rate
        positives += share * prevalence
    return 2 * hits / (hits + false_alarms + positives) if positives else 0.0


def _log_loss_of_kinds(segment: float, prevalences: Sequence[float], losses: Sequence[ClassRates]) -> float:
    kinds = zip((segment, 1 - segment), prevalences, losses, strict=True)
    return sum(share * _log_loss(prevalence, loss) for share, prevalence, loss in kinds)
