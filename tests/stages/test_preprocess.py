"""The bins of the training rows, and the matrix of bin indexes."""

import json
from dataclasses import replace
from functools import reduce

import numpy as np
import pandas as pd
import pytest

from tests.support.scored_trips import SPLIT as SCORED_SPLIT
from tests.support.scored_trips import scored_trips
from tests.support.trips import make_trips
from toytip.core.model import Encoding, FeatureEncoding
from toytip.core.splits import Split, TimeRange
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import SourceError
from toytip.stages.featurize import featurize
from toytip.stages.preprocess import (
    BASELINE_SMOOTHING,
    BYTE_VALUES,
    MAX_EXACT_VALUES,
    QUANTILE_BINS,
    ValueCounts,
    _lookup_table,
    count_values,
    encode,
    fit_encoding,
    value_keys,
    values_of_keys,
)

SPLIT = Split(
    train=TimeRange("2023-01-01T00:00:00", "2023-01-15T00:00:00"),
    validation=None,
    test=TimeRange("2023-01-15T00:00:00", "2023-02-01T00:00:00"),
)
NAMES = TLC.feature_set("payment")


def features(*changes):
    return featurize(make_trips({"tip_amount": 0.0}, *changes), TLC)


def fit_on(frame, segment="all"):
    return fit_encoding(count_values(frame, NAMES, SPLIT, segment, TLC), SPLIT, segment, TLC)


def bins_of(encoding, name):
    return next(feature for feature in encoding.features if feature.name == name)


@pytest.mark.parametrize(
    ("second_month", "absent"), [([1.0, 1.0], False), ([None, 1.0], False), ([None, None], True)]
)
def test_a_feature_without_values_in_a_month_was_absent_in_training(second_month, absent):
    """The result does not depend on the partitions, and single missing values do not count."""
    split = replace(SPLIT, train=TimeRange("2023-01-01T00:00:00", "2023-03-01T00:00:00"))
    february = {"pickup_at": "2023-02-10 08:00:00", "dropoff_at": "2023-02-10 08:20:00"}
    parts = [
        features({"airport_fee": 1.0}, {}),
        *(features({"airport_fee": fee, **february}) for fee in second_month),
    ]
    parts = [part[part["pickup_at"].dt.month == (1 if index == 0 else 2)] for index, part in enumerate(parts)]
    counts = [count_values(part, NAMES, split, "all", TLC) for part in (*parts, parts[0].iloc[:0])]
    for order in (counts, counts[::-1]):
        encoding = fit_encoding(
            reduce(ValueCounts.merge, order, ValueCounts.empty(NAMES, TLC)), split, "all", TLC
        )
        assert bins_of(encoding, "airport_fee").absent_in_training is absent
        assert not bins_of(encoding, "fare_amount").absent_in_training
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding


def test_only_training_rows_are_fitted_on():
    late = {"pickup_at": "2023-01-20 08:00:00", "dropoff_at": "2023-01-20 08:20:00", "PULocationID": 99}
    encoding = fit_on(features({}, late))
    assert bins_of(encoding, "PULocationID").values == (74.0,)
    assert encoding.rows == 2


def test_few_values_have_exact_bins_and_others_are_unseen_or_missing():
    encoding = fit_on(features({"passenger_count": 1}, {"passenger_count": 3}))
    bins = bins_of(encoding, "passenger_count")
    assert (bins.values, bins.unseen_bin, bins.missing_bin, bins.bin_count) == ((1.0, 3.0), 2, 3, 4)
    frame = features(
        {"passenger_count": 3}, {"passenger_count": 2}, {"passenger_count": 9}, {"passenger_count": None}
    )
    assert encode(frame, encoding)["passenger_count"].tolist() == [0, 1, 2, 2, 3]


def test_many_values_get_quantile_bins():
    distances = np.linspace(0.1, 250, MAX_EXACT_VALUES * 4)
    encoding = fit_on(features(*({"trip_distance": d} for d in distances)))
    bins = bins_of(encoding, "trip_distance")
    assert not bins.exact
    assert len(bins.values) == QUANTILE_BINS - 1
    frame = features(*({"trip_distance": d} for d in distances))
    counts = encode(frame, encoding)["trip_distance"].value_counts()
    assert counts.max() <= 3 * counts.mean()
    edge = encode(features({"trip_distance": 300.0}), encoding)["trip_distance"].tolist()[1]
    assert edge == len(bins.values), "values above the training range are in the last bin"


def test_bin_indexes_have_the_order_of_the_values():
    distances = np.geomspace(0.01, 300, 999)
    encoding = fit_on(features(*({"trip_distance": d} for d in distances)))
    bins = encode(features(*({"trip_distance": d} for d in distances)), encoding)["trip_distance"][1:]
    assert bins.is_monotonic_increasing


