"""Matching predictions with the trips of features."""

import dask
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scored_trips import SPLIT, scored_trips
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.engine.match_predictions import JudgedFeatures, MatchCounts, match_trips, sum_counts
from toytip.engine.prediction_files import LoadedChunk, PredictionRows
from toytip.engine.unknown_trips import first_unknown_trip, without_known
from toytip.evaluation.judgment import FaultCount, PredictionFaults

_, FEATURES = scored_trips(400)
JUDGED = JudgedFeatures(store=None, manifest=None, dataset=TLC, split=SPLIT, segment="card")
IS_TEST = (FEATURES["pickup_at"] >= SPLIT.test.start).to_numpy()
IS_VALIDATION = (FEATURES["pickup_at"] >= SPLIT.validation.start).to_numpy() & ~IS_TEST
IS_CARD = (FEATURES["payment_type"] == 1).to_numpy()


def predictions_of(ids, decisions=None):
    ids = np.sort(np.asarray(ids, np.int64))
    return PredictionRows(
        trip_id=ids,
        probability=(ids % 97 / 97).astype(np.float32),
        decision=None if decisions is None else ids % 2 == 0,
    )


@given(
    ids=st.lists(st.integers(-20, 420), max_size=300),
    pieces=st.integers(1, 4),
    order=st.randoms(use_true_random=False),
)
def test_every_prediction_is_matched_repeated_or_unknown(ids, pieces, order):
    """The counts add up, in any order of trips and of pieces."""
    rows = list(range(len(FEATURES)))
    order.shuffle(rows)
    trips = FEATURES.take(rows).reset_index(drop=True)
    matched = match_trips(trips, [predictions_of(ids[n::pieces], "yes") for n in range(pieces)], JUDGED)
    counts, known = matched.counts, [i for i in ids if 0 <= i < len(FEATURES)]
    assert counts.trips == len(FEATURES)
    assert counts.predictions == len(known)
    repeated = [i for i in known if known.count(i) > 1]
    assert counts.repeated == FaultCount(len(known) - len(set(known)), min(repeated, default=None))
    is_scored = np.isin(np.arange(len(FEATURES)), known)
    assert counts.judged == IS_TEST.sum()
    missing = np.flatnonzero(IS_TEST & ~is_scored).tolist()
    assert counts.missing == FaultCount(len(missing), min(missing, default=None))
    assert counts.unscored_validation == (IS_VALIDATION & IS_CARD & ~is_scored).sum()
    own = trips["trip_id"].to_numpy()
    assert without_known(np.array(ids, np.int64), np.sort(own)).tolist() == [i for i in ids if i not in known]
    expected = np.where(np.isin(own, known), (own % 97 / 97).astype(np.float32), np.nan)
    np.testing.assert_array_equal(matched.probability, expected)
    np.testing.assert_array_equal(matched.decision, np.isin(own, known) & (own % 2 == 0))


def test_without_predictions_all_test_trips_are_missing():
    counts = match_trips(FEATURES, [], JUDGED).counts
    first = int(np.flatnonzero(IS_TEST)[0])
    assert (counts.predictions, counts.missing) == (0, FaultCount(int(IS_TEST.sum()), first))
    empty = match_trips(FEATURES[:0], [predictions_of([1, 2])], JUDGED).counts
    assert empty == MatchCounts()
    assert without_known(np.array([1, 2]), np.array([], np.int64)).tolist() == [1, 2]


@pytest.mark.parametrize("change", ["label", "trip", "none"])
def test_the_hash_identifies_trips_and_labels_in_any_parts(change):
    trips = FEATURES.copy()
    first = int(np.flatnonzero(IS_TEST)[0])
    if change == "label":
        trips.loc[first, "high_tip"] = not trips.loc[first, "high_tip"]
    if change == "trip":
        trips.loc[first, "trip_id"] = 10_000
    complete = match_trips(FEATURES, [], JUDGED).counts
    parts = sum_counts([match_trips(part, [], JUDGED).counts for part in (trips[:150], trips[150:])])
    assert (parts.judged_hash == complete.judged_hash) == (change == "none")


class SyncClient:
    """Computes lazy values in this process, in place of a Dask client."""

    def compute(self, lazy):
        return dask.compute(*lazy, scheduler="synchronous")

    def gather(self, values):
        return values


@given(
    ids=st.lists(st.integers(0, 60), max_size=40),
    trips=st.lists(st.sets(st.integers(0, 60), max_size=40), max_size=4),
    size=st.integers(1, 15),
)
def test_the_first_unknown_trip_does_not_depend_on_files_and_chunks(ids, trips, size):
    chunks = [predictions_of(ids[start : start + size]) for start in range(0, len(ids), size)]
    lazy_chunks = [
        (
            (rows.trip_id[0], rows.trip_id[-1]),
            LoadedChunk(predictions=rows, rows=0, faults=PredictionFaults()),
        )
        for rows in chunks
    ]
    lazy_trips = [
        ((min(part, default=0), max(part, default=-1)), np.array(sorted(part), np.int64)) for part in trips
    ]
    expected = min(set(ids).difference(*trips), default=None)
    assert first_unknown_trip(SyncClient(), lazy_trips, lazy_chunks) == expected
