"""Columns in any representation give the same trips, and no value ends a run."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.any_trips import (
    ANY_NUMBER,
    ANY_TYPE,
    ANY_VALUE,
    NUMBER_TEXTS,
    TIME_TEXTS,
    build_column,
    law,
)
from tests.support.trips import raw_table
from toytip.core.columns import ColumnValues
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.core.tables import REJECTS, TRIPS
from toytip.core.time_values import NEW_YORK, other_reading, to_local
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.fields import FIELDS_BY_NAME
from toytip.errors import SchemaError, ToytipError
from toytip.models.raw_trips import trips_to_table
from toytip.serving.values import InvalidValuesError, read_values
from toytip.stages.clean import clean, count_reasons
from toytip.stages.conform import conform, conform_columns, find_unreadable, read_column, read_columns
from toytip.stages.featurize import featurize

PICKUP, CODE, AMOUNT = (FIELDS_BY_NAME[name] for name in ("pickup_at", "passenger_count", "fare_amount"))
quick = law(40)


def read(values, field) -> ColumnValues:
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    return read_column(column, field, field.name, "f.parquet")


def zoned(times: pa.Array, zone: str) -> pa.Array:
    """Return New York's times as instants in a time zone."""
    instants = pc.assume_timezone(times, "America/New_York", ambiguous="earliest", nonexistent="earliest")
    return instants.cast(pa.timestamp("us", zone))


def texts(times: pa.Array, form: str) -> pa.Array:
    return pa.array(
        [None if time is None else time.strftime(form) for time in times.to_pylist()], pa.string()
    )


def as_unchecked_text(items) -> pa.Array:
    """Return bytes as a column of text, as some programs write them to a Parquet file."""
    column = pa.array(items, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(column), column.buffers())


# Representations of the same column, by kind of field.
TIMES = {
    "seconds": lambda a: a.cast(pa.timestamp("s")),
    "milliseconds": lambda a: a.cast(pa.timestamp("ms")),
    "nanoseconds": lambda a: a.cast(pa.timestamp("ns")),
    "a part of a microsecond": lambda a: pc.add(a.cast(pa.timestamp("ns")), pa.scalar(7, pa.duration("ns"))),
    "New York": lambda a: zoned(a, "America/New_York"),
    "UTC": lambda a: zoned(a, "UTC"),
    "another zone": lambda a: zoned(a, "Asia/Kolkata"),
    "seconds in UTC": lambda a: zoned(a, "UTC").cast(pa.timestamp("s", "UTC")),
    "text": lambda a: a.cast(pa.string()),
    "long text": lambda a: a.cast(pa.large_string()),
    "text views": lambda a: a.cast(pa.string()).cast(pa.string_view()),
    "bytes": lambda a: a.cast(pa.string()).cast(pa.binary()),
    "categories of text": lambda a: a.cast(pa.string()).dictionary_encode(),
    "text with T": lambda a: texts(a, "%Y-%m-%dT%H:%M:%S"),
    "text with nanoseconds": lambda a: texts(a, " %Y-%m-%d %H:%M:%S.000000007 "),
    "text with Z": lambda a: texts(zoned(a, "UTC").cast(pa.timestamp("us")), "%Y-%m-%dT%H:%M:%SZ"),
    "text with offset": lambda a: texts(zoned(a, "UTC").cast(pa.timestamp("us")), "%Y-%m-%d %H:%M:%S+00"),
    "American text": lambda a: texts(a, "%m/%d/%Y %I:%M:%S %p"),
    "epoch seconds": lambda a: a.cast(pa.timestamp("s")).cast(pa.int64()),
    "epoch milliseconds": lambda a: a.cast(pa.timestamp("ms")).cast(pa.int64()),
    "epoch microseconds": lambda a: a.cast(pa.int64()),
    "epoch nanoseconds": lambda a: a.cast(pa.timestamp("ns")).cast(pa.int64()),
    "epoch floats": lambda a: a.cast(pa.timestamp("s")).cast(pa.int64()).cast(pa.float64()),
    "epoch text": lambda a: a.cast(pa.timestamp("ms")).cast(pa.int64()).cast(pa.string()),
}
NUMBERS = {
    "float64": lambda a: a.cast(pa.float64()),
    "NaN for null": lambda a: pa.array(a.cast(pa.float64()).to_numpy(zero_copy_only=False)),
    "text": lambda a: a.cast(pa.string()),
    "text with spaces": lambda a: pa.array([None if v is None else f" {v} " for v in a.to_pylist()]),
    "missing as text": lambda a: pa.array(["NaN" if v is None else str(v) for v in a.to_pylist()]),
    "missing as empty text": lambda a: pa.array(["" if v is None else str(v) for v in a.to_pylist()]),
    "text views": lambda a: a.cast(pa.string()).cast(pa.string_view()),
    "bytes": lambda a: a.cast(pa.string()).cast(pa.binary()),
    "categories": lambda a: a.dictionary_encode(),
    "categories of text": lambda a: a.cast(pa.string()).dictionary_encode(),
    "plain values": lambda a: trips_to_table([{"extra": v} for v in a.to_pylist()], TLC)["extra"],
    "decimals in Python": lambda a: pa.array(
        [None if v is None else decimal.Decimal(repr(v)) for v in a.to_pylist()]
    ),
}
CODES = {
    **NUMBERS,
    "int32": lambda a: a.cast(pa.int32()),
    "int16": lambda a: a.cast(pa.int16()),
    "decimals": lambda a: a.cast(pa.decimal128(19, 0)),
    "text with a point": lambda a: a.cast(pa.float64()).cast(pa.string()),
}
AMOUNTS = {
    **NUMBERS,
    "decimal(38, 9)": lambda a: pa.array(
        [None if v is None else decimal.Decimal(repr(v)) for v in a.to_pylist()], pa.decimal128(38, 9)
    ),
}

