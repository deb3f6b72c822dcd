"""Models by name and taxi type, in a store that has manifests only."""

from dataclasses import replace

import pytest

from tests.support.trips import make_run
from toytip.errors import StoreError
from toytip.models.resolve import find_stored_model
from toytip.store.manifest import Manifest
from toytip.store.store import Store


@pytest.fixture
def store(tmp_path):
    """Three models, oldest first: of yellow, yellow and green taxis."""
    store = Store(str(tmp_path), "dev")
    for day, (version, taxi) in enumerate((("v1", "yellow"), ("v2", "yellow"), ("v3", "green")), 1):
        created_at = f"2026-01-0{day}T10:00:00+00:00"
        features = Manifest(
            table="features",
            version=version,
            created_at=created_at,
            files=(),
            config={"taxi": taxi},
            parents=(),
            schema_digest="",
        )
        model = replace(features, table="models", config={}, parents=(features.ref,))
        for manifest in (features, model):
            store.file_io.create(store.layout.manifest(manifest.table, version), manifest.to_json())
        store.publish(make_run([features, model]))
    return store


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
