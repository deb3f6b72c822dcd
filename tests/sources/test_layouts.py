"""Layouts of a source: the same trips in other files are the same months with the same rows."""

import datetime as dt
import gzip
import os
import re
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.trips import raw_table, write_months
from toytip.core.dataset.synthetic import SyntheticSpec
from toytip.core.months import Month
from toytip.datasets.tlc.fhvhv.synthetic import generate_month
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.engine.graph import _read_source_trips
from toytip.errors import SourceError
from toytip.io.access import open_file
from toytip.sources import groups
from toytip.sources.discovery import open_source

PICKUP = "lpep_pickup_datetime"
MONTHS = [Month(2023, 1), Month(2023, 2), Month(2023, 3)]
TABLES = {month: raw_table(90 + month.month, month, "lpep", seed=month.month) for month in MONTHS}
ALL_ROWS = pa.concat_tables(TABLES.values(), promote_options="permissive")
ROWS = sum(map(len, TABLES.values()))


def write(folder, name, table, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)


def write_each(folder, name, parts=1):
    """Write each month as files, whose names have the fields `m` (month) and `p` (part)."""
    for month, table in TABLES.items():
        size = -(-len(table) // parts)
        for part in range(parts):
            write(folder, name.format(m=month, p=part), table.slice(part * size, size))


def write_days(folder):
    for table in TABLES.values():
        days = pc.strftime(table[PICKUP], "%Y-%m-%d")
        for day in pc.unique(days).to_pylist():
            write(folder, f"green_{day}.parquet", table.filter(pc.equal(days, day)))


def write_spark(folder):
    write_each(
        folder, "green_tripdata_{m}.parquet/part-{p}-1531545a-2019-4a01-9c53-2018aaaaaaaa-c000.parquet", 12
    )
    for name in ("_SUCCESS", "._SUCCESS.crc", ".part-0.parquet.crc", "_metadata", "_temporary/0/x.parquet"):
        for month in MONTHS:
            path = folder / f"green_tripdata_{month}.parquet" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    write(folder, "green_tripdata_2023-01.parquet/part-12-empty.parquet", ALL_ROWS.slice(0, 0))


def write_csv(
    folder, name="green_tripdata_{}.csv", delimiter=",", change=lambda text: text, encoding="utf-8"
):
    folder.mkdir()
    for month, table in TABLES.items():
        path = folder / name.format(month)
        options = pv.WriteOptions(delimiter=delimiter, quoting_style="none")
        pv.write_csv(table, path, options)
        content = change(path.read_text()).encode(encoding)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_compressed_twice(folder):
    write_csv(folder, "green_tripdata_{}.csv.gz")
    for path in folder.iterdir():
        path.write_bytes(gzip.compress(path.read_bytes()))


def link(folder):
    write_each(folder.with_name("elsewhere"), "{m}/part.parquet")
    folder.mkdir()
    for month in MONTHS:
        (folder / f"green_tripdata_{month}").symlink_to(folder.with_name("elsewhere") / str(month))
    (folder / "loop").symlink_to(folder)


# Layouts whose rows have the same order as those of one published file per month.
LAYOUTS = {
    "one folder": lambda f: write_each(f, "green_tripdata_{m}.parquet"),
    "underscores": lambda f: write_each(f, "green_tripdata_{m.year}_{m.month:02d}.parquet"),
    "upper case": lambda f: write_each(f, "GREEN_TRIPDATA_{m}.PARQUET"),
    "date in front": lambda f: write_each(f, "2024-05-17_green_tripdata_{m}.parquet"),
    "nested": lambda f: write_each(f, "a/{m.year}/b {m.month}/green_{m}.parquet"),
    "year and month folders": lambda f: write_each(f, "{m.year}/{m.month:02d}/part-{p}.parquet", 11),
    "Hive": lambda f: write_each(f, "year={m.year}/month={m.month}/part-{p}.parquet", 11),
    "Azure": lambda f: write_each(f, "puYear={m.year}/puMonth={m.month}/part-{p}.snappy.parquet", 2),
    "Spark": write_spark,
    "Dask": lambda f: write_each(f, "green_{m}.parquet/part.{p}.parquet", 11),
    "parts": lambda f: write_each(f, "green_tripdata_{m}.part{p}.parquet", 3),
    "days": write_days,
    "links": link,
    "month from the rows": lambda f: write_each(f, "trips {m.month}.parquet"),
    "three months in a file": lambda f: write(f, "green_tripdata_2023-01_to_2023-03.parquet", ALL_ROWS),
    "a year": lambda f: write(f, "green_2023.parquet", ALL_ROWS, row_group_size=50),
    "a year without statistics": lambda f: write(f, "all.parquet", ALL_ROWS, write_statistics=False),
    "a date of export": lambda f: write(f, "export_2024-05-17.parquet", ALL_ROWS),
    "CSV": write_csv,
    "compressed CSV": lambda f: write_csv(f, "green_tripdata_{}.csv.gz"),
    "CSV compressed twice": write_compressed_twice,
    "UTF-16": lambda f: write_csv(f, encoding="utf-16"),
    "compressed UTF-16": lambda f: write_csv(f, "green_tripdata_{}.csv.gz", encoding="utf-16"),
    "lines that end with CR": lambda f: write_csv(f, change=lambda text: text.replace("\n", "\r")),
    "semicolons": lambda f: write_csv(
        f, delimiter=";", change=lambda text: re.sub(r"\.(\d\d?)(?=[;\n])", r",\1", text)
    ),
    "tabs": lambda f: write_csv(f, "green_tripdata_{}.tsv", delimiter="\t"),
    "Windows CSV": lambda f: write_csv(f, change=lambda text: "\ufeff" + text.replace("\n", "\r\n")),
    "blank line": lambda f: write_csv(f, change=lambda text: text.replace("\n", "\n\n", 1)),
}


def read_trips(source, partition_rows=37):
    frames = [_read_source_trips(partition, TLC) for partition in source.partitions(partition_rows)]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return read_trips(open_source(str(write_months(tmp_path_factory.mktemp("plain"), TABLES, "green"))))


@pytest.mark.parametrize("partition_rows", [37, 10_000])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_has_the_months_and_trips_of_published_files(layout, partition_rows, plain, tmp_path):
    LAYOUTS[layout](tmp_path / "in")
    source = open_source(str(tmp_path / "in"))
    assert source.months == tuple(MONTHS)
    assert source.warnings == ()
    assert {month: sum(file.rows for file in files) for month, files in source.by_month.items()} == {
        month: len(table) for month, table in TABLES.items()
    }
    pd.testing.assert_frame_equal(read_trips(source, partition_rows), plain)


@pytest.mark.parametrize("parts", [1, 5])
def test_rows_in_any_order_have_their_month(parts, plain, tmp_path):
    order = np.random.default_rng(1).permutation(ROWS)
    size = -(-ROWS // parts)
    for part in range(parts):
        rows = ALL_ROWS.take(order[part * size : (part + 1) * size])
        write(tmp_path, f"part-{part:05d}.parquet", rows, row_group_size=40)
    source = open_source(str(tmp_path))
    assert source.months == tuple(MONTHS)
    trips = read_trips(source)
    assert trips["trip_id"].tolist() == plain["trip_id"].tolist()
    columns = [name for name in trips.columns if name != "trip_id"]
    keys = ["pickup_at", "PULocationID", "tip_amount"]
    pd.testing.assert_frame_equal(
        trips[columns].sort_values(keys, ignore_index=True),
        plain[columns].sort_values(keys, ignore_index=True),
    )


def test_only_the_selected_months_of_a_file_are_read(tmp_path, plain):
    write(tmp_path, "green_2023.parquet", ALL_ROWS)
    source = open_source(str(tmp_path), "2023-02")
    assert source.months == (Month(2023, 2),)
    expected = plain[plain["pickup_at"].dt.month == 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(read_trips(source), expected)
    with pytest.raises(SourceError, match="has no file for 2023-04") as caught:
        open_source(str(tmp_path), "2023-03:2023-04")
    assert caught.value.hint == "Choose from 2023-01, 2023-02, 2023-03."


def rows_at(times):
    """Return trips with pickups at these times."""
    table = raw_table(len(times), MONTHS[0], "lpep")
    pickups = pa.array(times, pa.timestamp("us"))
    return table.set_column(table.column_names.index(PICKUP), PICKUP, pickups)


def test_stray_rows_of_a_file_without_a_month_are_not_lost(tmp_path):
    strays = [None, Month(2009, 1).start, Month(2090, 1).start, Month(2023, 4).start]
    months = [month.start for month in MONTHS for _ in range(300)]
    write(tmp_path, "all.parquet", rows_at([*months, *strays]))
    source = open_source(str(tmp_path))
    assert source.months == tuple(MONTHS)
    assert [file.rows for file in source.files] == [302, 300, 302]
    assert len(read_trips(source)) == source.rows


@given(st.lists(st.sampled_from([0, 1, 2, 3]), max_size=80), st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=15, phases=[Phase.generate])
def test_every_row_is_in_one_partition(tmp_path_factory, kinds, group_rows, partition_rows):
    """Kinds 1 to 3 are months. Kind 0 is a missing time."""
    times = [None, *(month.start for month in MONTHS)]
    folder = tmp_path_factory.mktemp("any")
    table = rows_at([times[kind] for kind in [1, 2, 3] * 50 + kinds])
    write(folder, "all.parquet", table, row_group_size=group_rows)
    source = open_source(str(folder))
    trips = read_trips(source, partition_rows)
    assert len(trips) == len(table)
    assert trips["trip_id"].is_unique


# --- files that cannot be used


def test_a_renamed_file_is_refused(tmp_path):
    write_months(tmp_path, TABLES, "green")
    write(tmp_path, "green_tripdata_2023-04.parquet", raw_table(50, Month(2023, 5), "lpep"))
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path))
    assert "its name says 2023-04, but 100.0 % of its rows are in other months (2023-05)" in str(caught.value)
    assert "Rename the file" in caught.value.hint


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize(("other_rows", "is_usable"), [(40, True), (60, False)])
def test_a_named_month_needs_half_of_the_rows(other_rows, is_usable, statistics, tmp_path):
    rows = [raw_table(100 - other_rows, MONTHS[0], "lpep"), raw_table(other_rows, MONTHS[1], "lpep")]
    write(tmp_path, "green_tripdata_2023-01.parquet", pa.concat_tables(rows), write_statistics=statistics)
    if is_usable:
        assert open_source(str(tmp_path)).rows == 100
    else:
        with pytest.raises(
            SourceError, match=r"60.0 % of its rows are in other months \(2023-01 to 2023-02\)"
        ):
            open_source(str(tmp_path))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1427002\n"
PARQUET = b"PAR1" + b"x" * 99
OTHER_CONTENTS = {
    "pointer": (POINTER, "a Git LFS pointer", "git lfs pull"),
    "web page": (b"\n\n<!DOCTYPE html><html></html>", "a web page", "Download"),
    "S3 error": (
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "an XML document",
        "Download",
    ),
    "gzip": (gzip.compress(PARQUET), "compressed with gzip", "gunzip"),
    "zip": (b"PK\x03\x04" + b"\0" * 50, "a ZIP archive", "Extract"),
    "empty": (b"", "the file is empty", "Download"),
    "JSON": (b'{"VendorID": 2}\n', "JSON", "Convert"),
    "text": (b"VendorID,fare\n1,2\n", "not a Parquet file, but text", "rename it to NAME.csv"),
    "binary": (b"\x01\x02\0\x03", "not a Parquet file", "Convert"),
    "cut short": (PARQUET, "corrupt or incomplete", "Download"),
    "UTF-16": ("VendorID,fare".encode("utf-16"), "not a Parquet file, but text", "rename it to NAME.csv"),
    "one byte": (b"P", "not a Parquet file", "CSV"),
}


@pytest.mark.parametrize("case", OTHER_CONTENTS)
def test_a_file_of_another_format_is_named(case, tmp_path):
    content, cause, fix = OTHER_CONTENTS[case]
    write_months(tmp_path, TABLES, "green")
    path = tmp_path / "green_tripdata_2023-02.parquet"
    path.write_bytes(content)
    for spec in (tmp_path, path):
        with pytest.raises(SourceError) as caught:
            open_source(str(spec))
        assert str(caught.value).startswith(f"cannot read {path}: ")
        assert cause in str(caught.value)
        assert fix in caught.value.hint


@pytest.mark.parametrize("name", ["green_tripdata_2023-02.csv", "green_tripdata_2023-02.csv.gz"])
def test_text_in_utf16_without_a_mark_is_an_error(name, tmp_path):
    content = "VendorID,fare\n1,2\n".encode("utf-16-le")
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    with pytest.raises(
        SourceError, match=re.escape(f"cannot read {path}: it has NUL characters, as text in UTF-16")
    ) as caught:
        open_source(str(tmp_path))
    assert caught.value.hint == "Save the file as CSV in UTF-8, or as Parquet."


CSV_FAULTS = {
    "a value too many": (lambda text: text + "1,2\n", "line 94 has 2 values, and the header has 19 columns"),
    "no header": (
        lambda text: text.partition("\n")[2],
        "the columns have no names, but values such as '2023-02-",
    ),
    "numbers as a header": (
        lambda text: ",".join(map(str, range(19))) + "\n" + text.partition("\n")[2],
        "the columns have no names, but values such as '0' and '1'",
    ),
    "only a header": (lambda text: text.partition("\n")[0] + "\n", "the file has no rows"),
    "a column twice": (
        lambda text: re.sub("(?m)$", ",0.5", text.rstrip("\n")).replace(",0.5", ",extra", 1),
        "2 columns contain extra (extra, extra)",
    ),
    "another month": (lambda text: text.replace("2023-02-", "2023-03-"), "its name says 2023-02"),
}


@pytest.mark.parametrize("case", CSV_FAULTS)
def test_a_csv_file_with_a_fault_is_an_error(case, tmp_path):
    change, cause = CSV_FAULTS[case]
    write_csv(tmp_path / "in", change=lambda text: change(text) if "2023-02-" in text else text)
    with pytest.raises(SourceError, match=re.escape(cause)) as caught:
        open_source(str(tmp_path / "in"))
    assert "green_tripdata_2023-02.csv" in str(caught.value)
    assert caught.value.hint


def test_missing_values_of_csv_have_many_spellings(tmp_path):
    spellings = ["", "NULL", "NaN", r"\N", "-", "None", "1"]
    table = raw_table(len(spellings), MONTHS[0], "lpep")
    index = table.column_names.index("passenger_count")
    table = table.set_column(index, "passenger_count", pa.array(spellings))
    pv.write_csv(table, tmp_path / "green_2023-01.csv", pv.WriteOptions(quoting_style="none"))
    counts = read_trips(open_source(str(tmp_path)))["passenger_count"]
    assert counts.isna().tolist() == [True] * 6 + [False]


def test_all_files_that_cannot_be_used_are_in_one_error(tmp_path):
    for number, (content, _, _) in enumerate(list(OTHER_CONTENTS.values())[:7], 1):
        (tmp_path / f"green_tripdata_2023-0{number}.parquet").write_bytes(content)
    write(tmp_path, "green_tripdata_2023-08.parquet", raw_table(9, Month(2023, 8), "lpep"))
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path))
    message = str(caught.value)
    assert message.startswith(
        f"cannot use source {tmp_path}: 7 of 8 files cannot be used (green_tripdata_2023-01"
    )
    assert "green_tripdata_2023-02.parquet: it is a web page" in message
    assert message.endswith("and 2 more)")
    assert "git lfs pull" in caught.value.hint


