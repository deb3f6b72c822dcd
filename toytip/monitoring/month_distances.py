"""Compare the months in pairs, with allowance for sampling noise.

Each function returns a matrix: the distance of the month of each row from the month of each column.
The noise that two samples of these sizes have by chance is already subtracted, so that small months
need larger differences. If one of the two months has too few trips, the distance is 0.
"""

from __future__ import annotations

import numpy as np

from toytip.core.arrays import Float64Array, Int64Array
from toytip.monitoring import effect_sizes

# Allowance for noise in standard errors. A steady year has thousands of comparisons.
NOISE_DEVIATIONS = 4.0
# Mean absolute value of a standard normal variable, and its variance.
NORMAL_MEAN_ABS = float(np.sqrt(2 / np.pi))
NORMAL_ABS_VARIANCE = 1 - 2 / np.pi
# Distributions are compared only if both months have at least this many trips with a value.
MIN_TRIPS = 100
# A category has vanished if its share falls below this factor of the share in the other month.
VANISHED_FACTOR = 0.1
# A vanished category must have this many expected trips, so that it cannot vanish by chance.
MIN_EXPECTED_TRIPS = 50
# Bins per power of two for values outside of the range of another month.
BINS_PER_OCTAVE = 2
SMALLEST_VALUE = 0.01
# Copies: minimum number of compared bins, and minimum number of trips per bin in both months.
MIN_COPY_BINS = 100
MIN_COPY_TRIPS = 10


def share_excess(counts: Int64Array, totals: Int64Array) -> Float64Array:
    """Return by how much a share of the month exceeds the share of the other month."""
    share = _divide(counts, totals)
    gap = share[:, None] - share[None, :]
    return np.maximum(gap - NOISE_DEVIATIONS * _share_error(counts, totals), 0.0)


def share_change(counts: Int64Array, totals: Int64Array) -> Float64Array:
    """Return by how much a share of the month differs from the share of the other month."""
    excess = share_excess(counts, totals)
    return np.maximum(excess, excess.T)


def log_ratio(counts: Int64Array, units: Float64Array) -> Float64Array:
    """Return the absolute logarithm of the ratio between the counts per unit of two months."""
    rate = np.log(np.maximum(counts, 0.5) / units)
    error = NOISE_DEVIATIONS * np.sqrt(_pair_sum(1 / np.maximum(counts, 0.5)))
    return np.asarray(np.maximum(np.abs(rate[:, None] - rate[None, :]) - error, 0.0))


def mean_log_ratio(values: Float64Array, counts: Int64Array) -> Float64Array:
    """Return the absolute logarithm of the ratio between the mean sizes of nonzero values."""
    totals = counts[:, values != 0].sum(axis=1)
    mean = np.log(np.maximum(_divide(counts @ np.abs(values), totals), 1e-9))
    return _where_enough(np.abs(mean[:, None] - mean[None, :]), totals)


def moved_share(counts: Int64Array | Float64Array) -> Float64Array:
    """Return the share of trips that have another value than in the other month.

    This is the total variation distance: half of the sum of all differences between shares.
    """
    columns = [_total_variation(counts, counts[other]) for other in range(len(counts))]
    return _where_enough(np.stack(columns, axis=1), counts.sum(axis=1))


def moved_group_share(counts: Int64Array) -> Float64Array:
    """Return the share of trips that are in another quantile bin of the other month."""
    columns = []
    for other in counts:
        quantiles = (np.cumsum(other) - other / 2) * effect_sizes.QUANTILE_GROUPS // max(int(other.sum()), 1)
        starts = np.flatnonzero(np.diff(quantiles, prepend=-1))
        columns.append(
            _total_variation(np.add.reduceat(counts, starts, axis=1), np.add.reduceat(other, starts))
        )
    return _where_enough(np.stack(columns, axis=1), counts.sum(axis=1))


def wasserstein(values: Float64Array, counts: Int64Array) -> Float64Array:
    """Return the Wasserstein distance in robust standard deviations of the other month."""
    totals = counts.sum(axis=1)
    cumulative = np.cumsum(_divide(counts, totals[:, None]), axis=1)
    columns = []
    for other, row in enumerate(counts):
        if totals[other] < MIN_TRIPS:
            columns.append(np.zeros(len(counts)))
            continue
        clipped, std = effect_sizes.clip_outliers(values, row)
        middle = (cumulative + cumulative[other]) / 2
        error = np.sqrt(np.maximum(middle * (1 - middle), 0) * _pair_sum(_divide(1, totals))[other][:, None])
        gap = np.abs(cumulative - cumulative[other]) - NORMAL_MEAN_ABS * error
        columns.append(np.maximum(gap[:, :-1] @ np.diff(clipped), 0.0) / std)
    return _where_enough(np.stack(columns, axis=1), totals)