times = st.lists(
    st.none()
    | st.datetimes(dt.datetime(2011, 1, 1), dt.datetime(2026, 1, 1)).map(  # noqa: DTZ001
        lambda t: t.replace(microsecond=0, fold=0)
    ),
    min_size=1,
    max_size=8,
)


def is_unambiguous(array: pa.Array) -> bool:
    """Return whether all times exist once in New York: clocks are changed twice per year."""
    for ambiguous in ("earliest", "latest"):
        instants = pc.assume_timezone(array, "America/New_York", ambiguous=ambiguous, nonexistent=ambiguous)
        if not pc.local_timestamp(instants).equals(array):
            return False
        if ambiguous == "latest" and not instants.equals(
            pc.assume_timezone(array, "America/New_York", ambiguous="earliest", nonexistent="earliest")
        ):
            return False
    return True


@quick
@given(times, st.sampled_from(sorted(TIMES)))
def test_times_are_the_same_in_every_representation(values, form):
    plain = pa.array(values, pa.timestamp("us"))
    if not is_unambiguous(plain):
        return
    converted = read(TIMES[form](plain), PICKUP)
    assert converted.unreadable is None
    assert converted.array.dtype == "datetime64[us]"
    np.testing.assert_array_equal(converted.array, plain.to_numpy(zero_copy_only=False))


@quick
@given(
    st.lists(st.none() | st.integers(-300, 30_000), min_size=1, max_size=8), st.sampled_from(sorted(CODES))
)
def test_codes_are_the_same_in_every_representation(values, form):
    converted = read(CODES[form](pa.array(values, pa.int64())), CODE)
    expected = np.array([np.nan if value is None else value for value in values], np.float32)
    assert converted.unreadable is None
    assert converted.array.tobytes() == expected.tobytes()