def test_files_of_the_same_name_are_told_apart_in_an_error(tmp_path):
    write_each(tmp_path, "year=2022/month={m.month}/part-0.parquet")
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path))
    assert "(month=1/part-0.parquet: its name says 2022-01" in str(caught.value)


@given(st.binary(max_size=200))
@settings(max_examples=20, phases=[Phase.generate])
def test_any_content_is_an_error_and_not_a_traceback(tmp_path_factory, content):
    for name in (
        "green_tripdata_2023-01.parquet",
        "green_tripdata_2023-01.csv",
        "green_tripdata_2023-01.csv.gz",
    ):
        path = tmp_path_factory.mktemp("any") / name
        path.write_bytes(content)
        with pytest.raises(SourceError):
            open_source(str(path))


@pytest.mark.parametrize("marker", [".hoodie/x", "metadata/v1.metadata.json"])
@pytest.mark.parametrize("spec", ["{}", "{}/../{name}", "{}/.."])
def test_tables_with_a_log_are_refused(marker, spec, tmp_path):
    folder = tmp_path / "table"
    write_each(folder, "data/year={m.year}/month={m.month}/p.parquet")
    (folder / marker).parent.mkdir(parents=True)
    (folder / marker).write_text("{}")
    with pytest.raises(
        SourceError, match="table, which can contain files that the table no longer uses"
    ) as caught:
        open_source(spec.format(folder, name=folder.name))
    assert "Export the table" in caught.value.hint


