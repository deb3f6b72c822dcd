"""The Python API: runs, tables, metrics and errors, without output on the terminal."""

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
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.synthetic import month_file_name
from toytip.engine import read_table
from toytip.store import refs, release

pytestmark = pytest.mark.cluster
FAST = {"rounds": 8, "max_depth": 4}


@pytest.fixture(scope="module")
def done(client, synthetic, tmp_path_factory):
    """A run on the workers of the active client."""
    with client.as_current():
        return toytip.run(synthetic, store=tmp_path_factory.mktemp("store"), version_id="v1", **FAST)


@pytest.fixture(scope="module")
def store(done):
    return done.store


def fail(*_, **__):
    raise AssertionError("the frame was computed")


# import


def test_the_import_loads_no_submodule():
    lines = subprocess.run(
        [sys.executable, "-c", "import sys, toytip; print(sorted(sys.modules)); print(toytip.open_store)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert not re.search(r"'(dask|pandas|numpy|pydantic|toytip\.[a-z]\w*)[.']", lines[0])
    assert "open_store" in lines[1]


def test_the_public_names_are_frozen():
    """A new name, or a name that changes, is a decision about the public interface."""
    assert toytip.__all__ == [
        "ExactXGBClassifier",
        "ExactXGBRegressor",
        "Field",
        "Judged",
        "Model",
        "Monitoring",
        "OwnDataset",
        "Run",
        "Store",
        "ToytipError",
        "__version__",
        "errors",
        "feature",
        "judge",
        "label",
        "load_project",
        "make_pipeline",
        "monitor",
        "open_store",
        "reference",
        "rule",
        "run",
        "segment",
    ]
    for name in toytip.__all__:
        assert getattr(toytip, name) is not None
        assert name in dir(toytip)
    with pytest.raises(AttributeError, match="'opne_store'"):
        toytip.opne_store  # noqa: B018


@pytest.mark.parametrize("name", ["run", "monitor"])
def test_a_function_has_the_options_of_its_command(name):
    from typer.main import get_command

    from toytip.cli import app

    terminal_options = {"json_", "debug", "dry_run", "quiet", "verbose"}
    flags = {parameter.name for parameter in get_command(app).commands[name].params} - terminal_options
    parameters = set(inspect.signature(getattr(toytip, name)).parameters)
    assert flags <= parameters | set(Settings.model_fields)


# a run


def test_a_run_has_the_values_of_the_command(done, store):
    summary = done.json()
    assert (done.version, done.rows, done.rejects) == ("v1", summary["rows"], summary["rejects"])
    assert json.loads(json.dumps(summary)) == summary
    assert done.months == ["2020-01", "2020-02", "2020-03", "2020-04"]
    assert done.rows["read"] == done.rows["kept"] + done.rows["rejected"]
    assert set(done.tables) >= {"predictions", "features", "rejects"}
    pd.testing.assert_frame_equal(done.metrics, store.metrics("v1"))
    assert summary["metrics"]["test"]["all"].items() <= done.metrics.loc[("test", "all")].to_dict().items()
    assert done.monitoring.json() == summary["monitoring"]
    assert done.elapsed_seconds == summary["elapsed_seconds"]
    summary["rows"].clear()
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


def test_a_script_without_a_guard_prints_nothing_and_keeps_its_environment(store, synthetic, tmp_path):
    script, out = tmp_path / "script.py", tmp_path / "out.json"
    script.write_text(SCRIPT.format(source=str(synthetic), store=str(tmp_path / "other"), out=str(out)))
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    (booster,) = (p for p in store.manifest("v1", "models").files if p.path == "model.ubj")
    assert json.loads(out.read_text()) == [booster.checksum]


def test_workers_are_those_of_the_active_client(client):
    with (
        client.as_current(),
        pytest.raises(errors.ConfigError, match="cannot use workers=3: the active Dask client") as caught,
    ):
        toytip.run(workers=3)
    assert caught.value.hint == "Leave workers out, or close the client."


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"nonsense": 1}, errors.ConfigError, "cannot load settings: there is no setting nonsense"),
        ({"rounds": 0}, errors.ConfigError, "setting rounds=0"),
        (
            {"alert_min_breaches": 4},
            errors.ConfigError,
            "alert_window_months=3: must not be less than alert_min_breaches=4",
        ),
        ({"feature_set": "settled"}, errors.ConfigError, "feature set"),
        ({"model": "champion", "rounds": 5}, errors.ConfigError, "cannot use `rounds` with `model`"),
        ({"source": "nowhere"}, errors.SourceError, "nowhere"),
        ({"months": "2020-04:2020-01", "source": "x"}, errors.ToytipError, "."),
    ],
)
def test_errors_are_toytip_errors(options, error, message, client, tmp_path, capfd):
    with client.as_current(), pytest.raises(error, match=message):
        toytip.run(store=tmp_path, **options)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("feature_sett", "Did you mean feature_set?"), ("nonsense", "List all settings with `toytip config`.")],
)
def test_the_hint_for_an_unknown_setting(name, hint):
    with pytest.raises(errors.ConfigError, match=f"there is no setting {name}") as caught:
        resolve_call_settings({name: 1})
    assert caught.value.hint == hint


