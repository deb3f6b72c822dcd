"""Incremental runs: a run computes only files with a new fingerprint, and says why."""

import json
import re
import shutil
from pathlib import Path

import duckdb
import grimp
import pyarrow.parquet as pq
import pytest

from tests.support.runs import FAST_RUN, parse_summary, run_toytip, start_toytip
from tests.support.trips import read_files
from toytip.pipeline.fingerprints import STAGE_MODULES
from toytip.store.store import Store


@pytest.mark.cluster
def test_an_unchanged_run_reuses_everything(three_month_run, tmp_path):
    folder, original, first = three_month_run
    store = shutil.copytree(original, tmp_path / "st")
    first = json.loads(json.dumps(first).replace(str(original), str(store)))
    # The version ID asks for a new version. Without it, the run would publish nothing.
    command = ("run", "--source", folder, "--store", store, "--version-id", "vagain", "--explain")
    again = run_toytip(*command, *FAST_RUN)
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


@pytest.mark.cluster
def test_one_new_month_costs_one_month(three_month_run, synthetic, tmp_path):
    folder, store, _ = three_month_run
    added = tmp_path / "in"
    shutil.copytree(folder, added)
    shutil.copy2(synthetic / "yellow_tripdata_2020-04.parquet", added)
    shutil.copytree(store, tmp_path / "st")
    fourth = synthetic / "yellow_tripdata_2020-04.parquet"
    # The files are elsewhere now: they are known by their content. To know it they are read once,
    # and never again.
    moved = ("--months", "2020-01:2020-03", "--version-id", "vmoved")
    parse_summary(run_toytip("run", "--source", added, *moved, "--store", tmp_path / "st", *FAST_RUN))
    done = run_toytip("run", "--source", added, "--store", tmp_path / "st", "--explain", *FAST_RUN)
    summary = parse_summary(done)
    assert "featurize: 3 of 4 files reused" in done.stderr
    assert re.search(r"The rest differs from \S+ in source files \(new: 2020-04\)", done.stderr)
    assert re.search(
        r"preprocess: differs from \S+ in train range \(2020-01-01 until 2020-02-01, "
        r"now 2020-01-01 until 2020-03-01\) and validation range",
        done.stderr,
    )
    assert re.search(r"train: differs from \S+ in encoding \(\S+, now \S+\)\n", done.stderr)
    raw = fourth.stat().st_size
    footers = 4 * 20_000
    assert raw < summary["source_bytes_read"] < 2 * raw + footers, "its checksum, its columns, the footers"
    alone = parse_summary(run_toytip("run", "--source", added, "--store", tmp_path / "alone", *FAST_RUN))
    assert summary["metrics"] == alone["metrics"]
    assert summary["rejects"] == alone["rejects"]
    for table in ("features", "rejects"):
        assert read_files(Path(summary["tables"][table]["path"])) == read_files(
            Path(alone["tables"][table]["path"])
        )


@pytest.mark.cluster
def test_more_test_months_reuse_the_encoding_and_the_model(synthetic, tmp_path, invoke_cli):
    """The second run scores only the new month, and evaluates the model on all test months."""
    split = ("--train-months", "2020-01", "--validation-month", "2020-02", "--test-months")
    options = ("--source", synthetic, "--workers", 2, "--rounds", 20, "--gate", "on", "--explain", "--json")

    def run(store, test_months, last_month):
        months = ("--months", f"2020-01:{last_month}")
        done = run_toytip("run", *options, *split, test_months, *months, "--store", tmp_path / store)
        return parse_summary(done), done.stderr

    first, _ = run("st", "2020-03", "2020-03")
    second, said = run("st", "2020-03:2020-04", "2020-04")
    alone, _ = run("alone", "2020-03:2020-04", "2020-04")
    assert second["model"]["version"] == first["model"]["version"]
    assert second["tables"]["encodings"]["version"] == first["tables"]["encodings"]["version"]
    assert "infer: 3 of 4 files reused" in said
    assert second["promotion"]["decision"] == "already_champion"
    listed = parse_summary(invoke_cli("model", "list", "--store", tmp_path / "st", "--json"))
    assert sum(map(len, listed["models"].values())) == 1
    assert second["metrics"] == alone["metrics"] != first["metrics"]
    splits = duckdb.sql(
        f"""select month, any_value(split), count(distinct split)
            from read_parquet('{second["tables"]["predictions"]["path"]}/*/*/*.parquet', hive_partitioning=true)
            group by month order by month"""
    ).fetchall()
    names = ("train", "validation", "test", "test")
    assert splits == [(month, name, 1) for month, name in enumerate(names, 1)]
    for summary in (first, second):
        evaluated = run_toytip(
            *("stage", "evaluate", "--input-version", summary["version"], "--store", tmp_path / "st"),
            *("--workers", 1, "--json"),
        )
        assert parse_summary(evaluated)["metrics"] == summary["metrics"]
    report = Path(second["report_path"]).read_text()
    assert "test 2020-03-01 to 2020-05-01" in report