def test_other_taxis_are_named_with_a_way_to_select(tmp_path):
    write_months(tmp_path, TABLES, "green")
    yellow = {month: raw_table(50, month) for month in MONTHS}
    write_months(tmp_path, yellow)
    fhv = pa.table({"dispatching_base_num": ["B1"], "pickup_datetime": ["x"]})
    write(tmp_path, "fhv_tripdata_2023-01.parquet", fhv)
    fhvhv = generate_month(Month(2023, 1), SyntheticSpec(rows_per_month=50))
    write(tmp_path, "fhvhv_tripdata_2023-01.parquet", fhvhv)
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path))
    assert (
        str(caught.value) == f"cannot use source {tmp_path}: it contains yellow, green, fhvhv and fhv files"
    )
    kinds = ("yellow", "green", "fhvhv")
    choices = " or ".join(f"--source '{tmp_path}/{kind}*.parquet'" for kind in kinds)
    assert caught.value.hint == f"Select one taxi type, for example {choices}."
    assert open_source(f"{tmp_path}/green*.parquet").taxi == "green"
    assert open_source(f"{tmp_path}/fhvhv*.parquet").taxi == "fhvhv"
    with pytest.raises(SourceError, match=r"trip records of for-hire vehicles \(fhv\)"):
        open_source(f"{tmp_path}/fhv_*.parquet")


