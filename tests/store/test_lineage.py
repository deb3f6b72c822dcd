"""Lineage: the inputs of a version, and the versions that use a file."""

import hashlib

import pytest
from pydantic import TypeAdapter

from tests.store.conftest import RUN_TABLES
from tests.support.runs import parse_summary, run_toytip
from toytip.core.jsonable import to_json
from toytip.core.months import Month
from toytip.store.lineage import LineageNode, main_manifest, trace_lineage
from toytip.store.manifest import SourceFileRef
from toytip.store.store import Store

pytestmark = pytest.mark.cluster


def test_show_lists_every_table(tagged_runs):
    _, where, first, _ = tagged_runs
    shown = parse_summary(run_toytip("version", "show", first["version"], *where, "--json"))
    assert set(shown["tables"]) == RUN_TABLES
    assert run_toytip("version", "show", "first", *where).stdout.count(" MB, from ") == len(RUN_TABLES)


def test_the_lineage_of_a_month_ends_at_its_source_file(tagged_runs):
    folder, where, first, _ = tagged_runs
    lineage = parse_summary(run_toytip("version", "lineage", "first/2020-02", *where, "--json"))
    features, model = lineage["parents"]
    (file,) = features["parents"]
    assert file["uri"] == str(folder / "yellow_tripdata_2020-02.parquet")
    assert file["checksum"].startswith("sha256:")
    assert len(model["parents"][0]["parents"]) == 3, "the model is trained on all months"
    assert model["config"]["rounds"] == 6
    assert model["environment"]["toytip"]
    text = run_toytip("version", "lineage", first["version"], *where).stdout
    assert "yellow_tripdata_2020-03.parquet" in "".join(text.split())
    assert run_toytip("version", "lineage", "first/2019-01", *where).returncode == 1


def test_a_lineage_survives_its_json_form(tagged_runs):
    _, (_, root), first, _ = tagged_runs
    store = Store(str(root), "dev")
    lineage = trace_lineage(store, main_manifest(store, "first"), Month(2020, 2))
    assert TypeAdapter(LineageNode).validate_python(to_json(lineage)) == lineage
    features = next(parent for parent in lineage.parents if isinstance(parent, LineageNode))
    assert (features.table, features.version) == ("features", first["version"])
    assert [type(parent) for parent in features.parents] == [SourceFileRef]


def test_downstream_versions_use_a_source_file(tagged_runs):
    folder, where, _, second = tagged_runs
    file = folder / "yellow_tripdata_2020-02.parquet"
    versions = parse_summary(run_toytip("version", "lineage", "--downstream", file.name, *where, "--json"))[
        "versions"
    ]
    assert {row["table"] for row in versions} == RUN_TABLES
    assert second["version"] in {row["version"] for row in versions}
    checksum = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert (
        parse_summary(run_toytip("version", "lineage", "--downstream", checksum, *where, "--json"))[
            "versions"
        ]
        == versions
    )
    assert "models" in run_toytip("version", "lineage", "--downstream", file, *where).stdout
    assert (
        run_toytip("version", "lineage", "--downstream", "green_tripdata_2020-02.parquet", *where).returncode
        == 1
    )
