"""A store with versions, without and with runs."""

import json
import shutil

import pytest

from tests.support.runs import FAST_RUN, parse_summary, run_toytip
from tests.support.trips import publish_trips
from toytip.store.store import Store

# The tables and artifacts that a run publishes.
RUN_TABLES = {
    "features",
    "feature_histograms",
    "rejects",
    "encodings",
    "models",
    "metric_histograms",
    "predictions",
    "monitoring",
}


@pytest.fixture
def store_of_three(tmp_path):
    """Three versions of trips."""
    store = Store(str(tmp_path / "store"), "dev")
    for version in ("v1", "v2", "v3"):
        with store.write_version(version):
            publish_trips(store, version)
    return store


@pytest.fixture(scope="session")
def tagged_runs(three_month_run, tmp_path_factory):
    """A run with the tag `first`, and a run on fewer features: (folder, where, first, second)."""
    folder, original, first = three_month_run
    store = tmp_path_factory.mktemp("tagged") / "st"
    shutil.copytree(original, store)
    first = json.loads(json.dumps(first).replace(str(original), str(store)))
    where = ("--store", store)
    tagged = run_toytip("version", "tag", "first", first["version"], *where)
    assert tagged.stdout.strip() == f"first  {first['version']}"
    second = parse_summary(
        run_toytip("run", "--source", folder, *where, "--feature-set", "pickup", *FAST_RUN)
    )
    return folder, where, first, second
