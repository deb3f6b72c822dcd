"""Columns of a source: published eras, other names, refused layouts, time zones, bad values."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support.trips import raw_table, write_months
from toytip.core.months import Month
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.fields import FIELDS, source_column
from toytip.errors import SourceError
from toytip.pipeline.plan import print_plan
from toytip.sources.discovery import check_file, open_source
from toytip.sources.inspection import inspect_source
from toytip.sources.path_months import month_of_path
from toytip.sources.reader import read_partition
from toytip.stages.clean import clean
from toytip.stages.conform import conform

US, TEXT, LARGE = pa.timestamp("us"), pa.string(), pa.large_string()
I32, I64, F64, NULL = pa.int32(), pa.int64(), pa.float64(), pa.null()


def era(codes, optional_codes, text, /, **fees):
    """Return the types of an era: of codes, of codes that can be missing, of text, and the fees."""
    return {
        "VendorID": codes,
        "pickup_datetime": US,
        "dropoff_datetime": US,
        "store_and_fwd_flag": text,
        "RatecodeID": optional_codes,
        "PULocationID": codes,
        "DOLocationID": codes,
        "passenger_count": optional_codes,
        "trip_distance": F64,
        "fare_amount": F64,
        "extra": F64,
        "mta_tax": F64,
        "tip_amount": F64,
        "tolls_amount": F64,
        "total_amount": F64,
        "payment_type": optional_codes,
        **fees,
    }


# Types in which the TLC publishes its files: taxi type, month, types by column. A column whose type
# is in a tuple has no values.
GREEN = {"trip_type": F64}
ERAS = {
    "yellow 2011": (
        "yellow",
        "2011-03",
        era(I64, I64, TEXT, improvement_surcharge=(F64,), congestion_surcharge=(F64,), airport_fee=(F64,)),
    ),
    "yellow 2014": (
        "yellow",
        "2014-06",
        era(I64, I64, TEXT, improvement_surcharge=F64, congestion_surcharge=(I32,), airport_fee=(I32,)),
    ),
    "yellow 2015": (
        "yellow",
        "2015-01",
        era(I64, I64, TEXT, improvement_surcharge=F64, congestion_surcharge=(F64,), airport_fee=(F64,)),
    ),
    "yellow 2018": (
        "yellow",
        "2018-12",
        era(I64, I64, TEXT, improvement_surcharge=F64, congestion_surcharge=(NULL,), airport_fee=(NULL,)),
    ),
    "yellow 2019": (
        "yellow",
        "2019-07",
        era(I64, F64, TEXT, improvement_surcharge=F64, congestion_surcharge=F64, airport_fee=(NULL,)),
    ),
    "yellow 2021": (
        "yellow",
        "2021-05",
        era(I64, F64, TEXT, improvement_surcharge=F64, congestion_surcharge=F64, airport_fee=F64),
    ),
    "yellow 2023": (
        "yellow",
        "2023-02",
        era(I32, I64, LARGE, improvement_surcharge=F64, congestion_surcharge=F64, Airport_fee=F64),
    ),
    "yellow 2025": (
        "yellow",
        "2025-01",
        era(
            I32,
            I64,
            LARGE,
            improvement_surcharge=F64,
            congestion_surcharge=F64,
            Airport_fee=F64,
            cbd_congestion_fee=F64,
        ),
    ),
    "green 2013": (
        "green",
        "2013-08",
        era(
            I64,
            I64,
            TEXT,
            improvement_surcharge=(I32,),
            ehail_fee=(I32,),
            congestion_surcharge=(I32,),
            **GREEN,
        ),
    ),
    "green 2014": (
        "green",
        "2014-12",
        era(I32, I64, TEXT, improvement_surcharge=(NULL,), ehail_fee=(I32,), **GREEN),
    ),
    "green 2015": (
        "green",
        "2015-01",
        era(
            I64, I64, TEXT, improvement_surcharge=F64, ehail_fee=(F64,), congestion_surcharge=(F64,), **GREEN
        ),
    ),
    "green 2018": (
        "green",
        "2018-04",
        era(
            I64, F64, TEXT, improvement_surcharge=F64, ehail_fee=(NULL,), congestion_surcharge=(I32,), **GREEN
        ),
    ),
    "green 2019": (
        "green",
        "2019-02",
        era(I64, F64, TEXT, improvement_surcharge=F64, ehail_fee=(NULL,), congestion_surcharge=F64, **GREEN),
    ),
    "green 2023": (
        "green",
        "2023-08",
        era(
            I32,
            I64,
            LARGE,
            improvement_surcharge=F64,
            ehail_fee=(F64,),
            congestion_surcharge=F64,
            trip_type=I64,
        ),
    ),
    "green 2025": (
        "green",
        "2025-02",
        era(
            I32,
            I64,
            LARGE,
            improvement_surcharge=F64,
            ehail_fee=(F64,),
            congestion_surcharge=F64,
            trip_type=I64,
            cbd_congestion_fee=F64,
        ),
    ),
}


def published(table, taxi, month, types):
    """Return rows as the TLC publishes them in an era, with pickups in the month."""
    prefix = {"yellow": "tpep", "green": "lpep"}[taxi]
    names = {"pickup_datetime": f"{prefix}_pickup_datetime", "dropoff_datetime": f"{prefix}_dropoff_datetime"}
    own = {name.lower(): name for name in table.column_names}
    shift = pa.scalar((month.start - Month(2023, 1).start), pa.duration("us"))
    columns = {}
    for name, arrow_type in types.items():
        source = own.get(f"lpep_{name}", own.get(name.lower()))
        if isinstance(arrow_type, tuple):
            columns[name] = pa.nulls(len(table), *arrow_type)
        elif arrow_type == US:
            columns[names[name]] = pc.add(table[source], shift)
        elif source is None:
            columns[name] = pa.array(np.full(len(table), 0.5))
        else:
            columns[name] = table[source].cast(arrow_type)
    return pa.table(columns)


@pytest.fixture(scope="module")
def green_rows(real_data_dir):
    """The first rows of a month."""
    return pq.read_table(real_data_dir / "green-2023" / "green_tripdata_2023-01.parquet").slice(0, 400)


def trips_of(folder):
    """Return the kept trips and the rejects of each file."""
    partitions = open_source(str(folder)).partitions(10_000)
    return [clean(conform(read_partition(partition), partition, TLC), TLC) for partition in partitions]


@pytest.mark.parametrize("name", ERAS)
def test_every_published_era_is_read(name, green_rows, tmp_path):
    taxi, month, types = ERAS[name]
    table = published(green_rows, taxi, Month.parse(month), types)
    write_months(tmp_path, {month: table}, taxi)
    source = open_source(str(tmp_path))
    assert (source.taxi, source.notes) == (taxi, ())
    empty = {column.lower() for column, arrow_type in types.items() if isinstance(arrow_type, tuple)}
    names = {field.name for field in FIELDS if field.name.lower() in empty} | {
        field.name
        for field in FIELDS
        if field.kind != "time" and field.name.lower() not in {c.lower() for c in types}
    }
    assert set(source.missing_columns) == names
    ((kept, rejects),) = trips_of(tmp_path)
    assert len(kept) + len(rejects) == 400
    assert len(kept) > 380
    assert all(kept[column].isna().all() for column in names)
    (report,) = inspect_source(source, lambda _: None).report.months
    assert report.unreadable_values == report.notes == ()
    assert report.rejects == rejects["reason"].value_counts().to_dict()


def test_a_source_mixes_eras(green_rows, tmp_path):
    for name in ("green 2014", "green 2015"):
        taxi, month, types = ERAS[name]
        write_months(tmp_path, {month: published(green_rows, taxi, Month.parse(month), types)}, taxi)
    source = open_source(str(tmp_path))
    assert {name: list(map(str, months)) for name, months in source.partly_missing_columns.items()} == {
        "improvement_surcharge": ["2014-12"]
    }
    (old, _), (new, _) = trips_of(tmp_path)
    fees = ["improvement_surcharge", "trip_id", "pickup_at", "dropoff_at"]
    assert old.drop(columns=fees).equals(new.drop(columns=fees))
    assert (old["improvement_surcharge"].isna().all(), new["improvement_surcharge"].isna().any()) == (
        True,
        False,
    )


NAMES = {
    "upper case": lambda c: c.upper(),
    "spaces around": lambda c: f" {c} ",
    "camel case (Azure)": lambda c: "".join(
        [w if not i else w[:1].upper() + w[1:] for i, w in enumerate(c.split("_"))]
    ),
    "snake case": lambda c: {
        "VendorID": "vendor_id",
        "PULocationID": "pu_location_id",
        "DOLocationID": "do_location_id",
        "RatecodeID": "rate_code_id",
    }.get(c, c),
    "BigQuery": lambda c: {
        "VendorID": "vendor_id",
        "lpep_pickup_datetime": "pickup_datetime",
        "lpep_dropoff_datetime": "dropoff_datetime",
        "PULocationID": "pickup_location_id",
        "DOLocationID": "dropoff_location_id",
        "RatecodeID": "rate_code",
        "improvement_surcharge": "imp_surcharge",
    }.get(c, c),
    "CSV of 2014": lambda c: {"extra": "surcharge", "RatecodeID": "rate_code"}.get(c, c),
}


@pytest.mark.parametrize("names", NAMES)
def test_names_of_other_publishers_are_read(names, green_rows, tmp_path):
    write_months(tmp_path / "own", {"2023-01": green_rows}, "green")
    renamed = green_rows.rename_columns([NAMES[names](name) for name in green_rows.column_names])
    write_months(tmp_path / "other", {"2023-01": renamed}, "green")
    ((kept, rejects),) = trips_of(tmp_path / "own")
    ((kept_other, rejects_other),) = trips_of(tmp_path / "other")
    assert kept_other.equals(kept)
    assert rejects_other.equals(rejects)


@pytest.mark.parametrize(
    ("names", "file", "taxi"),
    [
        (["pickup_datetime", "trip_type"], "trips_2023-01.parquet", "green"),
        (["pickup_datetime"], "yellow_2023-01.parquet", "yellow"),
        (["pickup_datetime"], "trips_2023-01.parquet", None),
    ],
)
def test_the_file_shows_the_taxi_type_if_the_time_columns_do_not(names, file, taxi, tmp_path):
    table = raw_table(9).rename_columns([name.removeprefix("tpep_") for name in raw_table(9).column_names])
    if "trip_type" in names:
        table = table.append_column("trip_type", pa.array([1] * 9))
    pq.write_table(table, tmp_path / file)
    if taxi is None:
        with pytest.raises(SourceError, match="do not show whether its taxis are yellow or green") as caught:
            open_source(str(tmp_path))
        assert "lpep_pickup_datetime (green)" in caught.value.hint
    else:
        assert open_source(str(tmp_path)).taxi == taxi


def without_zones(table, *names):
    table = table.drop_columns(["PULocationID", "DOLocationID"])
    for name in names:
        table = table.append_column(name, pa.array([-73.9] * len(table)))
    return table


def renamed(table, **names):
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def replaced(table, **columns):
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table


TIMES = ("tpep_pickup_datetime", "tpep_dropoff_datetime")


def as_text(table, pattern):
    """Return a table with times as text in a pattern."""
    times = {name: pc.strftime(table[name].cast(pa.timestamp("s")), pattern) for name in TIMES}
    return replaced(table, **times)


LAYOUTS = {
    "2009": (
        lambda t: without_zones(
            renamed(t, tpep_pickup_datetime="Trip_Pickup_DateTime"), "Start_Lon", "Start_Lat", "End_Lon"
        ),
        "it has the layout of 2009 and 2010, with coordinates and without zones",
        "Start with 2011",
    ),
    "2010": (
        lambda t: without_zones(renamed(t, tpep_pickup_datetime="pickup_datetime"), "pickup_longitude"),
        "it has the layout of 2009 and 2010",
        "Start with 2011",
    ),
    "for-hire vehicles": (
        lambda t: renamed(t, tpep_pickup_datetime="pickup_datetime", extra="dispatching_base_num"),
        "trip records of for-hire vehicles (fhv)",
        "Use yellow, green or fhvhv trip records.",
    ),
    "both taxi types": (
        lambda t: t.append_column("lpep_pickup_datetime", t["tpep_pickup_datetime"]),
        "2 columns contain pickup_at (tpep_pickup_datetime, lpep_pickup_datetime)",
        "separate files",
    ),
    "two spellings": (
        lambda t: t.append_column("AIRPORT_FEE", t["extra"]),
        "2 columns contain airport_fee (airport_fee, AIRPORT_FEE)",
        "remove all but one",
    ),
    "another table": (
        lambda _: pa.table({"a": [1], "b": [2]}),
        "it is not a yellow, green or fhvhv trip record",
        "This file has the columns 'a', 'b'",
    ),
    "all problems at once": (
        lambda t: replaced(
            t.drop_columns(["mta_tax"]),
            VendorID=pa.array([True] * 50),
            fare_amount=pa.array(["ten"] * 50),
            extra=pa.nulls(50),
        ),
        (
            "column VendorID is bool, not a whole number, column extra holds only nulls, column mta_tax is "
            "missing and column fare_amount has 50 of 50 values that are not a number"
        ),
        (
            "Convert VendorID to a whole number. Add the values of extra and mta_tax. "
            "If the TLC published the file, download it again. Convert fare_amount to a number."
        ),
    ),
    "many problems": (
        lambda t: replaced(
            t,
            **{
                name: pa.array(["ten"] * 50)
                for name in t.column_names
                if name.endswith(("amount", "surcharge", "ID"))
            },
        ),
        "for example 'ten' in row 0 (counted from 0) and 3 other problems",
        "Convert VendorID, PULocationID, DOLocationID and RatecodeID to a whole number.",
    ),
    "a header without a delimiter": (
        lambda t: renamed(t.select([0]), tpep_pickup_datetime="x" * 100),
        "it is not a yellow, green or fhvhv trip record",
        f"the columns '{'x' * 60}', ...",
    ),
    "halves of zones": (
        lambda t: replaced(t, PULocationID=pa.array([74.5] * 50)),
        "column PULocationID has 50 of 50 values that are not a whole number up to 16,777,216, for example '74.5'",
        "Convert PULocationID to a whole number.",
    ),
    "decimals of zones": (
        lambda t: replaced(t, PULocationID=pa.array([74.5] * 50).cast(pa.decimal128(5, 2))),
        "column PULocationID has 50 of 50 values that are not a whole number up to 16,777,216, for example '74.50'",
        "Convert PULocationID to a whole number.",
    ),
    "a time of nulls": (
        lambda t: replaced(t, tpep_dropoff_datetime=pa.nulls(50, pa.timestamp("us"))),
        "column tpep_dropoff_datetime holds only nulls",
        "Add the values of tpep_dropoff_datetime.",
    ),
    "a missing time": (
        lambda t: t.drop_columns(["tpep_dropoff_datetime"]),
        "column tpep_dropoff_datetime is missing",
        "Add the values of tpep_dropoff_datetime.",
    ),
    "a list": (
        lambda t: replaced(t, fare_amount=pa.array([[1.5]] * 50)),
        "column fare_amount is list<element: double>, not a number",
        "Convert fare_amount to a number.",
    ),
    "a time as a structure": (
        lambda t: replaced(t, tpep_pickup_datetime=pa.array([{"time": 1}] * 50)),
        "column tpep_pickup_datetime is struct<time: int64>, not a time",
        "Convert tpep_pickup_datetime to a time",
    ),
    "days before months": (
        lambda t: as_text(t, "%d/%m/%Y %I:%M:%S %p"),
        (
            "column tpep_pickup_datetime has times of 12 hours with the day before the month and "
            "column tpep_dropoff_datetime has times of 12 hours with the day before the month"
        ),
        "Write tpep_pickup_datetime and tpep_dropoff_datetime as text such as 2023-01-31 20:15:00. In pandas",
    ),
    "first days before months": (
        lambda t: as_text(t.slice(0, 15), "%d/%m/%Y %I:%M:%S %p"),
        "column tpep_pickup_datetime has times of 12 hours with the day before the month",
        "Write tpep_pickup_datetime as text such as 2023-01-31 20:15:00. In pandas",
    ),
    "digits of a date and a time": (
        lambda t: replaced(t, tpep_pickup_datetime=pa.array([20230131201500] * 50)),
        "tpep_pickup_datetime has 50 of 50 values that are not a time, for example '20230131201500'",
        "for example to a timestamp or to text such as 2023-01-31 20:15:00",
    ),
    "mostly unreadable times": (
        lambda t: replaced(t, tpep_dropoff_datetime=pa.array(["soon"] * 26 + ["2023-01-01 08:00:00"] * 24)),
        "column tpep_dropoff_datetime has 26 of 50 values that are not a time, for example 'soon' in row 0 (counted from 0)",
        "Convert tpep_dropoff_datetime to a time, for example",
    ),
}


@pytest.mark.parametrize("name", ["yellow_tripdata_2023-01.parquet", "yellow.parquet"])
@pytest.mark.parametrize("rows", [15, 50])
def test_the_month_before_the_day_is_read(rows, name, tmp_path):
    table = raw_table(50).slice(0, rows)
    pq.write_table(as_text(table, "%m/%d/%Y %I:%M:%S %p"), tmp_path / name)
    source = open_source(str(tmp_path / name))
    assert [(str(file.month), file.rows) for file in source.files] == [("2023-01", rows)]


def test_a_day_that_comes_late_in_a_file_without_a_month_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("toytip.sources.reader.BATCH_ROWS", 10)
    pq.write_table(as_text(raw_table(50), "%d/%m/%Y %I:%M:%S %p"), tmp_path / "yellow.parquet")
    with pytest.raises(SourceError, match="column tpep_pickup_datetime has times of 12 hours"):
        open_source(str(tmp_path / "yellow.parquet"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_that_are_refused_before_the_work(layout, tmp_path):
    change, message, hint = LAYOUTS[layout]
    write_months(tmp_path, {"2023-01": change(raw_table(50))})
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path))
    assert message in str(caught.value)
    assert "yellow_tripdata_2023-01.parquet" in str(caught.value)
    assert hint in caught.value.hint


# --- Time zones


def labelled(column, form):
    """Return New York's times in another form: as instants, or with a wrong meaning."""
    if form == "digits with the label UTC":
        return pc.assume_timezone(column, "UTC")
    if form == "digits with Z":
        return pc.binary_join_element_wise(column.cast(pa.string()), "Z", "")
    instants = pc.assume_timezone(column, "America/New_York", ambiguous="earliest", nonexistent="earliest")
    utc = instants.cast(pa.timestamp("us", "UTC"))
    return {
        "instants in UTC": utc,
        "instants in New York": instants,
        "instants as epoch numbers": utc.cast(pa.int64()),
        "instants as epoch text": utc.cast(pa.int64()).cast(pa.string()),
        "digits as epoch numbers": column.cast(pa.int64()),
        "digits as epoch text": column.cast(pa.int64()).cast(pa.string()),
        "text with offsets": pc.strftime(instants, format="%Y-%m-%d %H:%M:%S%z"),
    }[form]