@quick
@given(
    st.lists(
        st.none()
        | st.decimals(-(10**9), 10**9, places=9).map(float)
        | st.sampled_from([0.1, -0.0, 1e-9, 12.35]),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(sorted(AMOUNTS)),
)
def test_amounts_are_the_nearest_doubles_in_every_representation(values, form):
    converted = read(AMOUNTS[form](pa.array(values, pa.float64())), AMOUNT)
    expected = np.array([np.nan if value is None else value for value in values])
    assert converted.unreadable is None
    np.testing.assert_array_equal(converted.array, expected)


@pytest.mark.parametrize(
    ("field", "values", "readable"),
    [
        (CODE, pa.array([1.37, 1.0, None]), [False, True, True]),
        (CODE, pa.array([2**40, 1, 2**24], pa.int64()), [False, True, True]),
        (CODE, pa.array([2**24 + 1, 2**64 - 1, 3], pa.uint64()), [False, False, True]),
        (CODE, pa.array([float("inf"), float("nan"), 1e-50]), [False, True, False]),
        (
            CODE,
            pa.array(["1", "one", "N/A", "1.0", "1.5", "4294967296"]),
            [True, False, True, True, False, False],
        ),
        (CODE, pa.array([2**40, None, 5]).dictionary_encode(), [False, True, True]),
        (
            AMOUNT,
            pa.array([float("inf"), -float("inf"), float("nan"), 1e18, 1e12]),
            [False, False, True, False, True],
        ),
        (
            AMOUNT,
            pa.array(["1,008.60", "ten", "1e400", "1e3", "$5", "\\N"]),
            [False, False, False, True, False, True],
        ),
        (AMOUNT, pa.array([b"12.5", b"\xff", None]), [True, False, True]),
        (AMOUNT, as_unchecked_text([b"12.5", b"\xff", None]), [True, False, True]),
        (CODE, as_unchecked_text([b"1", b"\xff", None]).dictionary_encode(), [True, False, True]),
        (CODE, as_unchecked_text([b"1", b"\xff"]).cast(pa.large_string()), [True, False]),
        (PICKUP, as_unchecked_text([b"2023-02-03 08:00", b"2023-02-03 \xe9"]), [True, False]),
        (AMOUNT, pa.array([2**62, 5], pa.int64()), [False, True]),
        (PICKUP, pa.array([2**50, 0, None], pa.int64()).cast(pa.timestamp("s")), [False, True, True]),
        (PICKUP, pa.array([dt.datetime(3019, 1, 1), dt.datetime(1849, 1, 1)]), [True, True]),  # noqa: DTZ001
        (PICKUP, pa.array(["2023-02-30 00:00:00", "2023-02-03", "", "soon"]), [False, False, True, False]),
        (PICKUP, pa.array(["2023-02-03 24:00:00", "2023-02-03 08:00", "99999999"]), [False, True, False]),
        (PICKUP, pa.array([1_672_531_200, 5, 1_672_531_200_000, 1_672_531_201]), [True, False, True, True]),
        (PICKUP, pa.array(["0000-01-01 00:00:00", "0001-01-01 00:00:00"]), [False, True]),
        (PICKUP, pa.array(["0001-01-01 00:00:00Z", "9999-12-31 23:59:59-12:00"]), [False, False]),
        (PICKUP, pa.array(["1.67253E+12", "1672531200000.0", "1672531200000"]), [False, True, True]),
        (AMOUNT, pa.array(["nan(1)", "-NaN", "1e0003", "1.#QNAN"]), [False, True, True, True]),
        (CODE, pa.array(["nan(1)", "1"]), [False, True]),
        (PICKUP, pa.array([1.6725312e9, float("inf"), float("nan")]), [True, False, True]),
        (PICKUP, pa.array([True, None]).cast(pa.int8()), [False, True]),
    ],
)
def test_values_that_are_not_of_the_kind_of_the_field(field, values, readable):
    converted = read(values, field)
    unreadable = np.zeros(len(values), bool) if converted.unreadable is None else converted.unreadable
    assert (~unreadable).tolist() == readable
    assert pd.isna(converted.array[unreadable]).all()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        (CODE, pa.array([True])),
        (AMOUNT, pa.array([False])),
        (PICKUP, pa.array([True])),
        (PICKUP, pa.array([dt.date(2023, 1, 1)])),
        (PICKUP, pa.array([dt.time(8)])),
        (PICKUP, pa.array([1.6725312e9], pa.float32())),
        (PICKUP, pa.array([1e4], pa.float16())),
        (CODE, pa.array([[1]])),
        (AMOUNT, pa.array([{"value": 1.0}])),
        (AMOUNT, pa.array([dt.timedelta(1)])),
        (CODE, pa.array([dt.datetime(2023, 1, 1)])),  # noqa: DTZ001
    ],
)
def test_types_that_cannot_be_converted(field, values):
    with pytest.raises(SchemaError, match=f"cannot use f.parquet: column {field.name} is .*, not a"):
        read(values, field)


def test_an_epoch_number_means_the_timestamp_without_a_zone():
    expected = np.datetime64("2023-07-01T08:00:00", "us")
    for unit in ("s", "ms", "us", "ns"):
        number = expected.astype(f"datetime64[{unit}]").astype(np.int64)
        converted = read(pa.array([number]), PICKUP)
        assert converted.array.tolist() == [expected.astype(dt.datetime)]
        assert converted.conversion.startswith("from epoch numbers in ")


