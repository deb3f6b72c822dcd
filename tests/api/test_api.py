"""The Python API: the same runs, tables, numbers and errors as the command line's, lazily, and without its manners."""

import inspect
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import dask
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import toytip
from tests.support.runs import run_toytip
from toytip import errors
from toytip.api.settings import resolve_call_settings
from toytip.config import Settings
from toytip.core.jsonable import to_json
from toytip.core.months import Month
from toytip.engine import read_table
from toytip.sources.synthetic import month_file_name
from toytip.store import refs

pytestmark = pytest.mark.cluster
FAST = {"rounds": 8, "max_depth": 4}


@pytest.fixture(scope="module")
def done(client, synthetic, tmp_path_factory):
    """A run on the workers of the client that is current."""
    with client.as_current():
        return toytip.run(synthetic, store=tmp_path_factory.mktemp("store"), version_id="v1", **FAST)


@pytest.fixture(scope="module")
def store(done):
    return done.store


def boom(*_, **__):
    raise AssertionError("it computes")


# Importing it.


def test_importing_it_loads_nothing():
    told = subprocess.run(
        [sys.executable, "-c", "import sys, toytip; print(sorted(sys.modules)); print(toytip.open_store)"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert not re.search(r"'(dask|pandas|numpy|pydantic|toytip\.[a-z]\w*)[.']", told[0])
    assert "open_store" in told[1]


def test_all_names_are_there_and_no_others():
    for name in toytip.__all__:
        assert getattr(toytip, name) is not None
        assert name in dir(toytip)
    with pytest.raises(AttributeError, match="'opne_store'"):
        toytip.opne_store  # noqa: B018


@pytest.mark.parametrize("name", ["run", "monitor"])
def test_it_takes_what_the_command_takes(name):
    from typer.main import get_command

    from toytip.cli import app

    of_the_terminal = {"json_", "debug", "dry_run", "quiet", "plain"}
    flags = {each.name for each in get_command(app).commands[name].params} - of_the_terminal
    own = set(inspect.signature(getattr(toytip, name)).parameters)
    assert flags <= own | set(Settings.model_fields)


# a run


def test_a_run_tells_what_the_command_prints(done, store):
    told = done.json()
    assert (done.version, done.rows, done.rejects) == ("v1", told["rows"], told["rejects"])
    assert json.loads(json.dumps(told)) == told
    assert done.months == ["2020-01", "2020-02", "2020-03", "2020-04"]
    assert done.rows["read"] == done.rows["kept"] + done.rows["rejected"]
    assert set(done.tables) >= {"predictions", "features", "rejects"}
    pd.testing.assert_frame_equal(done.metrics, store.metrics("v1"))
    assert told["metrics"]["test"]["all"].items() <= done.metrics.loc[("test", "all")].to_dict().items()
    assert done.monitoring.json() == told["monitoring"]
    told["rows"].clear()
    assert done.rows["read"] > 0
    assert "v1" in repr(done)
    assert "<table" in done._repr_html_()
    assert "predictions" in store._repr_html_()


SCRIPT = """
import json, logging, os, sys
import dask
import toytip

def state():
    return dict(os.environ), logging.getLogger("distributed").level, dask.config.get("distributed.worker.multiprocessing-method")

before = state()
run = toytip.run({source!r}, store={store!r}, workers=2, rounds=8, max_depth=4)
assert state() == before
assert sys.modules["__main__"].__file__ == __file__
parts = run.store.manifest(table="models").files
json.dump([part.checksum for part in parts if part.path == "model.ubj"], open({out!r}, "w"))
"""


def test_a_script_without_a_guard_runs_in_silence_and_finds_all_as_it_was(store, synthetic, tmp_path):
    script, out = tmp_path / "script.py", tmp_path / "out.json"
    script.write_text(SCRIPT.format(source=str(synthetic), store=str(tmp_path / "other"), out=str(out)))
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    (booster,) = (p for p in store.manifest("v1", "models").files if p.path == "model.ubj")
    assert json.loads(out.read_text()) == [booster.checksum]


def test_workers_are_those_of_the_current_client(client):
    with client.as_current(), pytest.raises(errors.ConfigError, match="leave workers out"):
        toytip.run(workers=3)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"feature_sett": "seed"}, errors.ConfigError, "no setting feature_sett; did you mean feature_set"),
        ({"nonsense": 1}, errors.ConfigError, "`toytip config` lists all"),
        ({"rounds": 0}, errors.ConfigError, "setting rounds=0"),
        (
            {"alert_min_breaches": 4},
            errors.ConfigError,
            "alert_window_months=3: must not be less than alert_min_breaches=4",
        ),
        ({"feature_set": "settled"}, errors.ConfigError, "feature_set"),
        ({"source": "nowhere"}, errors.SourceError, "nowhere"),
        ({"months": "2020-04:2020-01", "source": "x"}, errors.ToytipError, "."),
    ],
)
def test_errors_are_toytips_own(given, error, said, client, tmp_path, capfd):
    with client.as_current(), pytest.raises(error, match=said):
        toytip.run(store=tmp_path, **given)
    assert capfd.readouterr() == ("", "")