def test_a_feature_without_training_values_is_left_out():
    encoding = fit_on(features({}))
    assert "airport_fee" not in encoding.feature_names
    assert "congestion_surcharge" in encoding.feature_names


def test_the_matrix_is_small_whole_numbers():
    encoding = fit_on(features({}))
    matrix = encode(features({"passenger_count": None}), encoding)
    assert set(matrix.dtypes.astype(str)) == {"uint8"}
    assert int(matrix.to_numpy().max()) < encoding.max_bin


def test_the_card_segment_is_fitted_on_card_trips():
    frame = features({}, {"payment_type": 2, "passenger_count": 6, "tip_amount": 0.0})
    assert 6.0 not in bins_of(fit_on(frame, "card"), "passenger_count").values


def test_keys_distinguish_values_to_12_bits():
    integers = pd.Series(np.arange(-4096, 4097), dtype="float32")
    assert values_of_keys(value_keys(integers)).tolist() == integers.tolist()
    values = pd.Series([-np.inf, *np.linspace(-50, 5000, 10_001), np.inf], dtype="float32")
    near = values_of_keys(value_keys(values))
    assert (np.diff(value_keys(values).astype(np.int64)) >= 0).all()
    assert [near[0], near[-1]] == [-np.inf, np.inf]
    assert (np.abs(near - values)[1:-1] <= np.abs(values)[1:-1] * 2**-11).all()
    assert value_keys(pd.Series([-0.0], dtype="float32")).tolist() == value_keys(pd.Series([0.0])).tolist()


@pytest.mark.parametrize("exact", [True, False])
def test_the_lookup_table_equals_a_search(exact):
    rng = np.random.default_rng(1)
    trained = values_of_keys(np.unique(value_keys(pd.Series(rng.normal(0, 40, 60), dtype="float32"))))
    values = pd.Series([*trained, *rng.normal(0, 60, 500), np.nan, np.inf, -np.inf, 0.0], dtype="float32")
    bins = FeatureEncoding(name="fare_amount", exact=exact, values=tuple(trained.tolist()))
    short = values_of_keys(value_keys(values))
    expected = np.searchsorted(trained, short, side="left" if exact else "right")
    if exact:
        expected = np.where(np.append(trained, np.nan)[expected] == short, expected, bins.unseen_bin)
    expected = np.where(values.isna(), bins.missing_bin, expected)
    assert _lookup_table(bins)[value_keys(values)].tolist() == expected.tolist()


def test_the_rarest_of_many_values_count_as_unseen():
    zones = [{"PULocationID": zone} for zone in range(1, 255)]
    frame = features(*zones * 8, {"PULocationID": 255}, {"PULocationID": 256})
    bins = bins_of(fit_on(frame), "PULocationID")
    assert (bins.exact, bins.bin_count) == (True, BYTE_VALUES)
    assert not {255.0, 256.0} & set(bins.values)
    matrix = encode(frame, fit_on(frame))
    assert matrix["PULocationID"].tolist()[-2:] == [bins.unseen_bin] * 2
    assert set(matrix.dtypes.astype(str)) == {"uint8"}


@pytest.mark.parametrize("rows", [[], [{"tip_amount": 0.0}]])
def test_training_rows_of_one_class_are_rejected(rows):
    frame = featurize(make_trips(*rows), TLC) if rows else features().iloc[:0]
    with pytest.raises(SourceError, match="training trips have a positive label"):
        fit_on(frame)


def test_json_round_trip():
    encoding = fit_on(features({}))
    assert type(encoding).from_json(encoding.to_json()) == encoding
    assert FeatureEncoding(name="x", exact=False, values=(1.0, 2.0)).bin_count == 5
    assert ValueCounts.empty(NAMES, TLC).rows == 0


def test_rates_by_hour_and_zone_are_shrunk_toward_the_overall_rate():
    _, features = scored_trips(20_000)
    counts = count_values(features, ("pickup_hour",), SCORED_SPLIT, "all", TLC)
    encoding = fit_encoding(counts, SCORED_SPLIT, "all", TLC)
    rows = features[features["pickup_at"] < "2023-01-11"]
    overall_rate = rows["high_tip"].mean()
    group = rows[(rows["pickup_hour"] == 8) & (rows["PULocationID"] == 100)]
    expected = (group["high_tip"].sum() + BASELINE_SMOOTHING * overall_rate) / (
        len(group) + BASELINE_SMOOTHING
    )
    trips = {
        "pickup_at": np.empty(2),
        "pickup_hour": np.array([8, 8]),
        "PULocationID": np.array([100, 9_999]),
    }
    assert encoding.baseline_rate(trips).tolist() == pytest.approx([expected, overall_rate], rel=1e-6)
    assert Encoding.from_json(encoding.to_json()) == encoding
