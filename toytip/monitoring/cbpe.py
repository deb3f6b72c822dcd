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

from toytip.core.arrays import Float64Array
from toytip.evaluation import metrics
from toytip.evaluation.tally import Tally


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


@dataclass(frozen=True, kw_only=True)
class EstimatedMetrics:
    """The expected metrics of trips without labels; None if a metric is undefined."""

    prevalence: float | None
    """Expected share of trips with a high tip."""
    auc: float | None
    """Expected area under the ROC curve."""
    log_loss: float | None
    """Expected log loss, in nats."""
    f1: float | None
    """Expected F1 at the decision threshold."""


def estimate_metrics(tally: Tally, calibration: Float64Array) -> EstimatedMetrics:
    """Return the expected prevalence, AUC, log loss and F1 of trips, from their probabilities and decisions alone.

    `calibration` is what `fit_calibration` gave. No label is looked at.
    """
    trips = tally.negatives + tally.positives
    rows = int(trips.sum())
    if not rows:
        return EstimatedMetrics(prevalence=None, auc=None, log_loss=None, f1=None)
    positives, negatives = trips * calibration, trips * (1 - calibration)
    # What the decisions cut off: the bins above the threshold, and of its own bin what is left.
    decided = tally.true_positives + tally.false_positives
    above = np.cumsum(trips[::-1])[::-1]
    cut = np.clip(decided - (above - trips), 0, trips)
    hits = float((cut * calibration).sum())
    centre = (np.arange(len(trips)) + 0.5) / len(trips)
    loss = -(positives * np.log(centre) + negatives * np.log1p(-centre)).sum()
    return EstimatedMetrics(
        prevalence=float(positives.sum()) / rows,
        auc=metrics.auc(negatives, positives),
        log_loss=float(loss) / rows,
        f1=2 * hits / (decided + float(positives.sum())) if decided + positives.sum() else None,
    )
