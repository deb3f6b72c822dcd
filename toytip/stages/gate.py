"""gate: a summary of the test rows -> whether a challenger may become the champion, check by check."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from toytip import metrics
from toytip.metrics import Baseline
from toytip.tally import SUPPORT, Summary, Tally, days, select, slices

# What must not be worse than the champion's: how trips are ranked, and how true the probabilities are.
RANKED = ("auc", "log_loss")
# A slice is worse only beyond so many standard errors: of fifty slices chance alone would fail one at two.
DEVIATIONS = 3


@dataclass(frozen=True)
class Check:
    """One question of the gate, and its answer in words."""

    name: str
    passed: bool
    told: str


@dataclass(frozen=True)
class Verdict:
    """What the gate found: a challenger passes if every check does."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether the challenger may become the champion."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """Why not, in words."""
        return [check.told for check in self.checks if not check.passed]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}


def gate(summary: Summary, baseline: Baseline, population: str) -> Verdict:
    """Judge a challenger by the test rows of the population that it learned from.

    It must beat the trivial predictors, must not be worse than the champion beyond chance (where the summary has one),
    and must hold in every slice of at least `SUPPORT` trips, `ENOUGH` of each class.
    """
    tally = select(summary, "test", population)
    if not tally.rows:
        return Verdict((Check("test_rows", False, f"no {population} trips in the test months to judge by"),))
    return Verdict(
        (
            *_trivial(summary, tally, baseline, population),
            *_champion(summary, tally, population),
            _slices(summary, population),
        )
    )


def _trivial(summary: Summary, tally: Tally, baseline: Baseline, population: str) -> Iterator[Check]:
    ours = metrics.measure(tally)
    rated = metrics.decided_at(select(summary, "test", population, "hour_zone"), baseline.threshold)
    for trivial, name, theirs in (
        ("always yes", "f1", metrics.always_yes(tally)),
        ("the base rate", "log_loss", metrics.base_rate(tally, baseline.rate)),
        ("the rate of the hour and zone", "auc", metrics.measure(rated)),
        ("the rate of the hour and zone", "log_loss", metrics.measure(rated)),
    ):
        lift = metrics.lift(ours, theirs)[name]
        told = f"{_words(name)} {_number(ours[name])}, {_number(theirs[name])} by {trivial}"
        yield Check(f"beats {trivial} ({_words(name)})", lift is not None and lift > 0, told)


def _champion(summary: Summary, tally: Tally, population: str) -> Iterator[Check]:
    champion = select(summary, "test", population, "champion")
    if not champion.rows:
        return
    ours, theirs = metrics.measure(tally), metrics.measure(champion)
    spans = metrics.paired(days(summary, "test", population), days(summary, "test", population, "champion"))
    for name in RANKED:
        lift, span = metrics.lift(ours, theirs)[name], spans[name]
        worse = lift is None or (span[1] < 0 if span else lift < 0)
        margin = f", 95 % of paired differences {span[0]:+.4f} to {span[1]:+.4f}" if span else ""
        told = f"{_words(name)} {_number(ours[name])}, the champion's {_number(theirs[name])}{margin}"
        yield Check(f"not worse than the champion ({_words(name)})", not worse, told)


def _slices(summary: Summary, population: str) -> Check:
    """Compare the ranking in each slice with the champion's, or with guessing where there is none."""
    theirs = slices(summary, "test", population, "champion")
    margins = []
    for (name, value), tally in slices(summary, "test", population).items():
        area = metrics.auc(tally.negatives, tally.positives)
        if name == "day" or tally.rows < SUPPORT or area is None or not metrics.ranked(tally):
            continue
        rival = theirs.get((name, value))
        bound = metrics.auc(rival.negatives, rival.positives) if rival else 0.5
        # As if both were drawn apart, which they are not: too wide rather than too narrow.
        spread = DEVIATIONS * math.hypot(*(metrics.auc_deviation(t) for t in (tally, rival) if t))
        margins.append((area - (bound or 0.5) + spread, f"{name} {value}", area, bound or 0.5))
    if not margins:
        return Check("holds in the worst slice", True, "no slice has trips enough to tell")
    margin, where, area, bound = min(margins)
    than = "the champion's" if theirs else "guessing"
    told = f"in slice {where} AUC {area:.4f}, {than} {bound:.4f}"
    return Check("holds in the worst slice", margin >= 0, told)


def _words(name: str) -> str:
    return {"auc": "AUC", "f1": "F1"}.get(name, name.replace("_", " "))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
