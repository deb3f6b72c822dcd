"""history, lineage, compare, upkeep, reuse: what the manifests alone can tell, and what it saves."""

import datetime as dt
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import make_manifest, make_part_record, publish_trips, read_files
from toytip.errors import ConfigError, StoreError
from toytip.pipeline.fingerprints import STAGE_MODULES
from toytip.store import maintenance
from toytip.store.refs import parse_as_of, read_tags, remove_tag, resolve_version, roll_back_to, set_tag
from toytip.store.store import Store

# What a run publishes.
TABLES = {
    "features", "feature_histograms", "rejects", "encodings", "models", "metric_histograms", "predictions", "monitoring",
}  # fmt: skip
FAST = ("--rounds", 6, "--max-depth", 3, "--workers", 2, "--json")


@pytest.fixture
def store(tmp_path):
    """Three versions of trips."""
    store = Store(str(tmp_path / "store"), "dev")
    for version in ("v1", "v2", "v3"):
        with store.write_version(version):
            publish_trips(store, version)
    return store


def test_the_newest_unless_another_is_named(store):
    assert resolve_version(store, "trips").version == "v3"
    assert resolve_version(store, "trips", "v1").version == "v1"
    with pytest.raises(StoreError, match="no version of features"):
        resolve_version(store, "features")


def test_a_tag_stands_for_its_version(store):
    set_tag(store, "good", "v2")
    set_tag(store, "good", "v2")
    assert resolve_version(store, "trips", "good").version == "v2"
    with pytest.raises(StoreError, match="names v2; move it with --move"):
        set_tag(store, "good", "v1")
    set_tag(store, "good", "v1", force=True)
    assert read_tags(store) == {"good": "v1"}
    with pytest.raises(StoreError, match="is a version"):
        set_tag(store, "v3", "v1")
    with pytest.raises(StoreError, match="no version v9"):
        set_tag(store, "bad", "v9")
    remove_tag(store, "good")
    with pytest.raises(StoreError, match="no tag good"):
        remove_tag(store, "good")


def test_a_rollback_lasts_until_the_next_version(store):
    assert roll_back_to(store, "v1") == {"trips": "v1"}
    assert resolve_version(store, "trips").version == "v1"
    before = parse_as_of("2026-01-01")
    assert before < dt.datetime.now(dt.UTC)
    record = store.list_manifests()[0].files
    now = dt.datetime.now(dt.UTC).isoformat()
    with store.write_version("v4"):
        written = publish_at(store, "v4", now)
    assert written.files[0].rows == record[0].rows
    assert resolve_version(store, "trips").version == "v4"


def publish_at(store, version, created):
    from dataclasses import replace

    from tests.support.trips import make_trips
    from toytip.core.tables import TRIPS

    record = store.write_data_file(TRIPS, version, make_part_record(), make_trips({}, {}, {}))
    return store.publish(replace(make_manifest([record], version), created_at=created))


def test_time_travel(tmp_path):
    store = Store(str(tmp_path), "dev")
    for version, created in (("v1", "2026-01-01T10:00:00+00:00"), ("v2", "2026-01-02T10:00:00+00:00")):
        with store.write_version(version):
            publish_at(store, version, created)
    assert resolve_version(store, "trips", as_of="2026-01-01T12:00").version == "v1"
    assert resolve_version(store, "trips", as_of="2026-01-02").version == "v2"
    assert resolve_version(store, "trips", as_of="2026-01-02T11:00+02:00").version == "v1"
    with pytest.raises(StoreError, match="as of 2025-12-31"):
        resolve_version(store, "trips", as_of="2025-12-31")
    with pytest.raises(ConfigError, match="not a time"):
        resolve_version(store, "trips", as_of="yesterday")


def test_what_nothing_needs_can_go(store):
    set_tag(store, "good", "v1")
    waste = maintenance.find_garbage(store, 1)
    assert [m.version for m in waste.versions] == ["v2"]
    assert waste.bytes == waste.versions[0].bytes
    roll_back_to(store, "v2")
    assert maintenance.find_garbage(store, 1).versions == [], "the newest now, by the rollback"
    remove_tag(store, "good")
    with store.write_version("v9"):
        waste = maintenance.find_garbage(store, 1)
        assert [m.version for m in waste.versions] == ["v1"]
        assert waste.incomplete_versions == [], "v9 is being made"
        maintenance.collect_garbage(store, waste)
    assert {m.version for m in store.list_manifests()} == {"v2", "v3"}
    assert not Path(store.version_uri("trips", "v1")).exists()


