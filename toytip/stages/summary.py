"""summary: `predictions` -> a tally for each split."""

from __future__ import annotations

import numpy as np
import pandas as pd

from toytip.tally import BINS, UNIT, Summary, Tally

# A probability of exactly 0 or 1 would make the log loss infinite; the clip is scikit-learn's for float32.
EPSILON = float(np.finfo(np.float32).eps)


def summarize(predictions: pd.DataFrame) -> Summary:
    """Return the tally of every split that the predictions have."""
    return {str(name): _tally(rows) for name, rows in predictions.groupby("split", sort=True)}


def _tally(rows: pd.DataFrame) -> Tally:
    chance, label = rows["probability"].to_numpy(), rows["high_tip"].to_numpy()
    decided = rows["prediction"].to_numpy()
    place = np.minimum((chance * BINS).astype(np.int64), BINS - 1)
    clipped = np.clip(chance.astype(np.float64), EPSILON, 1 - EPSILON)
    loss = -np.log(np.where(label, clipped, 1 - clipped))
    return Tally(
        np.bincount(place[~label], minlength=BINS),
        np.bincount(place[label], minlength=BINS),
        int((decided & label).sum()),
        int((decided & ~label).sum()),
        int(np.rint(loss * UNIT).astype(np.int64).sum()),
        int(np.rint((chance.astype(np.float64) - label) ** 2 * UNIT).astype(np.int64).sum()),
    )
