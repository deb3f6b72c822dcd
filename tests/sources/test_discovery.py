"""Discovery: the files of a source, their problems, and the rows of a partition."""

import dataclasses
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.trips import raw_table, write_months
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.datasets.tlc.taxis.fields import FIELDS
from toytip.errors import SourceError
from toytip.sources.discovery import open_source
from toytip.sources.reader import BATCH_ROWS, read_partition
from toytip.sources.source import MAX_PARTITIONS


@pytest.fixture
def folder(tmp_path):
    return write_months(tmp_path / "in", {f"2023-0{m}": raw_table(30, Month(2023, m)) for m in (1, 2, 3)})


def only(folder, name="yellow_tripdata_2023-02.parquet"):
    return folder / name


def drop(folder, column):
    pq.write_table(raw_table(9).drop_columns([column]), only(folder))


def replace(folder, column, values, **options):
    table = raw_table(9, Month(2023, 2))
    pq.write_table(
        table.set_column(table.column_names.index(column), column, values), only(folder), **options
    )


BROKEN = {
    "empty": (lambda f: only(f).write_bytes(b""), "the file is empty"),
    "a CSV renamed": (lambda f: only(f).write_text("VendorID,fare\n1,2\n" * 99), "not a Parquet file"),
    "text that starts like parquet": (
        lambda f: only(f).write_bytes(b"PAR1" + b"x" * 99),
        "corrupt or incomplete",
    ),
    "cut short": (lambda f: only(f).write_bytes(only(f).read_bytes()[:-40]), "corrupt or incomplete"),
    "no rows": (lambda f: pq.write_table(raw_table(9).slice(0, 0), only(f)), "no rows"),
    "another table": (
        lambda f: pq.write_table(pa.table({"a": [1], "b": [2]}), only(f)),
        "not a yellow, green or fhvhv trip",
    ),
    "no fare": (lambda f: drop(f, "fare_amount"), "fare_amount is missing"),
    "no zone": (lambda f: drop(f, "PULocationID"), "PULocationID is missing"),
    "a null-typed fare": (lambda f: replace(f, "fare_amount", pa.nulls(9)), "fare_amount holds only nulls"),
    "a fare of nulls": (
        lambda f: replace(f, "fare_amount", pa.nulls(9, pa.float64())),
        "fare_amount holds only nulls",
    ),
    "a fare of NaN": (
        lambda f: replace(f, "fare_amount", pa.array([float("nan")] * 9)),
        "fare_amount holds only nulls",
    ),
    "codes of NaN and nulls": (
        lambda f: replace(f, "PULocationID", pa.array([None, *[float("nan")] * 8], pa.float32())),
        "PULocationID holds only nulls",
    ),
    "codes of nulls without statistics": (
        lambda f: replace(f, "VendorID", pa.nulls(9, pa.int64()), write_statistics=False),
        "VendorID holds only nulls",
    ),
    "a fare in words": (
        lambda f: replace(f, "fare_amount", pa.array(["x"] * 9)),
        "fare_amount has 9 of 9 values that are not a number",
    ),
    "times in words": (
        lambda f: replace(f, "tpep_pickup_datetime", pa.array(["x"] * 9)),
        "values that are not a time",
    ),
    "a gap": (lambda f: only(f).unlink(), "2023-02 is missing between 2023-01 and 2023-03"),
    "a month twice": (
        lambda f: shutil.copy(only(f), f / "copy_2023-02.parquet"),
        "have the same trips of 2023-02",
    ),
    "both taxis": (
        lambda f: pq.write_table(raw_table(9, Month(2023, 4), "lpep"), f / "green_tripdata_2023-04.parquet"),
        "contains yellow and green files",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_sources_are_rejected(case, folder):
    break_source, words = BROKEN[case]
    break_source(folder)
    with pytest.raises(SourceError) as caught:
        open_source(str(folder))
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert message.startswith("cannot ")
    assert caught.value.hint
    if "2023-02" in message and "between" not in message:
        assert "yellow_tripdata_2023-02.parquet" in message


def test_one_number_among_nan_is_enough(folder):
    table, missing = pq.read_table(only(folder)), [float("nan")] * 29
    for name, last in {"fare_amount": 5.0, "congestion_surcharge": float("nan")}.items():
        values = pa.array([*missing, last])
        table = table.set_column(table.column_names.index(name), name, values)
    pq.write_table(table, only(folder))
    files = {str(file.month): file.missing_columns for file in open_source(str(folder)).files}
    assert set(files["2023-02"]) - set(files["2023-01"]) == {"congestion_surcharge"}


@pytest.mark.parametrize(
    "break_source",
    [
        lambda f: drop(f, "tip_amount"),
        lambda f: replace(f, "tip_amount", pa.nulls(9, pa.float64())),
    ],
    ids=["missing", "null"],
)
def test_the_hint_for_trips_without_tips_is_to_score_them(break_source, folder):
    break_source(folder)
    with pytest.raises(SourceError, match="column tip_amount") as caught:
        open_source(str(folder))
    assert "`toytip score`" in caught.value.hint


@pytest.mark.parametrize(
    "spec", ["{}/nothing", "{}/*.csv", "{}/none_*.parquet", "", "nowhere://x/y", "s3://"]
)
def test_sources_without_files(spec, folder):
    with pytest.raises(SourceError):
        open_source(spec.format(folder))


def test_folder_glob_list_and_uri_are_the_same_source(folder):
    files = sorted(folder.glob("*.parquet"))
    specs = [str(folder), f"{folder}/yellow_*.parquet", ",".join(map(str, files))]
    sources = [open_source(spec) for spec in specs]
    assert sources[0] == sources[1] == sources[2]
    assert open_source(f"file://{folder}").rows == sources[0].rows == 90
    assert sources[0].taxi == "yellow"
    assert sources[0].missing_columns == ("trip_type", "airport_fee", "cbd_congestion_fee")


def test_months_select(folder):
    assert [str(m) for m in open_source(str(folder), "2023-02:2023-03").months] == ["2023-02", "2023-03"]
    assert [str(m) for m in open_source(str(folder), "2023-01,2023-03").months] == ["2023-01", "2023-03"]
    with pytest.raises(SourceError, match="has no file for 2023-04"):
        open_source(str(folder), "2023-03:2023-04")


def test_a_large_file_is_divided_into_even_partitions(tmp_path):
    write_months(tmp_path, {"2023-01": raw_table(1_001)})
    parts = open_source(str(tmp_path)).partitions(250)
    assert [part.rows for part in parts] == [200, 200, 200, 200, 201]
    assert [part.number for part in parts] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("group", [100_000, 30_000, 7_000])
def test_partitions_do_not_depend_on_the_row_groups(tmp_path, group):
    rows = 100_000
    table = raw_table(rows)
    pq.write_table(table, tmp_path / "yellow_tripdata_2023-01.parquet", row_group_size=group)
    assert rows > BATCH_ROWS
    parts = open_source(str(tmp_path)).partitions(33_333)
    read = pa.concat_tables([read_partition(part) for part in parts])
    assert read.num_rows == rows
    np.testing.assert_array_equal(read["tpep_pickup_datetime"], table["tpep_pickup_datetime"])


def test_only_input_columns_are_read(tmp_path):
    table = raw_table(9).append_column("store_and_fwd_flag", pa.array(["N"] * 9))
    write_months(tmp_path, {"2023-01": table})
    (part,) = open_source(str(tmp_path)).partitions(10)
    names = read_partition(part).column_names
    assert "store_and_fwd_flag" not in names
    assert len(names) <= len(FIELDS)


def test_damaged_data_is_reported(tmp_path):
    write_months(tmp_path, {"2023-01": raw_table(5_000)})
    (part,) = open_source(str(tmp_path)).partitions(5_000)
    path = tmp_path / "yellow_tripdata_2023-01.parquet"
    content = bytearray(path.read_bytes())
    content[4:3_000] = b"\xff" * 2_996
    path.write_bytes(content)
    with pytest.raises(SourceError, match="corrupt data"):
        read_partition(part)


def test_a_truncated_file_is_reported(tmp_path):
    write_months(tmp_path, {"2023-01": raw_table(50)})
    part = SourcePartition(
        taxi="yellow",
        month=Month(2023, 1),
        uri=str(tmp_path / "yellow_tripdata_2023-01.parquet"),
        start=0,
        stop=60,
        number=0,
    )
    with pytest.raises(SourceError, match="was changed during the run"):
        read_partition(part)


@pytest.mark.parametrize("groups", [40_000, 150_000, 1_000_000])
def test_partitions_can_be_read_in_any_order(groups, tmp_path):
    """A reader continues at its position, starts again if necessary, and keeps files apart."""
    numbers = pa.table({name: pa.array(range(300_000)) for name in ("fare_amount", "trip_distance")})
    path = tmp_path / "yellow_tripdata_2023-01.parquet"

    def part(start, stop):
        return SourcePartition(
            taxi="yellow", month=Month(2023, 1), uri=str(path), start=start, stop=stop, number=0
        )

    pq.write_table(numbers, path, row_group_size=groups)
    cuts = [(0, 70_000), (70_000, 140_001), (200_000, 300_000), (140_001, 200_000), (0, 1), (5, 299_999)]
    for start, stop in cuts:
        assert read_partition(part(start, stop))["fare_amount"].to_pylist() == list(range(start, stop))
    read_partition(part(0, 10))
    pq.write_table(numbers.sort_by([("fare_amount", "descending")]), path)
    assert read_partition(part(10, 12))["fare_amount"].to_pylist() == [299_989, 299_988], "a new file"
    with pytest.raises(SourceError, match="was changed during the run"):
        read_partition(part(299_999, 300_002))


def test_partitions_become_larger_if_they_are_too_many(folder):
    source = open_source(str(folder))
    assert source.effective_partition_rows(7) == 7
    large = dataclasses.replace(
        source, files=tuple(dataclasses.replace(file, rows=100_000_000) for file in source.files)
    )
    parts = large.partitions(1_000)
    assert MAX_PARTITIONS <= len(parts) <= MAX_PARTITIONS + len(large.files), (
        "each file ends with a partition"
    )
    assert sum(part.rows for part in parts) == large.rows


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("none", "it does not exist"),
        ("none*", "no file matches it"),
        ("", "it contains no Parquet or CSV files"),
    ],
)
def test_a_source_without_files_is_an_error(name, cause, tmp_path):
    with pytest.raises(SourceError, match=cause):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("case", ["no fare", "a fare of nulls"])
def test_the_hint_for_a_missing_column_also_suits_own_files(case, folder):
    BROKEN[case][0](folder)
    with pytest.raises(SourceError) as caught:
        open_source(str(folder))
    assert caught.value.hint.startswith("Add the values of fare_amount.")