def test_progress_goes_to_stderr(done, client, synthetic, capfd):
    with client.as_current():
        second = toytip.run(
            synthetic, store=done.store.settings.store, version_id="v2", progress=True, **FAST
        )
    output = capfd.readouterr()
    assert output.out == ""
    assert "version v2" in output.err
    # The run reused the model.
    assert second.store.model("v2").version == "v1"


def test_paths_and_lists_are_settings(tmp_path):
    settings = resolve_call_settings(
        {"store": tmp_path, "source": [tmp_path / "a", "b"], "months": ["2020-01", "2020-03"]}
    )
    assert settings.store == str(tmp_path)
    assert settings.source == f"{tmp_path}/a,b"
    assert settings.months == "2020-01,2020-03"


# tables


def test_predictions_are_equal_in_another_engine(store):
    frame = store.predictions("v1")
    files = store.files("predictions", "v1")
    assert frame.npartitions == len(files) == 4
    other = pl.read_parquet(files, hive_partitioning=True).to_pandas()
    rows = frame.compute()
    assert len(frame) == len(rows) == len(other)
    for name in rows.columns:
        assert rows[name].astype(str).tolist() == other[name].astype(str).tolist(), name
    ((total,),) = duckdb.execute(
        "select sum(probability) from read_parquet($files)", {"files": files}
    ).fetchall()
    assert frame["probability"].astype("float64").sum().compute() == pytest.approx(total)


def test_the_example_that_reads_with_duckdb(store, done):
    script = Path(__file__).parents[2] / "examples" / "read_with_duckdb.py"
    output = subprocess.run(
        [sys.executable, script, store.settings.store, "v1"], capture_output=True, text=True, check=True
    ).stdout
    title, *lines = [line.split() for line in output.splitlines()]
    assert title == ["month", "trips", "predicted", "observed"]
    assert sum(int(line[1]) for line in lines) == done.rows["kept"]


@pytest.mark.parametrize("name", ["predictions", "features", "rejects", "feature_histograms", "monitoring"])
def test_meta_equals_the_computed_types(name, store):
    frame = store.table(name, "v1")
    for part in frame.partitions:
        pd.testing.assert_frame_equal(part.compute().iloc[:0], frame._meta, check_index_type=False)
    assert frame.dtypes[["year", "month"]].tolist() == ["int32", "int32"]
    assert frame["version"].unique().compute().tolist() == ["v1"]


def test_frames_are_lazy(store):
    with dask.config.set(scheduler=fail):
        frame = store.features("v1")
        lazy = frame[frame["month"] > 2].groupby("pickup_hour")["high_tip"].mean()
        with pytest.raises(AssertionError, match="the frame was computed"):
            lazy.compute()


