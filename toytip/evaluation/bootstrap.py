"""Compute intervals of metrics by a bootstrap that resamples whole days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toytip.core.arrays import Float64Array
from toytip.evaluation.metrics import HIGHER_IS_BETTER
from toytip.evaluation.report import Interval
from toytip.evaluation.tally import LOSS_SCALE, Tally

BOOTSTRAP_RESAMPLES = 500
# Fewer days are too few to estimate the variation between days.
MIN_BOOTSTRAP_DAYS = 7
INTERVAL_METRICS = ("auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "prevalence")


def bootstrap_intervals(days: Sequence[Tally], seed: int = 0) -> dict[str, Interval | None]:
    """Return the 95 % interval of each metric, by resampling whole days.

    Days are resampled because trips of the same day are not independent. Intervals are percentiles
    of `BOOTSTRAP_RESAMPLES` bootstrap resamples (Efron, 1979). An interval is None with fewer
    than `MIN_BOOTSTRAP_DAYS` days.
    """
    if len(days) < MIN_BOOTSTRAP_DAYS:
        return dict.fromkeys(INTERVAL_METRICS)
    resampled = _bootstrap_metrics(days, seed)
    return {name: _interval(resampled[name]) for name in INTERVAL_METRICS}


def paired_bootstrap(
    model_days: Sequence[Tally], baseline_days: Sequence[Tally], seed: int = 0
) -> dict[str, Interval | None]:
    """Return the 95 % interval of the improvement over a second model on the same days, by metric.

    A positive improvement is better for every metric. Each resample uses the same days for both
    models, so that a day that is difficult for both does not widen the interval.
    """
    if len(model_days) < MIN_BOOTSTRAP_DAYS:
        return dict.fromkeys(HIGHER_IS_BETTER)
    model, baseline = (_bootstrap_metrics(days, seed) for days in (model_days, baseline_days))
    return {
        name: _interval(model[name] - baseline[name] if higher else baseline[name] - model[name])
        for name, higher in HIGHER_IS_BETTER.items()
    }


def _bootstrap_metrics(days: Sequence[Tally], seed: int) -> dict[str, Float64Array]:
    rng = np.random.default_rng(seed)
    probabilities = np.full(len(days), 1 / len(days))
    weights = rng.multinomial(len(days), probabilities, BOOTSTRAP_RESAMPLES).astype(np.float64)
    negatives, positives = (
        weights @ np.stack([getattr(day, side) for day in days]) for side in ("negatives", "positives")
    )
    sums = {
        name: weights @ np.array([float(getattr(day, name)) for day in days])
        for name in ("true_positives", "false_positives", "log_loss", "squared_error")
    }
    return _metrics_by_resample(negatives, positives, sums)


def _metrics_by_resample(
    negatives: Float64Array, positives: Float64Array, sums: dict[str, Float64Array]
) -> dict[str, Float64Array]:
    """Return each metric as one value per resample. The counts have shape (resamples, bins)."""
    positive, negative = positives.sum(axis=1), negatives.sum(axis=1)
    rows = positive + negative
    true_positives, false_positives = sums["true_positives"], sums["false_positives"]
    below = np.cumsum(negatives, axis=1) - negatives
    positives_above, negatives_above = (
        np.cumsum(counts[:, ::-1], axis=1) for counts in (positives, negatives)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = positives_above / np.maximum(positives_above + negatives_above, 1)
        return {
            "auc": (positives * (below + negatives / 2)).sum(axis=1) / (positive * negative),
            "pr_auc": (precision * positives[:, ::-1]).sum(axis=1) / positive,
            "log_loss": sums["log_loss"] / LOSS_SCALE / rows,
            "brier": sums["squared_error"] / LOSS_SCALE / rows,
            "f1": 2 * true_positives / (true_positives + false_positives + positive),
            "precision": true_positives / (true_positives + false_positives),
            "recall": true_positives / positive,
            "prevalence": positive / rows,
        }


def _interval(values: Float64Array) -> Interval | None:
    valid = values[~np.isnan(values)]
    if not len(valid):
        return None
    low, high = np.percentile(valid, [2.5, 97.5])
    return Interval(float(low), float(high))
