"""Effect sizes: how far two distributions are apart, from counts. They say how much, not how surely.

A test of significance finds any two months of millions of trips different, and every one of its p-values is zero. An effect
size does not grow with the rows: what is told is whether the difference is large enough to matter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toytip.core.arrays import Float64Array, Int64Array

# Groups of about equal weight that a number's values are put in, as is usual for the stability index.
QUANTILE_GROUPS = 10
# A category with a smaller share in the reference is put together with the other rare ones.
RARE_SHARE = 0.01
# Where the middle half of the reference is one value, as of tolls, its standard deviation is the spread.
NORMAL_IQR_IN_STDS = 1.349
# Values farther than so many spreads outside the reference's 0.1 and 99.9 % count as lying there.
OUTLIER_STDS = 5


def psi(expected: Int64Array, actual: Int64Array) -> float:
    """Return the population stability index of counts by group: the sum of (a - e) ln(a / e) over their shares a and e.

    It is Jeffreys' divergence, symmetric and 0 for equal shares (Lewis, 1994; Siddiqi, 2006). Half a trip is added to every
    group, so that an empty one does not make it infinite.
    """
    e, a = ((side + 0.5) / (side.sum() + 0.5 * len(side)) for side in (expected, actual))
    return float(((a - e) * np.log(a / e)).sum())


def ks(expected: Int64Array, actual: Int64Array) -> float:
    """Return the Kolmogorov-Smirnov statistic of counts by value, in order: the largest gap between both shares so far."""
    e, a = _cumulative_shares(expected), _cumulative_shares(actual)
    return float(np.abs(e - a).max())


def wasserstein(values: Float64Array, expected: Int64Array, actual: Int64Array) -> float:
    """Return how far a trip has to be moved on average to make one distribution the other, in units of the values.

    The first Wasserstein distance of counts by value, in order of the values.
    """
    gap = np.abs(_cumulative_shares(expected) - _cumulative_shares(actual))
    return float((gap[:-1] * np.diff(values)).sum())


def _cumulative_shares(counts: Int64Array) -> Float64Array:
    below = np.cumsum(counts)
    return np.asarray(below / below[-1], np.float64)


def quantile(values: Float64Array, counts: Int64Array, share: float) -> float:
    """Return the value that a share of the trips does not exceed."""
    below = np.cumsum(counts)
    return float(values[min(np.searchsorted(below, share * below[-1]), len(values) - 1)])


def robust_std(values: Float64Array, counts: Int64Array) -> float:
    """Return how wide a distribution is: its interquartile range as of a normal's deviation, or its deviation; 1 if it has none."""
    middle = quantile(values, counts, 0.75) - quantile(values, counts, 0.25)
    if middle > 0:
        return middle / NORMAL_IQR_IN_STDS
    mean = (values * counts).sum() / counts.sum()
    deviation = float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))
    return deviation or 1.0


def clip_outliers(values: Float64Array, expected: Int64Array) -> tuple[Float64Array, float]:
    """Return the values, with those that lie far outside of the reference drawn in, and the reference's spread.

    One mistyped fare would otherwise be most of a distance.
    """
    low, high = (quantile(values, expected, share) for share in (0.001, 0.999))
    wide = robust_std(np.clip(values, low, high), expected)
    return np.clip(values, low - OUTLIER_STDS * wide, high + OUTLIER_STDS * wide), wide


def quantile_groups(expected: Int64Array, actual: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Put counts by value, in order, into about ten groups of equal weight in the reference; a common value is one alone."""
    place = (np.cumsum(expected) - expected / 2) * QUANTILE_GROUPS // max(int(expected.sum()), 1)
    _, group = np.unique(place, return_inverse=True)
    return _sum_by_group(expected, group), _sum_by_group(actual, group)


def merge_rare(expected: Int64Array, actual: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Put the categories that are rare in the reference, or not there, into one."""
    rare = expected < RARE_SHARE * expected.sum()
    group = np.where(rare, 0, np.arange(1, len(expected) + 1))
    _, group = np.unique(group, return_inverse=True)
    return _sum_by_group(expected, group), _sum_by_group(actual, group)


def _sum_by_group(counts: Int64Array, group: npt.NDArray[np.int64]) -> Int64Array:
    found = np.zeros(int(group.max()) + 1, np.int64)
    np.add.at(found, group, counts)
    return found
