"""`toytip run`: printed and stored outputs, which do not depend on the workers, and interrupts."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.results import RUN_KEYS
from tests.support.runs import parse_summary, run_toytip, start_toytip, wait_for_message
from tests.support.trips import read_files
from toytip.cli.command import RESUMABLE_MESSAGE
from toytip.core.months import parse_months
from toytip.core.tables import PREDICTIONS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.synthetic import invalid_rows
from toytip.store.refs import resolve_version
from toytip.store.store import Store

pytestmark = pytest.mark.cluster
MONTHS = parse_months("2020-01:2020-04")
FAST = ("--rounds", 8, "--max-depth", 4)
METRICS = {
    "rows",
    "prevalence",
    "auc",
    "pr_auc",
    "log_loss",
    "brier",
    "f1",
    "precision",
    "recall",
}


def run(source, store, *more, workers=2):
    return run_toytip(
        "run", "--source", source, "--store", store, "--workers", workers, "--json", *FAST, *more
    )


@pytest.fixture(scope="module")
def done(synthetic, tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    return parse_summary(run(synthetic, store, "--version-id", "vtest")), store


def test_the_summary_has_its_keys(done, synthetic):
    summary, _ = done
    assert set(summary) == RUN_KEYS
    assert summary["months"] == [str(month) for month in MONTHS]
    assert (summary["taxi"], summary["env"], summary["workers"]) == ("yellow", "dev", 2)
    assert summary["source"] == str(synthetic)
    assert set(summary["metrics"]) == {"train", "validation", "test"}
    for segments in summary["metrics"].values():
        assert list(segments) == ["all", "card"]
        assert all(set(values) == METRICS for values in segments.values())
    assert summary["metrics"]["test"]["all"]["auc"] > 0.75
    assert summary["dashboard_url"].startswith("http://127.0.0.1:")
    assert "<html" in Path(summary["performance_report_path"]).read_text()[:500].lower()
    assert summary["peak_memory_mb"] > 50


def test_rows_are_accounted_for(done):
    summary, _ = done
    wanted = {}
    for month in MONTHS:
        for reason, count in invalid_rows(month, 2_000).items():
            wanted[reason] = wanted.get(reason, 0) + count
    assert summary["rejects"] == wanted
    rows = summary["rows"]
    assert rows["read"] == rows["kept"] + rows["rejected"]
    assert rows["rejected"] == sum(wanted.values()) == summary["tables"]["rejects"]["rows"]
    assert rows["kept"] == summary["tables"]["predictions"]["rows"] == summary["tables"]["features"]["rows"]


def test_duckdb_reads_the_predictions(done):
    summary, _ = done
    files = f"{summary['tables']['predictions']['path']}/../*/*/*/*.parquet"
    found = duckdb.sql(
        f"select version, year, month, count(*) n from read_parquet('{files}', hive_partitioning=true) group by all order by all"
    ).fetchall()
    assert [(row[0], row[1], row[2]) for row in found] == [("vtest", m.year, m.month) for m in MONTHS]
    assert sum(row[3] for row in found) == summary["rows"]["kept"]


def test_the_query_of_the_readme_runs(done):
    summary, store = done
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    query = readme.split("```sql\n")[1].split("```")[0]
    rows = duckdb.sql(query.replace("toytip-store", str(store)).replace("VERSION", "vtest")).fetchall()
    assert [row[0] for row in rows] == [month.month for month in MONTHS]
    assert sum(row[1] for row in rows) == summary["rows"]["kept"]


def test_trip_ids_identify_rows_of_the_source(done, synthetic):
    summary, _ = done
    read = f"read_parquet('{summary['tables']['predictions']['path']}/*/*/*.parquet', hive_partitioning=true)"
    for month in MONTHS:
        source = pq.read_table(synthetic / f"yellow_tripdata_{month}.parquet")
        source = source.append_column("row", pa.array(range(len(source))))
        base = TLC.first_trip_id("yellow", *month)
        pairs = duckdb.sql(
            f"""select count(*), bool_and(p.pickup_at = s.tpep_pickup_datetime), bool_and(p."PULocationID" = s."PULocationID"),
                       bool_and(p.high_tip = (s.tip_amount > 0.2 * s.fare_amount))
                from {read} p join source s on p.trip_id - {base} = s.row where p.month = {month.month}"""
        ).fetchall()[0]
        kept = duckdb.sql(f"select count(*) from {read} where month = {month.month}").fetchall()[0]
        assert pairs == (kept[0], True, True, True)


def test_predictions_match_the_schema(done):
    _, store = done
    stored = Store(str(store), "dev")
    manifest = resolve_version(stored, "predictions")
    frame = pd.concat(
        [stored.read_data_file(TLC.table(PREDICTIONS), "vtest", part) for part in manifest.files]
    )
    assert frame["trip_id"].is_unique
    assert frame["probability"].between(0, 1).all()
    assert set(frame["split"]) == {"train", "validation", "test"}
    assert set(frame["model_version"]) == {"vtest"}
    threshold = manifest.config["threshold"]
    assert (frame["prediction"] == (frame["probability"] >= threshold)).all()


def test_the_manifest_records_the_origin_of_a_version(done, synthetic):
    summary, store = done
    for name, told in summary["tables"].items():
        manifest = json.loads(Path(told["manifest"]).read_text())
        assert manifest["table"] == name
        assert manifest["environment"]["toytip"]
        for part in manifest["files"]:
            content = (Path(told["path"]) / part["path"]).read_bytes()
            assert part["checksum"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
            assert part["bytes"] == len(content)
    parents = resolve_version(Store(str(store), "dev"), "features").parents
    first = Path(parents[0].uri)
    assert parents[0].checksum == f"sha256:{hashlib.sha256(first.read_bytes()).hexdigest()}"
    assert [Path(parent.uri).parent for parent in parents] == [synthetic] * len(MONTHS)


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_the_output_does_not_depend_on_the_workers(workers, done, synthetic, tmp_path):
    """The rows of all tables and the model bytes are those of the run with two workers."""
    summary, store = done
    other = parse_summary(run(synthetic, tmp_path, "--version-id", "vtest", workers=workers))
    for key in ("rows", "rejects", "metrics"):
        assert other[key] == summary[key]
    assert read_files(tmp_path / "dev") == read_files(store / "dev")
    model = "dev/models/version=vtest/model.ubj"
    assert (tmp_path / model).read_bytes() == (store / model).read_bytes()


def test_two_equal_runs_have_equal_outputs(done, synthetic, tmp_path):
    _, store = done
    parse_summary(run(synthetic, tmp_path, "--version-id", "vtest"))
    assert read_files(tmp_path / "dev") == read_files(store / "dev")


def test_the_partition_size_affects_only_file_names(done, synthetic, tmp_path):
    summary, store = done
    other = parse_summary(run(synthetic, tmp_path, "--version-id", "vtest", "--partition-rows", 700))
    assert other["metrics"] == summary["metrics"]
    rows = [
        duckdb.sql(
            f"select * from read_parquet('{root}/dev/predictions/*/*/*/*.parquet') order by trip_id"
        ).fetchall()
        for root in (tmp_path, store)
    ]
    assert rows[0] == rows[1]


def test_single_stages_give_the_tables_of_a_run(done, synthetic, tmp_path):
    _, store = done
    common = ("--store", tmp_path, "--workers", 1, "--json")
    # The table `predictions` has the version of the model in a column.
    options = {"clean": ("--source", synthetic), "train": (*FAST, "--version-id", "vtest")}
    versions = {}
    for name in ("clean", "featurize", "preprocess", "train", "infer", "postprocess"):
        result = parse_summary(run_toytip("stage", name, *options.get(name, ()), *common))
        versions |= {table: info["version"] for table, info in result["tables"].items()}
    measured = parse_summary(run_toytip("stage", "evaluate", "--store", tmp_path, "--workers", 1, "--json"))
    for table in ("features", "feature_histograms", "rejects", "metric_histograms", "predictions"):
        folders = tmp_path / f"dev/{table}/version={versions[table]}", store / f"dev/{table}/version=vtest"
        assert read_files(folders[0]) == read_files(folders[1])
    for table, name in (("encodings", "encoding.json"), ("models", "model.ubj")):
        files = tmp_path / f"dev/{table}/version={versions[table]}", store / f"dev/{table}/version=vtest"
        assert (files[0] / name).read_bytes() == (files[1] / name).read_bytes()
    assert measured["metrics"] == done[0]["metrics"]
    listed = parse_summary(run_toytip("version", "list", "--store", tmp_path, "--json"))["versions"]
    assert {row["table"] for row in listed} == {
        "trips",
        "rejects",
        "features",
        "feature_histograms",
        "encodings",
        "models",
        "scores",
        "metric_histograms",
        "predictions",
    }


def test_target_leakage_is_reported(synthetic, tmp_path):
    """The column `extra` has the ratio of tip and fare, which determines the label."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    folder = tmp_path / "in"
    folder.mkdir()
    for path in synthetic.glob("*.parquet"):
        table = pq.read_table(path)
        tip, fare = table.column("tip_amount"), table.column("fare_amount")
        leak = pc.if_else(pc.equal(fare, 0), 0.0, pc.divide(tip, pc.if_else(pc.equal(fare, 0), 1.0, fare)))
        names = table.column_names
        table = table.set_column(names.index("extra"), "extra", leak.cast(pa.float64()))
        pq.write_table(table, folder / path.name)
    done = run(folder, tmp_path / "st")
    leaks = parse_summary(done)["leakage_warnings"]
    assert set(leaks) == {"extra"}
    assert leaks["extra"] > 0.99
    assert "warning: possible target leakage: feature extra alone has an AUC of" in done.stderr
    assert parse_summary(run(synthetic, tmp_path / "st2"))["leakage_warnings"] == {}


