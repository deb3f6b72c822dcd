"""A run with trips of Uber and Lyft, from synthetic files to scores of new trips."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.runs import FAST_RUN, parse_summary, require_error, run_toytip
from toytip.core.months import Month
from toytip.datasets.tlc.fhvhv.synthetic import invalid_rows, month_rows

MONTHS = [Month(2020, number) for number in (1, 2, 3, 4)]
ROWS = 3_000


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fhvhv")
    synth = ("--taxi", "fhvhv", "--rows-per-month", ROWS, "--months", "2020-01:2020-04", "--workers", 1)
    written = parse_summary(run_toytip("source", "synth", folder / "in", *synth, "--json"))
    assert written["rows"] == sum(month_rows(month, ROWS) for month in MONTHS)
    run = parse_summary(run_toytip("run", "--source", folder / "in", "--store", folder / "st", *FAST_RUN))
    return folder, run


@pytest.mark.cluster
def test_a_run_counts_every_row_and_has_no_segment(done):
    _, run = done
    expected: dict[str, int] = {}
    for month in MONTHS:
        for reason, count in invalid_rows(month, ROWS).items():
            expected[reason] = expected.get(reason, 0) + count
    assert run["rejects"] == {reason: count for reason, count in expected.items() if count}
    assert set(run["metrics"]["test"]) == {"all"}
    assert 0.5 < run["metrics"]["test"]["all"]["auc"] < 0.9
    assert run["taxi"] == "fhvhv"
    predictions = pq.read_table(run["tables"]["predictions"]["path"])
    assert {"PULocationID", "DOLocationID", "probability", "prediction", "high_tip"} < set(
        predictions.column_names
    )
    assert {str(number)[:7] for number in predictions["trip_id"].to_pylist()} == {
        f"3{month.year}{month.month:02}" for month in MONTHS
    }
    page = Path(run["report_path"]).read_text()
    assert "This part failed" not in page
    assert "Uber" in page
    assert "card trips" not in page


@pytest.mark.cluster
def test_monitoring_does_not_name_a_payment(done):
    folder, run = done
    command = ("monitor", "--store", folder / "st", "--model", run["model"]["version"], "--taxi", "fhvhv")
    months = ("--reference", "2020-02", "--analysis-months", "2020-03:2020-04")
    shown = run_toytip(*command, *months, COLUMNS="200")
    assert shown.returncode in {0, 3}, shown.stderr
    assert "card" not in shown.stdout
    assert "None" not in shown.stdout
    report = run_toytip(*command, *months, "--json")
    assert json.loads(report.stdout)["words"]["segment"] == ""


@pytest.mark.cluster
def test_a_second_run_reuses_everything(done):
    folder, run = done
    again = run_toytip(
        *("run", "--source", folder / "in", "--store", folder / "st", "--version-id", "vagain"), *FAST_RUN
    )
    assert parse_summary(again)["model"]["version"] == run["model"]["version"]


@pytest.mark.cluster
def test_trips_have_the_probabilities_of_the_run(done):
    folder, run = done
    file = folder / "in" / "fhvhv_tripdata_2020-04.parquet"
    scored = run_toytip("score", file, "--store", folder / "st", "--output", folder / "scores.parquet")
    assert scored.returncode == 0, scored.stderr
    scores = pq.read_table(folder / "scores.parquet").to_pandas()
    path = Path(run["tables"]["predictions"]["path"]) / "year=2020" / "month=4"
    predictions = pq.read_table(path).to_pandas().set_index("trip_id")
    rows = predictions.index % 10**9
    np.testing.assert_array_equal(
        scores["probability"].to_numpy()[rows], predictions["probability"].to_numpy()
    )
    trips = pq.read_table(file).slice(0, 5).to_pylist()
    lines = "".join(json.dumps(trip, default=str) + "\n" for trip in trips)
    (folder / "trips.jsonl").write_text(lines)
    scored = run_toytip(
        *("score", folder / "trips.jsonl", "--store", folder / "st"), *("--output", folder / "few.parquet")
    )
    assert scored.returncode == 0, scored.stderr
    few = pq.read_table(folder / "few.parquet").to_pandas()
    assert few["probability"].tolist() == scores["probability"].tolist()[:5]


@pytest.mark.cluster
def test_a_segment_of_another_data_set_is_refused(done):
    folder, _ = done
    run = run_toytip(
        *("run", "--source", folder / "in", "--store", folder / "st", "--segment", "card"), *FAST_RUN
    )
    require_error(
        run, "cannot train on segment 'card': fhvhv does not declare it", "Set --segment all.", code=2
    )


@pytest.mark.cluster
def test_a_drift_of_another_data_set_is_refused(tmp_path):
    synth = ("--taxi", "fhvhv", "--inject-drift", "card", "--workers", 1)
    done = run_toytip("source", "synth", tmp_path, *synth)
    require_error(done, "this kind of drift does not exist", "Choose distance, skill.", code=2)
