"""evaluate: a summary -> metrics of every split, with intervals, beside trivial baselines, by population and slice."""

from __future__ import annotations

from typing import Any

from toytip.evaluation import metrics
from toytip.evaluation.metrics import Baseline, Metrics
from toytip.evaluation.tally import (
    MIN_SLICE_TRIPS,
    SEGMENTS,
    Tallies,
    Tally,
    daily_tallies,
    slice_tallies,
    tally_of,
)

EVALUATED_SPLITS = ("train", "validation", "test")
MAX_WORST_SLICES = 5


def metrics_by_split(summary: Tallies, segment: str = "all") -> dict[str, Metrics]:
    """Return the metrics of the splits train, validation and test that have trips of the population."""
    found = {name: tally_of(summary, name, segment) for name in EVALUATED_SPLITS}
    return {name: metrics.compute_metrics(tally) for name, tally in found.items() if tally.rows}


def evaluation_report(summary: Tallies, baseline: Baseline) -> dict[str, dict[str, Any]]:
    """Return, for every split and both populations: metrics, intervals, baselines, lifts, calibration, slices."""
    found: dict[str, dict[str, Any]] = {}
    for split in EVALUATED_SPLITS:
        for population in SEGMENTS:
            tally = tally_of(summary, split, population)
            if tally.rows:
                found.setdefault(split, {})[population] = _segment_report(
                    summary, split, population, tally, baseline
                )
    return found


def _segment_report(
    summary: Tallies, split: str, segment: str, tally: Tally, baseline: Baseline
) -> dict[str, Any]:
    values = metrics.compute_metrics(tally)
    rated = metrics.with_threshold(tally_of(summary, split, segment, "hour_zone"), baseline.threshold)
    baselines = {
        "always_yes": metrics.always_positive_metrics(tally),
        "base_rate": metrics.constant_probability_metrics(tally, baseline.rate),
        "hour_zone": {name: metrics.compute_metrics(rated)[name] for name in metrics.HIGHER_IS_BETTER},
    }
    champion = tally_of(summary, split, segment, "champion")
    if champion.rows:
        measured = metrics.compute_metrics(champion)
        baselines["champion"] = {name: measured[name] for name in metrics.HIGHER_IS_BETTER}
    error, bands = metrics.calibration_bands(tally)
    parts = {
        key: part
        for key, part in sorted(slice_tallies(summary, split, segment).items())
        if key[0] != "day" and part.rows >= MIN_SLICE_TRIPS
    }
    told = {key: _slice_report(*key, part) for key, part in parts.items()}
    ranked = [told[key] for key, part in parts.items() if metrics.has_enough_for_auc(part)]
    return {
        "metrics": values,
        "auc_error": metrics.auc_binning_error(tally.negatives, tally.positives),
        "intervals": metrics.bootstrap_intervals(daily_tallies(summary, split, segment)),
        "baselines": baselines,
        "lift": {name: metrics.improvement(values, trivial) for name, trivial in baselines.items()},
        "confusion": metrics.confusion_counts(tally),
        "ece": error,
        "calibration": bands,
        "curve": metrics.threshold_curve(tally),
        "slices": list(told.values()),
        "worst": sorted(ranked, key=lambda each: each["auc"])[:MAX_WORST_SLICES],
    }


def _slice_report(name: str, value: str, tally: Tally) -> dict[str, Any]:
    values = metrics.compute_metrics(tally)
    kept = ("rows", "prevalence", "auc", "log_loss", "f1", "f1_always_yes")
    return {
        "slice": name,
        "value": value,
        **{metric: values[metric] for metric in kept},
        "auc_error": metrics.auc_binning_error(tally.negatives, tally.positives),
    }
