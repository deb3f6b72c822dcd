"""The reference range of a rate."""

import pytest

from toytip.monitoring.drift import reference_range


def test_a_reference_range_is_as_wide_as_the_reference_months_differ():
    narrow = reference_range([0.02])
    assert (narrow.low, narrow.high) == pytest.approx((0.01, 0.03))
    assert narrow.distance_outside(0.035) == pytest.approx(0.005)
    assert narrow.distance_outside(0.015) == 0
    assert reference_range([0.1, 0.2, 0.3]).distance_outside(0.45) == 0
    assert reference_range([0.0, 0.0]).distance_outside(0.009) == 0