def test_nanoseconds_keep_the_first_times_of_their_range():
    """NumPy's own conversion makes the year 2262 of the first microsecond."""
    counts = [-(2**63 - 1), -(2**63) + 808, -1, 1_999, 2**63 - 1, None]
    times = read(pa.array(counts, pa.timestamp("ns")), PICKUP).array
    expected = [None if count is None else count // 1000 for count in counts]
    assert times.tolist() == np.array(expected, "datetime64[us]").tolist()


def test_an_epoch_number_does_not_depend_on_the_other_numbers():
    """A partition with other rows would otherwise have other times."""
    numbers = [1_673_337_600, 1_673_337_600_000, 1_673_337_600_000_000, 1_673_337_600_000_000_000]
    converted = read(pa.array(numbers), PICKUP)
    assert converted.array.tolist() == [dt.datetime(2023, 1, 10, 8)] * 4  # noqa: DTZ001
    assert converted.conversion == "from epoch numbers in seconds, milliseconds, microseconds and nanoseconds"


@pytest.mark.parametrize("digits", ["202307010800", "20230701080000", "20230701080000123"])
@pytest.mark.parametrize("convert", [int, float, str], ids=["integers", "floats", "text"])
def test_the_digits_of_a_date_and_a_time_are_no_epoch_number(digits, convert):
    epoch = 1_688_198_400_000
    converted = read(pa.array([convert(digits)] * 3), PICKUP)
    assert np.isnat(converted.array).all()
    assert converted.unreadable.all()
    converted = read(pa.array([convert(digits), convert(epoch)]), PICKUP)
    assert converted.unreadable.tolist() == [True, False]
    assert converted.array[1] == np.datetime64("2023-07-01T08:00")


def test_a_time_zone_that_does_not_exist_is_named():
    column = pa.chunked_array([pa.array([0], pa.timestamp("us", "Mars/Olympus"))])
    with pytest.raises(SchemaError, match="the time zone Mars/Olympus: it does not exist") as caught:
        other_reading(column)
    assert "Correct the time zone" in caught.value.hint


def test_a_machine_without_time_zones_needs_the_database(monkeypatch):
    def local_timestamp(_):
        raise pa.ArrowInvalid("no time zone database")

    monkeypatch.setattr(pc, "local_timestamp", local_timestamp)
    for zone in (NEW_YORK, "UTC"):
        with pytest.raises(SchemaError, match="this machine has no data on it") as caught:
            to_local(np.zeros(1, "datetime64[us]"), zone)
        assert "package tzdata" in caught.value.hint


def test_the_repeated_hour_and_the_change_of_clocks():
    """An instant has one local time. Two instants have the same one when clocks are set back."""
    instants = ["2023-11-05T05:30", "2023-11-05T06:30", "2023-03-12T06:59", "2023-03-12T07:00"]
    local = to_local(np.array(instants, "datetime64[us]"))
    assert [str(time)[:16] for time in local] == [
        "2023-11-05T01:30",
        "2023-11-05T01:30",
        "2023-03-12T01:59",
        "2023-03-12T03:00",
    ]


def test_instants_far_from_today_keep_the_offset_of_the_nearest_year():
    far = np.array(["0001-01-01", "9999-12-31", "NaT"], "datetime64[us]")
    assert np.isnat(to_local(far)[2])
    assert (np.abs(to_local(far)[:2] - far[:2]) <= np.timedelta64(6, "h")).all()


def test_a_row_with_an_unreadable_value_is_rejected_and_counted():
    table = raw_table(6)
    for name, column in {
        "passenger_count": pa.array([1.5, 1, 1, None, float("nan"), 1]),
        "fare_amount": pa.array([10.0, float("inf"), 10, 10, 10, 10]),
        "tolls_amount": pa.array(["0", "0", "none", "toll", "0", "0"]),
    }.items():
        table = table.set_column(table.column_names.index(name), name, column)
    partition = SourcePartition(taxi="yellow", month=Month(2023, 1), uri="f", start=0, stop=6, number=0)
    kept, rejects = clean(conform(table, partition, TLC), TLC)
    assert count_reasons(rejects) == {"unreadable_value": 3}
    assert rejects["trip_id"].tolist() == [1_202_301_000_000_000 + row for row in (0, 1, 3)]
    assert rejects["passenger_count"].isna().tolist() == [True, False, True]
    assert kept["passenger_count"].isna().tolist() == [False, True, False]
    assert TLC.table(REJECTS).to_arrow(rejects).num_rows == TLC.table(TRIPS).to_arrow(kept).num_rows == 3


def test_the_unreadable_values_of_a_column_have_an_example():
    table = pa.table({"Fare_Amount": ["1", "ten", "2", "eleven", None], "vendor_id": [1, 2, 3, 4, 5]})
    (found,) = find_unreadable(table, read_columns(table, "f", TLC), TLC).values()
    assert found.describe().startswith("column Fare_Amount has 2 of 4 values that are not a number")
    assert found.describe("line {} of f".format).endswith("for example 'ten' in line 1 of f")
    with pytest.raises(
        SchemaError, match=r"has 2 of 3 values .* for example 'ten' in row 1 \(counted from 0\)"
    ):
        conform_columns(pa.table({"fare_amount": ["1", "ten", "eleven"]}), "trips.csv", TLC)


# --- JSON values have the same rules, without Arrow.

JSON_NUMBERS = st.none() | ANY_NUMBER | NUMBER_TEXTS
JSON_TIMES = st.none() | TIME_TEXTS


def read_json(values, field):
    """Return the values as the server reads them, and which of them are unreadable."""
    try:
        return read_values(values, field), np.zeros(len(values), bool)
    except InvalidValuesError as error:
        bad = np.isin(np.arange(len(values)), [position for position, _ in error.problems])
        rest = [value for value, is_bad in zip(values, bad, strict=True) if not is_bad]
        return read_values(rest, field), bad


@law(200)
@given(st.lists(JSON_NUMBERS, min_size=1, max_size=40), st.sampled_from([CODE, AMOUNT]))
def test_numbers_in_json_have_the_rules_of_columns(values, field):
    array, bad = read_json(values, field)
    converted = read(trips_to_table([{field.name: value} for value in values], TLC)[field.name], field)
    unreadable = np.zeros(len(values), bool) if converted.unreadable is None else converted.unreadable
    assert bad.tolist() == unreadable.tolist()
    assert array.dtype == converted.array.dtype
    np.testing.assert_array_equal(array, converted.array[~unreadable])


@law(200)
@given(st.lists(JSON_TIMES, min_size=1, max_size=6))
def test_times_in_json_have_the_rules_of_columns(values):
    array, bad = read_json(values, PICKUP)
    converted = read(pa.array(values, pa.string()), PICKUP)
    unreadable = np.zeros(len(values), bool) if converted.unreadable is None else converted.unreadable
    assert bad.tolist() == unreadable.tolist()
    np.testing.assert_array_equal(array, converted.array[~unreadable])


@pytest.mark.parametrize(
    ("field", "value"), [(PICKUP, 1_672_531_200), (CODE, True), (AMOUNT, [1.0]), (CODE, {})]
)
def test_values_of_json_that_are_refused(field, value):
    with pytest.raises(InvalidValuesError) as caught:
        read_values([value], field)
    assert caught.value.problems[0][0] == 0


# --- No type and no value gives a traceback.


@law(400)
@given(st.sampled_from([PICKUP, CODE, AMOUNT]), ANY_TYPE, st.lists(ANY_VALUE, min_size=1, max_size=6))
def test_no_column_gives_a_traceback(field, arrow_type, values):
    column = build_column(values, arrow_type)
    table = pa.table({field.name: column})
    try:
        by_field = read_columns(table, "f", TLC)
        find_unreadable(table, by_field, TLC)
    except ToytipError:
        return
    converted = by_field[field.name]
    assert converted.array.dtype == TLC.table(TRIPS).dtypes[field.name]
    assert len(converted.array) == len(column)
    if field.kind != "time":
        assert np.isfinite(converted.array[~np.isnan(converted.array)]).all()


@law(200)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["fare_amount", "VendorID", "lpep_pickup_datetime"]), ANY_VALUE),
        min_size=1,
        max_size=5,
    )
)
def test_no_trip_of_plain_values_gives_a_traceback(trips):
    try:
        columns = conform_columns(trips_to_table(trips, TLC), "the trips", TLC)
    except ToytipError:
        return
    assert all(len(column) == len(trips) for column in columns.values())


def test_the_largest_values_give_finite_features():
    """An infinite feature would be an edge of a bin, and JSON has no infinity."""
    table = raw_table(6)
    pickup = table["tpep_pickup_datetime"]
    for name, column in {
        "tpep_dropoff_datetime": pc.add(pickup, pa.scalar(1, pa.duration("us"))),
        "trip_distance": pa.array([300.0, 0.0, 300.0, float("inf"), 1e300, 1.0]),
        "fare_amount": pa.array([1e12, 1e-12, 1e18, 10.0, 10.0, float("-inf")]),
        "tip_amount": pa.array([1e12, 999.0, 1.0, 1.0, 1.0, 1.0]),
    }.items():
        table = table.set_column(table.column_names.index(name), name, column)
    partition = SourcePartition(taxi="yellow", month=Month(2023, 1), uri="f", start=0, stop=6, number=0)
    kept, rejects = clean(conform(table, partition, TLC), TLC)
    assert count_reasons(rejects) == {"unreadable_value": 4}
    features = featurize(kept, TLC).select_dtypes("number")
    assert not np.isinf(features.to_numpy(np.float64)).any()