def test_only_the_used_columns_are_decoded(store):
    frame = store.features("v1")
    selected = frame[["month", "high_tip"]]
    assert selected.optimize(fuse=False).expr.operand("columns") == ["month", "high_tip"]
    pd.testing.assert_frame_equal(selected.compute(), frame.compute()[["month", "high_tip"]])
    assert len(frame[["month"]].compute()) == len(frame)


@pytest.mark.parametrize("months", ["2020-02:2020-03", ["2020-02", "2020-03"], ("2020-03", "2020-02")])
def test_months(months, store):
    rejects = store.rejects("v1", months=months)
    assert rejects.npartitions == 2
    assert sorted(rejects["month"].unique().compute()) == [2, 3]


def test_a_frame_can_be_computed_from_another_folder(store, tmp_path, monkeypatch):
    path = Path(store.settings.store)
    monkeypatch.chdir(path.parent)
    frame = toytip.open_store(path.name).rejects("v1", months="2020-01")
    monkeypatch.chdir(tmp_path)
    assert len(frame.compute(scheduler="sync")) > 0


def test_files_that_the_manifest_does_not_list_are_not_read(store):
    first, *_ = store.files("rejects", "v1")
    extra = first.replace("part-00000", "part-00009")
    pq.write_table(pq.read_table(first, partitioning=None), extra)
    assert len(store.rejects("v1")) == store.manifest("v1", "rejects").rows


def test_a_changed_file_is_an_error(client, synthetic, tmp_path):
    with client.as_current():
        other = toytip.run(synthetic, store=tmp_path, months="2020-01:2020-03", **FAST).store
    path = other.files("predictions")[1]
    pq.write_table(pq.read_table(path, partitioning=None).slice(1), path)
    with pytest.raises(
        errors.StoreError, match=r"month=2/part-00000\.parquet: its checksum differs from the manifest"
    ):
        other.predictions().compute(scheduler="sync")


def test_versions_by_tag_and_after_a_rollback(store):
    inner = store._versions
    refs.set_tag(inner, "good", "v1", force=True)
    assert store.manifest("good").version == "v1"
    assert store.predictions("good")["version"].compute().unique().tolist() == ["v1"]
    release.roll_back_to(inner, "v1")
    assert store.manifest().version == refs.resolve_version(inner, "predictions").version == "v1"
    versions = store.versions("predictions")
    assert versions.loc[versions["version"] == "v1", "tags"].tolist() == [["good"]]
    assert str(versions["created_at"].dtype).startswith("datetime64")
    printed = json.loads(run_toytip("version", "list", "--store", store.settings.store, "--json").stdout)[
        "versions"
    ]
    rows = store.versions().drop(columns="created_at").to_dict("records")
    assert rows == [{k: v for k, v in row.items() if k != "created_at"} for row in printed]
    assert store.versions(as_of="2020-01-01").empty


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda s: s.predictions("v9"), "cannot read version v9 of predictions in .*: it does not exist"),
        (lambda s: s.predictions("../v1"), "cannot use the version '../v1'"),
        (lambda s: s.predictions(as_of="2020-01-01"), "as of 2020-01-01"),
        (
            lambda s: s.predictions("v1", months="2020-06"),
            "cannot read month 2020-06 of predictions v1: the version has months 2020-01:2020-04",
        ),
        (lambda s: s.table("models"), "cannot read table 'models'"),
        (lambda s: s.table("trips"), "cannot read trips in .*: it has no version"),
        (lambda s: s.metrics("v9"), "cannot read version v9 of predictions in .*: it does not exist"),
        (lambda s: s.model("v9"), "cannot find model v9"),
        (lambda s: s.model(99), "cannot find model 99"),
        (lambda s: s.monitoring(99), "cannot find model 99"),
        (lambda s: s.monitoring("v1", analysis_months="2021-01"), "cannot monitor 2021-01"),
        (lambda s: s.lineage("v1", month="2021-01"), "has no month 2021-01"),
    ],
)
def test_missing_versions_tables_and_months_are_errors(read, message, store):
    with pytest.raises(errors.ToytipError, match=message) as caught:
        read(store)
    assert "\n" not in str(caught.value)