def test_progress_goes_to_stderr_alone(done, client, synthetic, capfd):
    with client.as_current():
        again = toytip.run(synthetic, store=done.store.settings.store, version_id="v2", progress=True, **FAST)
    told = capfd.readouterr()
    assert told.out == ""
    assert "version v2" in told.err
    # It took the model over: whoever asks for the model of the run gets that.
    assert again.store.model("v2").version == "v1"


def test_paths_and_lists_are_settings(tmp_path):
    found = resolve_call_settings(
        {"store": tmp_path, "source": [tmp_path / "a", "b"], "months": ["2020-01", "2020-03"]}
    )
    assert (found.store, found.source, found.months) == (str(tmp_path), f"{tmp_path}/a,b", "2020-01,2020-03")


# tables


def test_predictions_are_what_another_engine_reads(store):
    frame = store.predictions("v1")
    files = store.files("predictions", "v1")
    assert frame.npartitions == len(files) == 4
    theirs = pl.read_parquet(files, hive_partitioning=True).to_pandas()
    ours = frame.compute()
    assert len(frame) == len(ours) == len(theirs)
    for name in ours.columns:
        assert ours[name].astype(str).tolist() == theirs[name].astype(str).tolist(), name
    ((said,),) = duckdb.execute(
        "select sum(probability) from read_parquet($files)", {"files": files}
    ).fetchall()
    assert frame["probability"].astype("float64").sum().compute() == pytest.approx(said)


def test_the_example_that_reads_with_duckdb(store, done):
    script = Path(__file__).parents[2] / "examples" / "read_with_duckdb.py"
    told = subprocess.run(
        [sys.executable, script, store.settings.store, "v1"], capture_output=True, text=True, check=True
    ).stdout
    title, *lines = [line.split() for line in told.splitlines()]
    assert title == ["month", "trips", "expected", "happened"]
    assert sum(int(line[1]) for line in lines) == done.rows["kept"]


@pytest.mark.parametrize("name", ["predictions", "features", "rejects", "feature_histograms", "monitoring"])
def test_meta_is_honest(name, store):
    frame = store.table(name, "v1")
    for part in frame.partitions:
        pd.testing.assert_frame_equal(part.compute().iloc[:0], frame._meta, check_index_type=False)
    assert frame.dtypes[["year", "month"]].tolist() == ["int32", "int32"]
    assert frame["version"].unique().compute().tolist() == ["v1"]


def test_nothing_is_computed_before_it_is_asked_for(store):
    with dask.config.set(scheduler=boom):
        frame = store.features("v1")
        lazy = frame[frame["month"] > 2].groupby("pickup_hour")["high_tip"].mean()
        with pytest.raises(AssertionError, match="it computes"):
            lazy.compute()


def test_only_the_columns_that_are_asked_for_are_decoded(store):
    frame = store.features("v1")
    asked = frame[["month", "high_tip"]]
    assert asked.optimize(fuse=False).expr.operand("columns") == ["month", "high_tip"]
    pd.testing.assert_frame_equal(asked.compute(), frame.compute()[["month", "high_tip"]])
    assert len(frame[["month"]].compute()) == len(frame)


@pytest.mark.parametrize("months", ["2020-02:2020-03", ["2020-02", "2020-03"], ("2020-03", "2020-02")])
def test_months(months, store):
    found = store.rejects("v1", months=months)
    assert found.npartitions == 2
    assert sorted(found["month"].unique().compute()) == [2, 3]


def test_a_frame_can_be_computed_from_another_folder(store, tmp_path, monkeypatch):
    where = Path(store.settings.store)
    monkeypatch.chdir(where.parent)
    frame = toytip.open_store(where.name).rejects("v1", months="2020-01")
    monkeypatch.chdir(tmp_path)
    assert len(frame.compute(scheduler="sync")) > 0


def test_stray_files_are_not_read(store):
    first, *_ = store.files("rejects", "v1")
    stray = first.replace("part-00000", "part-00009")
    pq.write_table(pq.read_table(first, partitioning=None), stray)
    assert len(store.rejects("v1")) == store.manifest("v1", "rejects").rows


