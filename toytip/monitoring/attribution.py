"""decay: how a model ages, from tallies by month: what is due to another share of high tips, what to lost skill.

A metric that follows from the prevalence and from how the model treats each class, F(prevalence, skill), changes by

    F(p', s') - F(p, s) = [F(p', s) - F(p, s) + F(p', s') - F(p, s')] / 2      the part of the prevalence
                        + [F(p, s') - F(p, s) + F(p', s') - F(p', s)] / 2      the part of the skill

which adds up exactly and favours no order (Shapley's value of two players). For F1 the skill is the rate of hits and of
false alarms; for the log loss, its mean over each class. The AUC does not know the prevalence: all its change is skill.

Of all trips the prevalence is made of two things, how many pay by card and how many of these tip well, and a model that is
as good as before at both kinds of trips has another rate of hits where their mix is another. `attribute_change` therefore tells card
trips and the others apart, and splits a change into three: the share of card trips, the shares of high tips within each kind,
and the skill within each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

from toytip.evaluation.tally import LOSS_SCALE, Tally


@dataclass(frozen=True)
class ChangeSplit:
    """The change of a metric since the month that the model was tuned on, and its two parts."""

    total: float
    """Change of the metric."""
    prevalence: float
    """Part due to the share of high tips."""
    model: float
    """Part due to the performance of the model on trips of the same class."""


def f1_of(prevalence: float, skill: tuple[float, float]) -> float:
    """Return F1 from the prevalence and the rates of hits and false alarms."""
    hits, alarms = skill[0] * prevalence, skill[1] * (1 - prevalence)
    return 2 * hits / (hits + alarms + prevalence)


def _log_loss(prevalence: float, skill: tuple[float, float]) -> float:
    return prevalence * skill[0] + (1 - prevalence) * skill[1]


def _class_rates(tally: Tally) -> tuple[float, tuple[float, float], tuple[float, float]] | None:
    """Return the prevalence; the rates of hits and alarms; the mean log loss of each class. None without both classes."""
    positive = int(tally.positives.sum())
    negative = tally.rows - positive
    if not positive or not negative:
        return None
    rates = tally.true_positives / positive, tally.false_positives / negative
    losses = (
        tally.log_loss_positives / LOSS_SCALE / positive,
        (tally.log_loss - tally.log_loss_positives) / LOSS_SCALE / negative,
    )
    return positive / tally.rows, rates, losses


Skill = tuple[float, float]


def split_change(
    value: Callable[[float, Skill], float], reference: tuple[float, Skill], current: tuple[float, Skill]
) -> ChangeSplit:
    """Split the change of a metric into the part of the prevalence and the part of the skill."""
    (p, s), (q, t) = reference, current
    prevalence = (value(q, s) - value(p, s) + value(q, t) - value(p, t)) / 2
    whole = value(q, t) - value(p, s)
    return ChangeSplit(whole, prevalence, whole - prevalence)


def f1_and_log_loss_changes(
    reference: Tally, current: Tally
) -> tuple[ChangeSplit | None, ChangeSplit | None]:
    """Return how F1 and log loss have changed from one month to another; None where a class is missing."""
    a, b = _class_rates(reference), _class_rates(current)
    if a is None or b is None:
        return None, None
    return split_change(f1_of, (a[0], a[1]), (b[0], b[1])), split_change(
        _log_loss, (a[0], a[2]), (b[0], b[2])
    )


@dataclass(frozen=True)
class ChangeParts:
    """The change of a metric since a reference: due to the share of card trips, to the shares of high tips, to skill."""

    total: float
    """Change of the metric, the sum of the parts."""
    card_share: float
    """Part due to the share of card trips."""
    tip_share: float
    """Part due to the shares of high tips among card trips and among other trips."""
    model: float
    """Part due to the performance of the model on trips of the same kind."""


def shapley_parts(
    value: Callable[..., float], reference: Sequence[Any], current: Sequence[Any]
) -> list[float]:
    """Return the part that each argument has in a change of a value: they add up to it (Shapley, 1953)."""
    players = range(len(reference))

    def of(changed: Sequence[int]) -> float:
        return value(*(current[k] if k in changed else reference[k] for k in players))

    found = []
    for player in players:
        others = [k for k in players if k != player]
        found.append(
            sum(
                factorial(size) * factorial(len(others) - size) / factorial(len(reference))
                * (of((*some, player)) - of(some))
                for size in range(len(reference))
                for some in combinations(others, size)
            )
        )  # fmt: skip
    return found


CardAndOtherTallies = tuple[Tally, Tally]


def attribute_change(
    reference: CardAndOtherTallies, current: CardAndOtherTallies
) -> tuple[ChangeParts | None, ChangeParts | None, ChangeParts | None]:
    """Return how prevalence, F1 and log loss have changed, in three parts; each side is card trips and the others.

    None where a side has not both classes. The prevalence knows no skill.
    """
    if any(_class_rates(side[0].merge(side[1])) is None for side in (reference, current)):
        return None, None, None
    sides = [_strata(side) for side in (reference, current)]
    known = [_fill_unknown_rates(*pair) for pair in zip(*(side[2] for side in sides), strict=True)]
    skills = list(zip(*known, strict=True))
    told = []
    for place, of_kinds in ((0, _prevalence_of_kinds), (0, _f1_of_kinds), (1, _log_loss_of_kinds)):
        a, b = (
            (share, tips, tuple(kind[place] for kind in skill))
            for (share, tips, _), skill in zip(sides, skills, strict=True)
        )
        told.append(ChangeParts(of_kinds(*b) - of_kinds(*a), *shapley_parts(of_kinds, a, b)))
    return told[0], told[1], told[2]


# Of a kind of trips: the rates of hits and alarms, and the mean log loss of each class; None where a class has no trips.
RatesByKind = tuple[tuple[float | None, float | None], tuple[float | None, float | None]]


def _strata(tallies: CardAndOtherTallies) -> tuple[float, tuple[float, ...], list[RatesByKind]]:
    """Return the share of card trips, the shares of high tips of each kind, and how the model treats each kind."""
    rows = tallies[0].rows + tallies[1].rows
    tips, treated = [], []
    for tally in tallies:
        positive = int(tally.positives.sum())
        negative = tally.rows - positive
        tips.append(positive / tally.rows if tally.rows else 0.0)
        yes, no = (
            tally.log_loss_positives / LOSS_SCALE,
            (tally.log_loss - tally.log_loss_positives) / LOSS_SCALE,
        )
        rates = _share(tally.true_positives, positive), _share(tally.false_positives, negative)
        treated.append((rates, (_share(yes, positive), _share(no, negative))))
    return tallies[0].rows / rows, tuple(tips), treated


def _share(part: float, total: int) -> float | None:
    return part / total if total else None


def _fill_unknown_rates(reference: RatesByKind, current: RatesByKind) -> tuple[Any, Any]:
    """Take a rate that a side cannot tell, for want of trips, from the other side: nothing is known to have changed."""
    sides = [
        tuple(
            tuple((own if own is not None else other) or 0.0 for own, other in zip(mine, theirs, strict=True))
            for mine, theirs in zip(a, b, strict=True)
        )
        for a, b in ((reference, current), (current, reference))
    ]
    return sides[0], sides[1]


def _prevalence_of_kinds(card: float, tips: Sequence[float], _skill: Sequence[Skill]) -> float:
    return card * tips[0] + (1 - card) * tips[1]


def _f1_of_kinds(card: float, tips: Sequence[float], skill: Sequence[Skill]) -> float:
    hits = alarms = positive = 0.0
    for share, tip, (hit, alarm) in zip((card, 1 - card), tips, skill, strict=True):
        hits += share * tip * hit
        alarms += share * (1 - tip) * alarm
        positive += share * tip
    return 2 * hits / (hits + alarms + positive) if positive else 0.0


def _log_loss_of_kinds(card: float, tips: Sequence[float], skill: Sequence[Skill]) -> float:
    return sum(
        share * _log_loss(tip, loss) for share, tip, loss in zip((card, 1 - card), tips, skill, strict=True)
    )
