"""estimate: how well a model does on trips whose labels are not there yet, from its own probabilities.

Confidence-based performance estimation: where probabilities are calibrated, of trips with a probability of 0.7 seven in
ten will have a high tip, so every count of the confusion matrix can be expected. The probabilities are calibrated first, on
trips with labels that the model has not learned from. (Bialek, Kuberski, Perrakis and Bifet, "Estimating Model Performance
Under Covariate Shift Without Labels", 2024, arXiv:2401.08348; NannyML's documentation of CBPE.)

It sees other trips, not another meaning: where labels hang on the trips in another way than before, estimate and outcome
part, and the gap between them is the sign of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toytip.core.arrays import Float64Array, Int64Array
from toytip.evaluation import metrics
from toytip.evaluation.tally import Tally


@dataclass(frozen=True, kw_only=True)
class EstimatedMetrics:
    """Metrics of trips, estimated without labels."""

    prevalence: float | None = None
    """Estimated share of high tips. Null without trips."""
    auc: float | None = None
    """Estimated AUC. Null without trips."""
    log_loss: float | None = None
    """Estimated log loss. Null without trips."""
    f1: float | None = None
    """Estimated F1. Null without trips."""


def fit_calibration(reference: Tally) -> Float64Array | None:
    """Return for every bin of probability the share of high tips, never falling, as the reference has it (isotonic regression).

    None where the reference has not both classes.
    """
    from sklearn.isotonic import IsotonicRegression

    trips = reference.negatives + reference.positives
    if not 0 < reference.positives.sum() < trips.sum():
        return None
    there = trips > 0
    bins = np.arange(len(trips))
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
        bins[there], reference.positives[there] / trips[there], sample_weight=trips[there]
    )
    return np.asarray(fitted.predict(bins), np.float64)


def estimate_metrics(tally: Tally, calibration: Float64Array) -> EstimatedMetrics:
    """Estimate metrics from the predicted probabilities and decisions alone, without labels.

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
    """Return how many trips of each bin have a positive decision: the `decided` most probable ones.

    The threshold can be within a bin, so that only a part of its trips is positive.
    """
    above = np.cumsum(trips[::-1])[::-1] - trips
    return np.asarray(np.clip(decided - above, 0, trips), np.int64)