def test_a_folder_per_taxi_is_proposed(tmp_path):
    write_months(tmp_path / "green" / "2023", TABLES, "green")
    write_months(tmp_path / "yellow", {MONTHS[0]: raw_table(50)})
    with pytest.raises(SourceError) as caught:
        open_source(str(tmp_path))
    proposed = f"--source {tmp_path}/yellow or --source {tmp_path}/green/2023."
    assert caught.value.hint.endswith(proposed)


def test_dates_of_stray_rows_are_not_months(tmp_path):
    """If there is a file per date, stray pickups have files of their own."""
    write_days(tmp_path)
    rows = {"2009-01-01": 2, "2022-12-31": 2, "2023-01-05": 900, "2023-03-07": 900, "2023-04-01": 2}
    for date, count in rows.items():
        write(tmp_path, f"green_{date}.parquet", rows_at([dt.datetime.fromisoformat(date)] * count))
    source = open_source(str(tmp_path))
    assert source.months == tuple(MONTHS)
    strays = {file.uri.rpartition("_")[2]: file.month for file in source.files if file.rows == 2}
    assert strays["2009-01-01.parquet"] == strays["2022-12-31.parquet"] == MONTHS[0]
    assert strays["2023-04-01.parquet"] == MONTHS[2]
    assert open_source(str(tmp_path), "2023-04").months == (Month(2023, 4),)


