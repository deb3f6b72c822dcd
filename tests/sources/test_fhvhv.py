"""The data set of Uber and Lyft: published shapes, texts for codes, rules and the label."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from toytip.core.dataset.synthetic import SyntheticSpec
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.datasets.registry import dataset_of, detect_kind, match_dataset, unusable_kind
from toytip.datasets.tlc.fhvhv.dataset import FHVHV
from toytip.datasets.tlc.fhvhv.synthetic import generate_month, invalid_rows, month_rows
from toytip.datasets.words import describe_kinds
from toytip.engine.graph import _read_source_trips
from toytip.errors import SourceError
from toytip.models import raw_trips
from toytip.serving.values import InvalidValuesError, read_values
from toytip.sources.discovery import open_source
from toytip.sources.inspection import inspect_source
from toytip.stages.clean import clean, count_reasons
from toytip.stages.conform import conform, conform_columns
from toytip.stages.featurize import featurize

OLD, NEW = Month(2020, 1), Month(2023, 1)
SPEC = SyntheticSpec(rows_per_month=3_000, seed=5)
FIELDS = FHVHV.fields_by_name


def conformed(month, spec=SPEC):
    raw = generate_month(month, spec)
    partition = SourcePartition(taxi="fhvhv", month=month, uri="f", start=0, stop=len(raw), number=0)
    return conform(raw, partition, FHVHV)


def write_month(folder, month, change=lambda table: table, name="fhvhv_tripdata_{}.parquet"):
    folder.mkdir(exist_ok=True)
    pq.write_table(change(generate_month(month, SPEC)), folder / name.format(month))


@pytest.mark.parametrize("month", [OLD, Month(2020, 4), NEW])
@pytest.mark.parametrize("rows", [1, 7, 3_000])
def test_the_number_of_invalid_rows_is_exact(month, rows):
    accepted, rejects = clean(conformed(month, replace(SPEC, rows_per_month=rows)), FHVHV)
    expected = invalid_rows(month, rows)
    assert count_reasons(rejects) == {reason: count for reason, count in expected.items() if count}
    assert len(accepted) + len(rejects) == month_rows(month, rows)
    assert ("unreadable_value", *expected) == FHVHV.reject_reasons


@pytest.mark.parametrize(("kind", "changed"), [("distance", "trip_miles"), ("skill", "tips")])
def test_an_injected_drift_changes_one_column(kind, changed):
    plain, drifted = generate_month(NEW, SPEC), generate_month(NEW, replace(SPEC, injected_drift=kind))
    assert [name for name in plain.column_names if not plain[name].equals(drifted[name])] == [changed]
    assert plain.equals(generate_month(NEW, SPEC))


def test_old_files_have_the_text_none_as_airport_fee(tmp_path):
    old, new = generate_month(OLD, SPEC), generate_month(NEW, SPEC)
    assert set(old["airport_fee"].to_pylist()) == {"None"}
    assert new["airport_fee"].type == pa.float64()
    assert old.drop_columns("airport_fee").schema == new.drop_columns("airport_fee").schema
    assert conformed(OLD)["airport_fee"].isna().all()
    assert conformed(NEW)["airport_fee"].notna().all()
    write_month(tmp_path / "in", OLD)
    (file,) = open_source(str(tmp_path / "in")).files
    assert file.taxi == "fhvhv"


def test_texts_become_codes():
    trips = conformed(NEW)
    raw = generate_month(NEW, SPEC)
    assert trips["company"].tolist() == [int(text[-1]) for text in raw["hvfhs_license_num"].to_pylist()]
    flags = {"Y": 1.0, "N": 0.0, " ": np.nan}
    expected = [flags[text] for text in raw["access_a_ride_flag"].to_pylist()]
    np.testing.assert_array_equal(trips["access_a_ride"], expected)


TEXTS = [" hv0003 ", "HV0005", "4", None, "", "none", "UBER", "HV9"]
CODES = [3, 5, 4, np.nan, np.nan, np.nan]


@pytest.mark.parametrize("convert", [pa.array, lambda a: pa.array(a).dictionary_encode()])
def test_a_text_that_is_no_code_is_unreadable(convert):
    columns = conform_columns(
        pa.table({"hvfhs_license_num": convert(TEXTS), "pickup_datetime": ["2023-01-01 08:00:00"] * 8}),
        "f",
        FHVHV,
    )
    np.testing.assert_array_equal(columns["company"], [*CODES, np.nan, np.nan])
    assert columns["unreadable"].tolist() == [False] * 6 + [True] * 2


def test_texts_in_json_have_the_rules_of_columns():
    np.testing.assert_array_equal(read_values(TEXTS[:6], FIELDS["company"]), CODES)
    np.testing.assert_array_equal(read_values([*[1, 0] * 20, "Y"], FIELDS["wav_match"]), [*[1, 0] * 20, 1])
    with pytest.raises(InvalidValuesError) as caught:
        read_values(TEXTS, FIELDS["company"])
    assert [row for row, _ in caught.value.problems] == [6, 7]
    table = raw_trips.trips_to_table([{"hvfhs_license_num": text} for text in TEXTS], FHVHV)
    assert table["hvfhs_license_num"].to_pylist() == TEXTS


@pytest.mark.parametrize(
    ("count", "end"),
    [
        (0, "must be a whole number"),
        (1, "must be 'T0' or a whole number"),
        (10, "'T8', 'T9' or a whole number"),
        (11, "'T8', 'T9', another of the 11 texts or a whole number"),
    ],
)
def test_the_message_about_a_code_lists_the_accepted_texts(count, end):
    field = replace(FIELDS["company"], texts=tuple((f"T{code}", code) for code in range(count)))
    with pytest.raises(InvalidValuesError) as caught:
        read_values(["unknown"], field)
    ((_, message),) = caught.value.problems
    assert message.endswith(f"{end} of at most 16,777,216")


def test_the_label_and_the_features_of_computed_values():
    trips = conformed(NEW).drop(columns="unreadable").iloc[[0, 0, 0]].reset_index(drop=True)
    trips["tips"], trips["base_passenger_fare"] = [2.0, 2.01, 0.0], 10.0
    trips["request_at"] = trips["pickup_at"] - pd.to_timedelta([60, 0, 90], "s")
    trips.loc[2, "request_at"] = pd.NaT
    trips["dropoff_at"], trips["trip_miles"] = trips["pickup_at"] + pd.Timedelta("30min"), 5.0
    features = featurize(trips, FHVHV)
    assert features["high_tip"].tolist() == [False, True, False]
    np.testing.assert_array_equal(features["wait_time"], [60, 0, np.nan])
    assert features["trip_speed"].tolist() == [10.0] * 3


def test_columns_show_the_data_set():
    columns = generate_month(NEW, SPEC).column_names
    assert match_dataset(columns) is dataset_of("fhvhv") is FHVHV
    assert (detect_kind(columns), unusable_kind(columns)) == ("fhvhv", None)
    without = [name for name in columns if name != "hvfhs_license_num"]
    assert (detect_kind(without), match_dataset(without)) == (None, FHVHV)
    assert unusable_kind(["dispatching_base_num", "pickup_datetime"]) == "fhv"
    assert detect_kind([*columns, "tpep_pickup_datetime"]) is None


def test_csv_has_the_rows_of_parquet(tmp_path):
    for folder in ("csv", "parquet"):
        (tmp_path / folder).mkdir()
    table = generate_month(NEW, SPEC)
    pv.write_csv(table, tmp_path / "csv" / "fhvhv_tripdata_2023-01.csv")
    pq.write_table(table, tmp_path / "parquet" / "fhvhv_tripdata_2023-01.parquet")
    csv, parquet = (
        _read_source_trips(open_source(str(tmp_path / folder)).partitions(10_000)[0], FHVHV)
        for folder in ("csv", "parquet")
    )
    pd.testing.assert_frame_equal(csv, parquet)


def test_the_check_of_a_source_reports_its_months(tmp_path):
    for month in (OLD, OLD.next):
        write_month(tmp_path / "in", month)
    report = inspect_source(open_source(str(tmp_path / "in")), lambda _: None).report
    assert report.taxi == "fhvhv"
    assert [month.rejects for month in report.months] == [
        {reason: count for reason, count in invalid_rows(month, 3_000).items() if count}
        for month in (OLD, OLD.next)
    ]
    assert report.months[0].null_shares["airport_fee"] == 1
    assert {month.schema_version for month in report.months} == {"before 2025"}


REFUSED = {
    "without tips": (lambda t: t.drop_columns("tips"), "column tips is missing", "use `toytip score`"),
    "without companies": (
        lambda t: t.drop_columns("hvfhs_license_num"),
        "column hvfhs_license_num is missing",
        "Add the values of hvfhs_license_num",
    ),
    "other companies": (
        lambda t: t.set_column(0, "hvfhs_license_num", pa.array(["B02764"] * len(t))),
        "that are not a whole number up to 16,777,216 or a known text, for example 'B02764'",
        "Use a text such as HV0002, HV0003, HV0004 or HV0005 in hvfhs_license_num",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_used_is_refused(case, tmp_path):
    change, cause, fix = REFUSED[case]
    write_month(tmp_path / "in", NEW, change)
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path / "in"))
    assert cause in str(caught.value)
    assert fix in caught.value.hint


def test_a_file_without_a_month_in_its_name(tmp_path):
    write_month(tmp_path / "in", NEW, name="rides.parquet")
    source = open_source(str(tmp_path / "in"))
    assert (source.months, source.taxi) == ((NEW,), "fhvhv")


def test_reports_do_not_call_the_cars_taxis():
    assert FHVHV.words.title.format("Fhvhv") == "Fhvhv trips"
    assert describe_kinds(["yellow", "fhvhv"]) == "yellow taxis and fhvhv"
