"""Feature histograms merge exactly and count every trip."""

from itertools import pairwise

import pandas as pd
from hypothesis import given, settings

from tests.stages.test_properties import accepted, cuts, trip_lists
from tests.support.trips import make_trips
from toytip.core.tables import FEATURE_HISTOGRAMS, FEATURES
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.stages import featurize, profile


@settings(max_examples=40, deadline=None)
@given(trip_lists, cuts)
def test_histograms_merge_exactly(trips, at):
    features = featurize.featurize(accepted(trips), TLC)
    edges = [0, *sorted(min(point, len(features)) for point in [*at, 3, 9][:2]), len(features)]
    a, b, c = (profile.profile(features.iloc[i:j].reset_index(drop=True), TLC) for i, j in pairwise(edges))
    complete, empty = profile.profile(features, TLC), FEATURE_HISTOGRAMS.empty()
    for pieces in (
        [profile.merge_profiles([a, b]), c],
        [a, profile.merge_profiles([b, c])],
        [c, b, a],
        [complete, empty],
        [empty, complete],
    ):
        pd.testing.assert_frame_equal(profile.merge_profiles(pieces), complete)
    pd.testing.assert_frame_equal(profile.merge_profiles([]), empty)
    if len(features):
        assert (complete.groupby("feature")["trips"].sum() == len(features)).all()


def test_a_histogram_counts_values_and_missing_values_and_sums_them():
    rows = [{"passenger_count": None}, {"passenger_count": 3}, {"payment_type": 2}, {"fare_amount": 1e12}]
    histograms = profile.profile(
        featurize.featurize(accepted(make_trips(*rows, {"PULocationID": 263})), TLC), TLC
    )
    by_feature = dict(tuple(histograms.groupby("feature")))
    passengers = by_feature["passenger_count"].sort_values(["in_segment", "value"]).to_numpy(object).tolist()
    assert [row[1:4] for row in passengers[:2]] == [[False, 1.0, 1], [True, 1.0, 2]]
    assert by_feature["passenger_count"]["value"].isna().sum() == 1
    assert set(by_feature["PULocationID"]["value"]) == {74.0, 263.0}
    assert by_feature["airport_fee"]["value"].isna().all()
    # A fare of 10^12 counts as a million in the sum.
    assert by_feature["fare_amount"]["value_sum"].sum() == (4 * 10 + 2**20) * 1024


def test_the_data_check_has_histograms_of_its_own():
    trips = make_trips(
        {}, {}, {"pickup_at": "2023-01-09 08:00:00", "dropoff_at": "2023-01-09 08:20:00", "tip_amount": 0}
    )
    histograms = profile.profile(featurize.featurize(accepted(trips), TLC), TLC)
    trips_by_value = {
        name: rows.groupby("value")["trips"].sum().to_dict()
        for name, rows in histograms.groupby("feature")
        if name in profile.CHECK_HISTOGRAMS
    }
    assert trips_by_value["day_of_month"] == {9: 1, 10: 2}
    assert trips_by_value["label"] == {0: 1, 1: 2}
    # Two equal trips are in the same bucket.
    assert sorted(trips_by_value["trip_hash"].values()) == [1, 2]


def test_no_trips_have_an_empty_histogram():
    pd.testing.assert_frame_equal(
        profile.profile(TLC.table(FEATURES).empty(), TLC), FEATURE_HISTOGRAMS.empty()
    )
