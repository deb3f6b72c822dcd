"""warn: what a reader should know before all else, from what is known already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toytip.evaluation.report import Interval, SegmentReport
from toytip.report import alerts, formatting
from toytip.report.facts import Facts

# Of so many trips rejected, somebody should look why; a month that rejects so many times the usual share, too.
MAX_REJECT_SHARE = 0.05
UNUSUAL_REJECT_FACTOR = 3
MIN_UNUSUAL_REJECT_SHARE = 0.01
# With fewer test trips, metrics say little.
MIN_TEST_TRIPS = 5_000
MAX_CALIBRATION_ERROR = 0.05
# An AUC so much better on the training months than on the test months: the model knows its rows by heart.
MAX_OVERFIT_AUC_GAP = 0.05
# A baseline that is so much better in AUC is better, whatever the interval.
CLEAR_AUC_GAP = 0.01

# The always-positive baseline is compared by its F1, the champion by the gate.
BASELINES_WITHOUT_FINDING = ("always_positive", "champion")

# What the version has, and could not be told: in words, and the section that would tell it.
SECTION_LABELS = {
    "model": ("the model", "ran"),
    "evaluation": ("metrics", "metrics"),
    "features": ("features by month", "features"),
    "training": ("the training curve", "training"),
    "time": ("time and memory", "time"),
    "leaning": ("what the model leans on", "leaning"),
}

Finding = tuple[str, str]


def collect_findings(facts: Facts) -> list[Finding]:
    """Return what to look at first, each line with the section that tells more."""
    found = [
        *_failure_findings(facts),
        *_gate_findings(facts),
        *_alert_findings(facts),
        *_quality_findings(facts),
        *_row_findings(facts),
        *_training_findings(facts),
    ]
    return list(dict.fromkeys(found))


def unreadable_sections(facts: Facts) -> Iterator[Finding]:
    """Yield what the version has and this page cannot tell: a damaged file, say. What it never had is no fault."""
    for name in facts.failed_sections:
        what, where = SECTION_LABELS.get(name, (name, name))
        yield f"{what} cannot be told: {facts.missing_reasons[name]}", where


def _failure_findings(facts: Facts) -> Iterator[Finding]:
    for line, where in unreadable_sections(facts):
        yield f"{formatting.capitalize_first(line)}.", where


def _gate_findings(facts: Facts) -> Iterator[Finding]:
    told = (facts.run_result.promotion if facts.run_result else None) or {}
    if told.get("decision") in ("refused", "would stay challenger"):
        yield f"The gate has not promoted the model: {'; '.join(told['reasons'])}.", "ran"


def _alert_findings(facts: Facts) -> Iterator[Finding]:
    if facts.monitoring is None:
        return
    for alert in facts.monitoring.active_alerts:
        yield f"Monitoring alert in {alert.month}: {alerts.alert_text(alert)}.", "drift"
    for warning in facts.monitoring.warnings:
        yield f"{formatting.capitalize_first(warning)}.", "drift"


def _quality_findings(facts: Facts) -> Iterator[Finding]:
    for name, value in facts.leakage_aucs.items():
        line = f"Feature {name} alone reaches an AUC of {value:.4f}: it knows the tip, or nearly."
        yield f"{line} Is it known at its moment?", "leaning"
    split = facts.reported_split
    for population, told in facts.evaluation.get(split, {}).items():
        if facts.reported_segment == "card" and population == "all":  # cash is none of its business
            continue
        yield from _segment_findings(split, population, told)
    train = facts.evaluation.get("train", {}).get(facts.segment or "all")
    shown = facts.evaluation_of(facts.segment or "all")
    if train and shown and split != "train":
        a, b = train.metrics.auc, shown.metrics.auc
        if a is not None and b is not None and a - b > MAX_OVERFIT_AUC_GAP:
            yield (
                f"The AUC is {a:.4f} on the training rows and {b:.4f} on {split}: learned by heart, or the months differ.",
                "metrics",
            )


def _segment_findings(split: str, segment: str, evaluation: SegmentReport) -> Iterator[Finding]:
    values, trips = evaluation.metrics, f"{segment} trips of {split}"
    if values.rows < MIN_TEST_TRIPS:
        yield (
            f"Only {formatting.format_count(values.rows)} {trips}: the metrics can be off by much.",
            "metrics",
        )
    if evaluation.intervals.get("auc") is None:
        yield f"The metrics of {trips} have no intervals: fewer than seven days.", "metrics"
    f1, baseline_f1 = values.f1, evaluation.f1_always_positive
    if f1 is not None and baseline_f1 is not None and f1 < baseline_f1:
        yield (
            f"F1 of {trips} is {f1:.4f}, below the {baseline_f1:.4f} of the always-positive baseline.",
            "metrics",
        )
    for baseline, gain in evaluation.improvement.items():
        if baseline not in BASELINES_WITHOUT_FINDING and _is_clearly_worse(
            values.auc, gain.auc, evaluation.intervals.get("auc")
        ):
            yield (
                f"The baseline {formatting.label(baseline)} ranks {trips} better than the model, by {-(gain.auc or 0.0):.4f} of AUC.",
                "metrics",
            )
    if (evaluation.calibration_error or 0) > MAX_CALIBRATION_ERROR:
        yield f"Probabilities of {trips} are {evaluation.calibration_error:.3f} off on average.", "curves"


def _is_clearly_worse(auc: float | None, gain: float | None, interval: Interval | None) -> bool:
    """Tell whether a baseline's AUC is above the interval of the model's, or above it by what nobody would call chance."""
    if auc is None or gain is None:
        return False
    return gain <= -CLEAR_AUC_GAP or (interval is not None and auc - gain > interval.high)


def _row_findings(facts: Facts) -> Iterator[Finding]:
    if facts.run_result and facts.run_result.origin.synthetic:
        yield "The trips are synthetic: nothing here says anything of real passengers.", "ran"
    rates = {month: 1 - told.kept / told.read for month, told in facts.rows.items() if told.read}
    if "rejects" in facts.missing_reasons or not rates:
        return
    read = sum(told.read for told in facts.rows.values())
    rejected = read - sum(told.kept for told in facts.rows.values())
    if rejected / read > MAX_REJECT_SHARE:
        yield f"{formatting.format_share(rejected / read)} of the trips were rejected.", "rows"
    usual = sorted(rates.values())[len(rates) // 2]
    for month, rate in rates.items():
        if rate > max(UNUSUAL_REJECT_FACTOR * usual, MIN_UNUSUAL_REJECT_SHARE):
            yield (
                f"{month} rejects {formatting.format_share(rate)} of its trips, where {formatting.format_share(usual)} is usual.",
                "rows",
            )


def _training_findings(facts: Facts) -> Iterator[Finding]:
    asked = facts.config.get("models", {})
    if facts.rounds is not None and facts.split and "validation" not in facts.split:
        yield "There was no validation month: no early stop, and the threshold is 0.5.", "training"
    elif facts.rounds is not None and facts.rounds == asked.get("rounds"):
        yield f"The last of {facts.rounds} rounds was the best: more rounds may do better.", "training"


def checked_topics(facts: Facts) -> Sequence[str]:
    """Return what was looked at, for a page without warnings."""
    looked = {
        "the gate": facts.run_result is not None and facts.run_result.promotion is not None,
        "monitoring": facts.monitoring is not None,
        "baselines": bool(facts.evaluation),
        "leaks": "encodings" in facts.tables,
        "rejects": bool(facts.rows) and "rejects" not in facts.missing_reasons,
    }
    return [name for name, done in looked.items() if done]