# How a file becomes one that is read, by its name.
UNREAD_FILES = {
    "green_2023-04.csv": "Convert the file to Parquet",
    "green_tripdata_2023-04.parquet.gz": "Convert the file to Parquet",
    "green_2023-04.csv.bz2": "Convert the file to Parquet",
    "green_tripdata_2023-04.parquet.1": "Rename the file",
    "green_tripdata_2023-04.parquet.tmp": "Rename the file",
    "green_tripdata_2023-04.parquet~": "Rename the file",
    "green_tripdata_2023-04": "Rename the file",
}


@pytest.mark.parametrize("name", UNREAD_FILES)
@pytest.mark.parametrize("spec", ["{}", "{}/*"], ids=["folder", "glob"])
def test_a_month_that_is_not_read_is_a_warning(name, spec, tmp_path):
    folder = tmp_path / "in" / "green"
    write_months(folder, TABLES, "green")
    (folder / name).write_bytes(b"x")
    (folder / "green_2023-01.csv").write_bytes(b"x")  # another file has its month
    (folder / "green_2023-05.parquet.md5").write_bytes(b"x")
    (warning,) = open_source(spec.format(tmp_path / "in")).warnings
    expected = f"{folder / name} is not read, and no other file has trips of 2023-04. {UNREAD_FILES[name]}"
    assert warning.startswith(expected)
    assert open_source(str(tmp_path / "in"), "2023-01:2023-02").warnings == ()


