"""Conformance: the definition of the job, its committed checksums, and engines that are wrong."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import results, workloads
from benchmarks.bands import EQUAL_VARIANTS, Data, Variant, load_data, train_auc
from benchmarks.conformance.check import check_rows
from benchmarks.conformance.definition import define_month
from benchmarks.conformance.differences import score_days
from benchmarks.conformance.expected import digest_months, load_expected, record_of
from benchmarks.conformance.run import conform
from benchmarks.contenders import make_engine
from benchmarks.engine_folders import load_engine
from benchmarks.engines.kit import FEATURES as ENGINE_FEATURES
from benchmarks.harness import NO_LIMITS
from benchmarks.quality import AUC_BANDS, AUC_MARGIN, AUC_TOLERANCES, MIN_AUC
from benchmarks.workloads import FHVHV, WORKLOADS, BenchmarkSource, synthetic_source
from tests.system.test_benchmarks import call
from tests.system.test_engine_folders import write_engine
from toytip.core.dataset.synthetic import SyntheticSpec
from toytip.datasets.registry import synthetic_files

at = datetime.fromisoformat
# Wrong models whose AUC is inside of the band.
NOT_FOUND_BY_AUC = {"hour shifted in the test month"}
START = at("2020-01-15 08:30:00")
TRIP = {
    "tpep_pickup_datetime": START,
    "tpep_dropoff_datetime": START + timedelta(minutes=30),
    "trip_distance": 5.0,
    "PULocationID": 132,
    "DOLocationID": 7,
    "fare_amount": 20.0,
    "tip_amount": 5.0,
    "passenger_count": 2.0,
    "RatecodeID": 1.0,
    # Only files of for-hire vehicles have this column.
    "trip_time": 1_700.0,
}
TYPES = {name: pa.timestamp("us") if name.startswith("tpep") else pa.float64() for name in TRIP}
RULES = (Path(__file__).parents[2] / "benchmarks" / "RULES.md").read_text(encoding="utf-8")
# The names of the features in the table of the rules.
FEATURES = tuple(
    name
    for line in re.findall(
        r"^\| (`.*?) \|", RULES.partition("### 3.")[2].partition("### 4.")[0], re.MULTILINE
    )
    for name in re.findall(r"`(\w+)`", line)
)
FHVHV_FEATURES = (*FEATURES[:4], "trip_miles", "trip_time", "trip_speed", "PULocationID", "DOLocationID")

# The columns of TRIP that have another name.
TIMES = ("tpep_pickup_datetime", "tpep_dropoff_datetime")
RENAMED = {
    "yellow": {},
    "green": {name: name.replace("tpep", "lpep") for name in TIMES},
    "fhvhv": {
        **{name: name.removeprefix("tpep_") for name in TIMES},
        "trip_distance": "trip_miles",
        "fare_amount": "base_passenger_fare",
        "tip_amount": "tips",
    },
}


def write_month(folder, *trips, taxi="yellow"):
    """Write a monthly file with these trips, which differ from TRIP in the given columns."""
    columns = {
        RENAMED[taxi].get(name, name): pa.array([{**TRIP, **trip}[name] for trip in trips], TYPES[name])
        for name in TRIP
    }
    file = folder / f"{taxi}_tripdata_2020-01.parquet"
    pq.write_table(pa.table(columns), file)
    return file


# The first trip of a table is always kept, so that the ID shows the row of the second trip.
KEPT = {
    "as it is": {},
    "first microsecond of the month": {
        "tpep_pickup_datetime": at("2020-01-01 00:00:00"),
        "tpep_dropoff_datetime": at("2020-01-01 01:00:00"),
    },
    "last second of the month": {
        "tpep_pickup_datetime": at("2020-01-31 23:59:59"),
        "tpep_dropoff_datetime": at("2020-02-01 00:00:01"),
    },
    "exactly 24 hours": {"tpep_dropoff_datetime": START + timedelta(hours=24)},
    "no tip": {"tip_amount": 0.0},
    "no distance": {"trip_distance": 0.0},
    "300 miles": {"trip_distance": 300.0},
    "unknown passengers": {"passenger_count": None, "RatecodeID": None},
}
REJECTED = {
    **{f"no {name}": {name: None} for name in list(TRIP)[:7]},
    "month before": {"tpep_pickup_datetime": at("2019-12-31 23:59:59")},
    "month after": {"tpep_pickup_datetime": at("2020-02-01 00:00:00")},
    "other year": {"tpep_pickup_datetime": at("2021-01-15 00:00:00")},
    "no fare": {"fare_amount": 0.0},
    "negative tip": {"tip_amount": -0.01},
    "no time": {"tpep_dropoff_datetime": START},
    "more than 24 hours": {"tpep_dropoff_datetime": START + timedelta(hours=24, microseconds=1)},
    "negative distance": {"trip_distance": -0.1},
    "more than 300 miles": {"trip_distance": 300.1},
    "distance is not a number": {"trip_distance": float("nan")},
    "fare is not a number": {"fare_amount": float("nan")},
}
CASES = {name: (trip, True) for name, trip in KEPT.items()} | {
    name: (trip, False) for name, trip in REJECTED.items()
}


@pytest.mark.parametrize(("taxi", "first"), [("yellow", 1202001000000000), ("fhvhv", 3202001000000000)])
@pytest.mark.parametrize(("trip", "is_kept"), CASES.values(), ids=CASES)
def test_a_trip_is_kept_by_the_rules(trip, is_kept, taxi, first, tmp_path):
    month = define_month(write_month(tmp_path, {}, trip, taxi=taxi))
    assert month.trip_id.tolist() == [first, first + 1][: 1 + is_kept]


def test_features_are_those_of_the_rules(tmp_path):
    month = define_month(write_month(tmp_path, {}, {"passenger_count": None, "tip_amount": 4.0}))
    first, second = ({name: float(values[row]) for name, values in month.features.items()} for row in (0, 1))
    assert first == {
        "pickup_weekday": 2,  # Wednesday
        "pickup_hour": 8,
        "pickup_minute": 30,
        "work_hours": 1,
        "passenger_count": 2,
        "trip_distance": 5,
        "trip_time": 1_800,
        "trip_speed": 10,
        "PULocationID": 132,
        "DOLocationID": 7,
        "RatecodeID": 1,
    }
    assert tuple(first) == FEATURES == tuple(ENGINE_FEATURES)
    assert len(FEATURES) == 11
    assert second["passenger_count"] == -1
    assert month.high_tip.tolist() == [True, False], "exactly 20 % is not more than 20 %"


def test_features_of_for_hire_vehicles_are_those_of_the_rules(tmp_path):
    month = define_month(write_month(tmp_path, {}, {"trip_time": None, "tip_amount": 4.0}, taxi="fhvhv"))
    assert {name: values.tolist() for name, values in month.features.items()} == {
        "pickup_weekday": [2, 2],
        "pickup_hour": [8, 8],
        "pickup_minute": [30, 30],
        "work_hours": [1, 1],
        "trip_miles": [5, 5],
        "trip_time": [1_700, -1],
        "trip_speed": [10, 10],
        "PULocationID": [132, 132],
        "DOLocationID": [7, 7],
    }
    assert month.high_tip.tolist() == [True, False]


def test_weekdays_and_hours_are_those_of_the_calendar(tmp_path):
    """The definition computes them from microseconds, and Python's calendar is the reference."""
    times = [START.replace(day=1 + n % 31, hour=n * 7 % 24, minute=n * 11 % 60) for n in range(200)]
    trips = [
        {"tpep_pickup_datetime": time, "tpep_dropoff_datetime": time + timedelta(minutes=5)} for time in times
    ]
    features = define_month(write_month(tmp_path, *trips)).features
    expected = [
        (time.weekday(), time.hour, time.minute, time.weekday() < 5 and 8 <= time.hour <= 18)
        for time in times
    ]
    names = ("pickup_weekday", "pickup_hour", "pickup_minute", "work_hours")
    assert list(zip(*(features[name].tolist() for name in names), strict=True)) == expected


