"""Nothing is read or written outside the store, whatever names a manifest contains."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.trips import make_manifest, make_part_record, publish_trips
from toytip.core.access import StorageOptions
from toytip.errors import ConfigError, StoreError
from toytip.io.access import open_file_io
from toytip.io.base import uri_scheme, validate_name
from toytip.io.local import LocalFileIO
from toytip.store.layout import validate_table_name, validate_version
from toytip.store.manifest import Manifest
from toytip.store.refs import read_tags, resolve_version, set_tag
from toytip.store.store import Store

quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EVIL = [
    "..",
    ".",
    "",
    "/etc/passwd",
    "a/../../b",
    "%2e%2e",
    "a\\..\\b",
    "a\0b",
    "v1\n",
    " v1",
    "v 1",
    "é",
    "…",
    "~",
    "-v",
]
names = (
    st.sampled_from(EVIL) | st.text(max_size=20) | st.lists(st.sampled_from(EVIL), max_size=3).map("/".join)
)


@pytest.mark.parametrize(
    ("root", "cause"),
    [
        ("s3://", "it names no bucket"),
        ("s3:///", "it names no bucket"),
        ("s3://bucket//prefix", "it has two slashes in a row"),
        ("s3://bucket/a//b/", "it has two slashes in a row"),
        ("gs://bucket/prefix", "gs:// is not supported"),
    ],
)
def test_an_address_that_cannot_be_a_store_is_an_error(root, cause):
    with pytest.raises(ConfigError, match=f"cannot open the store {root}: {cause}") as caught:
        open_file_io(root, StorageOptions())
    assert "s3://bucket/prefix" in caught.value.hint


@quick
@given(name=names)
def test_a_name_is_a_path_in_the_store_or_is_rejected(name, tmp_path):
    root = tmp_path / "store"
    try:
        path = LocalFileIO(str(root)).path(name)
    except StoreError:
        return
    resolved = Path(os.path.normpath(path))
    assert resolved.is_relative_to(root)
    assert resolved != root
    assert resolved == path, "nothing in it is left to be resolved"


@quick
@given(version=names, table=names)
def test_names_of_versions_and_tables_never_leave_the_store(version, table, tmp_path):
    store = Store(str(tmp_path / "store"), "dev")
    for call in (
        lambda: resolve_version(store, "trips", version),
        lambda: store.get_manifest(table, "v1"),
        lambda: store.write_file(table, version, version, b"") and None,
        lambda: set_tag(store, version, version),
        lambda: store.purge(version),
    ):
        with contextlib.suppress(StoreError):
            call()
    inside = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert all(path.is_relative_to(tmp_path / "store" / "dev") for path in inside)


@quick
@given(
    path=names,
    table=names,
    version=names,
    field=st.sampled_from(["path", "table", "version", "files", "rows"]),
)
@example(path="../../../../etc/passwd", table="trips", version="v1", field="path")
@example(path="", table="s", version="v1", field="table")
def test_a_manipulated_manifest_is_rejected(path, table, version, field, tmp_path):
    record = json.loads(make_manifest([make_part_record()]).to_json())
    record["files"][0]["path"] = path if field == "path" else "part.parquet"
    if field in ("table", "version", "files"):
        record[field] = {"table": table, "version": version, "files": path}[field]
    if field == "rows":
        record["files"][0]["rows"] = path
    name = "dev/_versions/trips/v1.json"
    try:
        manifest = Manifest.from_json(json.dumps(record).encode(), name)
    except StoreError:
        return
    assert (manifest.table, manifest.version) == ("trips", "v1")
    assert all(validate_name(part.path) for part in manifest.files)


@quick
@given(
    content=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.text(), v),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode())
)
def test_invalid_manifests_are_errors_of_one_line(content):
    with pytest.raises(StoreError) as caught:
        Manifest.from_json(content, "dev/_versions/trips/v1.json")
    assert "\n" not in str(caught.value)


def test_the_names_that_toytip_creates_are_valid():
    for name in ("features", "predictions", "rejects", "models"):
        assert validate_table_name(name) == name
    assert validate_version("v20261124T101500Z-3f9c2a")
    for version in EVIL:
        with pytest.raises(StoreError):
            validate_version(version)


def test_a_store_is_a_folder_or_a_bucket():
    for root in ("gs://bucket/x", "https://host/x", "memory://x"):
        with pytest.raises(ConfigError, match="is not supported"):
            open_file_io(root, StorageOptions())
    with pytest.raises(ConfigError, match="URLs must not contain credentials"):
        uri_scheme("s3://key:secret@bucket/x")


def test_a_store_folder_can_have_any_name(tmp_path):
    root = tmp_path / "büro %2e%2e/a b+c'é"
    store = Store(str(root), "dev")
    with store.write_version("v1"):
        publish_trips(store)
    assert resolve_version(store, "trips").version == "v1"
    set_tag(store, "first", "v1")
    assert read_tags(store) == {"first": "v1"}


def test_files_on_a_local_disk(tmp_path):
    disk = LocalFileIO(str(tmp_path))
    disk.create("a/one", b"1")
    with pytest.raises(FileExistsError):
        disk.create("a/one", b"2")
    disk.write("a/two", b"2")
    disk.copy("a/one", "b/three")
    assert {name: info.bytes for name, info in disk.list_files("a").items()} == {"a/one": 1, "a/two": 1}
    assert disk.read("b/three") == b"1"
    disk.remove(["a/one", "a/two", "a/none"])
    assert not (tmp_path / "a").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["b", "three"]


def test_a_folder_can_be_listed_while_it_is_published(tmp_path):
    """Another run can move folders at the same time as this run lists them."""
    place = LocalFileIO(str(tmp_path))
    mover = """
import itertools, pathlib, sys
root = pathlib.Path(sys.argv[1])
for number in itertools.count():
    made = root / "making" / str(number)
    for table in "abcdefgh":
        (made / table).mkdir(parents=True)
    made.rename(root / f"v{number}")
"""
    with subprocess.Popen([sys.executable, "-c", mover, tmp_path]) as moving:
        try:
            while not (tmp_path / "v300").exists():
                assert moving.poll() is None
                assert place.list_files("making") == {}
        finally:
            moving.kill()
