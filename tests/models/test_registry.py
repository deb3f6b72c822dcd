"""The registry, its gate and what is packed: on a real database file, with models of real runs."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys

import pytest

from tests.support.run_probes import wait_for_run
from tests.support.runs import parse_summary, run_toytip
from toytip.config import Settings
from toytip.errors import ConfigError, RegistryError
from toytip.models import package, scoring
from toytip.models.mlflow_env import silence_mlflow
from toytip.models.registry import ChampionChangedError, Registry, open_registry
from toytip.store.store import Store


@pytest.fixture(scope="module")
def runs(synthetic, tmp_path_factory):
    """Four runs on one store: a first model, a worse one, a better one, and one that is only judged."""
    store = tmp_path_factory.mktemp("registry") / "store"

    def run(*more):
        args = ("run", "--source", synthetic, "--store", store, "--workers", 2, "--gate", "on", "--json")
        return parse_summary(run_toytip(*args, *more))

    found = {
        "first": run("--rounds", 5),
        "worse": run("--rounds", 1, "--max-depth", 1),
        "better": run("--rounds", 80),
        "judged": run("--rounds", 2, "--gate", "dry-run"),
    }
    return store, found


@pytest.fixture
def told(runs, invoke_cli):
    """What `toytip models ... --json` says, asked in this process."""
    return lambda *args: parse_summary(invoke_cli("models", *args, "--store", runs[0], "--json"))


@pytest.fixture
def listed(told):
    return lambda: {entry["number"]: entry for entry in told("list")["models"]["toytip-dev-yellow"]}


def test_the_first_good_model_becomes_champion(runs):
    _, found = runs
    registry = found["first"]["promotion"]
    assert (registry["decision"], registry["number"], registry["champion"]) == ("promoted", 1, True)
    assert all(check["passed"] for check in registry["checks"])
    assert registry["checks"][-1]["told"] == "8 golden trips score as they did"


def test_a_worse_challenger_is_refused_with_reasons(runs, listed):
    found = runs[1]
    registry = found["worse"]["promotion"]
    assert (registry["decision"], registry["aliases"]) == ("refused", ["challenger"])
    assert any("the champion's" in reason for reason in registry["reasons"])
    assert listed()[2]["decision"] == "refused"


def test_a_better_challenger_is_promoted(runs):
    _, found = runs
    registry = found["better"]["promotion"]
    assert (registry["decision"], registry["number"], registry["aliases"]) == ("promoted", 3, ["champion"])
    beside = found["better"]["evaluation"]["test"]["all"]
    assert beside["improvement"]["champion"]["log_loss"] > 0
    first = found["first"]["metrics"]["test"]["all"]
    assert beside["baselines"]["champion"]["log_loss"] == pytest.approx(first["log_loss"], abs=1e-12)


def test_a_dry_run_registers_nothing(runs, listed):
    found = runs[1]
    assert found["judged"]["promotion"]["decision"] == "would stay challenger"
    assert sorted(listed()) == [1, 2, 3]


def test_what_is_packed_has_no_pickle_and_says_what_made_it(runs, told):
    store, found = runs
    entry = told("show", "champion")
    card = entry["card"]
    assert entry["version"] == card["version"] == found["better"]["model"]["version"]
    assert card["features"]["payment_type"] == "payment"
    features = next(parent for parent in card["data"]["parents"] if parent["table"] == "features")
    assert [file["rows"] for file in features["parents"]] == [f["rows"] for f in features["parents"]] != []
    assert all(file["checksum"].startswith("sha256:") for file in features["parents"])
    assert card["evaluation"]["test"]["card"]["improvement"]["hour_zone_mean"]["auc"] is not None
    names = {path.suffix for path in (store / "dev" / "_registry" / "models").rglob("*") if path.is_file()}
    assert names <= {".ubj", ".json", ".txt", ".yaml", ".py", ""}


def test_mlflow_loads_it_and_scores_as_the_batch_does(runs):
    store = runs[0]
    registry = open_registry(Settings.load(store=str(store)), "yellow")
    with registry.open_files(registry.find_model("champion")) as folder:
        golden = json.loads((folder / "golden_set.json").read_text())
        program = (
            "import sys, json, mlflow.pyfunc; from toytip.models.scoring import trips_to_table\n"
            "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
            "trips = trips_to_table(json.loads(sys.argv[2])).to_pandas()\n"
            "print(json.dumps([float(p) for p in model.unwrap_python_model().predict(None, trips)]))"
        )
        command = [sys.executable, "-c", program, str(folder.parents[1]), json.dumps(golden["trips"])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == golden["probability"]


def test_a_store_that_was_moved_or_copied_goes_on_where_it_is(runs, tmp_path):
    first, _ = runs
    before = {path for path in first.rglob("*") if path.is_file()}

    def registered(store, version):
        registry = open_registry(Settings.load(store=str(store)), "yellow")
        with registry.open_files(registry.find_model("1")) as folder:
            made = registry.register(folder.parents[1], version, tags={}, metrics={})
        for entry in registry.list_models():
            assert entry.address.startswith(store.as_uri())
            with registry.open_files(entry) as folder:
                package.load_package(folder)
        return made.number

    shutil.copytree(first / "dev" / "_registry", tmp_path / "copy" / "dev" / "_registry")
    number = registered(tmp_path / "copy", "v8")
    (tmp_path / "copy").rename(tmp_path / "moved")
    assert registered(tmp_path / "moved", "v9") == number + 1
    assert not (tmp_path / "copy").exists()
    assert {path for path in first.rglob("*") if path.is_file()} == before


def test_a_file_that_was_changed_is_refused(runs, tmp_path):
    store, _ = runs
    shutil.copytree(store / "dev" / "_registry", tmp_path / "moved" / "dev" / "_registry")
    registry = open_registry(Settings.load(store=str(tmp_path / "moved")), "yellow")
    entry = registry.find_model("champion")
    with registry.open_files(entry) as folder:  # a store that was moved is found again
        model = package.load_package(folder)
        path = folder / "golden_set.json"
        golden = json.loads(path.read_text())
        golden["probability"][3] += 2**-24
        path.write_text(json.dumps(golden))
        with pytest.raises(RegistryError, match="golden trip 3 scores"):
            package.verify_package(folder)
    with (
        pytest.raises(RegistryError, match=r"golden_set.json of model 3 .* is not what was registered"),
        registry.open_files(entry),
    ):
        pass
    assert scoring.required_fields(model) == (
        "pickup_at", "dropoff_at", "fare_amount", "trip_distance", "PULocationID", "DOLocationID",
    )  # fmt: skip


def test_promote_by_force_and_roll_back(runs, told, listed, invoke_cli):
    store, found = runs
    refused = run_toytip("models", "promote", "2", "--dry-run", "--store", store, "--workers", 2)
    assert refused.returncode == 1
    assert "it stays challenger (--force REASON" in refused.stderr.splitlines()[-1]
    command = ("models", "promote", "2", "--force", "to see it", "--store", store, "--workers", 2, "--json")
    forced = parse_summary(run_toytip(*command))
    assert (forced["decision"], forced["reasons"][0]) == ("forced", "forced: to see it")
    assert listed()[2]["reasons"][0] == "forced: to see it"
    back = told("rollback")
    assert back["champion"] == found["better"]["model"]["version"]
    assert told("rollback")["champion"] == found["first"]["model"]["version"]
    last = invoke_cli("models", "rollback", "--store", store)
    assert (last.returncode, last.stderr.count("\n")) == (1, 1)


def test_infer_with_the_champion(runs, told, invoke_cli):
    store = runs[0]
    done = run_toytip("infer", "--store", store, "--model", "champion", "--workers", 2, "--json")
    version = parse_summary(done)["tables"]["scores"]["version"]
    parents = parse_summary(invoke_cli("show", version, "--store", store, "--json"))["tables"]["scores"][
        "parents"
    ]
    assert {"table": "models", "version": told("show", "champion")["version"]} in parents


def test_gc_keeps_what_is_registered(runs, invoke_cli):
    store, found = runs
    going = parse_summary(invoke_cli("gc", "--keep", 1, "--dry-run", "--store", store, "--json"))["versions"]
    gone = {item["version"] for item in going if item["table"] == "models"}
    assert found["first"]["model"]["version"] not in gone
    assert {item["table"] for item in going} >= {"predictions"}


def test_evaluation_is_drawn(runs, tmp_path):
    done = run_toytip("evaluate", "--store", runs[0], "--workers", 2, "--picture", tmp_path / "e.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")


def test_compare(runs, told, invoke_cli):
    pair = told("compare", "1", "3")
    assert pair["same_test_rows"]
    assert pair["params"]["rounds"] == [5, 80]
    assert "test all auc" in invoke_cli("models", "compare", "1", "3", "--store", runs[0]).stdout


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "./mlruns", "databricks"])
def test_the_file_store_is_refused(uri, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match="file store is not supported"):
        open_registry(Settings.load(store=str(tmp_path)), "yellow")


def test_a_server_that_does_not_answer_is_told_before_the_work(synthetic, tmp_path):
    done = run_toytip(
        "run", "--source", synthetic, "--store", tmp_path / "s", "--gate", "on",
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "no MLflow server answers at http://127.0.0.1:9" in done.stderr.splitlines()[-1]


def test_what_the_database_says_is_one_line(tmp_path, capfd):
    """MLflow would log it with its traceback, too."""
    file = tmp_path / "registry.db"
    registry = Registry(f"sqlite:///{file}", "x", str(tmp_path / "models"))
    with silence_mlflow():
        registry._client.search_registered_models()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("ALTER TABLE registered_models RENAME TO gone")
    with pytest.raises(RegistryError, match="no such table") as caught:
        registry.list_models()
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_errors_name_a_way_out(tmp_path, invoke_cli):
    for args in (("show", "champion"), ("rollback",), ("compare", "1", "7")):
        done = invoke_cli("models", *args, "--store", tmp_path / "s")
        assert done.returncode == 1, args
        assert "see `toytip models list`" in done.stderr.splitlines()[-1]
    assert invoke_cli("models", "list", "--store", tmp_path / "s").stdout.count("no models in") == 1
    with pytest.raises(RegistryError, match="no model 3 is registered"):
        Registry(f"sqlite:///{tmp_path}/none.db", "x", str(tmp_path)).find_model("3")


def test_a_champion_that_came_in_the_meantime_is_a_refusal(runs, synthetic):
    store, _ = runs
    registry = open_registry(Settings.load(store=str(store)), "yellow")
    champion, other = registry.champion(), registry.find_model("2")
    assert champion.number != other.number
    command = [
        sys.executable, "-m", "toytip", "run", "--source", synthetic, "--store", store, "--workers", 2, "--gate", "on",
        "--rounds", 60, "--version", "late", "--json",
    ]  # fmt: skip
    run = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # It has met the champion, and the golden rows, which a process of their own answers, are before it.
    wait_for_run(run, lambda: Store(str(store), "dev").get_manifest("predictions", "late") is not None)
    registry.promote(other, expected_champion=champion)
    told, said = run.communicate()
    assert run.returncode == 0, said
    gated = json.loads(told)["promotion"]
    assert (gated["decision"], gated["aliases"]) == ("refused", ["challenger"])
    assert f"{other.version} has become the champion in the meantime" in gated["reasons"][0]
    late = registry.find_model(str(gated["number"]))
    assert (late.decision, list(late.reasons)) == ("refused", gated["reasons"])
    with pytest.raises(ChampionChangedError):
        registry.promote(late, expected_champion=champion)