def test_a_damaged_manifest_is_named_and_blocks_no_other(store, invoke_cli):
    manifest = Path(store.manifest_uri("trips", "v2"))
    manifest.write_text("{")
    where = ("--store", store.root)
    for command in (("versions",), ("gc", "--keep", 1)):
        told = invoke_cli(*command, *where)
        assert told.returncode == 1
        assert "v3" in invoke_cli("versions", *where).stdout
        assert str(manifest) in told.stderr
        assert "put a copy back, or remove that file" in told.stderr
        assert "pydantic" not in told.stderr
    assert Path(store.version_uri("trips", "v2")).exists(), "a copy of its manifest may come back"
    assert not Path(store.version_uri("trips", "v1")).exists()
    assert invoke_cli("show", "v3", *where).returncode == 0
    with pytest.raises(StoreError, match="put a copy back"):
        resolve_version(store, "trips")
    manifest.unlink()
    assert invoke_cli("gc", *where).returncode == 0
    assert not Path(store.version_uri("trips", "v2")).exists()


# the same, from the command line, on runs


@pytest.fixture(scope="module")
def eleven(synthetic, tmp_path_factory):
    """A folder of three months, and a run over it: (folder, store, summary)."""
    root = tmp_path_factory.mktemp("eleven")
    folder = root / "in"
    folder.mkdir()
    for path in sorted(synthetic.glob("*.parquet"))[:3]:
        shutil.copy2(path, folder)
    first = parse_summary(run_toytip("run", "--source", folder, "--store", root / "st", *FAST))
    return folder, root / "st", first


def test_nothing_new_nothing_made(eleven):
    folder, store, first = eleven
    again = run_toytip("run", "--source", folder, "--store", store, "--explain", *FAST)
    summary = parse_summary(again)
    assert "same input, code and config: 3 of 3 files reused from " + first["version"] in again.stderr
    assert "train: same input, code and config" in again.stderr
    assert summary["version"] != first["version"]
    assert summary["model"]["version"] == first["model"]["version"]
    assert summary["metrics"] == first["metrics"]
    assert summary["source_bytes_read"] < first["source_bytes_read"] / 5, "footers only"
    for table in ("features", "rejects", "predictions"):
        assert read_files(Path(summary["tables"][table]["path"])) == read_files(
            Path(first["tables"][table]["path"])
        )
    part = "year=2020/month=1/part-00000.parquet"
    old, new = (Path(s["tables"]["features"]["path"], part).stat() for s in (first, summary))
    assert old.st_ino == new.st_ino, "linked, not copied"


def test_one_new_month_costs_one_month(eleven, synthetic, tmp_path):
    folder, store, _ = eleven
    added = tmp_path / "in"
    shutil.copytree(folder, added)
    shutil.copy2(synthetic / "yellow_tripdata_2020-04.parquet", added)
    shutil.copytree(store, tmp_path / "st")
    fourth = synthetic / "yellow_tripdata_2020-04.parquet"
    # The files are elsewhere now: they are known by their content. To know it they are read once, and never again.
    parse_summary(
        run_toytip("run", "--source", added, "--months", "2020-01:2020-03", "--store", tmp_path / "st", *FAST)
    )
    done = run_toytip("run", "--source", added, "--store", tmp_path / "st", "--explain", *FAST)
    summary = parse_summary(done)
    assert "featurize: 3 of 4 files reused" in done.stderr
    assert "new: 2020-04" in done.stderr
    assert "train: input or config differ from" in done.stderr
    raw = fourth.stat().st_size
    footers = 4 * 20_000
    assert raw < summary["source_bytes_read"] < 2 * raw + footers, "its checksum, its columns, the footers"
    alone = parse_summary(run_toytip("run", "--source", added, "--store", tmp_path / "alone", *FAST))
    assert summary["metrics"] == alone["metrics"]
    assert summary["rejects"] == alone["rejects"]
    for table in ("features", "rejects"):
        assert read_files(Path(summary["tables"][table]["path"])) == read_files(
            Path(alone["tables"][table]["path"])
        )