def test_an_empty_store_can_be_opened(tmp_path):
    empty = toytip.open_store(tmp_path / "none", "prod")
    assert empty.versions().empty
    assert (empty.env, empty.path) == ("prod", f"{tmp_path}/none/prod")
    with pytest.raises(errors.StoreError, match=r"cannot read predictions in .*: it has no version"):
        empty.predictions()


def test_a_version_without_files_is_an_empty_frame(store):
    from dataclasses import replace

    manifest = replace(store.manifest("v1"), files=())
    frame = read_table.read_table(store._versions, manifest, TLC)
    assert len(frame) == 0
    assert frame.dtypes.equals(store.predictions("v1").dtypes)


# lineage and metrics


def test_lineage_and_diff_equal_the_output_of_the_commands(store, done):
    options = ("--store", store.settings.store, "--json")
    lineage = json.loads(run_toytip("version", "lineage", "v1/2020-02", *options).stdout)
    assert to_json(store.lineage("v1", month="2020-02")) == lineage
    diff = json.loads(run_toytip("version", "diff", "v1", "v1", *options).stdout)
    assert to_json(store.diff("v1", "v1")) == diff
    assert store.manifest("v1", "features").rows == done.rows["kept"]
    assert store.lineage("v1", "features").table == "features"


def test_the_evaluation_equals_the_file_of_the_run(store, done):
    stored = Path(done.json()["evaluation_path"]).read_text()
    assert to_json(store.evaluation("v1")) == json.loads(stored)


def test_metrics_equal_those_of_the_rows(store):
    rows = store.predictions("v1").compute()
    rows = rows[rows["split"] == "test"]
    metrics = store.metrics("v1").loc[("test", "all")]
    assert metrics["rows"] == len(rows)
    assert metrics["prevalence"] == pytest.approx(rows["high_tip"].mean())
    hits = (rows["prediction"] & rows["high_tip"]).sum()
    assert metrics["f1"] == pytest.approx(2 * hits / (rows["prediction"].sum() + rows["high_tip"].sum()))
    assert metrics["brier"] == pytest.approx(((rows["probability"] - rows["high_tip"]) ** 2).mean(), abs=1e-4)


# models


@pytest.fixture(scope="module")
def raw(synthetic):
    return pd.read_parquet(synthetic / month_file_name(Month(2020, 4)))


def test_a_model_gives_the_probabilities_of_the_batch_pipeline(store, raw):
    model = store.model("v1")
    scored = model.predict(raw)
    batch = store.predictions("v1", months="2020-04").compute()
    row = batch["trip_id"].to_numpy() % 10**9
    assert np.array_equal(scored["probability"].to_numpy()[row], batch["probability"].to_numpy())
    assert scored["prediction"].iloc[row].tolist() == batch["prediction"].tolist()
    rejects = store.rejects("v1", months="2020-04").compute()
    rejects = rejects[rejects["reason"] != "out_of_month"]  # a single trip has no month of a file
    rules = scored["reason"].iloc[rejects["trip_id"] % 10**9]
    # Missing fields that the model does not need have placeholders.
    assert (rules.isna() | (rules.to_numpy() == rejects["reason"].to_numpy())).all()
    assert rules.notna().mean() > 0.8