@pytest.fixture(scope="module")
def green_month(real_data_dir):
    return pq.read_table(real_data_dir / "green-2023" / "green_tripdata_2023-06.parquet")


def write_labelled(folder, table, form):
    columns = {
        name: labelled(table[name], form) for name in ("lpep_pickup_datetime", "lpep_dropoff_datetime")
    }
    return write_months(folder, {"2023-06": replaced(table, **columns)}, "green")


@pytest.mark.parametrize(
    ("form", "note"),
    [
        ("instants in UTC", "from time zone UTC to New York time"),
        ("instants in New York", "from time zone America/New_York to New York time"),
        ("digits as epoch numbers", "from epoch numbers in microseconds"),
        ("digits as epoch text", "from epoch numbers as text"),
        ("text with offsets", "from text with UTC offsets to New York time"),
    ],
)
def test_instants_become_the_clock_of_new_york(form, note, green_month, tmp_path):
    table = green_month.slice(0, 3_000)
    write_months(tmp_path / "plain", {"2023-06": table}, "green")
    folder = write_labelled(tmp_path / "other", table, form)
    ((kept, rejects),), ((kept_other, rejects_other),) = trips_of(tmp_path / "plain"), trips_of(folder)
    assert kept_other.equals(kept)
    assert rejects_other.equals(rejects)
    assert open_source(str(folder)).notes[0] == f"column lpep_pickup_datetime is converted {note}"