def test_a_month_that_a_glob_leaves_out_is_a_warning(tmp_path):
    write_months(tmp_path, TABLES, "green")
    (tmp_path / "green_tripdata_2023-04.parquet.1").write_bytes(b"x")
    (warning,) = open_source(f"{tmp_path}/green*").warnings
    assert "no other file has trips of 2023-04. Rename the file" in warning


def test_the_hint_for_a_missing_month_names_a_file_that_is_not_read(tmp_path):
    write_months(tmp_path, TABLES, "green")
    path = tmp_path / "green_tripdata_2023-02.parquet"
    path.rename(f"{path}.zst")
    with pytest.raises(SourceError, match="2023-02 is missing") as caught:
        open_source(str(tmp_path))
    assert caught.value.hint.startswith(
        f"Convert {path}.zst to Parquet, or leave it out with --months 2023-01"
    )


def test_files_of_other_programs_do_not_count(tmp_path):
    write_months(tmp_path, TABLES, "green")
    (tmp_path / "taxi_zone_lookup.csv").write_text("LocationID,Borough\n1,EWR\n")
    (tmp_path / "notes.txt").write_text("x")
    write(tmp_path, "store/dev/features/version=1/year=2023/month=1/part-0.parquet", pa.table({"a": [1]}))
    write(tmp_path, ".ipynb_checkpoints/green_tripdata_2023-01.parquet", TABLES[MONTHS[0]])
    assert open_source(str(tmp_path)).rows == ROWS
    write(tmp_path, "predictions.parquet", pa.table({"a": [1]}))
    with pytest.raises(
        SourceError, match=r"predictions.parquet: it is not a yellow, green or fhvhv trip record"
    ):
        open_source(str(tmp_path))


def test_the_same_trips_twice_are_refused(tmp_path):
    write_months(tmp_path, TABLES, "green")
    shutil.copy(tmp_path / "green_tripdata_2023-01.parquet", tmp_path / "a copy 2023-01.parquet")
    with pytest.raises(SourceError, match="have the same trips of 2023-01") as caught:
        open_source(str(tmp_path))
    assert "Delete" not in caught.value.hint


def test_many_files_of_one_size_are_read_once(tmp_path, monkeypatch):
    table = TABLES[MONTHS[0]]
    for row in range(40):
        write(tmp_path, f"green_tripdata_2023-01/part-{row}.parquet", table.slice(row, 1))
    opened = []

    def count(uri, options):
        opened.append(uri)
        return open_file(uri, options)

    monkeypatch.setattr(groups, "open_file", count)
    assert open_source(str(tmp_path)).rows == 40
    assert len(opened) == len(set(opened)) > 20


def test_files_that_may_have_the_same_trips_are_a_warning(tmp_path):
    write_months(tmp_path, TABLES, "green")
    write(tmp_path, "green_2023.parquet", ALL_ROWS)
    source = open_source(str(tmp_path))
    assert source.rows == 2 * ROWS
    (warning,) = source.warnings
    assert warning.startswith(
        f"{tmp_path}/green_2023.parquet and {tmp_path}/green_tripdata_2023-01.parquet have trips"
    )


