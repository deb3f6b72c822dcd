"""Metric histograms by split, segment and evaluation slice."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.scored_trips import ENCODING, scored_trips, tallies_of
from toytip.core.columns import columns_of
from toytip.datasets.tlc.zones import ZONE_ID_COUNT
from toytip.evaluation.tally import Tally, slice_tallies, tally_of


def test_slices_contain_all_trips():
    scores, features = scored_trips()
    tallies = tallies_of(scores, features)
    total = tally_of(tallies, "test", "card")
    by_slice = slice_tallies(tallies, "test", "card")
    names = {name for name, _ in by_slice}
    assert names == {
        "day",
        "distance",
        "airport",
        "hour",
        "weekday",
        "payment_type",
        "rate_code",
        "vendor",
    }
    for slice_name in names:
        parts = [tally for (name, _), tally in by_slice.items() if name == slice_name]
        assert sum(part.rows for part in parts) == total.rows
        assert sum(part.log_loss for part in parts) == total.log_loss
        assert sum(part.true_positives for part in parts) == total.true_positives
    assert {value for name, value in by_slice if name == "payment_type"} == {"1"}
    long_trips = features[
        (scores["split"] == "test") & (features["trip_distance"].between(5, 10, inclusive="left"))
    ]
    assert by_slice["distance", "5-10 miles"].rows == (long_trips["payment_type"] == 1).sum()


def test_borough_slices_need_the_zone_table():
    scores, features = scored_trips(500)
    boroughs = tuple("Queens" if zone % 2 else "Bronx" for zone in range(ZONE_ID_COUNT))
    by_slice = slice_tallies(tallies_of(scores, features, boroughs=boroughs), "train", "all")
    rows_by_borough = {value: tally.rows for (name, value), tally in by_slice.items() if name == "borough"}
    rows = features[scores["split"] == "train"]
    assert rows_by_borough == {
        "Queens": (rows["PULocationID"] % 2 == 1).sum(),
        "Bronx": (rows["PULocationID"] % 2 == 0).sum(),
    }


def test_missing_values_are_a_separate_slice():
    scores, features = scored_trips(500)
    features.loc[:99, "RatecodeID"] = np.nan
    key = ("rate_code", "missing")
    by_split = [
        slice_tallies(tallies_of(scores, features), split, "all") for split in ("train", "validation", "test")
    ]
    assert sum(by_slice[key].rows for by_slice in by_split if key in by_slice) == 100


def test_certain_predictions_have_a_finite_loss():
    scores, features = scored_trips(10)
    tallies = tallies_of(scores.assign(probability=np.float32(1), high_tip=False), features)
    assert all(isinstance(tally, Tally) and 0 < tally.log_loss < 2**45 for tally in tallies.values())
    without_rates = replace(ENCODING, baseline_rates=())
    assert without_rates.baseline_rate(columns_of(features.iloc[:2])).tolist() == pytest.approx([0.4, 0.4])
