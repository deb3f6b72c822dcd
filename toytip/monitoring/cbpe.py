"""Confidence-based performance estimation (CBPE): the metrics of trips without labels.

If probabilities are calibrated, seven in ten trips with a probability of 0.7 have a high tip. The
expected confusion matrix follows from this. The probabilities are calibrated first, on trips with
labels that the model was not trained on (Bialek, Kuberski, Perrakis and Bifet, "Estimating Model
Performance Under Covariate Shift Without Labels", 2024, arXiv:2401.08348, as in NannyML).

The estimate accounts for covariate shift (different trips), but not for concept drift (a different
relation between features and tip). A gap between the estimate and the outcome is a sign of concept
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
    """Return the share of high tips of each probability bin, by isotonic regression.

    The shares never fall with the probability. None if the reference has one class only.
    """
    from sklearn.isotonic import IsotonicRegression

    trips = reference.negatives + reference.positives
    if not 0 < reference.positives.sum() < trips.sum():
        return None
    has_trips = trips > 0
    bins = np.arange(len(trips))
    regression = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
        bins[has_trips],
        reference.positives[has_trips] / trips[has_trips],
        sample_weight=trips[has_trips],
    )
    return np.asarray(regression.predict(bins), np.float64)


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