def test_a_model_takes_frames_tables_dicts_and_partitions(store, raw, synthetic):
    import pyarrow as pa

    model = pickle.loads(pickle.dumps(store.model("v1")))  # noqa: S301
    few = raw.iloc[10:20]
    scored = model.predict(few, shap_top=2)
    assert scored.index.tolist() == few.index.tolist()
    assert {len(explanations) for explanations in scored["explanations"]} == {2}
    largest, second = scored["explanations"].iloc[0]
    assert abs(largest.log_odds) >= abs(second.log_odds)
    assert {largest.feature, second.feature} <= set(model.features)
    plain = scored.drop(columns="explanations").reset_index(drop=True)
    pd.testing.assert_frame_equal(model.predict(pa.Table.from_pandas(few)), plain)
    trips = few.astype(object).where(few.notna(), None).to_dict("records")
    pd.testing.assert_frame_equal(model.predict(trips), plain)
    assert model.predict(raw.iloc[:0]).dtypes.equals(plain.dtypes)
    pd.testing.assert_frame_equal(model.predict([]), model.predict(raw.iloc[:0]), check_index_type=False)
    lazy = dask.dataframe.from_pandas(raw, npartitions=3)
    mapped = lazy.map_partitions(model.predict, meta=model.predict(raw.iloc[:0])).compute()
    pd.testing.assert_frame_equal(mapped, model.predict(raw))


def test_the_properties_of_a_model(store):
    model = store.model()
    assert (model.version, model.taxi, model.segment) == ("v1", "yellow", "all")
    assert model.features["payment_type"] == "payment"
    assert 0 < model.threshold < 1
    assert model.rounds <= 8
    assert model.gain_importance.sum() == pytest.approx(1)
    assert model.gain_importance.is_monotonic_decreasing
    assert "v1" in repr(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="PULocationID"), "PULocationID is missing, and the model needs it"),
        (
            lambda f: f.assign(fare_amount="much"),
            "the trips: column fare_amount has 2 of 2 values that are not a number",
        ),
    ],
)
def test_trips_that_cannot_be_scored(change, message, store, raw):
    with pytest.raises(errors.SchemaError, match=message) as caught:
        store.model("v1").predict(change(raw.iloc[:2]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("trips", ["trips.parquet", {"PULocationID": 74}, [74], 74])
def test_other_types_are_rejected(trips, store):
    with pytest.raises(TypeError, match="expected a pandas DataFrame, an Arrow table or a list of dicts"):
        store.model("v1").predict(trips)


# monitoring


def test_monitoring_equals_the_output_of_the_command(store):
    monitoring = store.monitoring("v1")
    printed = json.loads(
        run_toytip("monitor", "--model", "v1", "--store", store.settings.store, "--dry-run", "--json").stdout
    )
    assert monitoring.json() == printed
    assert (monitoring.model, monitoring.version) == ("v1", None)
    performance = monitoring.performance
    assert performance.index.tolist() == ["reference", "2020-04"]
    parts = ["f1_by_segment_share", "f1_by_prevalence", "f1_by_model"]
    assert performance[parts].sum(axis=1).tolist() == pytest.approx(performance["f1_change"].tolist())
    assert monitoring.days.index.is_monotonic_increasing
    assert monitoring.days.loc["2020-04-30", "rolling_rows"] > monitoring.days.loc["2020-04-30", "rows"]
    drift = monitoring.drift.loc["2020-04"]
    assert drift["importance"].is_monotonic_decreasing
    assert drift.loc["trip_distance", "psi"] >= 0
    assert set(monitoring.alerts["month"]) <= {"2020-04"}
    assert len(monitoring.alert_history) == len(printed["alert_history"])
    unlabelled = store.monitoring("v1", labels_until="2020-03").performance
    assert unlabelled.loc["2020-04", "f1":"recall"].isna().all()
    assert unlabelled.loc["2020-04", "estimated_f1"] > 0


def test_monitor_publishes_its_measurements(store):
    monitoring = toytip.monitor("v1", store=store.settings.store, alert_psi=0.001, version_id="v3")
    assert monitoring.version == "v3"
    published = store.table("monitoring", "v3").compute()
    assert published["alert"].any()
    assert published.loc[published["measure"] == "psi", "threshold"].dropna().unique().tolist() == [0.001]
