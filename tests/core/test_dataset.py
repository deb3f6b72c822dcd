"""A data set is a value: stages get it as an argument, and tasks get it by its name."""

import dataclasses

import numpy as np
import pytest
from dask.base import tokenize
from distributed.protocol import pickle

from tests.support.trips import make_trips
from toytip.core.columns import columns_of
from toytip.core.dataset.declarations import Key, group_count, group_index, rule
from toytip.core.dataset.field_names import describe_repeated
from toytip.core.tables import FEATURE_HISTOGRAMS, FEATURES, PREDICTIONS, RAW_TRIPS, TRIPS
from toytip.datasets import words
from toytip.datasets.registry import DATASETS, dataset_of, detect_kind, get_dataset
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ConfigError
from toytip.stages.clean import clean
from toytip.stages.featurize import featurize

WITHOUT_SEGMENT = dataclasses.replace(TLC, name="plain", segment=None)


def test_a_pickle_has_only_the_name():
    content = pickle.dumps(TLC)
    assert pickle.loads(content) is TLC
    assert len(content) < 200
    assert tokenize(TLC) == tokenize(pickle.loads(content))


def test_every_kind_has_one_data_set():
    assert tuple(kind for dataset in DATASETS for kind in dataset.kinds) == words.KINDS
    assert len(set(words.KINDS)) == len(words.KINDS)
    assert [detect_kind([f"{name}_pickup_datetime"]) for name in ("lpep", "tpep", "x")] == [
        "green",
        "yellow",
        None,
    ]
    assert detect_kind(["lpep_pickup_datetime", "tpep_pickup_datetime"]) is None
    for dataset in DATASETS:
        assert get_dataset(dataset.name) is dataset
        assert all(dataset_of(kind) is dataset for kind in dataset.kinds)
    with pytest.raises(ConfigError, match="no data set has it") as caught:
        dataset_of("scooter")
    assert "green" in caught.value.hint
    with pytest.raises(ConfigError, match="this toytip does not have it"):
        get_dataset("plain")


def test_the_words_of_options_are_those_of_the_data_sets():
    """Options are read before the data sets are loaded."""
    segments = dict.fromkeys(name for dataset in DATASETS for name in dataset.segments)
    assert tuple(segments) == words.SEGMENTS
    declared = {item.segment.name: item.segment.words for item in DATASETS if item.segment}
    assert declared == words.SEGMENT_WORDS
    assert words.value_label("payment_type", "1") == TLC.value_words["payment_type"]["1"] == "card"


def test_tables_have_the_columns_of_the_data_set():
    trips = [field.name for field in TLC.fields]
    assert TLC.table(TRIPS).names == ["trip_id", *trips]
    assert TLC.table(RAW_TRIPS).names == ["trip_id", *trips, "unreadable"]
    assert TLC.table(FEATURES).names[-1] == TLC.label.name
    assert TLC.table(PREDICTIONS).names[2:4] == ["PULocationID", "DOLocationID"]
    assert TLC.table(FEATURE_HISTOGRAMS) is FEATURE_HISTOGRAMS
    assert (TRIPS.columns, TRIPS.made_by) == ((), TLC.table(TRIPS).made_by)


def test_a_model_reads_only_the_columns_that_it_needs():
    names = TLC.feature_table("tolls_amount").names
    assert {"tolls_amount", "payment_type", "pickup_hour", "high_tip", "trip_id"} < set(names)
    assert "extra" not in names


def test_columns_match_fields_in_any_spelling():
    names = TLC.field_names
    assert [names.field_of(name) for name in ("Airport_fee", " puLocationId", "total_amount")] == [
        "airport_fee",
        "PULocationID",
        None,
    ]
    # Requests can have any names, and the cache must not keep long ones.
    assert names.field_of("fare _amount" + " " * 50) == "fare_amount"
    assert names.field_of("fare_amount" + " " * 1_000) is None
    columns = ["Airport_fee", "lpep_pickup_datetime", "AIRPORT_FEE", "color"]
    assert names.match(columns) == {"airport_fee": "Airport_fee", "pickup_at": "lpep_pickup_datetime"}
    repeated = names.find_repeated(columns)
    assert describe_repeated(repeated) == "2 columns contain airport_fee (Airport_fee, AIRPORT_FEE)"


def test_words_of_slices():
    examples = {
        ("payment_type", "1"): "card",
        ("rate_code", "2"): "JFK rate",
        ("borough", "Queens"): "Queens",
        ("borough", "unknown"): "borough unknown",
        ("airport", "yes"): "airport trips",
        ("hour", "7"): "7:00 to 7:59",
        ("weekday", "0"): "Monday",
        ("vendor", "2"): "vendor Curb",
        ("vendor", "3"): "vendor 3",
        ("rate_code", "missing"): "rate code missing",
        ("distance", "0-1 miles"): "0-1 miles",
    }
    assert {key: TLC.slice_label(*key) for key in examples} == examples


def test_a_data_set_without_a_segment():
    trips = columns_of(make_trips({}, {"payment_type": 2}))
    assert TLC.in_segment(trips, "card").tolist() == [True, False]
    assert TLC.segment_columns("card") == ("payment_type",)
    assert WITHOUT_SEGMENT.segments == ("all",)
    assert WITHOUT_SEGMENT.in_segment(trips, "all").tolist() == [True, True]
    assert WITHOUT_SEGMENT.segment_mask(trips).tolist() == [False, False]


@rule
def short_trip(trips):
    """The trip is shorter than a mile."""
    return trips["trip_distance"] < 1


def test_stages_use_the_rules_and_the_label_of_the_value():
    dataset = dataclasses.replace(
        TLC, rules=(*TLC.rules, short_trip), features=TLC.features[:9], target_encoding=None
    )
    kept, rejects = clean(make_trips({}, {"trip_distance": 0.5}), dataset)
    assert rejects["reason"].tolist() == ["short_trip"]
    assert featurize(kept, dataset).columns.tolist()[2:] == [
        *(item.name for item in TLC.features[:9]),
        "high_tip",
    ]


def test_groups_are_numbered_by_their_keys():
    keys = (Key("hour", 24), Key("zone", 10))
    rows = {"pickup_at": np.empty(3), "hour": np.array([0, 2, 23]), "zone": np.array([3, 99, -1])}
    assert group_index(rows, keys).tolist() == [3, 29, 230]
    assert group_count(keys) == 240
    assert group_index(rows, ()).tolist() == [0, 0, 0]
