"""The wins and losses of toytip in a view, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from benchmarks.quality import AUC_MARGIN
from benchmarks.ratios import Ratio, paired_ratio
from benchmarks.results import Row
from docs.generate.page.views import Contestant, View
from toytip.report.formatting import format_signed

WIN, LOSS, UNDECIDED = "win", "loss", "undecided"
# The words for a win and for a loss of toytip, by metric.
WORDS = {
    "completion": ("has a result, unlike", "has no result, unlike"),
    "time": ("is faster than", "is slower than"),
    "memory": ("needs less memory than", "needs more memory than"),
    "quality": ("has a higher AUC than", "has a lower AUC than"),
}


@dataclass(frozen=True)
class Verdict:
    """The comparison of toytip with a contender, in one metric."""

    peer: str
    metric: str
    """`time`, `memory`, `quality`, or `completion` if one of both has no result."""
    outcome: str
    """`win`, `loss` or `undecided`, from the view of toytip."""
    text: str
    """Sentences that follow the name of the contender."""
    value: str
    """Ratio of time or memory, difference in AUC, or outcome of a contender that failed."""


def reference_of(view: View) -> Contestant | None:
    """Return the first contender that is toytip. Other contenders are compared with it."""
    return next((contestant for contestant in view.contestants if contestant.is_toytip), None)


def verdicts(view: View) -> list[Verdict]:
    """Return the comparisons of toytip with all other programs."""
    own = reference_of(view)
    peers = [contestant for contestant in view.contestants if not contestant.is_toytip]
    return [verdict for peer in peers if own is not None for verdict in _verdicts(view, own, peer)]


def _verdicts(view: View, own: Contestant, peer: Contestant) -> Iterator[Verdict]:
    if own.seconds is None or peer.seconds is None:
        yield from _unfinished(own, peer)
        return
    noise = " Other work used the machine." if own.noise or peer.noise else ""
    for verdict in (
        _ratio_verdict(view, own, peer, "time", "seconds", _seconds),
        _ratio_verdict(view, own, peer, "memory", "peak_mb", _megabytes),
    ):
        yield replace(verdict, text=f"{verdict.text}{noise}")
    yield _quality_verdict(own, peer)


def _unfinished(own: Contestant, peer: Contestant) -> Iterator[Verdict]:
    """Yield the verdict if one of both has no result. A program that was not run does not lose."""
    if own.seconds is not None and peer.failures:
        outcome = peer.failures[0].outcome
        verdict = UNDECIDED if outcome in ("not installed", "invalid") else WIN
        yield Verdict(peer.name, "completion", verdict, f"The engine has no result: {outcome}.", outcome)
    elif peer.seconds is not None and own.failures:
        outcome = own.failures[0].outcome
        yield Verdict(peer.name, "completion", LOSS, f"toytip has no result: {outcome}.", outcome)


def _ratio_verdict(
    view: View, own: Contestant, peer: Contestant, metric: str, column: str, form: Callable[[float], str]
) -> Verdict:
    figures = getattr(own, column), getattr(peer, column)
    ratio = _ratio(view.measured[own.name], view.measured[peer.name], column)
    values = ", compared with ".join(form(figure.value) for figure in figures)
    if ratio is None or ratio.pairs < 2:
        value = figures[0].value / figures[1].value
        text = f"toytip needs {value:.2f} times the {metric}: {values}. Measured once."
        return Verdict(peer.name, metric, UNDECIDED, text, f"{value:.2f}")
    outcome = UNDECIDED if not ratio.is_significant else LOSS if ratio.low > 1 else WIN
    interval = f"{ratio.low:.2f} to {ratio.high:.2f}"
    text = f"toytip needs {ratio.mean:.2f} times the {metric} ({interval}): {values}."
    return Verdict(peer.name, metric, outcome, text, f"{ratio.mean:.2f}")


def _ratio(own: list[Row], peer: list[Row], column: str) -> Ratio | None:
    """Return the ratio of two contenders, paired by repeat. None without a common repeat."""
    others = {row["repeat"]: row[column] for row in peer if row[column] > 0}
    pairs = [
        (row[column], others[row["repeat"]]) for row in own if row["repeat"] in others and row[column] > 0
    ]
    return paired_ratio(*map(list, zip(*pairs, strict=True))) if pairs else None


def _quality_verdict(own: Contestant, peer: Contestant) -> Verdict:
    """Compare the AUC. Only the paired difference of both on the same trips decides.

    Its interval covers the choice of the test days. The margin covers the bins and the row order.
    """
    assert own.auc is not None
    assert peer.auc is not None
    difference = own.auc.value - peer.auc.value
    direction = "higher" if difference >= 0 else "lower"
    found, outcome, interval = peer.auc_interval, UNDECIDED, "no interval was measured"
    if found is not None and found.to == own.name:
        low, high = -found.high, -found.low
        outcome = WIN if low > AUC_MARGIN else LOSS if high < -AUC_MARGIN else UNDECIDED
        interval = f"{format_signed(low)} to {format_signed(high)}"
    text = (
        f"The AUC of toytip is {abs(difference):.4f} {direction} ({interval}): "
        f"{own.auc.value:.4f}, compared with {peer.auc.value:.4f}."
    )
    return Verdict(peer.name, "quality", outcome, text, format_signed(difference))


def _seconds(value: float) -> str:
    return f"{value:,.1f} s"


def _megabytes(value: float) -> str:
    return f"{value:,.0f} MB"