PARTS = {
    "Arrow": "year=2023/month=1/{}-0.parquet",
    "Athena": "year=2023/month=1/20230201_063012_00{}_x7k2p_{}.parquet",
    "BigQuery": "2023-01/{}.parquet",
    "Databricks": "month=2023-01/part-00000-tid-{}-c000.snappy.parquet",
    "another key": "year=2023/month=1/borough={}/part-0.parquet",
    "another key before": "borough={}/year=2023/month=1/part-0.parquet",
}
PART_NAMES = [
    ("c8c0d1b2e3f44a5b8c9d0e1f2a3b4c5d", "00a1b2c3d4e5f60718293a4b5c6d7e8f"),
    ("0", "12"),
    ("1531545a-2019-4a01-9c53-2018aaaaaaaa", "9f31545b-2019-4a01-9c53-2018aaaaabbb"),
    ("Queens", "Staten%20Island"),
]


@pytest.mark.parametrize("program", PARTS)
@pytest.mark.parametrize("names", PART_NAMES)
def test_parts_of_one_table_are_no_warning(program, names, tmp_path):
    """A program gives the files of a table other numbers, other random letters, or other keys."""
    if names[0] == "Queens" and "key" not in program:
        pytest.skip("words differ only in the values of keys")
    table = TABLES[MONTHS[0]]
    for row, name in enumerate(names):
        write(tmp_path, f"green/{PARTS[program].format(name, name)}", table.slice(40 * row, 40 + row))
    assert open_source(str(tmp_path)).warnings == ()


def without(table, *names):
    for name in names:
        position = table.column_names.index(name)
        table = table.set_column(position, name, pa.nulls(len(table), table.schema.field(name).type))
    return table


DISPATCHED = ("passenger_count", "RatecodeID", "payment_type")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    "name", ["{m}/green_{p}", "part-{p}-{m.month}"], ids=["months in paths", "no months"]
)
def test_a_part_of_a_month_can_have_only_dispatched_trips(name, suffix, tmp_path):
    """They are at the end of the TLC's files, so that a small last part has no other trips."""
    for month, table in TABLES.items():
        parts = [table.slice(0, 60), without(table.slice(60, 10), *DISPATCHED), table.slice(70)]
        for number, part in enumerate(parts):
            path = tmp_path / f"{name.format(m=month, p=number)}.{suffix}"
            path.parent.mkdir(exist_ok=True)
            pq.write_table(part, path) if suffix == "parquet" else pv.write_csv(part, path)
    source = open_source(str(tmp_path))
    assert source.months == tuple(MONTHS)
    assert not {*DISPATCHED} & source.partly_missing_columns.keys()
    trips = read_trips(source)
    assert len(trips) == ROWS
    for column in DISPATCHED:
        assert trips[column].isna().sum() >= 10 * len(MONTHS)


@pytest.mark.parametrize(
    ("parts", "column"),
    [((0, 1), "payment_type"), ((1,), "fare_amount"), ((1,), "PULocationID")],
    ids=["all parts of a month", "a fare", "a zone"],
)
def test_a_column_without_values_is_refused(parts, column, tmp_path):
    """A run would reject all trips without a fare or a zone."""
    write_each(tmp_path, "green_tripdata_{m}.part{p}.parquet", 2)
    for part in parts:
        path = tmp_path / f"green_tripdata_2023-02.part{part}.parquet"
        pq.write_table(without(pq.read_table(path), column), path)
    with pytest.raises(SourceError, match=f"column {column} holds only nulls") as caught:
        open_source(str(tmp_path))
    assert f"Add the values of {column}" in caught.value.hint
    if column == "payment_type":
        assert open_source(str(tmp_path), "2023-01,2023-03").rows == ROWS - len(TABLES[MONTHS[1]])


def test_the_error_names_only_the_columns_that_are_empty_in_all_parts(tmp_path):
    write_each(tmp_path, "green_tripdata_{m}.part{p}.parquet", 2)
    for part, names in enumerate([("payment_type",), ("payment_type", "passenger_count")]):
        path = tmp_path / f"green_tripdata_2023-02.part{part}.parquet"
        pq.write_table(without(pq.read_table(path), *names), path)
    with pytest.raises(SourceError, match="column payment_type holds only nulls") as caught:
        open_source(str(tmp_path))
    assert "passenger_count" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("copy", ["part-0 (copy).parquet", "cleaned/part-0.parquet", "part-0.old.parquet"])
