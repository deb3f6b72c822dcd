"""Add a decision to `scores`, at a threshold that is tuned on the validation month.

The threshold does not change the probabilities, so the log loss does not depend on the threshold.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.dataset.dataset import Dataset
from toytip.core.tables import PREDICTIONS, SCORES

DEFAULT_THRESHOLD = 0.5


def best_f1_threshold(negatives: npt.NDArray[np.int64], positives: npt.NDArray[np.int64]) -> float:
    """Return the threshold with the best F1, from trip counts in equal bins of [0, 1].

    Among equally good thresholds, the highest is returned, because it predicts the fewest high
    tips. if no label is positive, the threshold is 0.5.
    """
    if not positives.sum():
        return DEFAULT_THRESHOLD
    true_positives, false_positives = (np.cumsum(counts[::-1])[::-1] for counts in (positives, negatives))
    f1 = 2 * true_positives / (true_positives + false_positives + positives.sum())
    best = len(f1) - 1 - int(np.argmax(f1[::-1]))
    return best / len(f1)


def postprocess(scores: pd.DataFrame, threshold: float, dataset: Dataset) -> pd.DataFrame:
    """Return `predictions`: a positive label for every probability of at least `threshold`."""
    dataset.table(SCORES).validate(scores)
    predictions = dataset.table(PREDICTIONS)
    decided = scores.assign(prediction=scores["probability"] >= np.float32(threshold))
    return predictions.validate(decided[predictions.names])
