"""The warnings of a report: findings that a reader should see first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.dataset.words import ReportWords
from toytip.core.text import plural, verb
from toytip.evaluation.report import Interval, SegmentReport
from toytip.report import alerts, formatting
from toytip.report.facts import Facts

# A larger share of rejected trips causes a warning.
MAX_REJECT_SHARE = 0.05
# A month causes a warning if its share of rejected trips is larger than this multiple of the share
# in the median month, and also larger than the minimum.
UNUSUAL_REJECT_FACTOR = 3
MIN_UNUSUAL_REJECT_SHARE = 0.01
# Metrics on fewer test trips are imprecise.
MIN_TEST_TRIPS = 5_000
MAX_CALIBRATION_ERROR = 0.05
# A larger difference between training and test AUC suggests overfitting.
MAX_OVERFIT_AUC_GAP = 0.05
# A baseline whose AUC is higher by this much counts as better, regardless of the interval.
CLEAR_AUC_GAP = 0.01

# The AUC of these two baselines is not compared with the AUC of the model: the always-positive
# baseline is compared by F1, and the promotion gate compares the model with the champion.
BASELINES_WITHOUT_FINDING = ("always_positive", "champion")

# Data that the report could not read: its name in the warning, and the section with the details.
UNREADABLE = {
    "model": ("the model", "run"),
    "evaluation": ("metrics", "metrics"),
    "features": ("feature distributions", "features"),
    "training": ("the learning curve", "training"),
    "time": ("time and memory", "time"),
    "importance": ("feature importance", "importance"),
}


class Finding(NamedTuple):
    """A warning, and the ID of the section with the details."""

    text: str
    section: str


def collect_findings(facts: Facts) -> list[Finding]:
    """Return all warnings without duplicates, most important first."""
    findings = [
        *_failure_findings(facts),
        *_gate_findings(facts),
        *_alert_findings(facts),
        *_leakage_findings(facts),
        *_quality_findings(facts),
        *_row_findings(facts),
        *_training_findings(facts),
    ]
    return list(dict.fromkeys(findings))


def unreadable_sections(facts: Facts) -> Iterator[Finding]:
    """Yield a finding for existing data that cannot be read, for example from a damaged file."""
    for name in facts.failed_sections:
        label, section = UNREADABLE.get(name, (name, name))
        yield Finding(f"cannot read {label}: {facts.missing_reasons[name]}", section)


def _failure_findings(facts: Facts) -> Iterator[Finding]:
    for text, section in unreadable_sections(facts):
        yield Finding(f"{formatting.capitalize_first(text)}.", section)


def _gate_findings(facts: Facts) -> Iterator[Finding]:
    promotion = facts.run_result.promotion if facts.run_result else None
    if promotion and promotion.is_rejected:
        reasons = "; ".join(promotion.promotion_reasons)
        yield Finding(f"The promotion gate did not promote the model: {reasons}.", "run")


def _alert_findings(facts: Facts) -> Iterator[Finding]:
    if facts.monitoring is None:
        return
    words = facts.monitoring.words
    for alert in facts.monitoring.active_alerts:
        yield Finding(f"Monitoring alert in {alert.month}: {alerts.alert_text(alert, words)}.", "drift")
    for warning in facts.monitoring.warnings:
        yield Finding(f"{formatting.capitalize_first(warning)}.", "drift")


def _leakage_findings(facts: Facts) -> Iterator[Finding]:
    for name, auc in facts.leakage_aucs.items():
        yield Finding(
            f"Possible target leakage: feature {name} alone has an AUC of {auc:.4f}. "
            "Check that its value is known at prediction time.",
            "importance",
        )


def _quality_findings(facts: Facts) -> Iterator[Finding]:
    split = facts.reported_split
    for segment, evaluation in facts.evaluation.get(split, {}).items():
        # A model that was trained on a segment is not meant for other trips.
        if facts.reported_segment in (ALL_ROWS, segment):
            yield from _segment_findings(split, segment, evaluation, facts.words)
    reported = facts.evaluation.get(split, {})
    for segment in facts.daily_tallies:
        if reported and segment not in reported:
            yield Finding(
                f"No trip of the {split} split is in the segment {segment}, which has no metrics.", "metrics"
            )
    train = facts.evaluation.get("train", {}).get(facts.segment or "all")
    tested = facts.evaluation_of(facts.segment or "all")
    if train and tested and split != "train":
        yield from _overfit_findings(split, train.metrics.auc, tested.metrics.auc)


def _overfit_findings(split: str, train_auc: float | None, auc: float | None) -> Iterator[Finding]:
    if train_auc is not None and auc is not None and train_auc - auc > MAX_OVERFIT_AUC_GAP:
        yield Finding(
            f"The AUC is {train_auc:.4f} on training trips and {auc:.4f} on {split} trips. "
            f"The gap suggests overfitting, or drift between the training and {split} months.",
            "metrics",
        )


def _segment_findings(
    split: str, segment: str, evaluation: SegmentReport, words: ReportWords
) -> Iterator[Finding]:
    metrics, trips = evaluation.metrics, f"{segment} trips of the {split} split"
    if metrics.rows < MIN_TEST_TRIPS:
        count = plural(metrics.rows, "trip")
        yield Finding(
            f"The metrics on {trips} are imprecise: there {verb(metrics.rows, 'is', 'are')} only {count}.",
            "metrics",
        )
    if evaluation.intervals.get("auc") is None:
        text = f"The metrics on {trips} have no confidence intervals, which need trips of at least 7 days."
        yield Finding(text, "metrics")
    f1, baseline_f1 = metrics.f1, evaluation.f1_always_positive
    if f1 is not None and baseline_f1 is not None and f1 < baseline_f1:
        yield Finding(
            f"F1 on {trips} is {f1:.4f}. F1 of the always-positive baseline is {baseline_f1:.4f}.", "metrics"
        )
    for baseline, improvement in evaluation.improvement.items():
        if baseline not in BASELINES_WITHOUT_FINDING and _is_clearly_worse(
            metrics.auc, improvement.auc, evaluation.intervals.get("auc")
        ):
            yield Finding(
                f"The {formatting.baseline_label(baseline, words)} baseline has a higher AUC than the model on {trips}, "
                f"by {-(improvement.auc or 0.0):.4f}.",
                "metrics",
            )
    if (evaluation.calibration_error or 0) > MAX_CALIBRATION_ERROR:
        yield Finding(
            f"The expected calibration error on {trips} is {evaluation.calibration_error:.3f}.", "ranking"
        )


def _is_clearly_worse(auc: float | None, improvement: float | None, interval: Interval | None) -> bool:
    """Return whether the model is clearly worse than a baseline.

    The AUC of the baseline is then above the interval of the model, or at least CLEAR_AUC_GAP above
    the AUC of the model.
    """
    if auc is None or improvement is None:
        return False
    return improvement <= -CLEAR_AUC_GAP or (interval is not None and auc - improvement > interval.high)


def _row_findings(facts: Facts) -> Iterator[Finding]:
    if facts.run_result and facts.run_result.origin.synthetic:
        yield Finding("The trips are synthetic. The results say nothing about real trips.", "run")
    shares = {month: 1 - rows.accepted / rows.read for month, rows in facts.rows.items() if rows.read}
    if "rejects" in facts.missing_reasons or not shares:
        return
    read = sum(rows.read for rows in facts.rows.values())
    rejected = read - sum(rows.accepted for rows in facts.rows.values())
    if rejected / read > MAX_REJECT_SHARE:
        yield Finding(f"{formatting.format_share(rejected / read)} of the trips were rejected.", "rows")
    usual = sorted(shares.values())[len(shares) // 2]
    for month, share in shares.items():
        if share > max(UNUSUAL_REJECT_FACTOR * usual, MIN_UNUSUAL_REJECT_SHARE):
            yield Finding(
                f"{formatting.format_share(share)} of the trips in {month} were rejected. "
                f"In the median month, {formatting.format_share(usual)} were rejected.",
                "rows",
            )


def _training_findings(facts: Facts) -> Iterator[Finding]:
    params = facts.config.get("models", {})
    if facts.rounds is not None and facts.split and "validation" not in facts.split:
        yield Finding(
            "There is no validation month, so training could not stop early and the decision threshold is 0.5.",
            "training",
        )
    elif facts.rounds is not None and facts.rounds == params.get("rounds"):
        yield Finding(
            f"The last of {plural(facts.rounds, 'round')} was the best. More rounds may improve the model.",
            "training",
        )


def checked_topics(facts: Facts) -> Sequence[str]:
    """Return the topics that were checked, to list them in a report without warnings."""
    topics = {
        "the promotion gate": facts.run_result is not None and facts.run_result.promotion is not None,
        "monitoring": facts.monitoring is not None,
        "baselines": bool(facts.evaluation),
        "target leakage": "encodings" in facts.tables,
        "rejected trips": bool(facts.rows) and "rejects" not in facts.missing_reasons,
    }
    return [topic for topic, checked in topics.items() if checked]
