"""The promotion gate: checks of a challenger on the test rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from toytip.core.dataset.dataset import Dataset
from toytip.evaluation import metrics
from toytip.evaluation.bootstrap import paired_bootstrap
from toytip.evaluation.breakdown import baseline_metrics
from toytip.evaluation.metrics import FittedBaselines
from toytip.evaluation.tally import MIN_SLICE_TRIPS, Tallies, Tally, daily_tallies, slice_tallies, tally_of

# Metrics that are compared with the champion: one for the ranking, one for the probabilities.
CHAMPION_METRICS = ("auc", "log_loss")
# A slice fails if its AUC is lower by more than this many standard errors. With two, one of fifty
# slices would fail by chance alone.
SLICE_STANDARD_ERRORS = 3
BASELINE_CHECKS = (
    ("always_positive", "f1"),
    ("constant_probability", "log_loss"),
    ("group_mean", "auc"),
    ("group_mean", "log_loss"),
)
BASELINE_LABELS = {
    "always_positive": "the always-positive baseline",
    "constant_probability": "the constant-probability baseline",
}


@dataclass(frozen=True, kw_only=True)
class GateCheck:
    """One check of the promotion gate."""

    name: str
    """Condition that is checked."""
    passed: bool
    """Whether the condition is met."""
    message: str
    """Values that were compared, or the reason why no values were compared."""


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """The checks of the promotion gate. A challenger must pass all checks."""

    checks: tuple[GateCheck, ...]
    """All checks, in the order in which they were evaluated."""

    @property
    def passed(self) -> bool:
        """Whether the challenger may become the champion."""
        return all(check.passed for check in self.checks)

    @property
    def rejection_reasons(self) -> tuple[str, ...]:
        """The messages of the failed checks."""
        return tuple(check.message for check in self.checks if not check.passed)


class Decision(StrEnum):
    """Decision of the promotion gate."""

    PROMOTED = "promoted"
    FORCED = "forced"
    REJECTED = "rejected"
    ALREADY_CHAMPION = "already_champion"
    WOULD_PROMOTE = "would_promote"
    WOULD_REJECT = "would_reject"

    @property
    def label(self) -> str:
        """The decision as text for a report."""
        return {
            Decision.ALREADY_CHAMPION: "already the champion",
            Decision.WOULD_PROMOTE: "would be promoted",
            Decision.WOULD_REJECT: "would be rejected",
        }.get(self, self.value)


@dataclass(frozen=True, kw_only=True)
class GateDecision:
    """The decision of the promotion gate about a challenger."""

    name: str
    """Name of the registered model in MLflow, such as `toytip-dev-green-all`."""
    uri: str
    """URI of the registry."""
    number: int | None
    """Model number of the challenger, its version in MLflow. Null if the challenger is not
    registered."""
    aliases: tuple[str, ...]
    """Aliases of the challenger after the decision."""
    decision: Decision
    """Decision. A dry run decides `would_promote` or `would_reject`."""
    is_champion: bool
    """Whether the challenger is the champion after the decision."""
    promotion_reasons: tuple[str, ...]
    """Reason for a forced promotion, if any, and the messages of the failed checks."""
    checks: tuple[GateCheck, ...]
    """All checks. Empty if the model is already the champion (`already_champion`), because the gate
    does not check it again."""

    @property
    def is_rejected(self) -> bool:
        """Whether the challenger was rejected, or would be rejected in a dry run."""
        return self.decision in (Decision.REJECTED, Decision.WOULD_REJECT)


def evaluate_gate(tallies: Tallies, fitted: FittedBaselines, segment: str, dataset: Dataset) -> GateResult:
    """Check a challenger on the test rows of `segment`, the segment that it was trained on.

    The challenger must be better than the baselines. If `tallies` contain a champion, the
    challenger must not be significantly worse than the champion.

    The challenger must also not be significantly worse in any slice. This check uses only slices
    with at least `MIN_SLICE_TRIPS` trips and `MIN_CLASS_TRIPS` trips of each class.
    """
    tally = tally_of(tallies, "test", segment)
    if not tally.rows:
        message = f"the test months have no trips in segment {segment}"
        return GateResult(checks=(GateCheck(name="has test rows", passed=False, message=message),))
    return GateResult(
        checks=(
            *_baseline_checks(tallies, tally, fitted, segment, dataset),
            *_champion_checks(tallies, tally, segment),
            _slice_check(tallies, segment, dataset),
        )
    )


def _baseline_checks(
    tallies: Tallies, tally: Tally, fitted: FittedBaselines, segment: str, dataset: Dataset
) -> Iterator[GateCheck]:
    labels = {**BASELINE_LABELS, "group_mean": f"the {dataset.words.baseline}"}
    challenger = metrics.compute_metrics(tally)
    baselines = baseline_metrics(tallies, "test", segment, tally, fitted)
    for baseline, metric in BASELINE_CHECKS:
        gain = getattr(metrics.improvement(challenger, baselines[baseline]), metric)
        yield GateCheck(
            name=f"better than {labels[baseline]} ({_metric_label(metric)})",
            passed=gain is not None and gain > 0,
            message=f"{_metric_label(metric)} {_format_metric(getattr(challenger, metric))}, "
            f"{labels[baseline]} {_format_metric(getattr(baselines[baseline], metric))}",
        )


def _champion_checks(tallies: Tallies, tally: Tally, segment: str) -> Iterator[GateCheck]:
    champion_tally = tally_of(tallies, "test", segment, "champion")
    if not champion_tally.rows:
        return
    challenger, champion = metrics.compute_metrics(tally), metrics.predictor_metrics(champion_tally)
    gains = metrics.improvement(challenger, champion)
    intervals = paired_bootstrap(
        daily_tallies(tallies, "test", segment), daily_tallies(tallies, "test", segment, "champion")
    )
    for metric in CHAMPION_METRICS:
        gain, interval = getattr(gains, metric), intervals[metric]
        is_worse = gain is None or (interval.high < 0 if interval else gain < 0)
        message = (
            f"{_metric_label(metric)} {_format_metric(getattr(challenger, metric))}, "
            f"champion {_format_metric(getattr(champion, metric))}"
        )
        if interval:
            message += f", 95 % interval of the improvement {interval.low:+.4f} to {interval.high:+.4f}"
        name = f"not worse than the champion ({_metric_label(metric)})"
        yield GateCheck(name=name, passed=not is_worse, message=message)


@dataclass(frozen=True, kw_only=True, order=True)
class _SliceMargin:
    """How far the AUC of a slice is above its limit. The smallest margin sorts first."""

    margin: float
    slice: str
    auc: float
    reference_auc: float

    @property
    def limit(self) -> float:
        """The lowest AUC that passes."""
        return self.auc - self.margin


def _slice_check(tallies: Tallies, segment: str, dataset: Dataset) -> GateCheck:
    """Compare the AUC in each slice with the AUC of the champion. Without a champion, use 0.5."""
    champion_slices = slice_tallies(tallies, "test", segment, "champion")
    margins = [
        margin
        for (name, value), tally in slice_tallies(tallies, "test", segment).items()
        if name != "day"
        and (
            margin := _slice_margin(
                dataset.slice_label(name, value), tally, champion_slices.get((name, value))
            )
        )
    ]
    check = "not worse in any slice"
    if not margins:
        return GateCheck(name=check, passed=True, message="no slice has enough trips of both classes")
    worst = min(margins)
    reference = "champion" if champion_slices else "random ranking"
    message = (
        f"AUC {worst.auc:.4f} in slice {worst.slice}, at least {worst.limit:.4f} required "
        f"({reference} {worst.reference_auc:.4f} minus {SLICE_STANDARD_ERRORS} standard errors)"
    )
    return GateCheck(name=check, passed=worst.margin >= 0, message=message)


def _slice_margin(label: str, tally: Tally, champion: Tally | None) -> _SliceMargin | None:
    """Return the margin of a slice, or None if the slice does not have enough trips."""
    area = metrics.auc(tally.negatives, tally.positives)
    if tally.rows < MIN_SLICE_TRIPS or area is None or not metrics.has_enough_for_auc(tally):
        return None
    champion_area = metrics.auc(champion.negatives, champion.positives) if champion else None
    reference = champion_area or 0.5
    # Both models score the same trips, but the standard errors are combined as if the two AUCs were
    # independent. The limit is therefore too low rather than too high.
    errors = (metrics.auc_standard_error(part) for part in (tally, champion) if part)
    margin = area - reference + SLICE_STANDARD_ERRORS * math.hypot(*errors)
    return _SliceMargin(margin=margin, slice=label, auc=area, reference_auc=reference)


def _metric_label(name: str) -> str:
    return {"auc": "AUC", "f1": "F1"}.get(name, name.replace("_", " "))


def _format_metric(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