def test_without_validation_the_threshold_and_the_rounds_are_fixed(synthetic, tmp_path):
    summary = parse_summary(run(synthetic, tmp_path, "--validation-month", "none"))
    assert summary["model"]["threshold"] == 0.5
    assert summary["model"]["rounds"] == 8
    assert set(summary["metrics"]) == {"train", "test"}


def test_two_months_and_card_trips(synthetic, tmp_path):
    summary = parse_summary(
        run(
            synthetic,
            tmp_path,
            "--months",
            "2020-01:2020-02",
            "--segment",
            "card",
            "--feature-set",
            "dropoff",
        )
    )
    assert "payment_type" not in summary["model"]["features"]
    assert set(summary["metrics"]) == {"train", "validation", "test"}
    measured = sum(segments["card"]["rows"] for segments in summary["metrics"].values())
    assert measured < summary["rows"]["kept"] == summary["tables"]["predictions"]["rows"]


def test_the_synthetic_year_is_generated_once(tmp_path):
    arguments = ("run", "--store", tmp_path, "--workers", 2, "--json", *FAST)
    first = run_toytip(*arguments, TOYTIP_SYNTH_ROWS_PER_MONTH="800")
    assert parse_summary(first)["source"] == "synthetic"
    assert "writing a synthetic year" in first.stderr
    second = run_toytip(*arguments, "--full-refresh", TOYTIP_SYNTH_ROWS_PER_MONTH="800")
    assert "already exists" in second.stderr
    assert parse_summary(second)["rows"] == parse_summary(first)["rows"]
    people = run_toytip(*arguments[:-5], *FAST, TOYTIP_SYNTH_ROWS_PER_MONTH="800")
    assert people.returncode == 0
    assert "synthetic" in people.stdout
    assert "vs. always" in " ".join(people.stdout.split())


