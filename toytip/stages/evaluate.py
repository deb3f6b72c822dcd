"""evaluate: a summary -> metrics of every split, with intervals, beside trivial baselines, by population and slice."""

from __future__ import annotations

from typing import Any

from toytip import metrics
from toytip.metrics import Baseline, Metrics
from toytip.tally import POPULATIONS, SUPPORT, Summary, Tally, days, select, slices

SPLITS = ("train", "valid", "test")
WORST = 5


def evaluate(summary: Summary, population: str = "all") -> dict[str, Metrics]:
    """Return the metrics of the splits train, valid and test that have trips of the population."""
    found = {name: select(summary, name, population) for name in SPLITS}
    return {name: metrics.measure(tally) for name, tally in found.items() if tally.rows}


def report(summary: Summary, baseline: Baseline) -> dict[str, dict[str, Any]]:
    """Return, for every split and both populations: metrics, intervals, baselines, lifts, calibration, slices."""
    found: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        for population in POPULATIONS:
            tally = select(summary, split, population)
            if tally.rows:
                found.setdefault(split, {})[population] = _report(summary, split, population, tally, baseline)
    return found


def _report(
    summary: Summary, split: str, population: str, tally: Tally, baseline: Baseline
) -> dict[str, Any]:
    values = metrics.measure(tally)
    rated = metrics.decided_at(select(summary, split, population, "hour_zone"), baseline.threshold)
    baselines = {
        "always_yes": metrics.always_yes(tally),
        "base_rate": metrics.base_rate(tally, baseline.rate),
        "hour_zone": {name: metrics.measure(rated)[name] for name in metrics.HIGHER_IS_BETTER},
    }
    champion = select(summary, split, population, "champion")
    if champion.rows:
        measured = metrics.measure(champion)
        baselines["champion"] = {name: measured[name] for name in metrics.HIGHER_IS_BETTER}
    error, bands = metrics.calibration(tally)
    parts = {
        key: part
        for key, part in sorted(slices(summary, split, population).items())
        if key[0] != "day" and part.rows >= SUPPORT
    }
    told = {key: _slice(*key, part) for key, part in parts.items()}
    ranked = [told[key] for key, part in parts.items() if metrics.ranked(part)]
    return {
        "metrics": values,
        "auc_error": metrics.auc_error(tally.negatives, tally.positives),
        "intervals": metrics.intervals(days(summary, split, population)),
        "baselines": baselines,
        "lift": {name: metrics.lift(values, trivial) for name, trivial in baselines.items()},
        "confusion": metrics.confusion(tally),
        "ece": error,
        "calibration": bands,
        "curve": metrics.curve(tally),
        "slices": list(told.values()),
        "worst": sorted(ranked, key=lambda each: each["auc"])[:WORST],
    }


def _slice(name: str, value: str, tally: Tally) -> dict[str, Any]:
    values = metrics.measure(tally)
    kept = ("rows", "prevalence", "auc", "log_loss", "f1", "f1_always_yes")
    return {
        "slice": name,
        "value": value,
        **{metric: values[metric] for metric in kept},
        "auc_error": metrics.auc_error(tally.negatives, tally.positives),
    }