@pytest.mark.parametrize(
    ("form", "hint"),
    [
        ("digits with the label UTC", "Remove the label"),
        ("digits with Z", "Remove the label"),
        ("instants as epoch numbers", "Convert lpep_pickup_datetime to timestamps with the time zone UTC."),
        ("instants as epoch text", "Convert lpep_pickup_datetime to timestamps with the time zone UTC."),
    ],
)
def test_a_label_that_contradicts_the_month_is_refused(form, hint, green_month, tmp_path):
    write_labelled(tmp_path, green_month, form)
    message = r"column lpep_pickup_datetime contradicts the month of the file: .* of 65,550 times"
    with pytest.raises(SourceError, match=message) as caught:
        open_source(str(tmp_path))
    assert hint in caught.value.hint


def test_a_published_file_is_checked_by_its_footer(tmp_path, monkeypatch):
    """A check of the types that the TLC publishes reads no rows."""
    write_months(tmp_path, {"2023-01": raw_table(50)})
    monkeypatch.setattr("toytip.sources.discovery.read_columns", None)
    path = str(tmp_path / "yellow_tripdata_2023-01.parquet")
    assert check_file(path, month_of_path(path)).file.rows == 50


# --- The check of all rows, and the plan of a run


def test_the_check_counts_what_a_run_rejects(tmp_path):
    table = replaced(
        raw_table(50),
        passenger_count=pa.array([1.37, 2.5, *[1.0] * 48]),
        tolls_amount=pa.array([*["0"] * 47, "x", "", "0"]),
        fare_amount=pa.array([*[10.0] * 45, -1.0, float("nan"), float("inf"), 10.0, 10.0]),
        VendorID=pa.array([2**40, *[1] * 49]),
    )
    write_months(tmp_path, {"2023-01": table})
    source = open_source(str(tmp_path))
    (report,) = inspect_source(source, lambda _: None).report.months
    ((_, rejects),) = trips_of(tmp_path)
    assert report.rejects == rejects["reason"].value_counts().to_dict()
    assert report.rejects == {"unreadable_value": 3, "missing_value": 1, "non_positive_fare": 1}
    found = {values.column: (values.count, values.row, values.example) for values in report.unreadable_values}
    assert found == {
        "VendorID": (1, 0, "1099511627776"),
        "passenger_count": (2, 0, "1.37"),
        "fare_amount": (1, 47, "inf"),
        "tolls_amount": (1, 47, "x"),
    }
    assert any("column passenger_count has 2 of 50 values" in warning for warning in report.warnings)
    assert report.null_shares["fare_amount"] == report.null_shares["tolls_amount"] == 0.02


