"""Target encodings of zones depend on earlier training months only."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.trips import make_trips
from toytip.core.splits import Split, TimeRange
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.stages import preprocess, target_encoding
from toytip.stages.featurize import featurize

SPLIT = Split(
    train=TimeRange("2023-01-01", "2023-04-01"),
    validation=TimeRange("2023-04-01", "2023-05-01"),
    test=TimeRange("2023-05-01", "2023-06-01"),
)
NAMES = TLC.target_rate_set("payment")


def year(rows=4_000, seed=0):
    """Return features of random trips from January to May, of few zones."""
    rng = np.random.default_rng(seed)
    trips = pd.concat([make_trips({})] * rows, ignore_index=True)
    seconds = rng.integers(0, 151 * 86_400, rows)
    trips["pickup_at"] = (pd.Timestamp("2023-01-01") + pd.to_timedelta(seconds, unit="s")).astype(
        "datetime64[us]"
    )
    trips["dropoff_at"] = trips["pickup_at"] + pd.Timedelta("20min")
    trips["PULocationID"], trips["DOLocationID"] = rng.integers(70, 75, (2, rows)).astype("float64")
    for name in ("PULocationID", "DOLocationID"):
        trips[name] = trips[name].astype("float32")
    trips["payment_type"] = rng.choice([1.0, 2.0], rows).astype("float32")
    trips["tip_amount"] = rng.choice([0.0, 4.0], rows)
    return featurize(trips, TLC)


def encoding_of(parts):
    value_counts = preprocess.ValueCounts.empty(("pickup_hour",), TLC)
    for part in parts:
        value_counts = value_counts.merge(preprocess.count_values(part, ("pickup_hour",), SPLIT, "all", TLC))
    return preprocess.fit_encoding(value_counts, SPLIT, "all", TLC, NAMES)


def rates_of(features, encoding):
    return pd.DataFrame(target_encoding.lookup_rates(features, encoding.target_history, NAMES, TLC))


def test_the_rates_of_a_month_come_from_card_trips_of_earlier_training_months():
    features = year()
    rates = rates_of(features, encoding_of([features]))
    month = features["pickup_at"].dt.month
    assert rates[month == 1].isna().all(axis=None)
    # April is not a training month, so that May has the same rates.
    for index, until in ((2, 2), (3, 3), (4, 4), (5, 4)):
        earlier = features[(month < until) & (features["payment_type"] == 1)]
        mean_rate = earlier["high_tip"].mean()
        for pu, do in ((70, 71), (74, 74)):
            rows = (month == index) & (features["PULocationID"] == pu) & (features["DOLocationID"] == do)
            for name, same_zone in (
                ("pickup_zone_rate", earlier["PULocationID"] == pu),
                ("dropoff_zone_rate", earlier["DOLocationID"] == do),
                ("zone_pair_rate", (earlier["PULocationID"] == pu) & (earlier["DOLocationID"] == do)),
            ):
                expected = (earlier["high_tip"][same_zone].sum() + 20 * mean_rate) / (same_zone.sum() + 20)
                assert rates.loc[rows, name].to_numpy() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("month", [1, 2, 3, 4, 5])
def test_the_rates_of_a_month_do_not_depend_on_its_labels_or_later_ones(month):
    features = year()
    late = features["pickup_at"].dt.month >= month
    other = features.copy()
    other.loc[late, "high_tip"] = np.random.default_rng(1).permutation(other.loc[late, "high_tip"])
    assert (other["high_tip"] != features["high_tip"]).any()
    encoded, encoded_again = (preprocess.encode(f, encoding_of([f]))[list(NAMES)] for f in (features, other))
    till = features["pickup_at"].dt.month <= month
    pd.testing.assert_frame_equal(encoded[till], encoded_again[till])
    assert month > 2 or not encoded.equals(encoded_again), "labels of training months change later rates"


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=3), st.randoms())
def test_partitions_and_their_order_do_not_matter(cuts, random):
    features = year(400)
    edges = [0, *sorted(cuts), 400]
    parts = [features.iloc[a:b].reset_index(drop=True) for a, b in pairwise(edges)]
    expected = encoding_of([features])
    matrix = pd.concat([preprocess.encode(part, expected) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(matrix, preprocess.encode(features, expected))
    random.shuffle(parts)
    assert encoding_of(parts) == expected


def test_a_single_trip_has_the_same_rates():
    features = year(300)
    encoding = encoding_of([features])
    matrix = preprocess.encode(features, encoding)
    for row in (0, 7, 299):
        alone = preprocess.encode(features.iloc[[row]].reset_index(drop=True), encoding)
        assert alone.iloc[0].tolist() == matrix.iloc[row].tolist()


def test_unknown_zones_have_the_mean_rate_and_without_card_trips_there_are_no_rates():
    features = year(500).assign(DOLocationID=np.int32(9_999))
    encoding = encoding_of([year(500)])
    rates = rates_of(features, encoding)
    has_rate = rates["zone_pair_rate"].notna()
    # One rate for each of February, March, and all later months.
    assert rates["dropoff_zone_rate"][has_rate].nunique() == 3
    assert encoding_of([year(500).assign(payment_type=np.float32(2))]).feature_names == ("pickup_hour",)


def test_packed_counts_are_exact():
    counts = target_encoding.count_months_and_keys(year(), TLC)
    packed = target_encoding.pack_counts(*counts)
    assert all(
        np.array_equal(a, b) for a, b in zip(target_encoding._unpack_counts(packed), counts, strict=True)
    )
    assert TLC.target_rate_set("seed") == ()
    assert TLC.target_rate_set("pickup") == ("pickup_zone_rate",)


@pytest.mark.parametrize("spread", [3, 10_000_000])
def test_dense_and_sparse_counts_are_equal(spread):
    rng = np.random.default_rng(0)
    items, label = rng.integers(5, 5 + spread, 2_000), rng.random(2_000) < 0.3
    distinct, trips, positives = target_encoding.count_labeled(items, label)
    assert distinct.tolist() == sorted(set(items.tolist()))
    assert trips.tolist() == [int((items == item).sum()) for item in distinct]
    assert positives.tolist() == [int(((items == item) & label).sum()) for item in distinct]