def new_share(counts: Int64Array) -> Float64Array:
    """Return the share of trips with values that the other month does not have."""
    totals = counts.sum(axis=1)
    share = _divide(counts, totals[:, None])
    unseen = share @ (counts == 0).T
    # The share of values that occur once estimates the share of values that chance left out.
    singles = (counts == 1).sum(axis=1) + 1.0
    chance = _divide(singles + NOISE_DEVIATIONS * np.sqrt(singles), totals)
    noise = chance[None, :] + NOISE_DEVIATIONS * np.sqrt(chance[None, :] * _divide(1, totals)[:, None])
    return _where_enough(np.maximum(unseen - noise, 0.0), totals)


def vanished_share(counts: Int64Array) -> Float64Array:
    """Return the share of trips of the other month in categories that the month lost."""
    totals = counts.sum(axis=1)
    share = _divide(counts, totals[:, None])
    columns = []
    for other in share:
        is_lost = (share < VANISHED_FACTOR * other) & (other * totals[:, None] >= MIN_EXPECTED_TRIPS)
        columns.append(is_lost @ other)
    return _where_enough(np.stack(columns, axis=1), totals)


def lost_variety(counts: Int64Array) -> Float64Array:
    """Return the share of trips without the most frequent value, if the month has hardly any."""
    rest = counts.sum(axis=1) - counts.max(axis=1)
    return vanished_share(np.stack([counts.max(axis=1), rest], axis=1))


def largest_spike(counts: Int64Array) -> Float64Array:
    """Return by how much the share of any single value exceeds its share in the other month."""
    totals = counts.sum(axis=1)
    share = _divide(counts, totals[:, None])
    columns = []
    for other, row in enumerate(share):
        variance = np.maximum(share, row) * _pair_sum(_divide(1, totals))[other][:, None]
        columns.append((share - row - NOISE_DEVIATIONS * np.sqrt(variance)).max(axis=1, initial=0.0))
    return _where_enough(np.stack(columns, axis=1), totals)


def copy_of_earlier(counts: Int64Array) -> Float64Array:
    """Return 1 for each earlier month that the month is too similar to, else 0.

    Two months with the same distribution differ by chance: their chi-squared statistic is about the
    number of compared values. In a copy, this ratio is close to 0.
    """
    totals = counts.sum(axis=1)
    result = np.zeros((len(counts), len(counts)))
    for month in range(1, len(counts)):
        for other in range(month):
            both = counts[month] + counts[other]
            used = both >= MIN_COPY_TRIPS
            if used.sum() < MIN_COPY_BINS or not totals[month] or not totals[other]:
                continue
            gap = counts[month, used] * totals[other] - counts[other, used] * totals[month]
            ratio = (gap / totals[month] / totals[other] * gap / both[used]).mean()
            result[month, other] = ratio < 0.5
    return result


def range_bins(values: Float64Array, counts: Int64Array) -> Int64Array:
    """Return the counts in coarse bins of the size and the sign of values."""
    octaves = np.log2(np.maximum(np.abs(values), SMALLEST_VALUE) / SMALLEST_VALUE)
    bins = np.sign(values) * (1 + np.floor(octaves * BINS_PER_OCTAVE))
    starts = np.flatnonzero(np.diff(bins, prepend=-np.inf))
    return np.asarray(np.add.reduceat(counts, starts, axis=1)) if len(values) else counts


def _total_variation(counts: Int64Array | Float64Array, other: Int64Array | Float64Array) -> Float64Array:
    totals, other_total = counts.sum(axis=1)[:, None], max(float(other.sum()), 1.0)
    both = (counts + other) / np.maximum(totals + other_total, 1.0)
    gap = np.abs(_divide(counts, totals) - other / other_total)
    variance = both * (1 - both) * (_divide(1, totals) + 1 / other_total)
    expected = np.minimum(NORMAL_MEAN_ABS * np.sqrt(variance), 2 * both).sum(axis=1)
    deviation = np.sqrt(NORMAL_ABS_VARIANCE * variance.sum(axis=1))
    moved = gap.sum(axis=1) - expected - NOISE_DEVIATIONS * deviation
    return np.asarray(np.maximum(moved, 0.0) / 2)


def _share_error(counts: Int64Array, totals: Int64Array) -> Float64Array:
    """Return the standard error of the difference between two shares."""
    share = _divide(_pair_sum(counts) + 1.0, _pair_sum(totals) + 2.0)
    return np.asarray(np.sqrt(share * (1 - share) * _pair_sum(1 / np.maximum(totals, 0.5))), np.float64)


def _where_enough(distance: Float64Array, totals: Int64Array | Float64Array) -> Float64Array:
    enough = np.asarray(totals >= MIN_TRIPS)
    return np.where(enough[:, None] & enough[None, :], distance, 0.0)


def _pair_sum(values: Int64Array | Float64Array) -> Float64Array:
    return np.asarray(values[:, None] + values[None, :], np.float64)


def _divide(
    numerator: Int64Array | Float64Array | int, denominator: Int64Array | Float64Array
) -> Float64Array:
    """Return the quotient, with denominators of at least 1."""
    return np.asarray(numerator / np.maximum(denominator, 1), np.float64)
