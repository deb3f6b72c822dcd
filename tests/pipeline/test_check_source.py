"""`toytip source check` refuses each source that a run refuses, in the words of the run."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.support.runs import run_toytip
from tests.support.trips import raw_table, write_months
from toytip.config import Settings
from toytip.core.months import Month
from toytip.errors import ConfigError, DataCheckError, SourceError, StoreError
from toytip.pipeline.startup.check_source import check_source
from toytip.sources.discovery import open_source

MONTHS = [Month(2023, month) for month in (1, 2, 3)]
PICKUP = "tpep_pickup_datetime"


def with_value(table, column, value):
    values = pa.array([value] * len(table), table[column].type)
    return table.set_column(table.column_names.index(column), column, values)


def first_days(table, days=3):
    return table.filter(pc.less_equal(pc.day(table[PICKUP]), days))


def check(folder, **settings):
    source = open_source(str(folder))
    return check_source(Settings.load(source=str(folder), **settings), source, lambda _: None)


def tables(changes=None, months=MONTHS):
    """Return a table of each month, after the changes that are given by position of the month."""
    changes = changes or {}
    return {
        str(month): changes.get(index, lambda table: table)(raw_table(200, month))
        for index, month in enumerate(months)
    }


def negative_fare(table):
    return with_value(table, "fare_amount", -1.0)


REFUSED = {
    "days without validation": (
        tables({0: first_days, 1: first_days}, MONTHS[:2]),
        {},
        DataCheckError,
        "cannot train: the validation period (2023-02-05 until 2023-02-17) has no trips after cleaning",
    ),
    "an empty test month": (
        tables({2: negative_fare}),
        {},
        DataCheckError,
        "cannot train: the test period (2023-03-01 until 2023-04-01) has no trips after cleaning",
    ),
    "no trips at all": (
        tables(dict.fromkeys(range(3), negative_fare)),
        {},
        StoreError,
        "the cleaning rules rejected all trips of 2023-01, 2023-02, 2023-03 (600 non_positive_fare)",
    ),
    "no zones": (
        tables({0: lambda table: with_value(table, "DOLocationID", -(2**40))}, MONTHS[:1]),
        {},
        StoreError,
        "(200 unreadable_value)",
    ),
    "no tips": (
        tables({0: lambda table: with_value(table, "tip_amount", 0.0)}),
        {},
        DataCheckError,
        "cannot train: the label high_tip is false for all 200 training trips",
    ),
    "no tips on training days": (
        tables({0: lambda table: with_value(table, "tip_amount", 0.0)}, MONTHS[:1]),
        {},
        DataCheckError,
        "the label high_tip is false for all",
    ),
    "cash only": (
        tables({1: lambda table: with_value(table, "payment_type", 2)}),
        {"segment": "card"},
        DataCheckError,
        "the validation period (2023-02-01 until 2023-03-01) has no card trips after cleaning",
    ),
    "months of the settings": (
        tables(),
        {"train_months": "2019-01:2019-06"},
        ConfigError,
        "cannot split the months 2023-01:2023-03: 2019-01 is not among them",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_source_without_trips_to_train_on_is_an_error(case, tmp_path):
    months, settings, error, message = REFUSED[case]
    checked = check(write_months(tmp_path, months), **settings)
    assert type(checked.error) is error
    assert message in str(checked.error)
    assert checked.report.error == str(checked.error)
    assert "source check" not in checked.error.hint


def test_a_source_without_card_trips_has_a_warning(tmp_path):
    cash = {month: lambda table: with_value(table, "payment_type", 2) for month in range(3)}
    checked = check(write_months(tmp_path, tables(cash)))
    assert checked.error is None
    assert [text for text in checked.report.warnings if "no trip is in the segment card" in text]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_source_that_a_run_accepts_is_not_refused(count, tmp_path):
    checked = check(write_months(tmp_path, tables(months=MONTHS[:count])))
    assert (checked.error, checked.report.error) == (None, None)


def test_a_null_column_is_named(tmp_path):
    def without_zones(table):
        zones = [None] * (len(table) - 1) + [7]
        index = table.column_names.index("DOLocationID")
        return negative_fare(table.set_column(index, "DOLocationID", pa.array(zones, pa.int32())))

    checked = check(write_months(tmp_path, tables(dict.fromkeys(range(3), without_zones))))
    assert "(597 missing_value, 3 non_positive_fare, most often because DOLocationID is null)" in str(
        checked.error
    )


def test_a_table_near_the_source_that_has_no_zones_is_an_error(tmp_path):
    folder = write_months(tmp_path, tables())
    (folder / "taxi_zone_lookup.csv").write_text("a,b\n1,2\n")
    assert isinstance(check(folder).error, SourceError)


def test_a_month_that_the_data_check_holds_is_a_warning(tmp_path):
    def in_kilometers(table):
        index = table.column_names.index("trip_distance")
        return table.set_column(index, "trip_distance", pc.multiply(table["trip_distance"], 1.609))

    months = [Month(2023, month) for month in range(1, 7)]
    report = check(write_months(tmp_path, tables({4: in_kilometers}, months))).report
    held = {month.month: [text for text in month.warnings if "data check" in text] for month in report.months}
    assert [name for name, warnings in held.items() if warnings] == ["2023-05"]
    assert held["2023-05"][0].startswith("the data check of a run holds this month until you accept it: ")
    assert "trip_distance" in held["2023-05"][0]


def test_the_command_prints_the_report_and_the_error(tmp_path, invoke_cli):
    folder = write_months(tmp_path / "in", tables({2: negative_fare}))
    checked = invoke_cli("source", "check", folder, "--json")
    report = json.loads(checked.stdout)
    assert checked.returncode == 1
    assert f"error: {report['error']}" in checked.stderr.splitlines()
    (tmp_path / "toytip.toml").write_text('test_months = "2023-02"\nvalidation_month = "none"\n')
    assert invoke_cli("source", "check", folder).returncode == 0


@pytest.mark.cluster
@pytest.mark.parametrize("case", ["days without validation", "no trips at all"])
def test_a_run_refuses_in_the_same_words(case, tmp_path):
    months, _, _, message = REFUSED[case]
    folder = write_months(tmp_path / "in", months)
    run = run_toytip("run", "--source", folder, "--store", tmp_path / "store", "--workers", 1)
    assert run.returncode == 1
    assert any(line.startswith("error: ") and line.endswith(message) for line in run.stderr.splitlines())