def test_green_trips_have_ids_of_their_own(tmp_path):
    assert define_month(write_month(tmp_path, {}, taxi="green")).trip_id.tolist() == [2202001000000000]


def test_a_checksum_depends_on_the_trip_and_not_on_the_order(tmp_path):
    file = write_month(tmp_path, {}, {"fare_amount": 100.0}, {"passenger_count": None})
    month = define_month(file)
    digest = digest_months([month])

    def changed(**columns):
        return digest_months([replace(month, **columns)]).checksums

    order = np.array([2, 0, 1])
    moved = {name: values[order] for name, values in month.features.items()}
    same = changed(trip_id=month.trip_id[order], high_tip=month.high_tip[order], features=moved)
    assert same == digest.checksums
    other = changed(features=moved)
    assert other["passenger_count"] != digest.checksums["passenger_count"]
    assert other["trip_id"] == digest.checksums["trip_id"]


@pytest.fixture(scope="session")
def small_year(tmp_path_factory):
    return synthetic_source(tmp_path_factory.mktemp("year"), 2_000, 2020)


@pytest.fixture(scope="session")
def small_fhvhv_year(tmp_path_factory):
    return synthetic_source(tmp_path_factory.mktemp("year"), 2_000, 2020, "fhvhv")


def test_the_committed_checksums_are_those_of_the_definition(small_year, small_fhvhv_year):
    for year, features in ((small_year, FEATURES), (small_fhvhv_year, FHVHV_FEATURES)):
        record = record_of(year)
        assert load_expected()[year.name] == record
        assert list(record["checksums"]) == ["trip_id", "high_tip", *features]


