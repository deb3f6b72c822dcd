"""Estimate metrics of trips without labels: confidence-based performance estimation (CBPE).

If probabilities are calibrated, seven of ten trips with a probability of 0.7 have a positive label.
The probabilities alone therefore give the expected confusion matrix, and the metrics. The
probabilities are calibrated first, on trips with labels that the model was not trained on.

The method is that of NannyML: Bialek, Kuberski, Perrakis and Bifet, "Estimating Model Performance
Under Covariate Shift Without Labels", 2024, arXiv:2401.08348.

The estimate accounts for covariate shift (different trips), but not for concept drift (a different
relation between features and tip). A gap between estimated and realized metrics indicates concept
drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toytip.core.arrays import Float64Array, Int64Array
from toytip.evaluation import metrics
from toytip.evaluation.tally import Tally


@dataclass(frozen=True, kw_only=True)
class EstimatedMetrics:
    """Metrics of a model on a set of trips, estimated without labels."""

    prevalence: float | None = None
    """Estimated share of positive labels. Null without trips."""
    auc: float | None = None
    """Estimated AUC. Null without trips, or if all calibrated probabilities are 0 or all
    are 1."""
    log_loss: float | None = None
    """Estimated log loss. Null without trips."""
    f1: float | None = None
    """Estimated F1. Null without trips, or if no positive label is expected and none is
    predicted."""


def fit_calibration(reference: Tally) -> Float64Array | None:
    """Return the calibrated rate of positive labels in each probability bin (isotonic regression).

    A share is never smaller than the share of a bin with a lower probability. Returns None if the
    reference has trips of one class only.
    """
    trips = reference.negatives + reference.positives
    if not 0 < reference.positives.sum() < trips.sum():
        return None
    has_trips = trips > 0
    shares = isotonic_means(reference.positives[has_trips] / trips[has_trips], trips[has_trips])
    bins = np.arange(len(trips))
    return np.asarray(np.interp(bins, bins[has_trips], shares), np.float64)


def isotonic_means(values: Float64Array, weights: Int64Array) -> Float64Array:
    """Return the non-decreasing values that are closest to `values`, by least squares.

    The function merges neighbors with decreasing values into blocks, in the same order of additions
    as scikit-learn. The import of scikit-learn would take longer than the rest of the monitoring.
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, and position after the block
    position, end = 0, len(values)
    while position < end:
        mean, weight = float(values[position]), float(weights[position])
        position += 1
        if blocks and blocks[-1][0] >= mean:
            earlier_mean, earlier_weight, _ = blocks.pop()
            total = earlier_weight * earlier_mean + weight * mean
            weight += earlier_weight
            while position < end and total / weight >= values[position]:
                total += float(weights[position]) * float(values[position])
                weight += float(weights[position])
                position += 1
            while blocks and blocks[-1][0] >= total / weight:
                earlier_mean, earlier_weight, _ = blocks.pop()
                total += earlier_weight * earlier_mean
                weight += earlier_weight
            mean = total / weight
        blocks.append((mean, weight, position))
    sizes = np.diff([0, *(stop for _, _, stop in blocks)])
    return np.repeat(np.array([mean for mean, _, _ in blocks], np.float64), sizes)


def estimate_metrics(tally: Tally, calibration: Float64Array) -> EstimatedMetrics:
    """Estimate the metrics from predicted probabilities and decisions, without labels.

    `calibration` is the result of `fit_calibration`.
    """
    trips = tally.negatives + tally.positives
    rows = int(trips.sum())
    if not rows:
        return EstimatedMetrics()
    positives, negatives = trips * calibration, trips * (1 - calibration)
    decided = tally.true_positives + tally.false_positives
    hits = float((_positive_decisions(trips, decided) * calibration).sum())
    center = (np.arange(len(trips)) + 0.5) / len(trips)
    loss = -(positives * np.log(center) + negatives * np.log1p(-center)).sum()
    return EstimatedMetrics(
        prevalence=float(positives.sum()) / rows,
        auc=metrics.auc(negatives, positives),
        log_loss=float(loss) / rows,
        f1=2 * hits / (decided + float(positives.sum())) if decided + positives.sum() else None,
    )


def _positive_decisions(trips: Int64Array, decided: int) -> Int64Array:
    """Return the number of trips with a positive decision in each probability bin.

    The `decided` trips with the highest probabilities have a positive decision. The threshold can
    be inside a bin, so that only some of its trips have a positive decision.
    """
    above = np.cumsum(trips[::-1])[::-1] - trips
    return np.asarray(np.clip(decided - above, 0, trips), np.int64)
