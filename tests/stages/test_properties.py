"""Properties of every stage, for any rows and any division into partitions."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.trips import GOOD_TRIP, make_trips, raw_table
from toytip.core.model import Encoding
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.core.schema import Table
from toytip.core.splits import Split, TimeRange
from toytip.core.tables import FEATURES, PREDICTIONS, RAW_TRIPS, REJECTS, SCORES, TRIPS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.evaluation.tally import combine_tallies
from toytip.stages import clean, conform, featurize, postprocess, preprocess, summarize

SPLIT = Split(
    train=TimeRange("2023-01-01T00:00:00", "2023-01-15T00:00:00"),
    validation=TimeRange("2023-01-15T00:00:00", "2023-01-20T00:00:00"),
    test=TimeRange("2023-01-20T00:00:00", "2023-02-01T00:00:00"),
)
NAMES = TLC.feature_set("payment")
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

amounts = st.none() | st.sampled_from([0.0, -1.0, 10.0, 2.5, 1e9]) | st.floats(-500, 500)
codes = st.none() | st.integers(0, 300)
times = st.none() | st.datetimes(
    pd.Timestamp("2022-12-30").to_pydatetime(), pd.Timestamp("2023-02-02").to_pydatetime()
)
KINDS = {"datetime64[us]": times, "float64": amounts, "float32": codes}
a_trip = st.fixed_dictionaries(
    {}, optional={c.name: KINDS[c.dtype] for c in TLC.table(TRIPS).columns if c.name in GOOD_TRIP}
)
trip_lists = st.lists(a_trip, max_size=25).map(
    lambda rows: make_trips(*rows) if rows else TLC.table(TRIPS).empty()
)
cuts = st.lists(st.integers(0, 25), max_size=4)


def cut(frame, at):
    edges = [0, *sorted(min(point, len(frame)) for point in at), len(frame)]
    return [frame.iloc[a:b].reset_index(drop=True) for a, b in pairwise(edges)]


def joined(frames):
    return pd.concat(frames, ignore_index=True)


def accepted(trips):
    return clean.clean(trips, TLC)[0]


def scored(features):
    probability = (features["trip_id"] * 2654435761 % 1000 / 1000).astype("float32")
    return TLC.table(SCORES).validate(
        features[["trip_id", "pickup_at", "PULocationID", "DOLocationID"]].assign(
            probability=probability,
            high_tip=features["high_tip"],
            split=pd.Series(np.where(probability < 0.5, "train", "test"), index=features.index, dtype="str"),
            model_version=pd.Series("v1", index=features.index, dtype="str"),
        )
    )


def predicted(features):
    return postprocess.postprocess(scored(features), 0.25, TLC)


def all_tables(trips):
    """Return the tables of the stages that work on each partition alone."""
    good, bad = clean.clean(trips, TLC)
    features = featurize.featurize(good, TLC)
    return good, bad, features, predicted(features)


@quick
@given(trip_lists, cuts)
def test_partition_wise_stages_do_not_depend_on_the_partitions(trips, at):
    pieces = zip(*map(all_tables, cut(trips, at)), strict=True)
    for complete, of_pieces in zip(all_tables(trips), pieces, strict=True):
        pd.testing.assert_frame_equal(complete, joined(of_pieces))


@quick
@given(trip_lists, cuts)
def test_encoding_does_not_depend_on_the_partitions(trips, at):
    features = featurize.featurize(accepted(joined([trips, make_trips({}, {"tip_amount": 0.0})])), TLC)
    encoding = preprocess.fit_encoding(
        preprocess.count_values(features, NAMES, SPLIT, "all", TLC), SPLIT, "all", TLC
    )
    pieces = [preprocess.encode(piece, encoding) for piece in cut(features, at)]
    pd.testing.assert_frame_equal(preprocess.encode(features, encoding), joined(pieces))


@quick
@given(trip_lists)
def test_every_row_is_accepted_or_rejected_and_cleaning_is_idempotent(trips):
    good, bad = clean.clean(trips, TLC)
    assert sorted([*good["trip_id"], *bad["trip_id"]]) == sorted(trips["trip_id"])
    assert sum(clean.count_reasons(bad).values()) == len(bad)
    good_again, none = clean.clean(good, TLC)
    pd.testing.assert_frame_equal(good_again, good)
    assert none.empty


@quick
@given(trip_lists, cuts)
def test_value_counts_merge_exactly(trips, at):
    features = featurize.featurize(accepted(trips), TLC)
    parts = [preprocess.count_values(piece, NAMES, SPLIT, "all", TLC) for piece in cut(features, at)]
    total = preprocess.count_values(features, NAMES, SPLIT, "all", TLC)
    neutral = preprocess.ValueCounts.empty(NAMES, TLC)
    forward, backward = neutral, neutral
    for part in parts:
        forward, backward = forward.merge(part), part.merge(backward)
    for merged in (forward, backward):
        assert (merged.rows, merged.positives) == (total.rows, total.positives)
        for name in NAMES:
            for counts, expected in zip(merged.by_value[name], total.by_value[name], strict=True):
                np.testing.assert_array_equal(counts, expected)


@settings(max_examples=25, deadline=None)
@given(trip_lists, cuts)
def test_metric_histograms_merge_exactly(trips, at):
    features = featurize.featurize(accepted(trips), TLC)
    predictions = predicted(features)
    encoding = Encoding(features=(), split=SPLIT, segment="all", rows=5, positives=2, dataset=TLC)

    def summed(frames):
        return summarize.summarize_predictions(*frames, encoding, ("Queens",) * 266)

    pieces = zip(*(cut(frame, [*at, 3, 9][:2]) for frame in (predictions, features)), strict=True)
    a, b, c = map(summed, pieces)
    assert (
        combine_tallies(combine_tallies(a, b), c)
        == combine_tallies(a, combine_tallies(b, c))
        == summed((predictions, features))
    )
    assert combine_tallies(a, b) == combine_tallies(b, a)
    assert combine_tallies(a, {}) == combine_tallies({}, a) == a


def empty_features():
    return featurize.featurize(TLC.table(TRIPS).empty(), TLC)


@pytest.mark.parametrize(
    ("stage", "table"),
    [
        (
            lambda: conform.conform(
                raw_table(1).slice(0, 0),
                SourcePartition(taxi="yellow", month=Month(2023, 1), uri="f", start=0, stop=0, number=0),
                TLC,
            ),
            TLC.table(RAW_TRIPS),
        ),
        (lambda: clean.clean(TLC.table(TRIPS).empty(), TLC)[0], TLC.table(TRIPS)),
        (lambda: clean.clean(TLC.table(TRIPS).empty(), TLC)[1], TLC.table(REJECTS)),
        (empty_features, TLC.table(FEATURES)),
        (lambda: scored(empty_features()), TLC.table(SCORES)),
        (lambda: predicted(empty_features()), TLC.table(PREDICTIONS)),
    ],
)
def test_no_rows_give_the_next_tables_empty(stage, table: Table):
    pd.testing.assert_frame_equal(stage(), table.empty())


def test_schema_validation_rejects_undeclared_columns():
    from toytip.errors import SchemaError

    good = TLC.table(TRIPS).empty()
    for bad in (good.drop(columns="trip_id"), good.assign(more=1), good[good.columns[::-1]]):
        with pytest.raises(SchemaError, match="cannot use the rows of trips: missing columns"):
            TLC.table(TRIPS).validate(bad)
    with pytest.raises(SchemaError, match="column VendorID has dtype int64 instead of float32"):
        TLC.table(TRIPS).validate(good.assign(VendorID=pd.Series(dtype="int64")))


def test_a_table_is_equal_after_a_round_trip_through_arrow():
    trips = make_trips({}, {"passenger_count": None, "airport_fee": 1.25})
    pd.testing.assert_frame_equal(TLC.table(TRIPS).from_arrow(TLC.table(TRIPS).to_arrow(trips)), trips)
    assert str(TLC.table(TRIPS).to_arrow(trips).schema.field("passenger_count").type) == "int32"
    assert TLC.first_trip_id("green", 2023, 1) == 2_202301_000_000_000