def test_a_file_that_was_changed_is_named(client, synthetic, tmp_path):
    with client.as_current():
        other = toytip.run(synthetic, store=tmp_path, months="2020-01:2020-03", **FAST).store
    path = other.files("predictions")[1]
    pq.write_table(pq.read_table(path, partitioning=None).slice(1), path)
    with pytest.raises(errors.StoreError, match=r"month=2/part-00000\.parquet is not what was published"):
        other.predictions().compute(scheduler="sync")


def test_versions_by_tag_and_by_rule(store):
    inner = store._versions
    refs.set_tag(inner, "good", "v1", force=True)
    assert store.manifest("good").version == "v1"
    assert store.predictions("good")["version"].compute().unique().tolist() == ["v1"]
    refs.roll_back_to(inner, "v1")
    assert store.manifest().version == refs.resolve_version(inner, "predictions").version == "v1"
    listed = store.versions("predictions")
    assert listed.loc[listed["version"] == "v1", "tags"].tolist() == [["good"]]
    assert str(listed["created"].dtype).startswith("datetime64")
    told = json.loads(run_toytip("versions", "--store", store.settings.store, "--json").stdout)["versions"]
    mine = store.versions().drop(columns="created").to_dict("records")
    assert mine == [{k: v for k, v in row.items() if k != "created"} for row in told]
    assert store.versions(as_of="2020-01-01").empty


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s: s.predictions("v9"), "no version v9 of predictions"),
        (lambda s: s.predictions("../v1"), "is not a version"),
        (lambda s: s.predictions(as_of="2020-01-01"), "as of 2020-01-01"),
        (
            lambda s: s.predictions("v1", months="2020-06"),
            "cannot read month 2020-06 of predictions v1: it has 2020-01:2020-04",
        ),
        (lambda s: s.table("models"), "cannot read the table 'models'"),
        (lambda s: s.table("trips"), "no version of trips"),
        (lambda s: s.metrics("v9"), "no version v9"),
        (lambda s: s.model("v9"), "no model v9 is registered"),
        (lambda s: s.monitoring("v1", analysis_months="2021-01"), "cannot monitor 2021-01"),
        (lambda s: s.lineage("v1", month="2021-01"), "has no month 2021-01"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(ask, said, store):
    with pytest.raises(errors.ToytipError, match=said) as caught:
        ask(store)
    assert "\n" not in str(caught.value)


def test_an_empty_store_can_be_opened(tmp_path):
    there = toytip.open_store(tmp_path / "none", "prod")
    assert there.versions().empty
    assert (there.env, there.path) == ("prod", f"{tmp_path}/none/prod")
    with pytest.raises(errors.StoreError, match="no version of predictions"):
        there.predictions()


def test_a_version_without_parts_is_an_empty_frame(store):
    from dataclasses import replace

    manifest = replace(store.manifest("v1"), parts=())
    frame = read_table.read_table(store._versions, manifest)
    assert len(frame) == 0
    assert frame.dtypes.equals(store.predictions("v1").dtypes)


# what manifests tell


def test_lineage_and_diff_are_what_the_commands_print(store, done):
    where = ("--store", store.settings.store, "--json")
    assert store.lineage("v1", month="2020-02") == json.loads(
        run_toytip("trace", "v1/2020-02", *where).stdout
    )
    assert store.diff("v1", "v1") == json.loads(run_toytip("diff", "v1", "v1", *where).stdout)
    assert store.manifest("v1", "features").rows == done.rows["kept"]
    assert store.lineage("v1", "features")["table"] == "features"


def test_the_evaluation_is_the_one_that_the_run_kept(store, done):
    stored = Path(done.json()["evaluation_path"]).read_text()
    assert to_json(store.evaluation("v1")) == json.loads(stored)


def test_metrics_are_those_of_the_rows(store):
    rows = store.predictions("v1").compute()
    rows = rows[rows["split"] == "test"]
    told = store.metrics("v1").loc[("test", "all")]
    assert told["rows"] == len(rows)
    assert told["prevalence"] == pytest.approx(rows["high_tip"].mean())
    hits = (rows["prediction"] & rows["high_tip"]).sum()
    assert told["f1"] == pytest.approx(2 * hits / (rows["prediction"].sum() + rows["high_tip"].sum()))
    assert told["brier"] == pytest.approx(((rows["probability"] - rows["high_tip"]) ** 2).mean(), abs=1e-4)


# models


@pytest.fixture(scope="module")
def raw(synthetic):
    return pd.read_parquet(synthetic / month_file_name(Month(2020, 4)))


def test_a_model_says_of_raw_trips_what_the_batch_said(store, raw):
    model = store.model("v1")
    said = model.predict(raw)
    batch = store.predictions("v1", months="2020-04").compute()
    row = batch["trip_id"].to_numpy() % 10**9
    assert np.array_equal(said["probability"].to_numpy()[row], batch["probability"].to_numpy())
    assert said["prediction"].iloc[row].tolist() == batch["prediction"].tolist()
    gone = store.rejects("v1", months="2020-04").compute()
    gone = gone[gone["reason"] != "out_of_month"]  # a trip alone stands in the month of its pickup
    told = said["rejected"].iloc[gone["trip_id"] % 10**9]
    # What is missing and not looked at is stood in for.
    assert (told.isna() | (told.to_numpy() == gone["reason"].to_numpy())).all()
    assert told.notna().mean() > 0.8


def test_a_model_takes_frames_tables_dicts_and_partitions(store, raw, synthetic):
    import pyarrow as pa

    model = pickle.loads(pickle.dumps(store.model("v1")))  # noqa: S301
    few = raw.iloc[10:20]
    said = model.predict(few, reasons=2)
    assert said.index.tolist() == few.index.tolist()
    assert {len(each) for each in said["reasons"]} == {2}
    plain = said.drop(columns="reasons").reset_index(drop=True)
    pd.testing.assert_frame_equal(model.predict(pa.Table.from_pandas(few)), plain)
    trips = few.astype(object).where(few.notna(), None).to_dict("records")
    pd.testing.assert_frame_equal(model.predict(trips), plain)
    assert model.predict(raw.iloc[:0]).dtypes.equals(plain.dtypes)
    pd.testing.assert_frame_equal(model.predict([]), model.predict(raw.iloc[:0]), check_index_type=False)
    lazy = dask.dataframe.from_pandas(raw, npartitions=3)
    mapped = lazy.map_partitions(model.predict, meta=model.predict(raw.iloc[:0])).compute()
    pd.testing.assert_frame_equal(mapped, model.predict(raw))


def test_a_model_tells_what_it_is(store):
    model = store.model()
    assert (model.version, model.taxi, model.segment) == ("v1", "yellow", "all")
    assert model.features["payment_type"] == "payment"
    assert 0 < model.threshold < 1
    assert model.rounds <= 8
    assert model.gains.sum() == pytest.approx(1)
    assert model.gains.is_monotonic_decreasing
    assert "v1" in repr(model)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: f.drop(columns="PULocationID"), "no PULocationID"),
        (lambda f: f.assign(fare_amount="much"), "fare_amount cannot be read"),
        (lambda f: f.assign(fare_amount=[1.0, "much"]), "."),
    ],
)
def test_trips_that_cannot_be_scored(spoil, said, store, raw):
    with pytest.raises(errors.SchemaError, match=said) as caught:
        store.model("v1").predict(spoil(raw.iloc[:2]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("trips", ["trips.parquet", {"PULocationID": 74}, [74], 74])
def test_what_is_no_trips_at_all_is_said(trips, store):
    with pytest.raises(TypeError, match="a pandas frame, an Arrow table or a list of dicts, not"):
        store.model("v1").predict(trips)


# monitoring


def test_monitoring_is_what_the_command_prints(store):
    found = store.monitoring("v1")
    told = json.loads(
        run_toytip("monitor", "--model", "v1", "--store", store.settings.store, "--dry-run", "--json").stdout
    )
    assert found.json() == told
    assert (found.model, found.version) == ("v1", None)
    performance = found.performance
    assert performance.index.tolist() == ["reference", "2020-04"]
    parts = ["f1_by_card_share", "f1_by_tip_share", "f1_by_model"]
    assert performance[parts].sum(axis=1).tolist() == pytest.approx(performance["f1_change"].tolist())
    assert found.days.index.is_monotonic_increasing
    assert found.days.loc["2020-04-30", "rolling_rows"] > found.days.loc["2020-04-30", "rows"]
    drift = found.drift.loc["2020-04"]
    assert drift["importance"].is_monotonic_decreasing
    assert drift.loc["trip_distance", "psi"] >= 0
    assert set(found.alerts["month"]) <= {"2020-04"}
    assert len(found.alert_history) == len(told["alert_history"])
    unlabelled = store.monitoring("v1", labels_until="2020-03").performance
    assert unlabelled.loc["2020-04", "f1":"recall"].isna().all()
    assert unlabelled.loc["2020-04", "estimated_f1"] > 0


def test_monitor_keeps_what_it_read(store):
    found = toytip.monitor("v1", store=store.settings.store, alert_psi=0.001, version_id="v3")
    assert found.version == "v3"
    kept = store.table("monitoring", "v3").compute()
    assert kept["alert"].any()
    assert kept.loc[kept["measure"] == "psi", "threshold"].dropna().unique().tolist() == [0.001]
