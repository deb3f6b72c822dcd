"""The model registry in a database file, with models of real runs."""

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest

from tests.support.run_probes import wait_for_run
from tests.support.runs import parse_summary, require_error, run_toytip, start_toytip
from toytip.config import Settings
from toytip.core.jsonable import to_json
from toytip.errors import ConfigError, RegistryError
from toytip.models import package, trip_columns
from toytip.models.card import CARD_FILE, read_card
from toytip.models.mlflow_env import silence_mlflow
from toytip.models.registry import LIST_HINT, ChampionChangedError, Registry, open_registry
from toytip.store.store import Store


@pytest.fixture(scope="module")
def runs(synthetic, tmp_path_factory):
    """Four runs on one store: a first model, a worse and a better one, and a dry run."""
    store = tmp_path_factory.mktemp("registry") / "store"

    def run(*more):
        args = ("run", "--source", synthetic, "--store", store, "--workers", 2, "--gate", "on", "--json")
        return parse_summary(run_toytip(*args, *more))

    results = {
        "first": run("--rounds", 5),
        "worse": run("--rounds", 1, "--max-depth", 1),
        "better": run("--rounds", 80),
        "dry run": run("--rounds", 2, "--gate", "dry-run"),
    }
    return store, results


@pytest.fixture
def models_json(runs, invoke_cli):
    """Return the JSON of a command on registered models."""
    return lambda *args: parse_summary(invoke_cli("model", *args, "--store", runs[0], "--json"))


@pytest.fixture
def registered(models_json):
    """Return the registered models by model number."""

    def list_models():
        models = models_json("list")["models"]["toytip-dev-yellow-all"]
        return {model["number"]: model for model in models}

    return list_models


def test_first_good_model_becomes_champion(runs):
    promotion = runs[1]["first"]["promotion"]
    keys = ("decision", "number", "is_champion")
    assert [promotion[key] for key in keys] == ["promoted", 1, True]
    assert all(check["passed"] for check in promotion["checks"])
    message = "8 trips of the golden set have the stored probabilities"
    assert promotion["checks"][-1]["message"] == message


def test_worse_challenger_is_rejected_with_reasons(runs, registered):
    promotion = runs[1]["worse"]["promotion"]
    assert (promotion["decision"], promotion["aliases"]) == ("rejected", ["challenger"])
    assert any("champion 0." in reason for reason in promotion["promotion_reasons"])
    assert registered()[2]["decision"] == "rejected"


def test_better_challenger_is_promoted(runs):
    results = runs[1]
    promotion = results["better"]["promotion"]
    keys = ("decision", "number", "aliases")
    assert [promotion[key] for key in keys] == ["promoted", 3, ["champion"]]
    evaluation = results["better"]["evaluation"]["test"]["all"]
    assert evaluation["improvement"]["champion"]["log_loss"] > 0
    first = results["first"]["metrics"]["test"]["all"]
    assert evaluation["baselines"]["champion"]["log_loss"] == pytest.approx(first["log_loss"], abs=1e-12)


def test_dry_run_registers_nothing(runs, registered):
    assert runs[1]["dry run"]["promotion"]["decision"] == "would_reject"
    assert sorted(registered()) == [1, 2, 3]


def test_package_has_a_card_and_no_pickle(runs, models_json):
    store, results = runs
    model = models_json("show", "champion")
    card = model["card"]
    assert model["run_version"] == card["run_version"] == results["better"]["model"]["version"]
    assert card["features"]["payment_type"] == "payment"
    features = next(parent for parent in card["lineage"]["parents"] if parent["table"] == "features")
    assert features["parents"]
    assert all(file["rows"] > 0 for file in features["parents"])
    assert all(file["checksum"].startswith("sha256:") for file in features["parents"])
    assert card["evaluation"]["test"]["card"]["improvement"]["group_mean"]["auc"] is not None
    suffixes = {path.suffix for path in (store / "dev/_registry/models").rglob("*") if path.is_file()}
    assert suffixes <= {".ubj", ".json", ".txt", ".yaml", ".py", ".parquet", ""}


def test_mlflow_loads_the_model_and_scores_as_toytip_does(runs):
    store = runs[0]
    registry = open_registry(Settings.load(store=str(store)), "yellow", "all")
    with registry.open_files(registry.find_model("champion")) as folder:
        golden_set = json.loads((folder / package.GOLDEN_SET_FILE).read_text())
        program = (
            "import sys, json, mlflow.pyfunc, pandas\n"
            "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
            "trips = pandas.DataFrame(json.loads(sys.argv[2]))\n"
            "print(json.dumps(model.predict(trips).tolist()))"
        )
        command = [sys.executable, "-c", program, str(folder.parents[1]), json.dumps(golden_set["trips"])]
        process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(process.stdout) == golden_set["probability"]


