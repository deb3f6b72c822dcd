"""Tallies of trips, and of counts, for tests of metrics."""

from __future__ import annotations

import numpy as np

from toytip.core.arrays import Float64Array
from toytip.evaluation.tally import LOSS_SCALE, SLICE_BINS, Tally


def tally_of_trips(
    probability: Float64Array, label: np.ndarray, threshold: float = 0.5, bins: int = SLICE_BINS
) -> Tally:
    """Return the tally of trips with these probabilities and labels."""
    index = np.minimum((probability * bins).astype(int), bins - 1)
    counts = [np.bincount(index[label == side], minlength=bins) for side in (False, True)]
    decided = probability >= threshold
    loss = -np.log(np.where(label, probability, 1 - probability))
    sums = (loss.sum(), ((probability - label) ** 2).sum(), loss[label].sum())
    return Tally(
        *counts,
        int((decided & label).sum()),
        int((decided & ~label).sum()),
        *(round(float(part) * LOSS_SCALE) for part in sums),
    )


def tally_of_rates(
    rows: int, tip_share: float, hit_rate: float, false_alarm_rate: float, loss: float
) -> Tally:
    """Return a tally with these rates. The log loss of high tips is twice that of the others."""
    positives = round(tip_share * rows)
    counts = np.zeros((2, SLICE_BINS), np.int64)
    counts[:, 0] = rows - positives, positives
    losses = round(loss * positives * LOSS_SCALE), round(loss / 2 * (rows - positives) * LOSS_SCALE)
    return Tally(
        *counts,
        round(hit_rate * positives),
        round(false_alarm_rate * (rows - positives)),
        sum(losses),
        0,
        losses[0],
    )
