"""The benchmark of the scoring server, and its table in the guide."""

import json
import sys

import pyarrow.parquet as pq
import pytest

from benchmarks import serving
from benchmarks.results import RESULTS_FOLDER, load_single_values
from docs.generate.serving import PAGE, serving_page
from tests.support.models import raw_month, register, train_model


@pytest.fixture(scope="module")
def store_and_trips(tmp_path_factory):
    """A store with a champion, and a file of raw trips."""
    folder = tmp_path_factory.mktemp("serving")
    register(folder / "store", train_model("yellow"))
    pq.write_table(raw_month("yellow", rows=300), folder / "trips.parquet")
    return folder / "store", folder / "trips.parquet"


def run_benchmark(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["serving", *map(str, words)])
    return serving.main()


def test_requests_are_measured_and_their_scores_checked(store_and_trips, tmp_path, monkeypatch, capsys):
    store, trips = store_and_trips
    sizes = ("--requests", 4, "--batches", 2, "--batch-trips", 50)
    out = tmp_path / "out.jsonl"
    command = ("--store", store, "--trips", trips, *sizes, "--output", out)
    assert run_benchmark(monkeypatch, *command) == 0
    one, explained, several = map(json.loads, out.read_text().splitlines())
    assert (one["trips_per_request"], one["requests"]) == (1, 4)
    assert explained["name"] == "one trip, with SHAP values"
    assert (several["trips_per_request"], several["requests"], several["is_exact"]) == (50, 2, True)
    for row in (one, explained, several):
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["trips_per_cpu_second"] > 0
        assert row["cores"] > 0
    assert capsys.readouterr().out.count("trips/s") == 3


def test_a_score_that_differs_from_the_batch_fails_the_benchmark(store_and_trips, monkeypatch, capsys):
    store, trips = store_and_trips
    monkeypatch.setattr(serving, "_probabilities", lambda _: [0.5])
    sizes = ("--requests", 1, "--batches", 1, "--batch-trips", 2)
    assert run_benchmark(monkeypatch, "--store", store, "--trips", trips, *sizes) == 1
    assert capsys.readouterr().out.count("not exact") == 3


def test_a_store_needs_trips_of_its_taxi_type(monkeypatch, capsys):
    with pytest.raises(SystemExit) as caught:
        run_benchmark(monkeypatch, "--store", "some-store")
    assert caught.value.code == 2
    assert "set --store and --trips together" in capsys.readouterr().err


def test_the_guide_has_the_committed_results():
    assert PAGE.read_text() == serving_page()
    assert all(row["is_exact"] for row in load_single_values(RESULTS_FOLDER, "serving").values())