def test_moved_or_copied_store_uses_its_own_registry(runs, tmp_path):
    original = runs[0]
    files = {path for path in original.rglob("*") if path.is_file()}

    def register(store, version):
        registry = open_registry(Settings.load(store=str(store)), "yellow", "all")
        with registry.open_files(registry.find_model("1")) as folder:
            registered = registry.register(folder.parents[1], version, tags={}, metrics={})
        for model in registry.list_models():
            assert model.artifact_uri.startswith(store.as_uri())
            with registry.open_files(model) as folder:
                package.load_package(folder)
        return registered.number

    shutil.copytree(original / "dev" / "_registry", tmp_path / "copy" / "dev" / "_registry")
    number = register(tmp_path / "copy", "v8")
    (tmp_path / "copy").rename(tmp_path / "moved")
    assert register(tmp_path / "moved", "v9") == number + 1
    assert not (tmp_path / "copy").exists()
    assert {path for path in original.rglob("*") if path.is_file()} == files


def test_changed_file_is_rejected(runs, tmp_path):
    shutil.copytree(runs[0] / "dev" / "_registry", tmp_path / "moved" / "dev" / "_registry")
    registry = open_registry(Settings.load(store=str(tmp_path / "moved")), "yellow", "all")
    champion = registry.find_model("champion")
    with registry.open_files(champion) as folder:
        model = package.load_package(folder)
        path = folder / package.GOLDEN_SET_FILE
        golden_set = json.loads(path.read_text())
        golden_set["probability"][3] += 2**-24
        path.write_text(json.dumps(golden_set))
        with pytest.raises(RegistryError, match="trip 3 of the golden set has the probability"):
            package.verify_package(folder)
    changed = r"cannot load model 3 .* golden_set.json is missing or does not have the registered checksum"
    with pytest.raises(RegistryError, match=changed), registry.open_files(champion):
        pass
    assert trip_columns.required_fields(model) == (
        "pickup_at",
        "dropoff_at",
        "fare_amount",
        "trip_distance",
        "PULocationID",
        "DOLocationID",
    )


def test_invalid_card_is_rejected(runs, tmp_path):
    registry = open_registry(Settings.load(store=str(runs[0])), "yellow", "all")
    with registry.open_files(registry.find_model("champion")) as folder:
        shutil.copy(folder / CARD_FILE, tmp_path)
    card = read_card(tmp_path)
    assert to_json(card) == json.loads((tmp_path / CARD_FILE).read_text())
    (tmp_path / CARD_FILE).write_text(json.dumps({**to_json(card), "rounds": None}))
    with pytest.raises(RegistryError, match=r"cannot read model_card.json .* it has a different format"):
        read_card(tmp_path)


def test_force_a_promotion_and_roll_back(runs, models_json, registered, invoke_cli):
    store, results = runs
    options = ("--store", store, "--workers", 2)
    rejected = run_toytip("model", "promote", "2", "--dry-run", *options)
    assert rejected.returncode == 1
    error, hint = rejected.stderr.splitlines()[-2:]
    assert error.startswith("error: cannot promote model 2: ")
    assert hint == "hint: Set --force and --reason TEXT to promote it anyway."
    forced = parse_summary(
        run_toytip("model", "promote", "2", "--force", "--reason", "a test", *options, "--json")
    )
    assert (forced["decision"], forced["promotion_reasons"][0]) == ("forced", "forced: a test")
    assert registered()[2]["promotion_reasons"][0] == "forced: a test"
    assert models_json("rollback") == {
        "champion": results["better"]["model"]["version"],
        "number": 3,
        "previous_champion": results["worse"]["model"]["version"],
    }
    assert registered()[2]["rolled_back_at"] is not None
    assert models_json("rollback")["champion"] == results["first"]["model"]["version"]
    last = invoke_cli("model", "rollback", "--store", store)
    assert last.returncode == 1
    error, hint = last.stderr.splitlines()
    assert error.startswith("error: cannot roll back the champion: ")
    assert error.endswith("there is no previous champion")
    assert "`toytip model promote`" in hint


def test_infer_with_the_champion(runs, models_json, invoke_cli):
    store = runs[0]
    inferred = run_toytip("stage", "infer", "--store", store, "--model", "champion", "--workers", 2, "--json")
    version = parse_summary(inferred)["tables"]["scores"]["version"]
    tables = parse_summary(invoke_cli("version", "show", version, "--store", store, "--json"))["tables"]
    champion = models_json("show", "champion")["run_version"]
    assert {"table": "models", "version": champion} in tables["scores"]["parents"]


