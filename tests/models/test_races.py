"""Several processes that use a registry at the same time, and registries that do not answer."""

import contextlib
import subprocess
import sys
import threading

import pyarrow.parquet as pq
import pytest

from tests.support import http_server
from tests.support.models import NO_REFERENCE, make_card, raw_month, register, train_model
from tests.support.runs import require_error
from toytip.config import Settings
from toytip.io import connection
from toytip.models.package import write_package
from toytip.models.registry import ChampionChangedError, open_registry

# Registers a packaged model, and promotes it if there is no champion yet.
REGISTER = """
import pathlib, sys
from toytip.config import Settings
from toytip.models.registry import ChampionChangedError, open_registry
store, package, version = sys.argv[1:]
registry = open_registry(Settings.load(store=store), "green", "all")
sys.stdin.readline()
model = registry.register(pathlib.Path(package), version, tags={}, metrics={})
try:
    registry.promote(model, expected_champion=None)
except ChampionChangedError as error:
    print(model.number, "rejected", error)
else:
    print(model.number, "promoted", model.run_version)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package") / "package"
    model = train_model("green")
    write_package(folder, model, make_card(model), NO_REFERENCE)
    return folder


def start_together(store, package, versions):
    """Register a model per version, each in a process of its own, and return their outputs."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", REGISTER, str(store), str(package), version],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for version in versions
    ]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    results = [process.communicate(timeout=240) for process in processes]
    assert [error for _, error in results] == [""] * len(versions)
    return [output.strip().split(maxsplit=2) for output, _ in results]


def test_runs_that_register_at_the_same_time_get_numbers_and_one_champion(package, tmp_path):
    """The registry does not exist yet, so one of the processes also creates the database."""
    outputs = start_together(tmp_path / "store", package, ["va", "vb"])
    assert sorted(number for number, *_ in outputs) == ["1", "2"]
    (winner,) = (detail for _, decision, detail in outputs if decision == "promoted")
    (cause,) = (detail for _, decision, detail in outputs if decision == "rejected")
    assert cause.endswith(f"{winner} became the champion during the evaluation")
    registry = open_registry(Settings.load(store=str(tmp_path / "store")), "green", "all")
    assert registry.champion().run_version == winner
    for model in registry.list_models():
        with registry.open_files(model) as folder:
            assert (folder / "model.ubj").is_file()


def test_the_model_of_a_run_is_registered_once(package, tmp_path):
    outputs = start_together(tmp_path / "store", package, ["va", "va"])
    assert outputs == [["1", "promoted", "va"]] * 2


def test_a_rollback_does_not_undo_the_promotion_of_another_process(tmp_path, invoke_cli, monkeypatch):
    store = tmp_path / "store"
    for version in ("v1", "v2"):
        register(store, train_model("green", version=version))
    registry = open_registry(Settings.load(store=str(store)), "green", "all")
    seen = registry.champion()
    register(store, train_model("green", version="v3"))
    with pytest.raises(ChampionChangedError, match="cannot roll back v2: v3 became the champion"):
        registry.rollback(expected_champion=seen)
    assert registry.champion().run_version == "v3"
    monkeypatch.setattr("toytip.models.resolve.find_by_name", lambda models, _: models[1] if models else None)
    done = invoke_cli("model", "rollback", "--store", store, "--taxi", "green", "--segment", "all")
    require_error(done, "cannot roll back v2: v3 became the champion", "`toytip model list`")


@contextlib.contextmanager
def serve_answers(answer):
    """Serve HTTP on a free port of this machine, and yield the URL."""

    class Handler(http_server.Handler):
        stopped = threading.Event()

        def respond(self):
            answer(self)

    with http_server.serve(Handler) as port:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            Handler.stopped.set()


def answer_with_failure(request):
    request.answer(500, b"Internal Server Error")


def answer_with_a_page(request):
    request.answer(200, b"<html>")


def wait_for_ever(request):
    request.stopped.wait()
    request.close_connection = True


def close_the_connection(request):
    request.close_connection = True


@pytest.fixture
def use_server(monkeypatch, tmp_path, invoke_cli):
    """Run a command that uses an MLflow server."""

    def invoke(url, command):
        for name, value in {
            "MLFLOW_TRACKING_URI": url,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "1",
        }.items():
            monkeypatch.setenv(name, value)
        pq.write_table(raw_month("green").slice(0, 3), tmp_path / "trips.parquet")
        return invoke_cli(*command.split(), "--store", tmp_path / "store")

    return invoke


@pytest.mark.parametrize(
    ("answer", "failure", "cause", "hint"),
    [
        (answer_with_failure, "cannot use", "500", "Check MLFLOW_TRACKING_URI"),
        (answer_with_a_page, "cannot use", "it is not an MLflow server", "Check MLFLOW_TRACKING_URI"),
        (
            close_the_connection,
            "cannot connect to",
            "the server closed the connection",
            "the server is running",
        ),
        (wait_for_ever, "cannot connect to", "no answer within 1 s", "the server is running"),
    ],
)
@pytest.mark.parametrize("command", ["model list", "score trips.parquet"])
@pytest.mark.usefixtures("short_answer")
def test_a_server_that_fails_is_one_error(command, answer, failure, cause, hint, use_server):
    with serve_answers(answer) as url:
        done = use_server(url, command)
    require_error(done, f"{failure} the MLflow server at {url}: ", hint)
    assert cause in done.stderr
    assert len(done.stderr.splitlines()[0]) < 300


def test_a_server_has_15_seconds_for_an_answer():
    assert connection.ANSWER_TIMEOUT_S == 15


@pytest.mark.parametrize("command", ["model list", "score trips.parquet", "serve", "monitor"])
def test_a_server_that_is_not_running_is_one_error(command, use_server):
    done = use_server("http://127.0.0.1:9", command)
    require_error(
        done, "cannot connect to the MLflow server at http://127.0.0.1:9: ", "the server is running"
    )
