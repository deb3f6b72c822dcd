"""Compute effect sizes: how different two distributions are, from counts.

With millions of trips, a significance test finds a difference between any two months, and the
p-value is close to zero. An effect size does not grow with the number of trips, and shows whether
the difference is large enough to matter.
"""

from __future__ import annotations

import numpy as np

from toytip.core.arrays import Float64Array, Int64Array

# Number of quantile bins of a numeric feature. Ten bins are usual for the PSI.
QUANTILE_GROUPS = 10
# Categories with a smaller share in the reference are merged into one category.
RARE_SHARE = 0.01
# The interquartile range of a normal distribution, in standard deviations.
NORMAL_IQR_IN_STDS = 1.349
# Values are clipped at this distance from the 0.1 % and the 99.9 % quantile of the reference.
OUTLIER_STDS = 5


def psi(expected: Int64Array, actual: Int64Array) -> float:
    """Return the population stability index: the sum of (a - e) ln(a / e) over all groups.

    `e` and `a` are the shares of a group in `expected` and `actual`. The index is symmetric, and 0
    for equal shares (Jeffreys' divergence, see Lewis, 1994, and Siddiqi, 2006). Half a trip is
    added to each group, so that the index is finite.
    """
    e, a = ((side + 0.5) / (side.sum() + 0.5 * len(side)) for side in (expected, actual))
    return float(((a - e) * np.log(a / e)).sum())


def ks(expected: Int64Array, actual: Int64Array) -> float:
    """Return the Kolmogorov-Smirnov statistic of two lists of counts, in ascending order of values.

    The statistic is the largest difference between the two cumulative distributions.
    """
    return float(np.abs(_cumulative_shares(expected) - _cumulative_shares(actual)).max())


def wasserstein(values: Float64Array, expected: Int64Array, actual: Int64Array) -> float:
    """Return the first Wasserstein distance of two lists of counts, in the unit of the values.

    The distance is the area between the two cumulative distributions. The values must be in
    ascending order.
    """
    gap = np.abs(_cumulative_shares(expected) - _cumulative_shares(actual))
    return float((gap[:-1] * np.diff(values)).sum())


def quantile(values: Float64Array, counts: Int64Array, share: float) -> float:
    """Return the smallest value that is not exceeded by at least `share` of the trips."""
    cumulative = np.cumsum(counts)
    return float(values[min(np.searchsorted(cumulative, share * cumulative[-1]), len(values) - 1)])


def robust_std(values: Float64Array, counts: Int64Array) -> float:
    """Return a standard deviation that is robust to outliers: the interquartile range / 1.349.

    If the interquartile range is 0, as for tolls, the result is the ordinary standard deviation. If
    all values are equal, the result is 1.
    """
    iqr = quantile(values, counts, 0.75) - quantile(values, counts, 0.25)
    if iqr > 0:
        return iqr / NORMAL_IQR_IN_STDS
    mean = (values * counts).sum() / counts.sum()
    std = float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))
    return std or 1.0


def clip_outliers(values: Float64Array, expected: Int64Array) -> tuple[Float64Array, float]:
    """Return clipped values, and the robust standard deviation of the reference.

    Without clipping, one mistyped fare could cause most of a Wasserstein distance.
    """
    low, high = (quantile(values, expected, share) for share in (0.001, 0.999))
    std = robust_std(np.clip(values, low, high), expected)
    return np.clip(values, low - OUTLIER_STDS * std, high + OUTLIER_STDS * std), std


def quantile_groups(expected: Int64Array, actual: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Merge the counts into about ten groups, which are quantile bins of the reference.

    A value with more trips than a bin is a group of its own.
    """
    quantiles = (np.cumsum(expected) - expected / 2) * QUANTILE_GROUPS // max(int(expected.sum()), 1)
    _, group = np.unique(quantiles, return_inverse=True)
    return _sum_by_group(expected, group), _sum_by_group(actual, group)


def merge_rare(expected: Int64Array, actual: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Merge the counts of all categories that are rare or absent in the reference."""
    is_rare = expected < RARE_SHARE * expected.sum()
    group = np.where(is_rare, 0, np.arange(1, len(expected) + 1))
    _, group = np.unique(group, return_inverse=True)
    return _sum_by_group(expected, group), _sum_by_group(actual, group)


def _cumulative_shares(counts: Int64Array) -> Float64Array:
    cumulative = np.cumsum(counts)
    return np.asarray(cumulative / cumulative[-1], np.float64)


def _sum_by_group(counts: Int64Array, group: Int64Array) -> Int64Array:
    sums = np.zeros(int(group.max()) + 1, np.int64)
    np.add.at(sums, group, counts)
    return sums
