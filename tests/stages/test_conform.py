"""The names and types of every year give one schema."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from tests.support.trips import raw_table
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.core.tables import RAW_TRIPS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import SchemaError
from toytip.stages.conform import conform


def part(rows: int, start: int = 0, taxi: str = "yellow") -> SourcePartition:
    return SourcePartition(
        taxi=taxi, month=Month(2023, 1), uri="f.parquet", start=start, stop=start + rows, number=0
    )


def replaced(table: pa.Table, name: str, column: pa.Array, new_name: str | None = None) -> pa.Table:
    return table.set_column(table.column_names.index(name), new_name or name, column)


VARIANTS = {
    "2019: whole numbers": lambda t: replaced(t, "passenger_count", t["passenger_count"].cast(pa.int64())),
    "2020: doubles for codes": lambda t: replaced(
        t, "passenger_count", t["passenger_count"].cast(pa.float64())
    ),
    "2023: 32 bits": lambda t: replaced(t, "VendorID", t["VendorID"].cast(pa.int32())),
    "2023: nanoseconds": lambda t: replaced(
        t, "tpep_pickup_datetime", t["tpep_pickup_datetime"].cast(pa.timestamp("ns"))
    ),
    "an unused text column": lambda t: t.append_column(
        "store_and_fwd_flag", pa.array(["N"] * len(t), pa.large_string())
    ),
    "upper case": lambda t: t.rename_columns([n.upper() for n in t.column_names]),
    "a missing optional column": lambda t: t.drop_columns(["airport_fee", "cbd_congestion_fee"]),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_schema_version_gives_one_schema(variant):
    table = raw_table(20)
    assert conform(VARIANTS[variant](table), part(20), TLC).equals(conform(table, part(20), TLC))


def test_a_fee_under_its_other_name_is_read():
    table = raw_table(3)
    table = replaced(table, "airport_fee", pa.array([1.25, None, 0.0]), "Airport_fee")
    assert conform(table, part(3), TLC)["airport_fee"].tolist()[:1] == [1.25]
    assert conform(table, part(3), TLC)["airport_fee"].isna().tolist() == [False, True, False]


def test_both_taxis_give_the_same_rows():
    green, yellow = (
        conform(raw_table(9, prefix=p), part(9, taxi=t), TLC)
        for p, t in (("lpep", "green"), ("tpep", "yellow"))
    )
    assert green["pickup_at"].equals(yellow["pickup_at"])
    assert (green["trip_id"] != yellow["trip_id"]).all()
    assert green["trip_type"].notna().all()
    assert yellow["trip_type"].isna().all()


def test_the_trip_id_does_not_depend_on_the_partition():
    table = raw_table(10)
    full = conform(table, part(10), TLC)
    late = conform(table.slice(6), part(4, start=6), TLC)
    assert full["trip_id"].tolist() == (TLC.first_trip_id("yellow", 2023, 1) + np.arange(10)).tolist()
    assert late.reset_index(drop=True).equals(full[6:].reset_index(drop=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop_columns(["fare_amount"]), ["f.parquet", "fare_amount is missing"]),
        (
            lambda t: replaced(t, "VendorID", pa.array([True] * len(t))),
            ["f.parquet", "VendorID is bool, not a whole number"],
        ),
        (
            lambda t: replaced(t, "tpep_pickup_datetime", pa.array([dt.date(2023, 1, 1)] * len(t))),
            ["f.parquet", "tpep_pickup_datetime is date32[day], not a time"],
        ),
    ],
)
def test_columns_that_cannot_be_converted_are_reported(change, words):
    with pytest.raises(SchemaError) as caught:
        conform(change(raw_table(3)), part(3), TLC)
    assert all(word in str(caught.value) for word in words)


def test_no_rows_give_an_empty_table():
    assert conform(raw_table(3).slice(0, 0), part(0), TLC).equals(TLC.table(RAW_TRIPS).empty())
