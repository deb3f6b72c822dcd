"""Readers of one taxi type take the current version of this type."""

from dataclasses import replace

import pytest

from tests.support.trips import make_manifest, make_run
from toytip.api.store import open_store
from toytip.cli.command import open_features
from toytip.config import Settings
from toytip.errors import StoreError
from toytip.progress.tracker import Progress
from toytip.store.lineage import resolve_version_of_taxi
from toytip.store.refs import resolve_version
from toytip.store.release import roll_back_to
from toytip.store.run_manifest import RunStatus
from toytip.store.store import Store

RUNS = (
    ("v1", "green", RunStatus.PASSED),
    ("v2", "green", RunStatus.REFUSED),
    ("v3", "yellow", RunStatus.PASSED),
    ("v4", "yellow", RunStatus.PASSED),
)


@pytest.fixture
def store(tmp_path):
    """Four runs of two taxi types, oldest first. Only the features have the taxi type."""
    store = Store(str(tmp_path), "dev")
    for version, taxi, status in RUNS:
        publish(store, version, taxi, status)
    return store


def publish(store, version, taxi, status):
    features = replace(make_manifest([], version, "features"), config={"taxi": taxi})
    predictions = replace(make_manifest([], version, "predictions"), parents=(features.ref,))
    for manifest in (features, predictions):
        store.file_io.create(store.layout.manifest(manifest.table, version), manifest.to_json())
    store.publish(make_run([features, predictions], status=status))


@pytest.mark.parametrize("table", ["features", "predictions"])
def test_each_taxi_type_has_a_current_version(store, table):
    assert resolve_version(store, table).version == "v4"
    assert resolve_version_of_taxi(store, table, "yellow").version == "v4"
    assert resolve_version_of_taxi(store, table, "green").version == "v1"
    assert resolve_version_of_taxi(store, table, "green", "v2").version == "v2"
    assert resolve_version_of_taxi(store, table, "yellow", as_of="2026-01-04T12:00").version == "v3"


def test_a_rollback_changes_the_current_version_of_its_taxi_type_only(store):
    roll_back_to(store, "v3")
    assert resolve_version_of_taxi(store, "predictions", "yellow").version == "v3"
    assert resolve_version_of_taxi(store, "predictions", "green").version == "v1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("yellow", "v1"), "cannot read version v1 of predictions for the taxi type yellow: .* green"),
        (("green", "v9"), "cannot read version v9 of predictions"),
        (("green", None, "2026-01-01"), "there is no version as of 2026-01-01"),
    ],
)
def test_a_version_that_does_not_match_is_an_error(store, options, message):
    with pytest.raises(StoreError, match=message):
        resolve_version_of_taxi(store, "predictions", *options)


def test_a_taxi_type_whose_runs_were_refused_has_no_current_version(tmp_path):
    store = Store(str(tmp_path), "dev")
    publish(store, "v1", "yellow", RunStatus.PASSED)
    publish(store, "v2", "green", RunStatus.REFUSED)
    with pytest.raises(StoreError, match=r"cannot read predictions of the taxi type green .*: no run passed"):
        resolve_version_of_taxi(store, "predictions", "green")


def test_the_methods_of_a_store_select_a_taxi_type(store):
    opened = open_store(store.root)
    assert opened.current_version() == "v4"
    assert opened.current_version(taxi="green") == "v1"
    assert opened.files("features", taxi="green") == []
    assert len(opened.predictions(taxi="green")) == 0
    for read in (opened.metrics, opened.evaluation):
        with pytest.raises(StoreError, match="cannot evaluate predictions v1"):
            read(taxi="green")
    with pytest.raises(StoreError, match="cannot read version v1 of rejects"):
        opened.rejects("v1", taxi="yellow")


def test_tuning_and_backtests_read_the_current_features(tmp_path):
    store = Store(str(tmp_path), "dev")
    publish(store, "v1", "green", RunStatus.REFUSED)
    settings = Settings.load(store=str(tmp_path))
    with pytest.raises(StoreError, match="no run passed"), open_features(settings, Progress(), None, None):
        pass
