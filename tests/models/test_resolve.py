"""Models by name and taxi type, in a store that has manifests only."""

import pytest

from toytip.errors import StoreError
from toytip.models.resolve import find_stored_model
from toytip.store.manifest import Manifest, VersionRef
from toytip.store.store import Store


@pytest.fixture
def store(tmp_path):
    """Three models, oldest first: of yellow, yellow and green taxis."""
    store = Store(str(tmp_path), "dev")
    for day, (version, taxi) in enumerate((("v1", "yellow"), ("v2", "yellow"), ("v3", "green")), 1):
        for table, parents in (("features", ()), ("models", (VersionRef("features", version),))):
            manifest = Manifest(
                table=table,
                version=version,
                created_at=f"2026-01-0{day}T10:00:00+00:00",
                files=(),
                config={"taxi": taxi} if table == "features" else {},
                parents=parents,
                schema_digest="",
            )
            store.file_io.create(store.layout.manifest(table, version), manifest.to_json())
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
