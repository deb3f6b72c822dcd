"""gate: a summary of the test rows -> whether a challenger may become the champion, check by check."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from toytip.evaluation import metrics
from toytip.evaluation.metrics import Baseline
from toytip.evaluation.tally import MIN_SLICE_TRIPS, Tallies, Tally, daily_tallies, slice_tallies, tally_of

# What must not be worse than the champion's: how trips are ranked, and how true the probabilities are.
CHAMPION_METRICS = ("auc", "log_loss")
# A slice is worse only beyond so many standard errors: of fifty slices chance alone would fail one at two.
SLICE_DEVIATIONS = 3


@dataclass(frozen=True)
class GateCheck:
    """One question of the gate, and its answer in words."""

    name: str
    passed: bool
    told: str


@dataclass(frozen=True)
class GateResult:
    """What the gate found: a challenger passes if every check does."""

    checks: tuple[GateCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether the challenger may become the champion."""
        return all(check.passed for check in self.checks)

    @property
    def rejection_reasons(self) -> list[str]:
        """Why not, in words."""
        return [check.told for check in self.checks if not check.passed]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}


def evaluate_gate(summary: Tallies, baseline: Baseline, segment: str) -> GateResult:
    """Judge a challenger by the test rows of the population that it learned from.

    It must beat the trivial predictors, must not be worse than the champion beyond chance (where the summary has one),
    and must hold in every slice of at least `MIN_SLICE_TRIPS` trips, `ENOUGH` of each class.
    """
    tally = tally_of(summary, "test", segment)
    if not tally.rows:
        return GateResult(
            (GateCheck("test_rows", False, f"no {segment} trips in the test months to judge by"),)
        )
    return GateResult(
        (
            *_baseline_checks(summary, tally, baseline, segment),
            *_champion_checks(summary, tally, segment),
            _slice_check(summary, segment),
        )
    )


def _baseline_checks(summary: Tallies, tally: Tally, baseline: Baseline, segment: str) -> Iterator[GateCheck]:
    ours = metrics.compute_metrics(tally)
    rated = metrics.with_threshold(tally_of(summary, "test", segment, "hour_zone"), baseline.threshold)
    for trivial, name, theirs in (
        ("always yes", "f1", metrics.always_positive_metrics(tally)),
        ("the base rate", "log_loss", metrics.constant_probability_metrics(tally, baseline.rate)),
        ("the rate of the hour and zone", "auc", metrics.compute_metrics(rated)),
        ("the rate of the hour and zone", "log_loss", metrics.compute_metrics(rated)),
    ):
        lift = metrics.improvement(ours, theirs)[name]
        told = (
            f"{_metric_label(name)} {_format_metric(ours[name])}, {_format_metric(theirs[name])} by {trivial}"
        )
        yield GateCheck(f"beats {trivial} ({_metric_label(name)})", lift is not None and lift > 0, told)


def _champion_checks(summary: Tallies, tally: Tally, segment: str) -> Iterator[GateCheck]:
    champion = tally_of(summary, "test", segment, "champion")
    if not champion.rows:
        return
    ours, theirs = metrics.compute_metrics(tally), metrics.compute_metrics(champion)
    spans = metrics.paired_bootstrap(
        daily_tallies(summary, "test", segment), daily_tallies(summary, "test", segment, "champion")
    )
    for name in CHAMPION_METRICS:
        lift, span = metrics.improvement(ours, theirs)[name], spans[name]
        worse = lift is None or (span[1] < 0 if span else lift < 0)
        margin = f", 95 % of paired differences {span[0]:+.4f} to {span[1]:+.4f}" if span else ""
        told = f"{_metric_label(name)} {_format_metric(ours[name])}, the champion's {_format_metric(theirs[name])}{margin}"
        yield GateCheck(f"not worse than the champion ({_metric_label(name)})", not worse, told)


def _slice_check(summary: Tallies, segment: str) -> GateCheck:
    """Compare the ranking in each slice with the champion's, or with guessing where there is none."""
    theirs = slice_tallies(summary, "test", segment, "champion")
    margins = []
    for (name, value), tally in slice_tallies(summary, "test", segment).items():
        area = metrics.auc(tally.negatives, tally.positives)
        if (
            name == "day"
            or tally.rows < MIN_SLICE_TRIPS
            or area is None
            or not metrics.has_enough_for_auc(tally)
        ):
            continue
        rival = theirs.get((name, value))
        bound = metrics.auc(rival.negatives, rival.positives) if rival else 0.5
        # As if both were drawn apart, which they are not: too wide rather than too narrow.
        spread = SLICE_DEVIATIONS * math.hypot(*(metrics.auc_standard_error(t) for t in (tally, rival) if t))
        margins.append((area - (bound or 0.5) + spread, f"{name} {value}", area, bound or 0.5))
    if not margins:
        return GateCheck("holds in the worst slice", True, "no slice has trips enough to tell")
    margin, where, area, bound = min(margins)
    than = "the champion's" if theirs else "guessing"
    told = f"in slice {where} AUC {area:.4f}, {than} {bound:.4f}"
    return GateCheck("holds in the worst slice", margin >= 0, told)


def _metric_label(name: str) -> str:
    return {"auc": "AUC", "f1": "F1"}.get(name, name.replace("_", " "))


def _format_metric(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
