"""Delta tables as a source: only the files that the log of a table names have trips."""

import json
import shutil
import sys

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.sources.test_layouts import MONTHS, PICKUP, TABLES, read_trips, write_each
from tests.support.trips import write_months
from toytip.errors import SourceError
from toytip.sources.discovery import open_source
from toytip.sources.listing import list_source_files

LOG = "_delta_log/00000000000000000000.json"
UPDATE = "_delta_log/00000000000000000001.json"


def delta_rows(months=MONTHS):
    """Return the trips of months. A Delta table cannot have columns whose type is null."""
    table = pa.concat_tables([TABLES[month] for month in months])
    table = table.select([field.name for field in table.schema if not pa.types.is_null(field.type)])
    for key, values in (("year", pc.year(table[PICKUP])), ("month", pc.month(table[PICKUP]))):
        table = table.append_column(key, values)
    return table


def write_delta(folder):
    """Write a table by month. Its folder also has deleted files of February and March."""
    deltalake = pytest.importorskip("deltalake", reason="needs `pip install 'toytip[delta]'`")
    deltalake.write_deltalake(str(folder), delta_rows(), partition_by=["year", "month"])
    for number, month in enumerate(MONTHS[1:], 2):
        table = deltalake.DeltaTable(str(folder))
        table.delete(f"month = {number}")
        table.create_checkpoint()
        deltalake.write_deltalake(str(folder), delta_rows([month]), mode="append")
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table whose path cannot be opened with the package, which decodes paths."""
    folder = tmp_path_factory.mktemp("delta")
    return write_delta(folder / "green").rename(folder / "green 50%25")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_months(tmp_path_factory.mktemp("plain"), TABLES, "green")


def require_trips(spec, plain, months=None):
    trips = read_trips(open_source(str(spec), months))
    pd.testing.assert_frame_equal(trips, read_trips(open_source(str(plain), months)))


def test_the_trips_are_those_of_the_files_in_the_log(table, plain):
    assert len(list(table.rglob("*.parquet"))) > len(list_source_files(str(table)).options) == 3
    for spec in (
        table,
        table.parent,
        f"{table}/",
        f"file://{table}",
        f"{table}/year=2023",
        f"{table}/*/*/*.parquet",
        f"{table}/**/*.parquet",
    ):
        require_trips(spec, plain)
    require_trips(f"{table}/year=2023/month=2", plain, "2023-02")
    require_trips(f"{table}/year=2023/month=[12]", plain, "2023-01:2023-02")


def test_a_table_can_be_on_any_file_system(table, plain):
    memory = fsspec.filesystem("memory")
    memory.put(str(table), "/lake/green", recursive=True)
    for spec in ("memory://lake/green", "memory://lake", "memory://lake/green/year=2023/*/*.parquet"):
        require_trips(spec, plain)


def test_only_the_log_since_the_last_checkpoint_is_read(table, plain, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(table, copy)
    (copy / LOG).write_text("no log")
    require_trips(copy, plain)


def test_a_file_that_the_table_no_longer_uses_is_refused(table):
    used = set(list_source_files(str(table)).options)
    for path in table.rglob("month=2/*.parquet"):
        if str(path) in used:
            assert list(list_source_files(str(path)).options) == [str(path)]
        else:
            with pytest.raises(SourceError, match="the Delta table no longer uses this file") as caught:
                list_source_files(str(path))
            assert "folder of the table" in caught.value.hint


def test_other_files_next_to_a_table_count(table, plain, tmp_path):
    shutil.copytree(table, tmp_path / "delta")
    for folder in (tmp_path / "delta").glob("year=2023/month=3"):
        (folder / "green_2023-04.parquet").write_bytes(b"not a file of the table")
    april = next(plain.glob("*2023-01*"))
    shutil.copy(april, tmp_path / "green_export.parquet")
    files = [uri.removeprefix(f"{tmp_path}/") for uri in list_source_files(str(tmp_path)).options]
    assert len(files) == 4
    assert "green_export.parquet" in files


def change_log(folder, *actions):
    """Append a commit."""
    (folder / UPDATE).write_text("".join(f"{json.dumps(action)}\n" for action in actions))


def first_action(folder, name):
    lines = map(json.loads, (folder / LOG).read_text().splitlines())
    return next(line for line in lines if name in line)


def add_deletion_vector(folder):
    add = first_action(folder, "add")
    vector = {"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 4}
    add["add"]["deletionVector"] = {**vector, "sizeInBytes": 40, "cardinality": 1}
    remove = {"remove": {"path": add["add"]["path"], "dataChange": True, "deletionTimestamp": 1}}
    change_log(folder, protocol("deletionVectors"), remove, add)


def protocol(feature):
    features = {key: ["timestampNtz", feature] for key in ("readerFeatures", "writerFeatures")}
    return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}}


def map_columns(folder):
    metadata = first_action(folder, "metaData")
    schema = json.loads(metadata["metaData"]["schemaString"])
    for number, column in enumerate(schema["fields"], 1):
        column["metadata"] = {
            "delta.columnMapping.id": number,
            "delta.columnMapping.physicalName": f"c{number}",
        }
    metadata["metaData"]["schemaString"] = json.dumps(schema)
    metadata["metaData"]["configuration"] = {
        "delta.columnMapping.mode": "name",
        "delta.columnMapping.maxColumnId": "99",
    }
    change_log(folder, protocol("columnMapping"), metadata)


def add_foreign_file(folder):
    add = first_action(folder, "add")
    add["add"]["path"] = "s3://other/table/part-0.parquet"
    change_log(folder, add)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (add_deletion_vector, "the Delta table has deletion vectors"),
        (map_columns, "the Delta table has column mapping"),
        (add_foreign_file, "the Delta table has files of another table"),
        (
            lambda folder: change_log(folder, protocol("notInventedYet")),
            "Feature 'notInventedYet' is not supported",
        ),
        (lambda folder: (folder / UPDATE).write_text("no log"), "the log of the Delta table cannot be read"),
    ],
)
def test_a_table_whose_rows_are_not_those_of_its_files_is_refused(change, cause, tmp_path):
    deltalake = pytest.importorskip("deltalake", reason="needs `pip install 'toytip[delta]'`")
    folder = tmp_path / "table"
    deltalake.write_deltalake(str(folder), delta_rows())
    change(folder)
    with pytest.raises(SourceError, match=f"cannot use {folder}: ") as caught:
        open_source(str(folder))
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Export the table" in caught.value.hint


def test_a_table_can_allow_deletion_vectors_without_having_them(tmp_path, plain):
    deltalake = pytest.importorskip("deltalake", reason="needs `pip install 'toytip[delta]'`")
    deltalake.write_deltalake(str(tmp_path / "table"), delta_rows())
    change_log(tmp_path / "table", protocol("deletionVectors"))
    require_trips(tmp_path / "table", plain)


@pytest.mark.parametrize(
    "spec",
    ["", "..", "year=2023", "year=2023/month=1", "year=2023/*/p.parquet", "year=2023/month=1/p.parquet"],
)
def test_without_the_package_a_table_is_refused(spec, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    write_each(tmp_path / "table", "year={m.year}/month={m.month}/p.parquet")
    (tmp_path / "table" / "_delta_log").mkdir()
    with pytest.raises(SourceError, match="it is a Delta table, which can contain files") as caught:
        open_source(f"{tmp_path}/table/{spec}")
    assert "pip install 'toytip[delta]'" in caught.value.hint
