"""Values of CSV files and of months in several files: the same rules as for one Parquet file."""

import re

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from tests.support.trips import raw_table
from toytip.core.months import Month
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.engine.graph import _read_source_trips
from toytip.errors import SourceError
from toytip.sources.discovery import open_source
from toytip.sources.inspection import inspect_source
from toytip.stages.clean import clean

PICKUP, DROPOFF = "lpep_pickup_datetime", "lpep_dropoff_datetime"
JANUARY = Month(2023, 1)
TABLE = raw_table(50, JANUARY, "lpep")


def changed(**columns):
    """Return the table with other columns, whose values are all text."""
    table = TABLE
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))
    return table


def texts(name):
    return [str(value) for value in TABLE[name].to_pylist()]


def write_csv(path, table, delimiter=","):
    pv.write_csv(table, path, pv.WriteOptions(delimiter=delimiter, quoting_style="none"))
    return open_source(str(path))


def read(source, partition_rows=1_000):
    frames = [_read_source_trips(partition, TLC) for partition in source.partitions(partition_rows)]
    return pd.concat(frames, ignore_index=True)


def test_times_with_an_offset_become_new_york_times(tmp_path):
    zoned = changed(**{name: [f"{text}-05:00" for text in texts(name)] for name in (PICKUP, DROPOFF)})
    source = write_csv(tmp_path / "green_2023-01.csv", zoned)
    assert source.notes == tuple(
        f"column {name} is converted from text with UTC offsets to New York time"
        for name in (PICKUP, DROPOFF)
    )
    assert read(source)["pickup_at"].tolist() == TABLE[PICKUP].to_pylist()


def test_new_york_times_with_the_label_utc_are_refused(tmp_path):
    first_hours = pd.date_range("2023-01-01", periods=50, freq="3min").astype(str)
    with pytest.raises(SourceError, match=f"column {PICKUP} contradicts the month of the file"):
        write_csv(tmp_path / "green_2023-01.csv", changed(**{PICKUP: [f"{text}Z" for text in first_hours]}))


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_an_unreadable_value_rejects_its_row(delimiter, tmp_path):
    fares = [f"{10 + row / 4:.2f}" for row in range(50)]
    path = tmp_path / "green_2023-01.csv"
    write_csv(path, changed(fare_amount=[*fares[:-2], "ten", "-"]), delimiter)
    if delimiter == ";":
        path.write_text(re.sub(r"\.(\d\d?)(?=[;\n])", r",\1", path.read_text()))
    source = open_source(str(path))
    trips, rejects = clean(read(source), TLC)
    assert rejects["reason"].tolist() == ["unreadable_value", "missing_value"]
    assert trips["fare_amount"].tolist() == [float(fare) for fare in fares[:-2]]
    (report,) = inspect_source(source, lambda _: None).report.months
    assert report.rejects == {"unreadable_value": 1, "missing_value": 1}
    assert [(values.column, values.row, values.example) for values in report.unreadable_values] == [
        ("fare_amount", 48, "ten")
    ]


def test_all_problems_of_the_columns_are_in_one_error(tmp_path):
    table = changed(
        fare_amount=["ten"] * 50, **{PICKUP: [f"2023-01-{1 + row % 28:02d}" for row in range(50)]}
    )
    with pytest.raises(SourceError) as caught:
        write_csv(tmp_path / "green_2023-01.csv", table.drop_columns(["tip_amount"]))
    message = str(caught.value)
    assert "column tip_amount is missing" in message
    assert "column fare_amount has 50 of 50 values that are not a number" in message
    assert f"column {PICKUP} has 50 of 50 values that are not a time" in message


def test_a_file_of_several_months_keeps_rows_with_unreadable_times(tmp_path):
    tables = [raw_table(50, Month(2023, month), "lpep") for month in (1, 2)]
    table = pa.concat_tables(tables)
    times = [str(time) for time in table[PICKUP].to_pylist()]
    times[70] = "yesterday"
    table = table.set_column(table.column_names.index(PICKUP), PICKUP, pa.array(times))
    pq.write_table(table, tmp_path / "green_2023.parquet")
    write_csv(tmp_path / "trips.csv", table)
    for name in ("green_2023.parquet", "trips.csv"):
        source = open_source(str(tmp_path / name))
        assert [(str(file.month), file.rows) for file in source.files] == [("2023-01", 51), ("2023-02", 49)]
        first, second = inspect_source(source, lambda _: None).report.months
        assert (first.rejects.get("unreadable_value"), second.rejects.get("unreadable_value")) == (1, None)


def test_the_check_names_the_row_or_the_line_in_a_file_of_several_months(tmp_path):
    """Rows of other months count, as they do for somebody who opens the file."""
    tables = [raw_table(50, Month(2023, month), "lpep") for month in (1, 2, 1)]
    table = pa.concat_tables(tables)
    tolls = ["0"] * 50 + ["0"] * 20 + ["x"] + ["0"] * 40 + ["y"] + ["0"] * 38
    table = table.set_column(table.column_names.index("tolls_amount"), "tolls_amount", pa.array(tolls))
    pq.write_table(table, tmp_path / "green_2023.parquet")
    write_csv(tmp_path / "trips.csv", table)
    for name, labels in (
        ("green_2023.parquet", ["row 111 (counted from 0)", "row 70 (counted from 0)"]),
        ("trips.csv", ["line 113", "line 72"]),
    ):
        months = inspect_source(open_source(str(tmp_path / name)), lambda _: None).report.months
        assert [month.unreadable_values[0].row for month in months] == [111, 70]
        for month, label in zip(months, labels, strict=True):
            assert any(warning.endswith(f"in {label}") for warning in month.warnings)


def test_the_check_of_a_month_in_several_files_names_the_file(tmp_path):
    folder = tmp_path / "year=2023" / "month=1"
    folder.mkdir(parents=True)
    pq.write_table(TABLE.slice(0, 20), folder / "part-0.parquet")
    tolls = [*["0"] * 44, "x", *["0"] * 5]
    pq.write_table(changed(tolls_amount=tolls).slice(20), folder / "part-1.parquet")
    (report,) = inspect_source(open_source(str(tmp_path)), lambda _: None).report.months
    assert (report.rows, len(report.uris)) == (50, 2)
    assert report.rejects["unreadable_value"] == 1
    (warning,) = [warning for warning in report.warnings if "tolls_amount" in warning]
    assert warning == (
        f"{folder}/part-1.parquet: column tolls_amount has 1 of 30 values that are not a number up to "
        "1,000,000,000,000, for example 'x' in row 24 (counted from 0)"
    )
