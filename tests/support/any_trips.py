"""Strategies of raw trips with any names, types and values of columns, and settings for laws."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.trips import GOOD_TRIP, JANUARY, SCORING_TRIP, raw_table
from toytip.core.number_values import MISSING_TEXTS, NUMBER_PATTERN
from toytip.core.time_values import AMERICAN_TIME_PATTERN
from toytip.datasets.tlc.taxis.fields import FIELDS, FIELDS_BY_NAME, source_column

# Number of examples of each law in `make test-fuzz`. In `make test`, the examples are always equal.
FUZZ_EXAMPLES = int(os.environ.get("TOYTIP_FUZZ_EXAMPLES", "0"))


def law(examples: int) -> Callable[[Any], Any]:
    """Return settings of a law: the number of examples in `make test`."""
    return settings(
        max_examples=FUZZ_EXAMPLES or examples,
        derandomize=not FUZZ_EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


ANY_TYPE = st.sampled_from(
    [
        pa.null(),
        pa.bool_(),
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.float64(),
        pa.decimal128(5, 2),
        pa.decimal128(38, 0),
        pa.decimal256(60, 10),
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.binary(3),
        pa.date32(),
        pa.date64(),
        pa.time64("us"),
        pa.duration("s"),
        pa.timestamp("s"),
        pa.timestamp("ms"),
        pa.timestamp("us"),
        pa.timestamp("ns"),
        pa.timestamp("s", "Europe/Berlin"),
        pa.timestamp("ms", "UTC"),
        pa.timestamp("us", "+05:30"),
        pa.timestamp("ns", "America/New_York"),
        pa.month_day_nano_interval(),
        pa.list_(pa.int64()),
        pa.large_list(pa.string()),
        pa.list_(pa.float32(), 2),
        pa.struct([("a", pa.int8())]),
        pa.map_(pa.string(), pa.int64()),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.float64()),
        pa.dictionary(pa.int16(), pa.timestamp("us")),
        pa.dictionary(pa.int8(), pa.large_string()),
        pa.run_end_encoded(pa.int32(), pa.int64()),
        pa.run_end_encoded(pa.int16(), pa.string()),
    ]
)
TIME_TEXTS = st.sampled_from(
    [
        "2023-01-10 08:00:00",
        "2023-01-10T08:00:00.123456789",
        "2023-01-10T08:00",
        "2023-01-10T13:00:00Z",
        "2023-01-10T13:00:00.000Z",
        "2023-01-10 08:00:00-05:00",
        "2023-01-10 08:00:00-0500",
        "2023-01-10 08:00:00 -05",
        "2023-01-10 13:00:00 UTC",
        "2023-07-10T12:00:00Z",
        "01/10/2023 08:00:00 AM",
        "1/10/2023 8:00:00PM",
        "12/1/2023 8:15 AM",
        "2023-02-30 00:00:00",
        "2023-01-10",
        "2023-01-10 080000",
        "20230110T080000",
        "2023-W01-1",
        "now",
        " 2023-01-10 08:00:00 ",
        "3019-01-10 08:00:00",
        "1849-01-10 08:00:00",
        "2023-01-10 08:00:61",
        "2023-01-10 24:00:00",
        "0000-01-01 00:00:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31 23:59:59.999999",
        "9999-12-31 23:59:59-05:00",
        "2023-03-12 02:30:00",
    ]
) | st.from_regex(
    r"\d{4}-[01]\d-[0-3]\d[ T][0-2]\d:[0-6]\d(:[0-6]\d([.,]\d{1,9})?)?( ?(Z|z|UTC|[+-][0-2]\d(:?\d\d)?))?",
    fullmatch=True,
)
NUMBER_TEXTS = (
    st.sampled_from(
        [
            " 5 ",
            "1.0",
            "1.37",
            "+2",
            "-0",
            "1.",
            ".5",
            "1e3",
            "1e0003",
            "1e400",
            "-1e400",
            "1e-400",
            "1_4",
            "1,008.60",
            "0x10",
            "ten",
            "inf",
            "Infinity",
            "-inf",
            "-nan",
            "nan(1)",
            "true",
            "١٢",
            "५",
            "1 000",
            "\u00a01",
            "1\n",
            "1\x00",
            "16777217",
            "9" * 40,
        ]
    )
    | st.sampled_from([*MISSING_TEXTS, "NaN", "None", "NULL", " null ", "#NA", "-NaN", "\ud800"])
    | st.from_regex(NUMBER_PATTERN, fullmatch=True)
    | st.from_regex(AMERICAN_TIME_PATTERN, fullmatch=True)
)
EPOCH_TEXTS = st.sampled_from(["1672531200", "1672531200000", "1.6725312e9"])
ANY_TEXT = NUMBER_TEXTS | TIME_TEXTS | EPOCH_TEXTS | st.text(max_size=8)
ANY_NUMBER = (
    st.integers(-10, 400)
    | st.integers(-(2**63), 2**64)
    | st.floats()
    | st.sampled_from([1.37, -0.0, 1e12, 1e-300, 2.0**24, 2**24 + 1, 2**70, 1_673_337_600, 1_673_337_600_000])
)
ANY_TIME = st.datetimes() | st.sampled_from(
    [dt.datetime(*day) for day in ((2023, 1, 10, 8), (1849, 1, 1), (3019, 1, 1), (2023, 3, 12, 2, 30))]  # noqa: DTZ001
)
ANY_VALUE = (
    st.none()
    | ANY_NUMBER
    | ANY_TEXT
    | ANY_TIME
    | st.binary(max_size=4)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.lists(st.integers(0, 3), max_size=2)
)
JSON_VALUE = st.none() | ANY_NUMBER | ANY_TEXT | st.booleans() | st.lists(st.integers(0, 3), max_size=1)
COLUMN_NAMES = st.sampled_from(
    [
        "vendor_id",
        "Vendor ID",
        "PU_LOCATION_ID",
        "pickup_at",
        "pickup_datetime",
        "Trip_Pickup_DateTime",
        "lpep_pickup_datetime",
        "TPEP_DROPOFF_DATETIME",
        "ehail_fee",
        "hvfhs_license_num",
        "surcharge",
        "Airport_fee",
        "airport_fee",
        "tip_amount",
        "Tip Amount",
        "total_amount",
        "start_lon",
        "",
        " ",
        "column 1",
        "unreadable",
        "trip_id",
    ]
) | st.text(max_size=4)
RESPELLINGS: tuple[Callable[[str], str], ...] = (
    str.lower,
    str.upper,
    lambda name: f" {name} ",
    lambda name: name.replace("_", " "),
    lambda name: name.replace("ID", "_id"),
)


def build_column(values: Sequence[Any], arrow_type: pa.DataType) -> pa.Array:
    """Return values as a column of a type. Values without this type become text, or else null."""
    is_encoded = pa.types.is_dictionary(arrow_type) or pa.types.is_run_end_encoded(arrow_type)
    value_type = arrow_type.value_type if is_encoded else arrow_type
    column = pa.array([_fitting(value, value_type) for value in values], value_type)
    if pa.types.is_dictionary(arrow_type):
        return column.dictionary_encode().cast(arrow_type)
    return pc.run_end_encode(column, run_end_type=arrow_type.run_end_type) if is_encoded else column


def _fitting(value: Any, arrow_type: pa.DataType) -> Any:
    for candidate in (value, str(value)):
        try:
            pa.array([candidate], arrow_type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            continue
        return candidate
    return None


def usual_values(field: str, rows: int) -> st.SearchStrategy[list[Any]]:
    """Return strategies of valid values of a field: times, codes, or amounts."""
    kind = FIELDS_BY_NAME[field].kind
    if kind == "time":
        minutes = st.integers(0, 30 * 24 * 60)
        times = minutes.map(lambda count: JANUARY.start + dt.timedelta(minutes=count))
        return st.lists(st.none() | times, min_size=rows, max_size=rows)
    values = st.integers(0, 265) if kind == "code" else st.integers(0, 5_000).map(lambda cents: cents / 100)
    return st.lists(st.none() | values, min_size=rows, max_size=rows)


@st.composite
def any_columns(draw: Any, field: str, rows: int) -> pa.Array:
    """Return a column of any type, with valid values of a field and with any values."""
    values = draw(usual_values(field, rows))
    changes = draw(st.dictionaries(st.integers(0, rows - 1), ANY_VALUE, max_size=rows))
    for row, value in changes.items():
        values[row] = value
    return build_column(values, draw(ANY_TYPE))


@st.composite
def any_tables(draw: Any, taxi: str = "yellow", max_rows: int = 5) -> pa.Table:
    """Return raw trips as a file can have them: a few columns are missing, renamed or converted."""
    rows = draw(st.integers(1, max_rows))
    usual = raw_table(rows, prefix="tpep" if taxi == "yellow" else "lpep")
    by_field = {field.name: source_column(field.name, taxi) for field in FIELDS}
    names = list(usual.column_names)
    columns = dict(zip(names, usual.columns, strict=True))
    fields = st.sampled_from([field for field, name in by_field.items() if name in columns])
    for field in draw(st.sets(fields, max_size=3)):
        columns[by_field[field]] = draw(any_columns(field, rows))
    items = [(name, column) for name, column in columns.items() if not pa.types.is_null(column.type)]
    removed = draw(st.sets(fields, max_size=1) if draw(st.booleans()) else st.just(set()))
    items = [item for item in items if item[0] not in {by_field[field] for field in removed}]
    respell = draw(st.sampled_from([str, *RESPELLINGS]))
    items = [(respell(name), column) for name, column in items]
    for name in draw(st.lists(COLUMN_NAMES, max_size=1)):
        items.insert(
            draw(st.integers(0, len(items))),
            (name, draw(any_columns(draw(st.sampled_from(sorted(GOOD_TRIP))), rows))),
        )
    return pa.Table.from_arrays([column for _, column in items], [name for name, _ in items])


@st.composite
def any_json_trips(draw: Any, max_rows: int = 4) -> list[dict[str, Any]]:
    """Return yellow trips of JSON values, with equal names in all trips."""
    rows = draw(st.integers(1, max_rows))
    trips = [{**SCORING_TRIP, "tip_amount": 0.0} for _ in range(rows)]
    names = st.sampled_from(sorted(SCORING_TRIP))
    for name in draw(st.sets(names, min_size=1, max_size=3)):
        for trip in trips:
            if draw(st.booleans()):
                trip[name] = draw(JSON_VALUE)
    removed = draw(st.none() | names)
    respell = draw(st.sampled_from([str, *RESPELLINGS]))
    return [{respell(name): value for name, value in trip.items() if name != removed} for trip in trips]
