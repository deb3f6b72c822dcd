"""Tallies: counts from which every metric follows, and which merge exactly.

All is kept in whole numbers (losses in units of 2^-32), so that the order of merging never shows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

# Probabilities are counted in bins of 2^-14: thresholds are exact in float32, and the error that bins bring
# into the AUC is bounded by the pairs that share a bin (`evaluate.auc_error`).
BINS = 2**14
UNIT = 2.0**32

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts over the trips of one split.

    `negatives` and `positives` count trips by bin of probability; `true_positives` and `false_positives` at
    the decision; `log_loss` and `squared_error` are sums in units of 2^-32.
    """

    negatives: Counts
    positives: Counts
    true_positives: int
    false_positives: int
    log_loss: int
    squared_error: int

    @classmethod
    def empty(cls) -> Tally:
        """The neutral tally."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), 0, 0, 0, 0)

    def merge(self, other: Tally) -> Tally:
        """Return the tally of both sets of trips; associative and commutative, exactly."""
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays do not hash


Summary = dict[str, Tally]


def merge(a: Summary, b: Summary) -> Summary:
    """Merge two summaries, split by split."""
    neutral = Tally.empty()
    return {
        name: a.get(name, neutral).merge(b.get(name, neutral)) for name in [*a, *(n for n in b if n not in a)]
    }
