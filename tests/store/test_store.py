"""The store: a version exists if and only if its manifest exists, and a version never changes."""

import contextlib
import json
import multiprocessing
from pathlib import Path

import pytest

from tests.support.trips import make_manifest, make_part_record, make_trips, publish_table, publish_trips
from toytip.core.tables import TRIPS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import StoreError, StoreFormatError
from toytip.store import maintenance
from toytip.store.layout import new_version_id
from toytip.store.refs import resolve_version
from toytip.store.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), "dev")


def below(store, pattern):
    return sorted(str(path.relative_to(store.uri())) for path in Path(store.uri()).glob(pattern))


def test_layout(store):
    with store.write_version("v1"):
        assert not below(store, "trips/**/*.parquet"), "nothing is seen before it is published"
        manifest = publish_trips(store)
    assert below(store, "**/*.parquet") == ["trips/version=v1/year=2023/month=1/part-00000.parquet"]
    assert below(store, "_versions/**/*.json") == ["_versions/trips/v1.json"]
    assert not below(store, "_staging/*")
    assert resolve_version(store, "trips") == resolve_version(store, "trips", "v1") == manifest
    assert (manifest.rows, manifest.rejects) == (3, {})


def test_a_file_name_depends_only_on_the_input(store):
    with store.write_version("v1"):
        first, second = (
            store.write_data_file(TLC.table(TRIPS), "v1", make_part_record(), make_trips({}, {}))
            for _ in range(2)
        )
        assert first == second
        manifest = publish_table(store, make_manifest([second]))
    assert store.read_data_file(TLC.table(TRIPS), "v1", manifest.files[0]).equals(make_trips({}, {}))


def test_a_published_version_is_never_changed(store):
    with store.write_version("v1"):
        publish_trips(store)
    before = Path(store.manifest_uri("trips", "v1")).read_bytes()
    with store.write_version("v1"):
        with pytest.raises(StoreError, match="already published"):
            publish_trips(store, rows=5)
        with pytest.raises(StoreError, match="already published"):
            store.require_unpublished("v1")
    assert Path(store.manifest_uri("trips", "v1")).read_bytes() == before
    assert store.read_data_file(TLC.table(TRIPS), "v1", resolve_version(store, "trips").files[0]).equals(
        make_trips({}, {}, {})
    )


def test_unpublished_files_are_deleted(store):
    with store.write_version("v1"):
        store.write_data_file(TLC.table(TRIPS), "v1", make_part_record(), make_trips({}))
        assert below(store, "_staging/v1/**/*.parquet")
    assert not below(store, "**/*.parquet")
    assert store.list_manifests() == []


def _die_in_the_middle(root, moved):
    import os

    store = Store(root, "dev")
    with store.write_version("v1"):
        store.write_data_file(TLC.table(TRIPS), "v1", make_part_record(), make_trips({}))
        if moved:
            Path(store.uri("trips")).mkdir()
            Path(store.uri("_staging/v1/trips")).rename(store.version_uri("trips", "v1"))
        os._exit(9)


