"""Attribution of a change of performance to the mix of trips and to the model.

A metric F(p, s) follows from the prevalence p and from the performance s of the model on each
class. From a reference (p, s) to a month (p', s') it changes by the sum of two parts:

    prevalence   [F(p', s) - F(p, s) + F(p', s') - F(p, s')] / 2
    model        [F(p, s') - F(p, s) + F(p', s') - F(p', s)] / 2

The parts add up exactly and do not depend on an order (Shapley values of two players). For F1,
s is the hit rate and the false alarm rate. For the log loss, s is its mean over each class. The AUC
does not depend on the prevalence, so that all its change is due to the model.

The prevalence of all trips has two causes: the share of card trips, and the share of high tips
among them. A model that treats each kind of trips as before has another hit rate if their mix
changes. `attribute_change` therefore separates card trips from other trips, and splits a change
into three parts: the share of card trips, the shares of high tips within each kind, and the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

from toytip.evaluation.tally import LOSS_SCALE, Tally

# Two rates of a model: of hits and of false alarms, or the mean log loss of each class.
ClassRates = tuple[float, float]
# The tallies of card trips, and of other trips.
CardAndOtherTallies = tuple[Tally, Tally]
# Hit rate and false alarm rate of a kind of trips, and its log loss by class. None without trips.
RatesByKind = tuple[tuple[float | None, float | None], tuple[float | None, float | None]]


@dataclass(frozen=True)
class ChangeSplit:
    """The change of a metric since the validation month of a model, and its two parts."""

    total: float
    """Change of the metric."""
    prevalence: float
    """Part due to the share of high tips."""
    model: float
    """Part due to the performance of the model on trips of the same class."""


@dataclass(frozen=True)
class ChangeParts:
    """The change of a metric since a reference, and its three parts."""

    total: float
    """Change of the metric, the sum of the parts."""
    card_share: float
    """Part due to the share of card trips."""
    tip_share: float
    """Part due to the shares of high tips among card trips and among other trips."""
    model: float
    """Part due to the performance of the model on trips of the same kind."""


@dataclass(frozen=True)
class _KindRates:
    """The mix of card trips and other trips, and the performance of the model on each kind."""

    card_share: float
    tip_shares: tuple[float, ...]
    performance: tuple[RatesByKind, ...]


def split_change(
    metric: Callable[[float, ClassRates], float],
    reference: tuple[float, ClassRates],
    current: tuple[float, ClassRates],
) -> ChangeSplit:
    """Split the change of a metric into the parts of the prevalence and of the model.

    `reference` and `current` are the prevalence and the rates that `metric` takes.
    """
    (p, s), (q, t) = reference, current
    prevalence = (metric(q, s) - metric(p, s) + metric(q, t) - metric(p, t)) / 2
    total = metric(q, t) - metric(p, s)
    return ChangeSplit(total, prevalence, total - prevalence)


def f1_from_rates(prevalence: float, rates: ClassRates) -> float:
    """Return F1 from the prevalence and the rates of hits and of false alarms."""
    hits, false_alarms = rates[0] * prevalence, rates[1] * (1 - prevalence)
    return 2 * hits / (hits + false_alarms + prevalence)


def f1_and_log_loss_changes(
    reference: Tally, current: Tally
) -> tuple[ChangeSplit | None, ChangeSplit | None]:
    """Return the changes of F1 and log loss. None if a class has no trips."""
    a, b = _class_rates(reference), _class_rates(current)
    if a is None or b is None:
        return None, None
    return (
        split_change(f1_from_rates, (a[0], a[1]), (b[0], b[1])),
        split_change(_log_loss, (a[0], a[2]), (b[0], b[2])),
    )


def attribute_change(
    reference: CardAndOtherTallies, current: CardAndOtherTallies
) -> tuple[ChangeParts | None, ChangeParts | None, ChangeParts | None]:
    """Return the changes of prevalence, F1 and log loss in three parts.

    None if the reference or the month has trips of one class only. The prevalence does not depend
    on the model.
    """
    if any(_class_rates(pair[0].merge(pair[1])) is None for pair in (reference, current)):
        return None, None, None
    a, b = _kind_rates(reference), _kind_rates(current)
    rates = [_fill_unknown_rates(*pair) for pair in zip(a.performance, b.performance, strict=True)]

    def attribute(metric: Callable[..., float], index: int) -> ChangeParts:
        old, new = (
            (side.card_share, side.tip_shares, tuple(kind[position][index] for kind in rates))
            for position, side in enumerate((a, b))
        )
        return ChangeParts(metric(*new) - metric(*old), *shapley_parts(metric, old, new))

    return attribute(_prevalence_of_kinds, 0), attribute(_f1_of_kinds, 0), attribute(_log_loss_of_kinds, 1)


def shapley_parts(
    metric: Callable[..., float], reference: Sequence[Any], current: Sequence[Any]
) -> list[float]:
    """Return the part of each argument in a change of a metric. They add up (Shapley, 1953)."""
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
    """Return the prevalence, the hit and false alarm rates, and the log loss of each class.

    None if a class has no trips.
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


def _kind_rates(tallies: CardAndOtherTallies) -> _KindRates:
    rows = tallies[0].rows + tallies[1].rows
    tip_shares, performance = [], []
    for tally in tallies:
        positives = int(tally.positives.sum())
        negatives = tally.rows - positives
        losses = (
            tally.log_loss_positives / LOSS_SCALE,
            (tally.log_loss - tally.log_loss_positives) / LOSS_SCALE,
        )
        tip_shares.append(positives / tally.rows if tally.rows else 0.0)
        rates = _ratio(tally.true_positives, positives), _ratio(tally.false_positives, negatives)
        performance.append((rates, (_ratio(losses[0], positives), _ratio(losses[1], negatives))))
    return _KindRates(tallies[0].rows / rows, tuple(tip_shares), tuple(performance))


def _ratio(part: float, total: int) -> float | None:
    return part / total if total else None


def _fill_unknown_rates(reference: RatesByKind, current: RatesByKind) -> tuple[Any, Any]:
    """Replace each rate without trips by that of the other side, as if it had not changed."""
    filled = [
        tuple(
            tuple((own if own is not None else other) or 0.0 for own, other in zip(mine, theirs, strict=True))
            for mine, theirs in zip(side, opposite, strict=True)
        )
        for side, opposite in ((reference, current), (current, reference))
    ]
    return filled[0], filled[1]


def _prevalence_of_kinds(card: float, tips: Sequence[float], _rates: Sequence[ClassRates]) -> float:
    return card * tips[0] + (1 - card) * tips[1]


def _f1_of_kinds(card: float, tips: Sequence[float], rates: Sequence[ClassRates]) -> float:
    hits = false_alarms = positives = 0.0
    for share, tip, (hit_rate, false_alarm_rate) in zip((card, 1 - card), tips, rates, strict=True):
        hits += share * tip * hit_rate
        false_alarms += share * (1 - tip) * false_alarm_rate
        positives += share * tip
    return 2 * hits / (hits + false_alarms + positives) if positives else 0.0


def _log_loss_of_kinds(card: float, tips: Sequence[float], losses: Sequence[ClassRates]) -> float:
    kinds = zip((card, 1 - card), tips, losses, strict=True)
    return sum(share * _log_loss(tip, loss) for share, tip, loss in kinds)