def test_a_run_uses_an_existing_scheduler(synthetic, tmp_path, done):
    import distributed

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
    ) as cluster:
        other = run_toytip(
            "run",
            "--source",
            synthetic,
            "--store",
            tmp_path,
            "--scheduler",
            cluster.scheduler_address,
            "--version-id",
            "vtest",
            "--json",
            *FAST,
        )
        assert parse_summary(other)["metrics"] == done[0]["metrics"]
    assert read_files(tmp_path / "dev") == read_files(done[1] / "dev")


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("stage", ["featurize", "preprocess"])
def test_a_stopped_run_leaves_no_partial_output(how, code, stage, synthetic, tmp_path):
    """The process group gets the signal at the end of a stage, as for Ctrl-C in a terminal."""
    endless = ("--rounds", 5000, "--early-stopping-rounds", 0)
    with start_toytip("run", "--source", synthetic, "--store", tmp_path, "--workers", 2, *endless) as process:
        wait_for_message(process, f"{stage} ")
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 3
        if stage == "preprocess":
            time.sleep(1)  # into the training
        os.killpg(process.pid, how) if how != signal.SIGTERM else process.send_signal(how)
        said = process.communicate(timeout=60)[1]
        assert process.returncode == code, said
    assert "Traceback" not in said
    assert said.strip().splitlines()[-1].startswith("stopped")
    psutil.wait_procs(family, timeout=15)
    assert not [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    store = Store(str(tmp_path), "dev")
    assert store.list_manifests() == []
    complete = {manifest.table for manifest in store.list_tables()}
    on_disk = {path.parent.parent.name for path in (tmp_path / "dev").glob("*/version=*/*")}
    assert on_disk == complete <= {"features", "feature_histograms", "rejects", "encodings"}
    assert {path.suffix for path in (tmp_path / "dev" / "_staging").iterdir()} <= {".lock"}


EARLY = """
import os, signal, sys, threading, time
from toytip.__main__ import main

def strike():
    while True:
        spec = getattr(sys.modules.get("distributed.deploy.spec"), "SpecCluster", None)
        if any(cluster._created for cluster in list(getattr(spec, "_instances", ()))):
            os.kill(os.getpid(), signal.{how})
            return
        time.sleep(0.0005)

threading.Thread(target=strike, daemon=True).start()
main()
"""


@pytest.mark.parametrize(("how", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_run_can_be_stopped_while_its_workers_start(how, code, synthetic, tmp_path):
    command = ("run", "--source", synthetic, "--store", tmp_path / "st", "--workers", 2)
    told = subprocess.run(
        [sys.executable, "-c", EARLY.format(how=how), *map(str, command)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (told.returncode, told.stdout) == (code, "")
    assert told.stderr.splitlines()[-1] == RESUMABLE_MESSAGE
    assert "Traceback" not in told.stderr
    assert not list((tmp_path / "st" / "dev" / "_staging").iterdir())


def test_a_killed_run_leaves_no_version_and_can_be_run_again(done, synthetic, tmp_path):
    """The complete process group is killed, as if the machine lost power."""
    named = ("--version-id", "vtest", "--workers", 2, *FAST)
    with start_toytip("run", "--source", synthetic, "--store", tmp_path, *named) as process:
        wait_for_message(process, "dashboard")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
    assert Store(str(tmp_path), "dev").list_manifests() == []
    parse_summary(run(synthetic, tmp_path, "--version-id", "vtest"))
    assert read_files(tmp_path / "dev") == read_files(done[1] / "dev")