def test_the_committed_years_are_those_of_the_result_files():
    rows = results.load_results(results.RESULTS_FOLDER)
    published = {row["source"] for row in rows if row["workload"] in ("eleven-features", "fhvhv")}
    assert {*published, "green-2023"} - {"synthetic-7000000-2020"} <= {*load_expected()}
    for row in rows:
        expected = load_expected().get(row["source"])
        if expected is not None and expected["rows"] == row["rows"] and row["outcome"] == "ok":
            assert row["kept"] == expected["kept"]


# An engine that takes its output from the definition, apart from the fault in its options. Its
# model is an oracle with noise, so that all of these engines have a similar AUC.
ENGINE = """#!/usr/bin/env python3
import json, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from benchmarks.conformance.definition import define_months

source, out, job = map(Path, sys.argv[1:])
fault = json.loads(job.read_text())["options"]["fault"]
if fault == "cached":
    source = Path({other!r})
kept = 0
for number, month in enumerate(define_months(source)):
    if fault == "dropped" and number == 1:
        continue
    noise = np.random.default_rng(number).random(len(month.trip_id))
    probability = noise if fault == "guesses" else 0.7 * noise + 0.3 * month.high_tip
    label, ids, features = month.high_tip.copy(), month.trip_id.copy(), dict(month.features)
    if fault == "shifted":
        features["pickup_hour"] = (features["pickup_hour"] + 1) % 24
    if fault == "labels":
        label = probability > 0.5
    if fault == "repeated":
        ids[1] = ids[0]
    kept += len(ids)
    predicted = dict(trip_id=ids, probability=probability, prediction=probability >= 0.5, high_tip=label)
    for name, columns in (("predictions", predicted), ("features", dict(trip_id=ids, **features))):
        folder = out / name / f"year={{month.year}}" / f"month={{month.month}}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / "part.parquet")
names = list(features)
laps = dict(laps=dict(read=0.1), kept=kept, features=names, model_rounds=5)
(out / "laps.json").write_text(json.dumps(laps))
"""
FAULTS = ("none", "correct", "dropped", "guesses", "cached", "shifted", "labels", "repeated")


