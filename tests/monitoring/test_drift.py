"""The histograms that have drift, and the reference range of a rate."""

import pytest

from tests.support.trips import make_trips
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.monitoring.drift import histograms_by_feature, reference_range
from toytip.stages import featurize, profile


def test_histograms_of_the_data_check_have_no_drift():
    features = featurize.featurize(make_trips({}, {}), TLC)
    names = set(histograms_by_feature(profile.profile(features, TLC), TLC))
    assert names == {declared.name for declared in TLC.features}


def test_a_reference_range_is_as_wide_as_the_reference_months_differ():
    narrow = reference_range([0.02])
    assert (narrow.low, narrow.high) == pytest.approx((0.01, 0.03))
    assert narrow.distance_outside(0.035) == pytest.approx(0.005)
    assert narrow.distance_outside(0.015) == 0
    assert reference_range([0.1, 0.2, 0.3]).distance_outside(0.45) == 0
    assert reference_range([0.0, 0.0]).distance_outside(0.009) == 0
