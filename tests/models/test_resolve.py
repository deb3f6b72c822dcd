"""Models by name and taxi type, in a store that has manifests only."""

from dataclasses import replace

import pytest

from tests.support.trips import make_run
from toytip.errors import StoreError
from toytip.models.resolve import find_stored_model
from toytip.store.manifest import Manifest
from toytip.store.run_manifest import RunStatus
from toytip.store.store import Store


@pytest.fixture
def store(tmp_path):
    """Three models, oldest first: of yellow, yellow and green taxis."""
    store = Store(str(tmp_path), "dev")
    for day, (version, taxi) in enumerate((("v1", "yellow"), ("v2", "yellow"), ("v3", "green")), 1):
        publish_model(store, version, taxi, day)
    return store


def publish_model(store, version, taxi, day, status=RunStatus.NOT_GATED):
    features = Manifest(
        table="features",
        version=version,
        created_at=f"2026-01-0{day}T10:00:00+00:00",
        files=(),
        config={"taxi": taxi},
        parents=(),
        schema_digest="",
    )
    model = replace(features, table="models", config={}, parents=(features.ref,))
    for manifest in (features, model):
        store.file_io.create(store.layout.manifest(manifest.table, version), manifest.to_json())
    store.publish(make_run([features, model], status=status))


@pytest.mark.parametrize(
    ("taxi", "as_of", "version"),
    [
        (None, None, "v3"),
        ("green", None, "v3"),
        ("yellow", None, "v2"),
        ("yellow", "2026-01-01", "v1"),
    ],
)
def test_the_newest_model_of_a_taxi_type(store, taxi, as_of, version):
    assert find_stored_model(store, None, taxi, as_of).version == version


def test_a_model_of_another_taxi_type_is_refused(store):
    assert find_stored_model(store, "v1", "yellow").version == "v1"
    with pytest.raises(StoreError, match="cannot use model v1 for green taxis: it was trained on yellow"):
        find_stored_model(store, "v1", "green")


def test_a_taxi_type_without_a_model_is_an_error(store):
    with pytest.raises(StoreError, match=r"cannot find a model for green taxis: .*/dev has none"):
        find_stored_model(store, None, "green", "2026-01-02")


def test_a_refused_model_is_the_newest_one_but_not_the_current_one(tmp_path):
    store = Store(str(tmp_path), "dev")
    publish_model(store, "v1", "green", 1, RunStatus.REFUSED)
    for kind in ({"taxi": "green"}, {}):
        assert find_stored_model(store, **kind, any_status=True).version == "v1"
        with pytest.raises(StoreError, match="no run passed") as caught:
            find_stored_model(store, **kind)
        assert "`toytip runs`" in caught.value.hint
        assert "`toytip version release VERSION --reason TEXT`" in caught.value.hint
    with pytest.raises(StoreError, match=r"for yellow taxis: .*/dev has none"):
        find_stored_model(store, taxi="yellow")
    publish_model(store, "v2", "green", 2, RunStatus.PASSED)
    publish_model(store, "v3", "green", 3, RunStatus.REFUSED)
    publish_model(store, "v4", "green", 4, RunStatus.NOT_GATED)  # as `toytip stage train` publishes it
    assert find_stored_model(store, taxi="green").version == "v2"
    assert find_stored_model(store, taxi="green", any_status=True).version == "v4"
