"""The model registry on a complete MLflow server, which `make test-store` installs."""

import pyarrow.parquet as pq
import pytest

from tests.support.mlflow_server import run_mlflow_server
from tests.support.runs import parse_summary, require_error, run_toytip
from toytip.models.database import open_client
from toytip.models.experiment import MAX_BATCH, log_metrics
from toytip.models.mlflow_env import silence_mlflow

pytestmark = [pytest.mark.object_store, pytest.mark.timeout(900)]
NAME = "toytip-dev-yellow-all"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that stores the files of models in a folder of its own, and allows one host name."""
    folder = tmp_path_factory.mktemp("server")
    options = ("--artifacts-destination", folder / "files", "--allowed-hosts", "127.0.0.1:*")
    with run_mlflow_server(folder, *options) as port:
        yield folder, port


@pytest.fixture(scope="module")
def call(server, synthetic, tmp_path_factory):
    """Return the result of a command with the server as registry."""
    store = tmp_path_factory.mktemp("store")

    def run(*words, store=store):
        tracking = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{server[1]}"}
        return parse_summary(run_toytip(*words, "--store", store, "--json", **tracking))

    return run


@pytest.fixture(scope="module")
def runs(call, synthetic):
    """A first model, and a better one."""
    words = ("run", "--source", synthetic, "--workers", 2, "--gate", "on")
    return [call(*words, "--rounds", rounds) for rounds in (5, 60)]


def champions(call):
    return {model["number"]: model["aliases"] for model in call("model", "list")["models"][NAME]}


def test_a_server_registers_compares_and_rolls_back_models(runs, call, server, synthetic, tmp_path):
    first, better = (run["promotion"] for run in runs)
    assert [(item["decision"], item["number"], item["is_champion"]) for item in (first, better)] == [
        ("promoted", 1, True),
        ("promoted", 2, True),
    ]
    improvement = runs[1]["evaluation"]["test"]["all"]["improvement"]["champion"]
    assert improvement["log_loss"] > 0
    assert champions(call) == {1: [], 2: ["champion"]}
    files = {path.name for path in (server[0] / "files").rglob("*") if path.is_file()}
    assert {"MLmodel", "model.ubj", "golden_set.json"} <= files
    assert "toytip-probe.txt" not in files
    file, output = min(synthetic.glob("*.parquet")), tmp_path / "scores.parquet"
    for version in (runs[1]["version"], runs[0]["version"]):
        scored = call("score", file, "--output", output, store=tmp_path / "elsewhere")
        assert scored["model_version"] == version
        assert scored["scored_count"] > 1_000
        assert pq.read_metadata(output).num_rows == pq.read_metadata(file).num_rows
        if version == runs[1]["version"]:
            assert call("model", "rollback")["champion"] == runs[0]["version"]
    assert champions(call) == {1: ["champion"], 2: []}


def test_more_metrics_than_a_request_can_have_are_stored(server):
    with silence_mlflow():
        client = open_client(f"http://127.0.0.1:{server[1]}")
    metrics = {f"auc_{number}": number / 10 for number in range(2 * MAX_BATCH + 1)}
    run = client.create_run("0").info.run_id
    log_metrics(client, run, metrics)
    assert client.get_run(run).data.metrics == metrics


def test_a_host_name_that_the_server_does_not_allow_is_an_error(server, synthetic, tmp_path):
    uri = f"http://localhost:{server[1]}"
    words = ("run", "--source", synthetic, "--store", tmp_path / "store", "--workers", 1, "--gate", "on")
    refused = run_toytip(*words, "--progress", "none", MLFLOW_TRACKING_URI=uri)
    require_error(refused, "Invalid Host header", f"--allowed-hosts localhost:{server[1]}")
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("root", ["root", "/proc/nosuch"])
def test_a_folder_as_artifact_root_is_tried_before_the_work(root, synthetic, tmp_path):
    """The folder is that of the server and of this machine, or this machine cannot write to it."""
    words = ("run", "--source", synthetic, "--store", tmp_path / "store", "--rounds", 3, "--workers", 1)
    root = tmp_path / root
    with run_mlflow_server(tmp_path, "--no-serve-artifacts", "--default-artifact-root", root) as port:
        tracking = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
        process = run_toytip(*words, "--gate", "on", "--progress", "none", "--json", **tracking)
    if root.is_relative_to("/proc"):
        require_error(process, f"cannot store files of models in {root}", "--serve-artifacts")
        assert not list(tmp_path.rglob("*.parquet"))
    else:
        assert parse_summary(process)["promotion"]["number"] == 1
        assert process.stderr == ""
        assert len(list(root.rglob("model.ubj"))) == 1
