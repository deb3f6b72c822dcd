"""A run is one commit: readers see all tables of a run at once, and by default a passed run."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.trips import make_manifest, make_part_record, make_run, make_trips
from toytip.core.tables import TRIPS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ConfigError, StoreError
from toytip.store import maintenance
from toytip.store.manifest import VersionRef
from toytip.store.refs import find_version, resolve_version
from toytip.store.release import release_version, roll_back_to
from toytip.store.run_manifest import RunStatus
from toytip.store.store import Store

PASSED, REFUSED, NOT_GATED, FAILED = (
    RunStatus.PASSED,
    RunStatus.REFUSED,
    RunStatus.NOT_GATED,
    RunStatus.FAILED_CHECK,
)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), "dev")


def add_table(store, version, table="trips", rows=3, parents=()):
    """Complete a table of a version, without a run manifest."""
    part = replace(make_part_record(), fingerprint=f"{table} {rows}")
    record = store.write_data_file(
        replace(TLC.table(TRIPS), name=table), version, part, make_trips(*[{}] * rows)
    )
    manifest = replace(make_manifest([record], version, table), parents=tuple(parents))
    return store.add_table(manifest)


def publish(store, version, status, tables=("trips", "scores")):
    with store.write_version(version):
        manifests = [add_table(store, version, table) for table in tables]
        store.publish(make_run(manifests, status=status))


def test_a_table_is_invisible_until_its_run_is_published(store):
    with store.write_version("v1"):
        first = add_table(store, "v1", "trips")
        assert store.list_manifests() == []
        assert store.list_tables() == [first], "the run itself sees it"
        for version in (None, "v1"):
            with pytest.raises(StoreError):
                resolve_version(store, "trips", version)
        second = add_table(store, "v1", "scores")
        store.publish(make_run([first, second], status=PASSED))
    assert {manifest.table for manifest in store.list_manifests()} == {"trips", "scores"}
    assert resolve_version(store, "scores", "v1") == second


@pytest.mark.parametrize(
    ("runs", "current"),
    [
        ([PASSED], "v1"),
        ([NOT_GATED, NOT_GATED], "v2"),
        ([PASSED, REFUSED], "v1"),
        ([REFUSED, PASSED, REFUSED, FAILED], "v2"),
        ([PASSED, NOT_GATED], "v1"),
        ([NOT_GATED, REFUSED], None),
        ([REFUSED], None),
        ([FAILED], None),
        ([NOT_GATED, FAILED], "v1"),
    ],
)
def test_readers_take_the_newest_run_that_passed(store, runs, current):
    for number, status in enumerate(runs, 1):
        publish(store, f"v{number}", status)
    if current is None:
        with pytest.raises(StoreError, match="no run passed") as refused:
            resolve_version(store, "trips")
        assert "toytip version release" in refused.value.hint
    else:
        assert resolve_version(store, "trips").version == current
    newest = [f"v{number}" for number, status in enumerate(runs, 1) if status != FAILED]
    if newest:
        assert resolve_version(store, "trips", any_status=True).version == newest[-1]
    for number in range(1, len(runs) + 1):
        assert resolve_version(store, "trips", f"v{number}").version == f"v{number}", "readable by its ID"


def test_a_table_without_a_gated_run_takes_the_newest_version(store):
    """Only single stages write some tables, and no gate ever evaluates them."""
    publish(store, "v1", PASSED, ("scores",))
    publish(store, "v2", NOT_GATED, ("trips", "scores"))
    assert resolve_version(store, "scores").version == "v1"
    assert resolve_version(store, "trips").version == "v2"


def test_a_refused_run_is_released_with_a_reason(store):
    publish(store, "v1", PASSED)
    publish(store, "v2", REFUSED)
    with pytest.raises(ConfigError, match="no reason given"):
        release_version(store, "v2", " ")
    released = release_version(store, "v2", "new fares")
    assert (released.status, released.reason, released.copied_tables) == ("refused", "new fares", 0)
    assert resolve_version(store, "trips").version == "v2"
    assert roll_back_to(store, "v1").reason == ""
    assert resolve_version(store, "trips").version == "v1"
    roll_back_to(store, "v2")
    assert resolve_version(store, "trips").version == "v2", "a released version can become current again"


@pytest.mark.parametrize("status", [REFUSED, FAILED])
def test_a_rollback_does_not_bypass_a_release(store, status):
    publish(store, "v1", PASSED)
    publish(store, "v2", status)
    with pytest.raises(StoreError, match=f"cannot roll back to v2: the status of its run is {status}"):
        roll_back_to(store, "v2")
    assert resolve_version(store, "trips").version == "v1"


def test_a_published_version_cannot_be_published_or_extended_again(store):
    publish(store, "v1", PASSED)
    with store.write_version("v1"):
        with pytest.raises(StoreError, match="already published"):
            add_table(store, "v1", "rejects")
        with pytest.raises(StoreError, match="already published"):
            store.publish(make_run(store.list_tables("trips")))


def test_a_run_that_names_a_deleted_table_is_not_published(store):
    with store.write_version("v1"):
        manifest = add_table(store, "v1")
        run = make_run([manifest], tables={"trips": "v1", "models": "v0"})
        with pytest.raises(StoreError, match="models v0 was deleted during the run"):
            store.publish(run)
    assert store.list_runs() == []


def kill_between_the_tables_and_the_run(root, version="v1"):
    store = Store(root, "dev")
    with store.write_version(version):
        add_table(store, version, "features")
        add_table(store, version, "models", parents=[VersionRef("features", version)])
        os._exit(9)


@pytest.fixture
def killed(store):
    """A store in which v1 has complete tables and no run manifest."""
    process = multiprocessing.get_context("spawn").Process(
        target=kill_between_the_tables_and_the_run, args=(store.root,)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 9
    return store


def test_complete_tables_of_a_killed_run_are_reused_and_then_removed(killed):
    store = killed
    assert store.list_manifests() == []
    assert store.incomplete_versions() == ["v1"]
    with store.write_version("v2"):
        found = store.find_data_files("features")["features 3"]
        assert store.reuse_data_file("features", "v2", found)
        store.add_table(make_manifest([found.record], "v2", "features"))
        features = store.require_manifest("features", "v2")
        store.publish(make_run([features], tables={"features": "v2"}))
    store.purge("v1")
    assert [manifest.version for manifest in store.list_tables()] == ["v2"]
    assert store.incomplete_versions() == []


def test_a_model_of_a_killed_run_that_another_run_uses_keeps_its_inputs(killed):
    """The other run names the model, and the lineage of the model stays complete."""
    store = killed
    with store.write_version("v2"):
        predictions = add_table(store, "v2", "predictions", parents=[VersionRef("models", "v1")])
        store.publish(make_run([predictions], tables={"predictions": "v2", "models": "v1"}))
    store.purge("v1")
    assert {str(manifest.ref) for manifest in store.list_tables()} == {
        "features v1",
        "models v1",
        "predictions v2",
    }
    assert {manifest.table for manifest in store.list_manifests()} == {"models", "predictions"}
    assert find_version(store, "models", "v2").version == "v1"
    assert maintenance.find_garbage(store, 1).versions == ()


def test_garbage_collection_removes_the_tables_of_a_killed_run(killed):
    store = killed
    with store.write_version("v5"):
        assert maintenance.find_garbage(store, 1).versions == (), "an active run may reuse the tables"
    garbage = maintenance.find_garbage(store, 1)
    assert {str(ref) for ref in garbage.versions} == {"features v1", "models v1"}
    maintenance.collect_garbage(store, garbage)
    assert store.list_tables() == []
    assert not list(Path(store.uri()).glob("**/*.parquet"))


def test_garbage_collection_keeps_the_current_run_and_deletes_empty_run_manifests(store):
    publish(store, "v1", PASSED)
    for number in (2, 3, 4):
        publish(store, f"v{number}", REFUSED)
    maintenance.collect_garbage(store, maintenance.find_garbage(store, 1))
    assert [run.version for run in store.list_runs()] == ["v1", "v4"]
    assert resolve_version(store, "trips").version == "v1"


# A reader process that takes one version in a loop, while runs are published, refused and killed.
RUNS = 24


def write_runs(root):
    """Publish runs. Every third one is refused, and every fourth one is killed."""
    for number in range(1, RUNS + 1):
        process = multiprocessing.get_context("fork").Process(target=write_run, args=(root, number))
        process.start()
        process.join(60)


def write_run(root, number):
    store = Store(root, "dev")
    version = f"v{number}"
    with store.write_version(version):
        tables = [add_table(store, version, table, rows=number) for table in ("trips", "scores")]
        if number % 4 == 0:
            os._exit(9)
        status = REFUSED if number % 3 == 0 else PASSED
        store.publish(make_run(tables, status=status))
    os._exit(0)


def test_a_reader_never_sees_a_mixed_or_refused_run(store):
    publish(store, "v0", PASSED)
    writer = multiprocessing.get_context("spawn").Process(target=write_runs, args=(store.root,))
    writer.start()
    seen = []
    while writer.is_alive():
        version = resolve_version(store, "scores").version
        number = int(version[1:])
        assert number == 0 or (number % 3 and number % 4), f"{version} was refused or killed"
        for table in ("trips", "scores"):
            manifest = resolve_version(store, table, version)
            assert manifest.rows == (number or 3)
            store.read_file(table, version, manifest.files[0])
        seen.append(number)
    writer.join()
    assert seen == sorted(seen)
    assert resolve_version(store, "trips").version == f"v{RUNS - 1}"
    assert len(set(seen)) > 3


# copying a version to another environment


def test_a_version_is_released_to_prod_by_hard_links(store):
    publish(store, "v1", PASSED)
    prod = replace(store, env="prod")
    released = release_version(prod, "v1", "approved")
    assert (released.env, released.copied_tables) == ("prod", 2)
    assert resolve_version(prod, "trips").version == "v1"
    paths = [
        Path(root.version_uri("trips", "v1"), resolve_version(root, "trips").files[0].path)
        for root in (store, prod)
    ]
    assert paths[0].samefile(paths[1])
    assert maintenance.verify_version(prod, "v1", lambda _: None) == []
    with pytest.raises(StoreError, match=r"neither .* nor .* has this version"):
        release_version(prod, "v9", "approved")


def test_a_release_to_prod_copies_all_inputs(killed):
    store = killed
    with store.write_version("v2"):
        predictions = add_table(store, "v2", "predictions", parents=[VersionRef("models", "v1")])
        run = make_run([predictions], tables={"predictions": "v2", "models": "v1"}, status=REFUSED)
        store.publish(run)
    prod = replace(store, env="prod")
    assert release_version(prod, "v2", "approved").copied_tables == 3
    assert resolve_version(prod, "predictions").version == "v2", "it is current although it was refused"
    assert resolve_version(prod, "models", "v2").version == "v1"


def release_and_die(root):
    store = Store(root, "prod")
    Store.publish = lambda *_: os._exit(9)
    release_version(store, "v1", "approved")


def test_a_killed_release_shows_nothing_and_can_be_repeated(store):
    publish(store, "v1", PASSED)
    process = multiprocessing.get_context("spawn").Process(target=release_and_die, args=(store.root,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    prod = replace(store, env="prod")
    assert prod.list_manifests() == []
    release_version(prod, "v1", "approved")
    assert resolve_version(prod, "trips").version == "v1"