def test_a_changed_month_and_a_changed_config_are_told(eleven, tmp_path):
    folder, store, _ = eleven
    changed = tmp_path / "in"
    shutil.copytree(folder, changed)
    shutil.copytree(store, tmp_path / "st")
    shutil.copy(changed / "yellow_tripdata_2020-01.parquet", changed / "yellow_tripdata_2020-02.parquet")
    done = run_toytip("run", "--source", changed, "--store", tmp_path / "st", "--explain", *FAST)
    assert "changed input: 2020-02" in done.stderr
    fresh = run_toytip("run", "--source", changed, "--store", tmp_path / "st", "--fresh", "--explain", *FAST)
    assert fresh.stderr.count("recomputed, as requested") == 4
    deeper = run_toytip(
        "run", "--source", changed, "--store", tmp_path / "st", "--eta", "0.3", "--explain", *FAST
    )
    assert "featurize: same input, code and config" in deeper.stderr
    assert "preprocess: same input, code and config" in deeper.stderr
    assert "train: input or config differ from" in deeper.stderr
    assert "infer: changed model, config, or a lost part: 2020-01, 2020-02, 2020-03" in deeper.stderr


def test_two_runs_at_once_on_one_store(eleven, tmp_path):
    folder, _, _ = eleven
    command = [sys.executable, "-m", "toytip", "run", "--source", folder, "--store", tmp_path, *FAST]
    runs = [
        subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    outs = [run.communicate(timeout=200) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outs
    versions = {json.loads(out)["version"] for out, _ in outs}
    assert len(versions) == 2
    assert {m.version for m in Store(str(tmp_path), "dev").list_manifests("predictions")} == versions
    assert not list((tmp_path / "dev" / "_staging").iterdir())


@pytest.fixture(scope="module")
def kept(eleven, tmp_path_factory):
    """A copy of that store with a tag and a second run, on fewer features: (folder, where, first, second)."""
    folder, old, first = eleven
    store = tmp_path_factory.mktemp("kept") / "st"
    shutil.copytree(old, store)
    first = json.loads(json.dumps(first).replace(str(old), str(store)))
    where = ("--store", store)
    assert run_toytip("tag", "first", first["version"], *where).stdout.strip() == f"first  {first['version']}"
    second = parse_summary(run_toytip("run", "--source", folder, *where, "--features", "pickup", *FAST))
    return folder, where, first, second


def test_show(kept):
    _, where, first, _ = kept
    shown = parse_summary(run_toytip("show", first["version"], *where, "--json"))
    assert set(shown["tables"]) == TABLES
    assert run_toytip("show", "first", *where).stdout.count("created") == len(TABLES)


def test_trace(kept):
    folder, where, first, _ = kept
    traced = parse_summary(run_toytip("trace", "first/2020-02", *where, "--json"))
    features, model = traced["parents"]
    (file,) = features["parents"]
    assert file["file"] == str(folder / "yellow_tripdata_2020-02.parquet")
    assert file["checksum"].startswith("sha256:")
    assert len(model["parents"][0]["parents"]) == 3, "the model learned from all months"
    assert model["config"]["rounds"] == 6
    assert model["environment"]["toytip"]
    text = run_toytip("trace", first["version"], *where).stdout
    assert "yellow_tripdata_2020-03.parquet" in "".join(text.split())
    assert run_toytip("trace", "first/2019-01", *where).returncode == 1


def test_impact(kept):
    folder, where, _, second = kept
    file = folder / "yellow_tripdata_2020-02.parquet"
    hit = parse_summary(run_toytip("impact", file.name, *where, "--json"))["versions"]
    assert {row["table"] for row in hit} == TABLES
    assert second["version"] in {row["version"] for row in hit}
    checksum = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert parse_summary(run_toytip("impact", checksum, *where, "--json"))["versions"] == hit
    assert "models" in run_toytip("impact", file, *where).stdout
    assert run_toytip("impact", "green_tripdata_2020-02.parquet", *where).returncode == 1


def test_diff(kept):
    _, where, first, second = kept
    told = parse_summary(run_toytip("diff", "first", second["version"], *where, "--json"))
    assert told["rows"]["predictions"] == [first["rows"]["kept"]] * 2
    assert told["config"]["encodings"]["features"] == ["payment", "pickup"]
    assert told["columns"]["fare_amount"]["mean"][0] == told["columns"]["fare_amount"]["mean"][1] > 0
    assert told["metrics"]["test"]["auc"] == [s["metrics"]["test"]["all"]["auc"] for s in (first, second)]
    assert told["predictions"]["flipped"] == flipped(first, second) > 0
    assert told["predictions"]["common"] == first["rows"]["kept"]
    people = run_toytip("diff", "first", second["version"], *where).stdout
    assert "predictions flipped" in people
    assert "test auc" in people
    assert "are the same" in run_toytip("diff", first["version"], "first", *where).stdout
    assert told["population"] == "all"


def test_diff_of_two_populations_is_of_card_trips(kept, tmp_path):
    folder, (_, store), first, _ = kept
    where = ("--store", shutil.copytree(store, tmp_path / "st"))
    card = parse_summary(run_toytip("run", "--source", folder, *where, "--population", "card", *FAST))
    told = parse_summary(run_toytip("diff", first["version"], card["version"], *where, "--json"))
    assert told["population"] == "card"
    assert told["config"]["encodings"]["population"] == ["all", "card"]
    rows, auc = told["metrics"]["test"]["rows"], told["metrics"]["test"]["auc"]
    assert rows == [card["metrics"]["test"]["card"]["rows"]] * 2
    assert auc == [
        first["evaluation"]["test"]["card"]["metrics"]["auc"],
        card["metrics"]["test"]["card"]["auc"],
    ]
    people = run_toytip("diff", first["version"], card["version"], *where).stdout
    assert "have not learned from the same trips: metrics are of card trips" in people


def test_as_of(kept):
    _, where, _, _ = kept
    assert parse_summary(run_toytip("versions", *where, "--as-of", "2020-01-01", "--json"))["versions"] == []
    assert "first" in run_toytip("versions", *where).stdout
    refused = run_toytip("evaluate", *where, "--as-of", "2020-01-01")
    assert refused.returncode == 1
    assert "as of 2020-01-01" in refused.stderr


def test_rollback_gc_and_a_flipped_byte(kept):
    _, where, first, _ = kept
    assert "predictions" in run_toytip("rollback", "first", *where).stdout
    metrics = parse_summary(run_toytip("evaluate", *where, "--workers", 1, "--json"))
    assert metrics["version"] == first["version"]
    assert metrics["metrics"] == first["metrics"]
    would = parse_summary(run_toytip("gc", "--keep", 1, "--dry-run", *where, "--json"))
    assert first["version"] not in {row["version"] for row in would["versions"]}, "it has a tag"
    assert run_toytip("gc", "--keep", 1, *where).returncode == 0
    assert parse_summary(run_toytip("verify", "first", *where, "--json"))["faults"] == []

    part = Path(first["tables"]["predictions"]["path"], "year=2020/month=3/part-00000.parquet")
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.unlink()
    part.write_bytes(content)
    bad = run_toytip("verify", "first", *where)
    assert bad.returncode == 1
    assert "predictions/version=" in bad.stdout
    assert "month=3/part-00000.parquet has changed" in bad.stdout
    refused = run_toytip("evaluate", "--from", "first", *where, "--workers", 1)
    assert refused.returncode == 1
    assert "is not what was published" in refused.stderr


def flipped(a, b):
    paths = [f"{s['tables']['predictions']['path']}/*/*/*.parquet" for s in (a, b)]
    query = f"""select count(*) from read_parquet('{paths[0]}') a join read_parquet('{paths[1]}') b
                using (trip_id) where a.prediction <> b.prediction"""
    return duckdb.sql(query).fetchall()[0][0]


def test_the_code_that_a_stage_depends_on_is_in_its_identity():
    """What the modules of a stage import, of the row work and the learning, is among them."""
    import grimp

    graph = grimp.build_graph("toytip")
    work = {m for m in graph.modules if m.startswith("toytip.stages.")}
    work |= {f"toytip.{name}" for name in ("schema", "values", "splits", "train", "source")}
    for stage, names in STAGE_MODULES.items():
        own = {f"toytip.{name.replace('/', '.')}" for name in names}
        for module in own - {"toytip.engine.graph"}:  # which imports the stages of all
            lacking = (graph.find_upstream_modules(module) & work) - own
            assert not lacking, (stage, module)