def test_a_copy_among_the_parts_is_a_warning(copy, tmp_path):
    for row, name in enumerate(("part-0.parquet", copy)):
        write(tmp_path, f"year=2023/month=1/{name}", TABLES[MONTHS[0]].slice(0, 40 + row))
    (warning,) = open_source(str(tmp_path)).warnings
    assert "If these are the same trips, select files" in warning


@pytest.mark.parametrize("name", ["a,b", "a[1]", "a b", "a*b", "a?b", "50%", "ümläut", "a#b", "~a"])
def test_any_folder_name_can_be_the_source(name, tmp_path, monkeypatch):
    write_months(tmp_path / name, TABLES, "green")
    assert open_source(str(tmp_path / name)).rows == ROWS
    monkeypatch.chdir(tmp_path)
    assert open_source(f"{name}/").rows == ROWS


def test_a_long_list_of_files_is_a_source(tmp_path):
    write_days(tmp_path)
    files = sorted(map(str, tmp_path.iterdir()))
    assert len(",".join(files)) > os.pathconf("/", "PC_PATH_MAX")
    assert open_source(",".join(files)).rows == ROWS


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (os.mkfifo, "it is a named pipe, a socket or a device"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a named pipe, a socket or a device"),
        (lambda path: path.symlink_to(path), "too many levels of symbolic links"),
    ],
    ids=["a pipe", "a device", "a loop of links"],
)
def test_what_is_no_file_is_an_error_and_not_a_wait(make, cause, tmp_path):
    write_months(tmp_path, TABLES, "green")
    path = tmp_path / "green_tripdata_2023-04.parquet"
    make(path)
    with pytest.raises(SourceError, match=re.escape(f"cannot read {path}: {cause}")):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", [b"gr\xfcn/green_tripdata_2023-01.parquet", b"gr\xfcn_2023-01.parquet"])
def test_a_path_that_is_not_text_is_an_error(name, tmp_path):
    path = os.fsencode(tmp_path) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - bytes
    (written,) = write_months(tmp_path / "x", {MONTHS[0]: TABLES[MONTHS[0]]}, "green").iterdir()
    os.rename(written, path)  # noqa: PTH104 - bytes
    with pytest.raises(SourceError, match=r"gr\\xfcn.*: its path is not text in UTF-8"):
        open_source(str(tmp_path))


def test_columns_before_the_trips_can_be_nested(tmp_path):
    stops = pa.array(
        [{"fare_amount": None, "VendorID": 1}] * ROWS,
        pa.struct({"fare_amount": pa.float64(), "VendorID": pa.int64()}),
    )
    write(tmp_path, "green_2023.parquet", ALL_ROWS.add_column(0, "stops", stops), row_group_size=37)
    source = open_source(str(tmp_path))
    assert [str(month) for month in source.months] == [str(month) for month in MONTHS]
    assert source.rows == ROWS


def test_damage_is_found_by_the_checksums_of_pages(tmp_path):
    write_months(tmp_path, TABLES, "green")
    path = tmp_path / "green_tripdata_2023-02.parquet"
    options = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    pq.write_table(TABLES[MONTHS[1]], path, **options)
    fares = (
        pq.ParquetFile(path).metadata.row_group(0).column(TABLES[MONTHS[1]].column_names.index("fare_amount"))
    )
    content = bytearray(path.read_bytes())
    content[fares.data_page_offset + fares.total_compressed_size - 4] ^= 1
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"green_tripdata_2023-02.parquet: corrupt data \(.*CRC"):
        read_trips(open_source(str(tmp_path)))


def test_a_broken_link_is_an_error(tmp_path):
    write_months(tmp_path, TABLES, "green")
    (tmp_path / "green_tripdata_2023-04.parquet").symlink_to(tmp_path / "nothing")
    with pytest.raises(SourceError, match=r"green_tripdata_2023-04.parquet: it does not exist"):
        open_source(str(tmp_path))
