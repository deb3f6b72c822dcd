"""preprocess: bins fixed on the training rows, and nothing but small whole numbers after."""

import numpy as np
import pandas as pd
import pytest

from tests.conftest import make_trips
from toytip.errors import ConfigError
from toytip.stages.featurize import feature_set, featurize
from toytip.stages.preprocess import BINS, MAX_EXACT, Census, coarse, encode, fit, take_census
from toytip.values import FeatureCodes, Span, Split

SPLIT = Split(
    train=Span("2023-01-01T00:00:00", "2023-01-15T00:00:00"),
    valid=None,
    test=Span("2023-01-15T00:00:00", "2023-02-01T00:00:00"),
)
NAMES = feature_set("payment")


def features(*changes):
    return featurize(make_trips({"tip_amount": 0.0}, *changes))


def fit_on(frame, population="all"):
    return fit(take_census(frame, NAMES, SPLIT, population), SPLIT, population)


def codes_of(encoding, name):
    return next(codes for codes in encoding.features if codes.name == name)


def test_only_training_rows_are_fitted_on():
    late = {"pickup_at": "2023-01-20 08:00:00", "dropoff_at": "2023-01-20 08:20:00", "PULocationID": 99}
    encoding = fit_on(features({}, late))
    assert codes_of(encoding, "PULocationID").values == (74.0,)
    assert encoding.rows == 2


def test_few_values_are_exact_and_others_unseen_or_missing():
    encoding = fit_on(features({"passenger_count": 1}, {"passenger_count": 3}))
    codes = codes_of(encoding, "passenger_count")
    assert (codes.values, codes.unseen, codes.missing, codes.count) == ((1.0, 3.0), 2, 3, 4)
    frame = features(
        {"passenger_count": 3}, {"passenger_count": 2}, {"passenger_count": 9}, {"passenger_count": None}
    )
    assert encode(frame, encoding)["passenger_count"].tolist() == [0, 1, 2, 2, 3]


def test_many_values_become_bins_of_even_weight():
    distances = np.linspace(0.1, 250, MAX_EXACT * 4)
    encoding = fit_on(features(*({"trip_distance": d} for d in distances)))
    codes = codes_of(encoding, "trip_distance")
    assert not codes.exact
    assert len(codes.values) == BINS - 1
    frame = features(*({"trip_distance": d} for d in distances))
    counts = encode(frame, encoding)["trip_distance"].value_counts()
    assert counts.max() <= 3 * counts.mean()
    edge = encode(features({"trip_distance": 300.0}), encoding)["trip_distance"].tolist()[1]
    assert edge == len(codes.values), "beyond the training range is the last bin, not unseen"


def test_codes_keep_the_order_of_values():
    distances = np.geomspace(0.01, 300, 999)
    encoding = fit_on(features(*({"trip_distance": d} for d in distances)))
    codes = encode(features(*({"trip_distance": d} for d in distances)), encoding)["trip_distance"][1:]
    assert codes.is_monotonic_increasing


def test_a_feature_that_training_never_has_is_left_out():
    encoding = fit_on(features({}))
    assert "airport_fee" not in encoding.names
    assert "congestion_surcharge" in encoding.names


def test_the_matrix_is_small_whole_numbers():
    encoding = fit_on(features({}))
    matrix = encode(features({"passenger_count": None}), encoding)
    assert set(matrix.dtypes.astype(str)) == {"uint16"}
    assert int(matrix.to_numpy().max()) < encoding.max_bin


def test_card_population_learns_from_card_trips():
    frame = features({}, {"payment_type": 2, "passenger_count": 6, "tip_amount": 0.0})
    assert 6.0 not in codes_of(fit_on(frame, "card"), "passenger_count").values


def test_coarse_keeps_what_must_be_told_apart():
    whole = pd.Series(np.arange(-4096, 4097), dtype="float32")
    assert coarse(whole).tolist() == whole.tolist()
    assert np.isnan(coarse(pd.Series([np.nan], dtype="float32"))).all()
    values = pd.Series(np.linspace(-50, 5000, 10_001), dtype="float32")
    near = coarse(values)
    assert (np.diff(near) >= 0).all()
    assert (np.abs(near - values) <= np.abs(values) * 2**-11).all()
    assert np.signbit(coarse(pd.Series([-0.0], dtype="float32"))).tolist() == [False]


@pytest.mark.parametrize("rows", [[], [{"tip_amount": 0.0}]])
def test_nothing_to_learn_is_said(rows):
    frame = featurize(make_trips(*rows)) if rows else features().iloc[:0]
    with pytest.raises(ConfigError, match="nothing to learn"):
        fit_on(frame)


def test_json_round_trip():
    encoding = fit_on(features({}))
    assert type(encoding).from_json(encoding.to_json()) == encoding
    assert FeatureCodes(name="x", exact=False, values=(1.0, 2.0)).count == 5
    assert Census.empty(NAMES).rows == 0