def test_a_missing_column_that_the_tlc_publishes_is_a_warning(tmp_path):
    table = raw_table(50).drop_columns(["improvement_surcharge", "airport_fee"])
    write_months(tmp_path, {"2023-01": table})
    (report,) = inspect_source(open_source(str(tmp_path)), lambda _: None).report.months
    assert [warning for warning in report.warnings if "missing" in warning] == [
        f"column {name} is missing, and the TLC publishes it since {year}"
        for name, year in (("improvement_surcharge", 2015), ("airport_fee", 2021))
    ]


def test_old_timestamps_keep_far_years(tmp_path):
    """In nanoseconds, the year 3019 would become a plausible year."""
    far = np.array(["3019-02-03", "1849-01-01", *["2023-01-05"] * 48], "datetime64[us]")
    table = replaced(raw_table(50), tpep_dropoff_datetime=pa.array(far))
    pq.write_table(table, tmp_path / "yellow_2023-01.parquet", use_deprecated_int96_timestamps=True)
    ((kept, rejects),) = trips_of(tmp_path)
    assert {time.year for time in rejects["dropoff_at"]} >= {3019, 1849}
    assert len(kept) + len(rejects) == 50


def test_the_plan_says_how_columns_are_converted(tmp_path):
    """A run prints each conversion once, and the months in which a column is missing."""
    from types import SimpleNamespace

    february = raw_table(50, Month(2023, 2))
    name = source_column("pickup_at", "yellow")
    write_months(
        tmp_path,
        {
            "2023-01": raw_table(50).drop_columns(["congestion_surcharge"]),
            "2023-02": replaced(february, **{name: february[name].cast(pa.string())}),
        },
    )
    source, lines = open_source(str(tmp_path)), []
    plan = SimpleNamespace(
        source=source,
        partition_rows=1_000,
        partitions=source.partitions(1_000),
        split=SimpleNamespace(time_ranges=dict),
    )
    print_plan(plan, SimpleNamespace(info=lines.append))
    assert "column congestion_surcharge is missing in 2023-01" in lines
    assert f"column {name} is converted from text (in 1 of 2 files)" in lines
