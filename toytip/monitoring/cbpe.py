"""Estimate metrics of trips without labels: confidence-based performance estimation (CBPE).

If probabilities are calibrated, seven of ten trips with a probability of 0.7 have a high tip. The
probabilities alone therefore give the expected confusion matrix, and the metrics. The probabilities
are calibrated first, on trips with labels that the model was not trained on.

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
    """Estimated share of high tips. Null without trips."""
    auc: float | None = None
    """Estimated AUC. Null without trips, or if all calibrated probabilities are 0 or all
    are 1."""
    log_loss: float | None = None
    """Estimated log loss. Null without trips."""
    f1: float | None = None
    """Estimated F1. Null without trips, or if no high tip is expected and none is predicted."""


def fit_calibration(reference: Tally) -> Float64Array | None:
    """Return the calibrated share of high tips of each probability bin, by isotonic regression.

    A share is never smaller than the share of a bin with a lower probability. Returns None if the
    reference has trips of one class only.
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