@pytest.mark.cluster
def test_a_changed_month_and_changed_settings_are_reported(three_month_run, tmp_path):
    folder, store, _ = three_month_run
    changed = tmp_path / "in"
    shutil.copytree(folder, changed)
    shutil.copytree(store, tmp_path / "st")
    february = changed / "yellow_tripdata_2020-02.parquet"
    pq.write_table(pq.read_table(february).slice(10), february)
    done = run_toytip("run", "--source", changed, "--store", tmp_path / "st", "--explain", *FAST_RUN)
    assert re.search(r"The rest differs from \S+ in source files \(changed: 2020-02\)", done.stderr)
    fresh = run_toytip(
        "run", "--source", changed, "--store", tmp_path / "st", "--full-refresh", "--explain", *FAST_RUN
    )
    assert fresh.stderr.count("recomputed, as requested") == 4
    deeper = run_toytip(
        "run",
        "--source",
        changed,
        "--store",
        tmp_path / "st",
        "--learning-rate",
        "0.3",
        "--explain",
        *FAST_RUN,
    )
    assert "featurize: same input, code and config" in deeper.stderr
    assert "preprocess: same input, code and config" in deeper.stderr
    assert re.search(r"train: differs from \S+ in learning_rate \(0.1, now 0.3\)\n", deeper.stderr)
    assert re.search(r"infer: differs from \S+ in model \(\S+, now \S+\)\n", deeper.stderr)
    assert deeper.returncode == 0, "the validation month has no trips"


@pytest.mark.cluster
def test_a_run_reuses_the_files_of_single_stages(three_month_run, tmp_path):
    """Both routes give the files of features and predictions the same fingerprints and bytes."""
    folder, store, run = three_month_run
    stages = tmp_path / "stages"
    where = ("--store", stages, "--workers", 1, "--json")
    tables = parse_summary(run_toytip("stage", "clean", "--source", folder, *where))["tables"]
    tables |= parse_summary(run_toytip("stage", "featurize", *where))["tables"]
    fused = Store(str(store), "dev")
    for name in ("features", "feature_histograms", "rejects"):
        single = Store(str(stages), "dev").get_manifest(name, tables[name]["version"])
        files = fused.get_manifest(name, run["version"]).files
        assert single.files == files, name
        assert single.code == fused.get_manifest(name, run["version"]).code, name
    parse_summary(run_toytip("stage", "preprocess", *where))
    parse_summary(run_toytip("stage", "train", "--rounds", 6, "--max-depth", 3, *where))
    shutil.copytree(stages, tmp_path / "copy")
    parse_summary(run_toytip("stage", "infer", *where))
    predicted = parse_summary(run_toytip("stage", "postprocess", *where))["tables"]["predictions"]["path"]
    again, scored = (
        parse_summary(run_toytip("run", "--source", folder, "--store", place, *FAST_RUN))
        for place in (stages, tmp_path / "copy")
    )
    reused = {name: decision["reused"] for name, decision in again["stage_decisions"].items()}
    assert reused == dict.fromkeys(("featurize", "preprocess", "train", "infer"), True)
    assert not scored["stage_decisions"]["infer"]["reused"]
    assert read_files(Path(scored["tables"]["predictions"]["path"])) == read_files(Path(predicted))
    assert again["metrics"] == scored["metrics"] == run["metrics"]


@pytest.mark.cluster
def test_two_concurrent_runs_on_one_store(three_month_run, tmp_path):
    folder, _, _ = three_month_run
    command = ("run", "--source", folder, "--store", tmp_path, *FAST_RUN)
    with start_toytip(*command) as one, start_toytip(*command) as other:
        outs = [run.communicate(timeout=200) for run in (one, other)]
        assert [run.returncode for run in (one, other)] == [0, 0], outs
    versions = {json.loads(out)["version"] for out, _ in outs}
    assert len(versions) == 2
    assert {m.version for m in Store(str(tmp_path), "dev").list_manifests("predictions")} == versions
    assert not list((tmp_path / "dev" / "_staging").iterdir())


def test_the_fingerprint_of_a_stage_covers_its_imports():
    """Imported modules that compute rows or train are among the modules of the stage."""
    graph = grimp.build_graph("toytip")
    code = {module for module in graph.modules if module.startswith("toytip.stages.")}
    code |= {
        f"toytip.{name}"
        for name in (
            "core.schema",
            "core.partitions",
            "core.splits",
            "training.fitting",
            "sources.discovery",
        )
    }
    assert {"datasets.tlc.taxis.rules", "datasets.tlc.taxis.fields"} < set(STAGE_MODULES["clean"])
    assert {"datasets.tlc.taxis.rules", "datasets.tlc.taxis.features"} < set(STAGE_MODULES["read"])
    assert {"datasets.tlc.taxis.features", "datasets.tlc.rides"} < set(STAGE_MODULES["train"])
    for stage, names in STAGE_MODULES.items():
        own = {f"toytip.{name}" for name in names}
        assert own <= graph.modules, stage
        for module in own - {"toytip.engine.graph"}:  # it imports the modules of all stages
            missing = (graph.find_upstream_modules(module) & code) - own
            assert not missing, (stage, module)
