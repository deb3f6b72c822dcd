"""Add a decision to `scores`, at a threshold that is tuned on the validation month.

The probabilities do not change, so that the log loss is that of the model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.tables import PREDICTIONS, SCORES

DEFAULT_THRESHOLD = 0.5


def best_f1_threshold(negatives: npt.NDArray[np.int64], positives: npt.NDArray[np.int64]) -> float:
    """Return the threshold with the best F1, from trip counts in equal bins of [0, 1].

    Among equally good thresholds, the highest one is best, because it predicts fewer high tips. The
    threshold is 0.5 if no trip is positive.
    """
    if not positives.sum():
        return DEFAULT_THRESHOLD
    true_positives, false_positives = (np.cumsum(counts[::-1])[::-1] for counts in (positives, negatives))
    f1 = 2 * true_positives / (true_positives + false_positives + positives.sum())
    best = len(f1) - 1 - int(np.argmax(f1[::-1]))
    return best / len(f1)


def postprocess(scores: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Return `predictions`, row for row: a high tip if the probability reaches the threshold."""
    SCORES.validate(scores)
    decided = scores.assign(prediction=scores["probability"] >= np.float32(threshold))
    return PREDICTIONS.validate(decided[PREDICTIONS.names])
