"""Trips from requests have exactly the scores of the batch stages, which work on frames."""

import dataclasses
import datetime as dt
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.any_trips import law
from tests.support.models import train_model
from tests.support.trips import SCORING_TRIP
from toytip.core.columns import on_frame
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.fields import FIELDS, match_fields
from toytip.models import scoring
from toytip.serving.request import parse_body, parse_trips
from toytip.stages import clean, conform, featurize, infer, preprocess

MODEL = train_model("yellow")
MAX_TRIPS = 1_000
# A trip alone takes a fraction of a millisecond, so that not all of a year are scored alone.
ALONE_EVERY = 100

TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001
AMOUNTS = st.sampled_from([0, -1.5, 12.35, 300, 300.01, 1e12, "7.5"]) | st.floats(-1e12, 1e12)
CODES = st.sampled_from([1.0, 2.0, "3", -1, 2**24, -(2**24)]) | st.integers(0, 400)
DURATIONS = st.integers(-(10**6), 10**11).map(lambda us: dt.timedelta(microseconds=us))


@st.composite
def odd_trips(draw):
    """Unusual trips: nulls, whole numbers as floats, text, far dates, lower-case names."""
    pickup = draw(TIMES)
    trip = {
        "tpep_pickup_datetime": pickup.isoformat(),
        "tpep_dropoff_datetime": (min(pickup, dt.datetime(9998, 1, 1)) + draw(DURATIONS)).isoformat(" "),  # noqa: DTZ001
    }
    for field in FIELDS:
        if field.kind != "time" and field.name in SCORING_TRIP:
            usual = SCORING_TRIP[field.name]
            name = draw(st.sampled_from([field.name, field.name.lower()]))
            values = CODES if field.kind == "code" else AMOUNTS
            required = field.name in TLC.required_columns
            values = values if required else st.none() | values
            trip[name] = draw(st.just(usual) | values)
    return trip


def score_request(trips, model=MODEL):
    """Score trips as the server does."""
    body = json.dumps(trips, default=dt.datetime.isoformat).encode()
    parsed = parse_trips(model, parse_body(body, MAX_TRIPS))
    assert parsed.errors == []
    return scoring.score_columns(model, parsed.columns)


def score_frames(raw, partition, model=MODEL):
    """Return the probabilities and the reject reasons that the stages of a run compute, by trip."""
    trips = conform.conform(raw, partition, TLC)
    kept, rejects = clean.clean(trips, TLC)
    matrix = preprocess.encode(featurize.featurize(kept, TLC), model.encoding)
    probability = pd.Series(infer.predict_probabilities(matrix, model.booster), index=kept["trip_id"])
    reason = pd.Series(rejects["reason"].to_numpy(), index=rejects["trip_id"], dtype=object)
    return probability.reindex(trips["trip_id"]), reason.reindex(trips["trip_id"])


def score_in_batch(trip):
    """Return the probability and the reason of a trip, from a file of the month of its pickup."""
    names = match_fields(trip)
    pickup = dt.datetime.fromisoformat(trip[names["pickup_at"]])
    columns = {}
    for field in FIELDS:
        value = 0.0 if field.name == "tip_amount" else trip.get(names.get(field.name, ""))
        if field.kind == "time":
            value = dt.datetime.fromisoformat(value)
        elif value is not None:
            value = float(value) if field.kind == "amount" else int(float(value))
        columns[field.name] = pa.array([value], conform.ARROW_TYPE_BY_KIND[field.kind])
    month = Month(pickup.year, pickup.month)
    partition = SourcePartition(taxi="yellow", month=month, uri="f", start=0, stop=1, number=0)
    probability, reason = score_frames(pa.table(columns), partition)
    return probability.iloc[0], None if pd.isna(reason.iloc[0]) else reason.iloc[0]


@law(150)
@given(st.lists(odd_trips(), min_size=1, max_size=6))
def test_requests_have_the_bits_of_the_batch(trips):
    together = score_request(trips)
    for row, trip in enumerate(trips):
        alone = score_request([trip])
        probability, reason = score_in_batch(trip)
        assert alone.reason == [together.reason[row]] == [reason]
        assert np.float32(probability).tobytes() == alone.probability.tobytes()
        assert alone.probability.tobytes() == together.probability[[row]].tobytes()


def test_a_score_needs_no_frame(app, monkeypatch):
    """pandas would take most of the time of a single trip."""

    def fail(*_args, **_kwargs):
        raise AssertionError("a frame or a Series was made")

    expected = app.post(SCORING_TRIP, "/score?shap_top=0").json()
    monkeypatch.setattr(pd.DataFrame, "__init__", fail)
    monkeypatch.setattr(pd.Series, "__init__", fail)
    assert app.post(SCORING_TRIP, "/score?shap_top=0").json() == expected
    assert len(app.post([SCORING_TRIP] * 3).json()["trips"]) == 3


def test_a_feature_of_frames_has_the_same_scores(app, monkeypatch):
    expected = app.post(SCORING_TRIP).json()

    @on_frame
    def trip_time(trips):
        return (trips["dropoff_at"] - trips["pickup_at"]).dt.total_seconds()

    features = [
        dataclasses.replace(feature, compute=trip_time) if feature.name == "trip_time" else feature
        for feature in TLC.features
    ]
    monkeypatch.setattr(featurize, "FEATURES", tuple(features))
    assert app.post(SCORING_TRIP).json() == expected


@pytest.mark.volume
@pytest.mark.timeout(1_200)
def test_all_trips_of_a_year_have_the_bits_of_the_batch(real_data_dir):
    """All trips are sent in requests of 1,000 trips, and every hundredth trip is sent alone."""
    model, scored = train_model("green"), 0
    for file in sorted((real_data_dir / "green-2023").glob("*.parquet")):
        raw = pq.read_table(file)
        month = Month.parse(file.stem.removeprefix("green_tripdata_"))
        partition = SourcePartition(taxi="green", month=month, uri="f", start=0, stop=len(raw), number=0)
        expected, _ = (column.to_numpy() for column in score_frames(raw, partition, model))
        names = match_fields(raw.column_names)
        trips = raw.select([name for field, name in names.items() if field != "tip_amount"]).to_pylist()
        for start in range(0, len(trips), MAX_TRIPS):
            rows = slice(start, start + MAX_TRIPS)
            kept = ~np.isnan(expected[rows])
            probability = score_request(trips[rows], model).probability
            assert probability[kept].tobytes() == expected[rows][kept].astype(np.float32).tobytes()
            scored += kept.sum()
        for row in range(0, len(trips), ALONE_EVERY):
            if not np.isnan(expected[row]):
                assert score_request([trips[row]], model).probability[0] == np.float32(expected[row])
    assert scored == 782_209
