"""check: what stands out in a source before it is used."""

import pyarrow as pa
import pytest

from tests.conftest import parse_summary, raw_table, run_toytip, write_months
from toytip.core.months import Month
from toytip.sources.discovery import open_source
from toytip.sources.inspection import inspect_source


def make(folder, **rows):
    tables = {
        f"2023-0{number}": raw_table(count, Month(2023, number))
        for number, count in enumerate(rows.values(), start=1)
    }
    return write_months(folder, tables)


def test_a_month_beside_its_neighbours(tmp_path):
    seen = []
    checked = inspect_source(open_source(str(make(tmp_path, a=100, b=110, c=20, d=105))), seen.append)
    assert [file.rows for file in checked] == [100, 110, 20, 105]
    assert sum(seen) == 335
    assert checked[2].neighbours == pytest.approx(20 / 105, abs=1e-3)
    assert [bool(file.warnings) for file in checked] == [False, False, True, False]


def test_missing_values_and_trips_of_other_months(tmp_path):
    table = raw_table(100)
    count = pa.array([None if n < 7 else 1.0 for n in range(100)])
    table = table.set_column(table.column_names.index("passenger_count"), "passenger_count", count)
    write_months(tmp_path, {"2023-01": table, "2023-02": raw_table(100)})
    first, second = inspect_source(open_source(str(tmp_path)), lambda _: None)
    assert first.nulls["passenger_count"] == pytest.approx(0.07)
    assert (first.out_of_month, second.out_of_month) == (0, 1)
    assert "in other months" in second.warnings[0]


@pytest.mark.parametrize(
    ("names", "era"),
    [
        ([], "since 2019"),
        (["airport_fee"], "since 2021"),
        (["Airport_fee"], "since 2023"),
        (["Airport_fee", "cbd_congestion_fee"], "since 2025"),
    ],
)
def test_the_era_of_a_schema(names, era, tmp_path):
    table = raw_table(50).drop_columns(["airport_fee", "cbd_congestion_fee"])
    for name in names:
        table = table.append_column(name, pa.array([1.0] * 50))
    write_months(tmp_path, {"2023-01": table})
    (checked,) = inspect_source(open_source(str(tmp_path)), lambda _: None)
    assert checked.era.startswith(era)
    assert checked.neighbours is None


def test_from_the_command_line(tmp_path):
    make(tmp_path, a=100, b=100, c=10)
    found = parse_summary(run_toytip("source", "check", tmp_path, "--json"))
    assert [file["month"] for file in found["files"]] == ["2023-01", "2023-02", "2023-03"]
    shown = run_toytip("source", "check", tmp_path).stdout
    assert "2023-03: warning: 0.10 times the rows" in shown
    assert run_toytip("source", "check", tmp_path / "none").returncode == 1


def test_a_published_year(real_data_dir):
    checked = inspect_source(open_source(str(real_data_dir / "green-2023")), lambda _: None)
    assert sum(file.rows for file in checked) == 787_060
    assert not any(file.warnings for file in checked)
