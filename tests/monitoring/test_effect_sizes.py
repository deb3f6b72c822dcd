"""Effect sizes agree with SciPy, and do not grow with the number of trips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toytip.monitoring import effect_sizes

counts = st.lists(st.integers(0, 10**6), min_size=2, max_size=30).filter(any).map(np.array)


@given(counts, st.data())
def test_effect_sizes_agree_with_scipy(expected, data):
    actual = np.array(
        data.draw(st.lists(st.integers(0, 10**6), min_size=len(expected), max_size=len(expected)).filter(any))
    )
    values = np.sort(np.random.default_rng(1).normal(size=len(expected)))
    distance = effect_sizes.wasserstein(values, expected, actual)
    assert distance == pytest.approx(stats.wasserstein_distance(values, values, expected, actual), abs=1e-9)
    gap = np.abs(np.cumsum(expected) / expected.sum() - np.cumsum(actual) / actual.sum()).max()
    assert effect_sizes.ks(expected, actual) == pytest.approx(gap)
    assert effect_sizes.psi(expected, actual) == pytest.approx(effect_sizes.psi(actual, expected))
    assert effect_sizes.psi(expected, expected) == 0 <= effect_sizes.psi(expected, actual)


@given(counts)
def test_effect_sizes_do_not_grow_with_the_number_of_trips(expected):
    actual = expected[::-1]
    values = np.arange(len(expected)).astype(float)
    for size in (effect_sizes.ks, lambda a, b: effect_sizes.wasserstein(values, a, b)):
        assert size(expected, actual) == pytest.approx(size(100 * expected, 100 * actual))


def test_the_psi_of_two_shares():
    psi = (0.5 - 0.75) * np.log(0.5 / 0.75) + (0.5 - 0.25) * np.log(0.5 / 0.25)
    assert effect_sizes.psi(
        np.array([7_500_000, 2_500_000]), np.array([5_000_000, 5_000_000])
    ) == pytest.approx(psi, rel=1e-4)


def test_quantile_groups_are_even_and_rare_categories_are_merged():
    expected, _ = effect_sizes.quantile_groups(np.full(100, 10), np.full(100, 10))
    assert expected.tolist() == [100] * 10
    tolls, _ = effect_sizes.quantile_groups(np.array([950, *[1] * 50]), np.array([950, *[1] * 50]))
    assert tolls.tolist() == [950, 50]
    reference, month = effect_sizes.merge_rare(np.array([500, 494, 3, 3, 0]), np.array([1, 2, 3, 4, 5]))
    assert (reference.tolist(), month.tolist()) == ([6, 500, 494], [12, 1, 2])


def test_one_mistyped_fare_is_not_drift():
    values, reference = np.array([5.0, 10, 20, 30, 1e6]), np.array([30, 40, 20, 10, 0])
    clipped, std = effect_sizes.clip_outliers(values, reference)
    month = 1000 * reference + [0, 0, 0, 0, 1]
    assert effect_sizes.wasserstein(clipped, 1000 * reference, month) / std < 0.001
