"""postprocess: `scores` -> `predictions`: a decision for every trip, at a threshold tuned on validation.

Probabilities stay as the model gives them, so that their log loss is the model's own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.tables import PREDICTIONS, SCORES

DEFAULT_THRESHOLD = 0.5


def best_f1_threshold(negatives: npt.NDArray[np.int64], positives: npt.NDArray[np.int64]) -> float:
    """Return the threshold with the best F1, from counts of trips by bin of probability (equal bins of [0, 1]).

    Of equally good thresholds the highest, which decides for fewer trips; 0.5 where no trip is positive.
    """
    if not positives.sum():
        return DEFAULT_THRESHOLD
    hits, alarms = (np.cumsum(counts[::-1])[::-1] for counts in (positives, negatives))
    f1 = 2 * hits / (hits + alarms + positives.sum())
    best = len(f1) - 1 - int(np.argmax(f1[::-1]))
    return best / len(f1)


def postprocess(scores: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Return `predictions` of `scores`, row for row: high tip where the probability reaches the threshold."""
    SCORES.validate(scores)
    decided = scores.assign(prediction=scores["probability"] >= np.float32(threshold))
    return PREDICTIONS.validate(decided[PREDICTIONS.names])