@pytest.fixture(params=[False, True], ids=["while it writes", "before it writes the manifest"])
def killed(store, request):
    """A store in which a run was killed after it wrote one file."""
    process = multiprocessing.get_context("spawn").Process(
        target=_die_in_the_middle, args=(store.root, request.param)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 9
    return store


def test_files_of_a_killed_run_are_invisible_until_they_are_reused(killed):
    assert killed.list_manifests() == []
    assert killed.incomplete_versions() == ["v1"]
    with killed.write_version("v2"):
        assert not below(killed, "trips/*"), "what was moved in but not published is staged again"
        found = killed.find_data_files("trips")["id"]
        assert found.version == "v1"
        assert killed.reuse_data_file("trips", "v2", found)
        publish_table(killed, make_manifest([found.record], "v2"))
    assert killed.read_data_file(TLC.table(TRIPS), "v2", found.record).equals(make_trips({}))
    killed.purge("v1")
    assert not below(killed, "_staging/*")
    assert killed.read_data_file(TLC.table(TRIPS), "v2", found.record).equals(make_trips({}))


def test_the_version_of_a_killed_run_can_be_written_again(killed):
    with killed.write_version("v1"):
        assert killed.reuse_data_file("trips", "v1", killed.find_data_files("trips")["id"])
        publish_trips(killed)
    assert [m.version for m in killed.list_manifests("trips")] == ["v1"]
    assert not below(killed, "_staging/*")


def test_files_of_a_killed_run_can_be_deleted(killed):
    with killed.write_version("v2"):
        publish_trips(killed, "v2")
    waste = maintenance.find_garbage(killed, 1)
    assert (waste.versions, waste.incomplete_versions) == ((), ("v1",))
    assert waste.bytes > 0
    maintenance.collect_garbage(killed, waste)
    assert below(killed, "**/*.parquet") == ["trips/version=v2/year=2023/month=1/part-00000.parquet"]
    assert not below(killed, "_staging/*")


def test_files_that_are_not_manifests_are_ignored(store):
    with store.write_version("v1"):
        publish_trips(store)
    folder = Path(store.manifest_uri("trips", "v1")).parent
    for name in ("v1 (copy).json", ".v2.json.1a2b3c4d", "notes.txt", "%2e%2e.json", "é.json"):
        (folder / name).write_text("{")
    assert [manifest.version for manifest in store.list_manifests()] == ["v1"]


def test_complete_files_remain_after_an_error_but_not_after_an_interrupt(store):
    for error, left in ((StoreError("the disk is full"), True), (KeyboardInterrupt(), False)):
        with contextlib.suppress(StoreError, KeyboardInterrupt), store.write_version("v1"):
            store.write_data_file(TLC.table(TRIPS), "v1", make_part_record(), make_trips({}))
            raise error
        assert bool(store.find_data_files("trips")) == left
        assert bool(below(store, "_staging/*")) == left


def test_an_interruption_before_the_manifest_leaves_no_folder(store, monkeypatch):
    """A signal can arrive between the two file operations that complete a table."""
    create = type(store.file_io).create

    def interrupt(file_io, name, content):
        if name == store.layout.manifest("trips", "v1"):
            raise KeyboardInterrupt
        create(file_io, name, content)

    monkeypatch.setattr(type(store.file_io), "create", interrupt)
    with pytest.raises(KeyboardInterrupt), store.write_version("v1"):
        publish_trips(store)
    assert not below(store, "trips/**/*.parquet")


def test_a_file_is_reused_only_if_it_was_not_changed(store):
    with store.write_version("v1"):
        manifest = publish_trips(store)
    part = Path(store.version_uri("trips", "v1"), manifest.files[0].path)
    found = store.find_data_files("trips")["id"]
    with store.write_version("v2"):
        assert store.reuse_data_file("trips", "v2", found)
        flip(part)
        assert not store.reuse_data_file("trips", "v2", found)
        part.unlink()
        assert not store.reuse_data_file("trips", "v2", found)


def flip(path, at=100):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_file_with_one_changed_bit_is_reported_and_not_read(store):
    with store.write_version("v1"):
        manifest = publish_trips(store)
    assert maintenance.verify_version(store, "v1", lambda _: None) == []
    part = Path(store.version_uri("trips", "v1"), manifest.files[0].path)
    flip(part)
    (fault,) = maintenance.verify_version(store, "v1", lambda _: None)
    assert (fault.path, fault.message) == (f"dev/trips/version=v1/{manifest.files[0].path}", "has changed")
    with pytest.raises(StoreError, match="its checksum differs from the manifest"):
        store.read_data_file(TLC.table(TRIPS), "v1", manifest.files[0])
    part.rename(part.with_name("part-00009.parquet"))
    assert {fault.message for fault in maintenance.verify_version(store, "v1", lambda _: None)} == {
        "is missing",
        "is not in the manifest",
    }


def test_a_version_is_written_by_one_run_at_a_time(store):
    with (
        store.write_version("v1"),
        pytest.raises(StoreError, match="another run"),
        Store(store.root, "dev").write_version("v1"),
    ):
        pass


def test_the_newest_version_is_the_last_created(store):
    for version in ("v2", "v1"):
        with store.write_version(version):
            publish_trips(store, version)
    assert resolve_version(store, "trips").version == "v2"
    assert resolve_version(store, "trips", "v1").version == "v1"


def test_a_version_that_does_not_exist_is_an_error(store):
    with pytest.raises(StoreError, match=r"cannot read trips .*: it has no version"):
        resolve_version(store, "trips")
    with pytest.raises(StoreError, match=r"cannot read version v9 of trips .*: it does not exist"):
        resolve_version(store, "trips", "v9")


def test_a_missing_file_and_a_damaged_manifest_are_errors(store):
    with store.write_version("v1"):
        manifest = publish_trips(store)
    (Path(store.version_uri("trips", "v1")) / manifest.files[0].path).unlink()
    with pytest.raises(StoreError, match=r"cannot read .*no such file"):
        store.read_data_file(TLC.table(TRIPS), "v1", manifest.files[0])
    Path(store.manifest_uri("trips", "v1")).write_text("{")
    with pytest.raises(StoreError, match="cannot read manifest"):
        resolve_version(store, "trips")


@pytest.mark.parametrize("root", ["/proc/nowhere/store", "/dev/null/store"])
def test_an_unwritable_store_is_reported_immediately(root):
    with pytest.raises(StoreError, match="cannot write to store"), Store(root, "dev").write_version("v1"):
        pass


def test_manifests_are_plain_json(store):
    with store.write_version("v1"):
        publish_trips(store)
    found = json.loads(Path(store.manifest_uri("trips", "v1")).read_text())
    (part,) = found["files"]
    assert part["path"] == "year=2023/month=1/part-00000.parquet"
    assert part["month"] == [2023, 1]
    assert part["checksum"].startswith("sha256:")


def test_versions_sort_by_time():
    assert new_version_id() < "v9999"
    assert len(new_version_id()) == len("v20261124T101500Z-3f9c2a")


@pytest.mark.parametrize(
    ("manifest_format", "hint"), [(1, "Set --store to a new folder"), (99, "Upgrade toytip")]
)
def test_a_store_of_another_format_is_rejected_with_one_error(store, invoke_cli, manifest_format, hint):
    for version in ("v1", "v2"):
        with store.write_version(version):
            publish_trips(store, version)
    for path in Path(store.uri("_versions")).glob("*/*.json"):
        record = json.loads(path.read_text())
        # The old format has other keys. The error names its number, and not the first missing key.
        path.write_text(json.dumps({"format": manifest_format, "created": record["created_at"], "parts": []}))
    for read in (store.list_manifests, lambda: resolve_version(store, "trips", "v1")):
        with pytest.raises(StoreFormatError, match=f"it has format {manifest_format}") as refused:
            read()
        assert refused.value.hint.startswith(hint)
    with pytest.raises(StoreFormatError), store.write_version("v3"):
        pass
    listed = invoke_cli("version", "list", "--store", store.root)
    assert listed.returncode == 1
    assert listed.stderr.count("has format") == 1
