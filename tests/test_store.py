"""store: a version exists if and only if its manifest does, and never changes."""

import json
import multiprocessing
from pathlib import Path

import pytest

from tests.conftest import make_trips
from toytip.errors import StoreError
from toytip.schema import TRIPS
from toytip.store import Manifest, Store, new_version
from toytip.values import Month, PartKey


def manifest_of(records, version="v1", table="trips"):
    return Manifest(
        table=table,
        version=version,
        created=f"2026-{version}",
        parts=tuple(records),
        config={},
        parents=[],
        schema_digest="x",
    )


def publish(store, version="v1", rows=3):
    record = store.write(TRIPS, version, PartKey(Month(2023, 1), 0), make_trips(*[{}] * rows))
    return store.publish(manifest_of([record], version))


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), "dev")


def below(store, pattern):
    return sorted(str(path.relative_to(store.path())) for path in Path(store.path()).glob(pattern))


def test_layout(store):
    with store.claim("v1"):
        assert not below(store, "trips/**/*.parquet"), "nothing is seen before it is published"
        manifest = publish(store)
    assert below(store, "**/*.parquet") == ["trips/version=v1/year=2023/month=1/part-00000.parquet"]
    assert below(store, "_versions/**/*.json") == ["_versions/trips/v1.json"]
    assert not below(store, "_staging/*")
    assert store.resolve("trips") == store.resolve("trips", "v1") == manifest
    assert (manifest.rows, manifest.rejects) == (3, {})


def test_part_names_follow_from_the_input(store):
    with store.claim("v1"):
        first, second = (
            store.write(TRIPS, "v1", PartKey(Month(2023, 1), 0), make_trips({}, {})) for _ in range(2)
        )
        assert first == second
        manifest = store.publish(manifest_of([second]))
    assert store.read(TRIPS, "v1", manifest.parts[0]).equals(make_trips({}, {}))


def test_a_published_version_is_never_changed(store):
    with store.claim("v1"):
        publish(store)
    before = Path(store.manifest_path("trips", "v1")).read_bytes()
    with store.claim("v1"):
        with pytest.raises(StoreError, match="already published"):
            publish(store, rows=5)
        with pytest.raises(StoreError, match="already published"):
            store.refuse_published("v1", ("features", "trips"))
    assert Path(store.manifest_path("trips", "v1")).read_bytes() == before
    assert store.read(TRIPS, "v1", store.resolve("trips").parts[0]).equals(make_trips({}, {}, {}))


def test_what_is_not_published_is_swept(store):
    with store.claim("v1"):
        store.write(TRIPS, "v1", PartKey(Month(2023, 1), 0), make_trips({}))
        assert below(store, "_staging/v1/**/*.parquet")
    assert not below(store, "**/*.parquet")
    assert store.versions() == []


def _die_in_the_middle(root):
    import os

    store = Store(root, "dev")
    with store.claim("v1"):
        store.write(TRIPS, "v1", PartKey(Month(2023, 1), 0), make_trips({}))
        Path(store.version_path("trips", "v1")).mkdir(parents=True)
        os._exit(9)


def test_what_a_killed_run_left_is_swept_by_the_next(store):
    process = multiprocessing.get_context("spawn").Process(target=_die_in_the_middle, args=(store.root,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert below(store, "_staging/v1*")
    assert store.versions() == []
    with store.claim("v2"):
        assert not below(store, "_staging/v1*")
        assert not below(store, "trips/*")
        publish(store, "v2")
    with store.claim("v1"):
        publish(store)
    assert [m.version for m in store.versions("trips")] == ["v1", "v2"]


def test_a_version_is_made_by_one_run_at_a_time(store):
    with (
        store.claim("v1"),
        pytest.raises(StoreError, match="another run"),
        Store(store.root, "dev").claim("v1"),
    ):
        pass


def test_the_newest_is_the_last_created(store):
    for version in ("v2", "v1"):
        with store.claim(version):
            publish(store, version)
    assert store.resolve("trips").version == "v2"
    assert store.resolve("trips", "v1").version == "v1"


def test_what_is_not_there_is_said(store):
    with pytest.raises(StoreError, match="no version of trips"):
        store.resolve("trips")
    with pytest.raises(StoreError, match="no version v9"):
        store.resolve("trips", "v9")


def test_a_lost_part_and_a_broken_manifest_are_named(store):
    with store.claim("v1"):
        manifest = publish(store)
    (Path(store.version_path("trips", "v1")) / manifest.parts[0].path).unlink()
    with pytest.raises(StoreError, match="lacks a file"):
        store.read(TRIPS, "v1", manifest.parts[0])
    Path(store.manifest_path("trips", "v1")).write_text("{")
    with pytest.raises(StoreError, match="not a manifest"):
        store.resolve("trips")


@pytest.mark.parametrize("root", ["/proc/nowhere/store", "/dev/null/store"])
def test_an_unwritable_store_is_said_at_once(root):
    with pytest.raises(StoreError, match="cannot be written"), Store(root, "dev").claim("v1"):
        pass


def test_manifests_hold_plain_json(store):
    with store.claim("v1"):
        publish(store)
    found = json.loads(Path(store.manifest_path("trips", "v1")).read_text())
    (part,) = found["parts"]
    assert part["path"] == "year=2023/month=1/part-00000.parquet"
    assert part["month"] == [2023, 1]
    assert part["checksum"].startswith("sha256:")


def test_versions_sort_by_time():
    assert new_version() < "v9999"
    assert len(new_version()) == len("v20261124T101500Z-3f9c2a")


def test_any_file_system_of_fsspec_holds_versions():
    store = Store("memory://toytip-test", "dev")
    with store.claim("v1"):
        manifest = publish(store)
    assert store.resolve("trips") == manifest
    assert store.read(TRIPS, "v1", manifest.parts[0]).equals(make_trips({}, {}, {}))
    with pytest.raises(StoreError, match="already published"):
        publish(store)