def test_gc_keeps_registered_models(runs, invoke_cli):
    store, results = runs
    garbage = parse_summary(
        invoke_cli("version", "gc", "--keep", 1, "--dry-run", "--store", store, "--json")
    )["versions"]
    models = {item["version"] for item in garbage if item["table"] == "models"}
    assert results["first"]["model"]["version"] not in models
    assert {item["table"] for item in garbage} >= {"predictions"}


def test_evaluation_is_drawn(runs, tmp_path):
    picture = tmp_path / "evaluation.png"
    evaluated = run_toytip("stage", "evaluate", "--store", runs[0], "--workers", 2, "--output", picture)
    assert evaluated.returncode == 0, evaluated.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_compare(runs, models_json, invoke_cli):
    comparison = models_json("compare", "1", "3")
    assert comparison["comparable"]
    assert comparison["models"] == [runs[1][name]["model"]["version"] for name in ("first", "better")]
    assert comparison["params"]["rounds"] == [5, 80]
    assert "test all AUC" in invoke_cli("model", "compare", "1", "3", "--store", runs[0]).stdout


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "./mlruns", "databricks"])
def test_mlflow_file_store_is_not_supported(uri, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match="file store is not supported"):
        open_registry(Settings.load(store=str(tmp_path)), "yellow", "all")


def test_unreachable_server_is_reported_before_the_run_starts(synthetic, tmp_path):
    server = "http://127.0.0.1:9"
    options = ("--source", synthetic, "--store", tmp_path / "store", "--gate", "on")
    run = run_toytip("run", *options, MLFLOW_TRACKING_URI=server)
    assert (run.returncode, run.stdout) == (1, "")
    assert re.search(
        f"error: cannot .*MLflow server at {server}: connection refused", run.stderr, re.IGNORECASE
    )


def test_database_error_is_one_line(tmp_path, capfd):
    """MLflow would also log the error with a traceback."""
    file = tmp_path / "registry.db"
    registry = Registry(f"sqlite:///{file}", "x", str(tmp_path / "models"))
    with silence_mlflow():
        registry._client.search_registered_models()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("ALTER TABLE registered_models RENAME TO renamed")
    with pytest.raises(RegistryError, match="no such table") as raised:
        registry.list_models()
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_errors_have_a_hint(tmp_path, invoke_cli):
    store = tmp_path / "store"
    for args, message, words in (
        (("show", "champion"), "cannot find model champion: there is no champion", "`toytip model promote`"),
        (("rollback",), "cannot find model champion: there is no champion", "`toytip model promote`"),
        (
            ("show", "challenger"),
            "there is no challenger",
            "only if the latest registered model was not promoted",
        ),
        (("compare", "1", "7"), f"the registry of {store}/dev has no model with this name", LIST_HINT),
        (("show", "1", "--taxi", "green"), "cannot find model 1 for green taxis", LIST_HINT),
    ):
        require_error(invoke_cli("model", *args, "--store", store), message, words)
    (store / "dev" / "_staging").mkdir(parents=True)
    (store / "dev" / "_staging" / "v1.lock").touch()
    assert f"no models in the registry of {store}" in invoke_cli("model", "list", "--store", store).stdout
    with pytest.raises(RegistryError, match="cannot find model 3: not registered") as raised:
        Registry(f"sqlite:///{tmp_path}/none.db", "x", str(tmp_path)).find_model("3")
    assert raised.value.hint == LIST_HINT


def test_challenger_is_rejected_if_the_champion_changed(runs, synthetic):
    store = runs[0]
    registry = open_registry(Settings.load(store=str(store)), "yellow", "all")
    champion, other = registry.champion(), registry.find_model("2")
    assert champion.number != other.number
    where = ("--source", synthetic, "--store", store, "--workers", 2, "--gate", "on")
    with start_toytip("run", *where, "--rounds", 60, "--version-id", "late", "--json") as run:
        # The run has read the champion, and has still to score the golden set in another process.
        wait_for_run(run, lambda: Store(str(store), "dev").get_manifest("predictions", "late") is not None)
        registry.promote(other, expected_champion=champion)
        stdout, stderr = run.communicate()
        assert run.returncode == 0, stderr
    promotion = json.loads(stdout)["promotion"]
    assert (promotion["decision"], promotion["aliases"]) == ("rejected", ["challenger"])
    reason = promotion["promotion_reasons"][0]
    assert f"{other.run_version} became the champion during the evaluation" in reason
    late = registry.find_model(str(promotion["number"]))
    assert (late.decision, late.promotion_reasons) == ("rejected", (reason,))
    with pytest.raises(ChampionChangedError):
        registry.promote(late, expected_champion=champion)
