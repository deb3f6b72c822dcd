"""Inspection: the report on the files of a source."""

import pyarrow as pa
import pytest

from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import raw_table, write_months
from toytip.core.months import Month
from toytip.sources.discovery import open_source
from toytip.sources.inspection import inspect_source


def make(folder, **rows):
    tables = {
        f"2023-0{number}": raw_table(count, Month(2023, number))
        for number, count in enumerate(rows.values(), start=1)
    }
    return write_months(folder, tables)


def test_a_month_is_compared_with_the_adjacent_months(tmp_path):
    rows_read = []
    report = inspect_source(open_source(str(make(tmp_path, a=100, b=110, c=20, d=105))), rows_read.append)
    assert (report.taxi, report.rows) == ("yellow", 335)
    assert [file.rows for file in report.months] == [100, 110, 20, 105]
    assert sum(rows_read) == 335
    assert report.months[2].adjacent_row_ratio == pytest.approx(20 / 105, abs=1e-3)
    unusual = [any("adjacent months" in warning for warning in file.warnings) for file in report.months]
    assert unusual == [False, False, True, False]


def test_missing_values_and_trips_of_other_months(tmp_path):
    table = raw_table(100)
    count = pa.array([None if n < 7 else 1.0 for n in range(100)])
    table = table.set_column(table.column_names.index("passenger_count"), "passenger_count", count)
    mixed = pa.concat_tables([raw_table(60, Month(2023, 2)), raw_table(40)])
    write_months(tmp_path, {"2023-01": table, "2023-02": mixed})
    first, second = inspect_source(open_source(str(tmp_path)), lambda _: None).months
    assert first.null_shares["passenger_count"] == pytest.approx(0.07)
    assert (first.out_of_month_share, second.out_of_month_share) == (0, 0.4)
    assert "in other months" in second.warnings[0]


def test_a_month_without_rows_that_a_run_keeps_is_a_warning(tmp_path):
    tables = {f"2023-0{number}": raw_table(50, Month(2023, number)) for number in (1, 2)}
    index = tables["2023-02"].column_names.index("fare_amount")
    for month, fares in (("2023-01", [*[-1.0] * 20, *[10.0] * 30]), ("2023-02", [-1.0] * 50)):
        tables[month] = tables[month].set_column(index, "fare_amount", pa.array(fares))
    write_months(tmp_path, tables)
    first, second = inspect_source(open_source(str(tmp_path)), lambda _: None).months
    rejected = [["a run rejects" in warning for warning in month.warnings] for month in (first, second)]
    assert list(map(sum, rejected)) == [0, 1]


def test_a_month_of_rejected_rows_is_a_warning(tmp_path):
    good, swapped = raw_table(100), raw_table(100, Month(2023, 2))
    exchanged = {
        "tpep_pickup_datetime": "tpep_dropoff_datetime",
        "tpep_dropoff_datetime": "tpep_pickup_datetime",
    }
    swapped = swapped.rename_columns([exchanged.get(name, name) for name in swapped.column_names])
    write_months(tmp_path, {"2023-01": good, "2023-02": swapped})
    first, second = inspect_source(open_source(str(tmp_path)), lambda _: None).months
    assert not any("a run rejects" in text for text in first.warnings)
    (warning,) = (text for text in second.warnings if "a run rejects" in text)
    assert warning.endswith("% of the rows as non_positive_duration")


@pytest.mark.parametrize(
    ("names", "schema_version"),
    [
        ([], "since 2019"),
        (["airport_fee"], "since 2021"),
        (["Airport_fee"], "since 2023"),
        (["Airport_fee", "cbd_congestion_fee"], "since 2025"),
    ],
)
def test_the_newest_column_gives_the_schema_version(names, schema_version, tmp_path):
    table = raw_table(50).drop_columns(["airport_fee", "cbd_congestion_fee"])
    for name in names:
        table = table.append_column(name, pa.array([1.0] * 50))
    write_months(tmp_path, {"2023-01": table})
    (report,) = inspect_source(open_source(str(tmp_path)), lambda _: None).months
    assert report.schema_version.startswith(schema_version)
    assert report.adjacent_row_ratio is None


def test_from_the_command_line(tmp_path):
    make(tmp_path, a=100, b=100, c=10)
    summary = parse_summary(run_toytip("source", "check", tmp_path, "--json"))
    assert [file["month"] for file in summary["months"]] == ["2023-01", "2023-02", "2023-03"]
    assert (
        "2023-03: warning: it has 0.10 times as many rows" in run_toytip("source", "check", tmp_path).stdout
    )
    assert run_toytip("source", "check", tmp_path / "none").returncode == 1


def test_a_published_year(real_data_dir):
    report = inspect_source(open_source(str(real_data_dir / "green-2023")), lambda _: None)
    assert sum(file.rows for file in report.months) == report.rows == 787_060
    assert not any(file.warnings for file in report.months)