@pytest.fixture(params=["eleven-features", "fhvhv"])
def faulty_suite(request, synthetic, small_fhvhv_year, tmp_path, monkeypatch):
    """The name of a workload of engines with one fault each.

    The first engine is correct, and replaces toytip.
    """
    name = request.param
    folder = {"eleven-features": Path(synthetic), "fhvhv": small_fhvhv_year.folder}[name]
    other = tmp_path / "other"
    other.mkdir()
    for file in folder.glob("*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table.take(list(range(len(table)))[::-1]), other / file.name)
    script = ENGINE.format(root=str(Path.cwd()), other=str(other))
    engines = []
    for fault in FAULTS:
        engine = write_engine(tmp_path / "engines", fault, extra=f'[options]\nfault = "{fault}"\n')
        (engine / "run").write_text(script)
        engines.append(load_engine(engine))
    small = replace(WORKLOADS[name], engines=tuple(engines))
    rows = sum(pq.ParquetFile(file).metadata.num_rows for file in folder.glob("*.parquet"))
    sources = {small.taxi: BenchmarkSource(folder, "synthetic", rows, synthetic=True)}
    monkeypatch.setattr("benchmarks.run.WORKLOADS", {name: small})
    monkeypatch.setattr("benchmarks.run.synthetic_source", lambda *given: sources[given[-1]])
    monkeypatch.setattr("benchmarks.__main__.PEER_NAMES", FAULTS)
    monkeypatch.setattr("benchmarks.run.observe", lambda: None)
    monkeypatch.setattr(workloads.Workload, "make_toytip", lambda *_: make_engine(engines[0]))
    return name


REFUSED = {
    "dropped": ("rows", r"trips of 2020-02 are missing, first [13]202002000000\d+"),
    "guesses": ("model", r"AUC 0\.[45]\d+ is below 0.53, close to a random predictor"),
    "cached": ("rows", "of 2020-01"),
    "shifted": ("features", r"pickup_hour of trip [13]202001000000\d+ is \d+, expected \d+ \("),
    "labels": ("rows", r"high_tip of trip [13]202001000000\d+ is [01], expected [01] \("),
    "repeated": ("rows", "1 of .* trips of 2020-01 are missing, first [13]20200100000"),
}


def test_a_wrong_engine_is_refused_with_the_reason(faulty_suite, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out.jsonl"
    words = ("run", "--workloads", faulty_suite, "--peers", ",".join(FAULTS[1:]))
    words = (*words, "--repeats", 1, "--output", output)
    code, printed = call(monkeypatch, capsys, *words)
    assert code == 1
    rows = {row["name"]: row for row in results.load_results(output)}
    assert set(rows) == set(FAULTS)
    for name in ("none", "correct"):
        assert rows[name]["valid"], rows[name]["why"]
        assert {level["status"] for level in rows[name]["conformance"].values()} == {"passed"}
    for name, (level, cause) in REFUSED.items():
        assert not rows[name]["valid"]
        assert rows[name]["conformance"][level]["status"] == "failed"
        assert rows[name]["why"].endswith(rows[name]["conformance"][level]["cause"])
        assert re.search(cause, rows[name]["why"]), rows[name]["why"]
        assert f"invalid result: {name}, repeat 0: " in printed


@pytest.mark.parametrize("name", ["toytip-1", "duckdb_fhvhv", "polars_fhvhv"])
def test_a_time_that_the_files_have_is_not_computed(name, tmp_path):
    """In the synthetic year, no time is missing, and each one is that from pickup to dropoff."""
    months, files = tmp_path / "months", synthetic_files("fhvhv")
    months.mkdir()
    for month in files.months[:3]:
        trips = files.generate_month(month, SyntheticSpec(rows_per_month=1_000))
        times = [None if row % 7 == 0 else row for row in range(len(trips))]
        index = trips.schema.get_field_index("trip_time")
        changed = trips.set_column(index, "trip_time", pa.array(times, pa.int64()))
        pq.write_table(changed, months / files.file_name(month))
    source = BenchmarkSource(months, "changed", 3_000, synthetic=True)
    contenders = [FHVHV.make_toytip(1), *FHVHV.select_peers(None)]
    (contender,) = [found for found in contenders if found.name == name]
    assert str(conform(contender, source, tmp_path, NO_LIMITS)) == "passed"


def test_every_workload_has_rules_and_a_tolerance():
    rules = (Path(__file__).parents[2] / "benchmarks" / "RULES.md").read_text()
    for name in WORKLOADS:
        assert f"\n## The job `{name}`\n" in rules
        assert name in AUC_TOLERANCES


def test_predictions_that_cannot_be_read_fail_the_level(tmp_path, small_year):
    assert "trips of 2020-01 are missing, first 12020010" in check_rows(tmp_path, small_year).cause
    pq.write_table(pa.table({"trip_id": [1]}), tmp_path / "part.parquet")
    assert check_rows(tmp_path, small_year).cause.startswith("cannot read trip_id, high_tip: ")


def write_scores(folder, month, probability):
    """Write predictions of a month, in reverse order."""
    part = folder / f"year={month.year}" / f"month={month.month}"
    part.mkdir(parents=True)
    columns = {"trip_id": month.trip_id[::-1], "probability": probability[::-1]}
    pq.write_table(pa.table(columns), part / "part.parquet")
    return folder


def test_the_difference_between_two_engines_is_paired_by_trip_and_day(tmp_path, small_year):
    month = define_month(max(small_year.folder.glob("*.parquet")))
    noise = np.random.default_rng(0).random((2, len(month.trip_id)))
    probabilities = {
        "good": 0.7 * noise[0] + 0.3 * month.high_tip,
        "better": 0.7 * noise[0] + 0.3 * month.high_tip + 0.02 * (month.high_tip - 0.5),
        "guess": noise[1],
    }
    scored = {
        name: score_days(write_scores(tmp_path / name, month, values.clip(0, 1)), small_year)
        for name, values in probabilities.items()
    }
    assert scored["good"].auc > scored["guess"].auc + 0.2
    assert len(scored["good"].days) == 31
    better = scored["better"].difference_to(scored["good"])
    assert 0 < better.interval.low < better.value < better.interval.high < 0.05
    worse = scored["guess"].difference_to(scored["good"])
    assert worse.interval.high < 0
    assert worse.conclusion == "worse"
    same = scored["good"].difference_to(scored["good"])
    assert (same.value, same.interval.low, same.interval.high) == (0, 0, 0)


def test_the_rules_show_the_bands():
    rows = [f"| {work[2]:,} | {low:.4f} | {high:.4f} |\n" for work, (low, high) in AUC_BANDS.items()]
    assert "| Number of trips | Lowest AUC | Highest AUC |\n|---|---|---|\n" + "".join(rows) in RULES


def test_the_band_separates_measured_models():
    rows = results.load_single_values(results.RESULTS_FOLDER, "auc-band").values()
    assert len(rows) == 17
    for row in rows:
        assert (row["low"], row["high"]) in AUC_BANDS.values()
        is_inside = row["low"] <= row["auc"] <= row["high"]
        assert is_inside == (row["is_good"] or row["name"] in NOT_FOUND_BY_AUC), row["name"]


def test_the_margin_contains_the_differences_between_equal_models():
    rows = results.load_single_values(results.RESULTS_FOLDER, "auc-band")
    values = [rows[variant.name]["auc"] for variant in EQUAL_VARIANTS]
    assert 0.5 * AUC_MARGIN < max(values) - min(values) < AUC_MARGIN


CHANGES = {
    "train": (lambda data: data.first_rows(1_500), Data.with_reversed_rows, Data.with_test_rows),
    "train_label": (lambda data: data.with_flipped_labels(0.5), Data.with_test_rows),
    "test": (Data.with_shifted_test_hours, lambda data: data.without(("PULocationID",))),
    "names": (lambda data: data.without(("PULocationID",)),),
}


@pytest.mark.parametrize(
    ("part", "change"), [(part, change) for part, changes in CHANGES.items() for change in changes]
)
def test_a_wrong_model_comes_from_changed_data(part, change, small_year):
    data, first_month = load_data(small_year.folder)
    assert first_month == 2_816
    assert len(data.train) + len(data.test) == 23_782
    before, after = (getattr(item, part) for item in (data, change(data)))
    assert not np.array_equal(before, after)


def test_a_model_of_random_labels_is_worse(small_year):
    data, _ = load_data(small_year.folder)
    model = Variant("a small model", is_good=True, params=(("max_depth", 4),), rounds=10)
    assert train_auc(data.with_flipped_labels(0.5), model) < MIN_AUC < train_auc(data, model)
