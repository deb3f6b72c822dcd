"""A registry that cannot be used fails a run before its work, with a hint that can be followed."""

import contextlib
import os
import shutil
import socketserver
import sqlite3

import pytest

from tests.support import http_server
from tests.support.mlflow_stub import run_mlflow_stub
from tests.support.runs import require_error, run_toytip
from tests.support.s3_faults import run_faulty_server
from toytip.cluster.certificates import create_certificates
from toytip.errors import RegistryError, StoreError
from toytip.models.database import SCHEMA_FILE, lock_database
from toytip.models.mlflow_env import REQUEST_LIMITS, silence_mlflow
from toytip.models.registry import Registry
from toytip.models.registry_check import check_database, check_server


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    names = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or "MLFLOW_TRACKING" in name or name in names:
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path):
    """A database of the installed MLflow."""
    path = tmp_path / "registry.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(SCHEMA_FILE.read_text())
    return path


def set_revision(file, revision):
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])
        database.commit()


def make_folder(file):
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("damage", "cause", "hint"),
    [
        (make_folder, "it is not a file", "move it away to start with an empty registry"),
        (lambda file: file.write_bytes(b"no database" * 100), "not a database", "move it away"),
        (
            lambda file: set_revision(file, "ffff00000000"),
            "the installed MLflow does not know the revision ffff00000000",
            "Install the MLflow that wrote the database",
        ),
        (
            lambda file: set_revision(file, "451aebb31d03"),
            "an older MLflow wrote the database (revision 451aebb31d03)",
            "run `mlflow db upgrade 'sqlite:///",
        ),
    ],
)
def test_a_database_that_mlflow_cannot_use_is_an_error(damage, cause, hint, file):
    damage(file)
    with pytest.raises(RegistryError, match="cannot open the registry ") as caught:
        check_database(file)
    assert cause in str(caught.value)
    assert hint in caught.value.hint
    assert "--gate off" in caught.value.hint
    assert str(file) in caught.value.hint


def test_a_database_that_mlflow_can_use_passes(file, tmp_path):
    check_database(file)
    check_database(tmp_path / "none.db")
    (tmp_path / "empty.db").touch()
    check_database(tmp_path / "empty.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.db", "registry.db"]


def test_a_locked_database_is_an_error(file, monkeypatch):
    monkeypatch.setattr("toytip.models.registry_check.BUSY_TIMEOUT_S", 0)
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RegistryError, match="another process has locked the database") as caught:
            check_database(file)
    assert "End the process" in caught.value.hint


def test_the_hint_names_the_variable_only_if_it_is_set(file, monkeypatch):
    make_folder(file)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    with pytest.raises(RegistryError) as caught:
        check_database(file)
    assert "Check MLFLOW_TRACKING_URI" in caught.value.hint


@pytest.mark.parametrize("name", ["a b", "50%25", "50%", "a#b", "a?b", "it's", "zażółć"])
def test_the_folder_of_a_registry_can_have_any_name(name, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    registry = Registry(f"sqlite:///{folder / 'registry.db'}", "x", str(folder / "models"))
    with silence_mlflow():
        registry._client.create_registered_model("x")
    assert {path.name for path in folder.iterdir()} == {"models", "registry.db", "registry.db.lock"}
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with contextlib.closing(sqlite3.connect(folder / "registry.db")) as database:
        assert database.execute("SELECT name FROM registered_models").fetchall() == [("x",)]


def test_a_folder_that_cannot_be_locked_is_an_error(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with (
        pytest.raises(StoreError, match="does not support locks") as caught,
        lock_database(tmp_path / "x.db"),
    ):
        pass
    assert "MLFLOW_TRACKING_URI" in caught.value.hint


@pytest.fixture
def stub():
    with run_mlflow_stub() as running:
        yield running


def test_a_server_is_read_and_written_before_a_run(stub):
    Registry(stub.uri, "x", None).require_usable(write=True)
    assert any("registered-models/search" in request for request in stub.requests)
    assert any(request.startswith("PUT") for request in stub.requests)
    assert not stub.artifacts, "the small file is deleted again"


def test_mlflow_trusts_the_authority_that_toytip_trusts(stub, tmp_path, monkeypatch):
    create_certificates(tmp_path / "tls", ["127.0.0.1"])
    pem = tmp_path / "server.pem"
    pem.write_bytes((tmp_path / "tls/node.pem").read_bytes() + (tmp_path / "tls/node.key").read_bytes())
    with run_faulty_server(stub.uri, pem) as tls:
        with pytest.raises(StoreError, match="its certificate is not trusted"):
            Registry(tls.endpoint, "x", None).require_usable(write=False)
        monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls/ca.pem"))
        Registry(tls.endpoint, "x", None).require_usable(write=True)
        monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")


def test_a_dry_run_writes_nothing(stub):
    Registry(stub.uri, "x", None).require_usable(write=False)
    assert all(request.startswith("GET") for request in stub.requests)


def test_a_server_on_this_machine_is_reached_without_the_proxy(stub, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    Registry(stub.uri, "x", None).require_usable(write=True)
    assert stub.requests


@pytest.mark.parametrize(
    ("refusal", "cause", "hint"),
    [
        (
            (403, "Invalid Host header - possible DNS rebinding attack detected"),
            "Invalid Host header",
            "--allowed-hosts 127.0.0.1:",
        ),
        ((404, "not here"), "it is not an MLflow server (status 404)", "--gate off"),
        ((200, "<html>"), "it is not an MLflow server (status 200)", "--gate off"),
        ((502, "bad gateway"), "it answers 502 bad gateway", "--gate off"),
    ],
)
def test_a_server_that_refuses_requests_is_told_in_its_words(refusal, cause, hint, stub):
    stub.refusal = refusal
    with pytest.raises(RegistryError, match="cannot use the MLflow server at ") as caught:
        Registry(stub.uri, "x", None).require_usable(write=True)
    assert cause in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize("location", ["mlflow-artifacts:/1", "/proc/nosuch/1", "unknown://x"])
def test_a_server_whose_artifacts_cannot_be_written_is_an_error(location, stub, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    stub.artifact_location, stub.refuses_artifacts = location, True
    with pytest.raises(RegistryError, match=f"cannot store files of models in {location}") as caught:
        Registry(stub.uri, "x", None).require_usable(write=True)
    assert "--serve-artifacts" in caught.value.hint
    if location.startswith("mlflow-artifacts"):
        assert str(caught.value).endswith("names: the server answers 500")


@pytest.mark.parametrize("lists_files", [True, False])
def test_a_folder_in_which_the_server_does_not_find_files_is_a_warning(lists_files, stub, tmp_path, caplog):
    stub.artifact_location, stub.lists_files = str(tmp_path / "root"), lists_files
    Registry(stub.uri, "x", None).require_usable(write=True)
    assert ("does not find them" in caplog.text) is not lists_files
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "the small file is deleted again"
    assert stub.requests[-1].endswith("/runs/delete")


def test_a_deleted_experiment_of_a_server_is_an_error(stub):
    stub.has_experiment, stub.lifecycle_stage = True, "deleted"
    with pytest.raises(RegistryError, match="the MLflow experiment x is deleted") as caught:
        Registry(stub.uri, "x", None).require_usable(write=True)
    assert f"MLFLOW_TRACKING_URI={stub.uri} mlflow experiments restore --experiment-id 1" in caught.value.hint


def test_a_deleted_experiment_of_a_database_is_an_error(tmp_path):
    registry = Registry(f"sqlite:///{tmp_path / 'registry.db'}", "x", str(tmp_path / "models"))
    registry.require_usable(write=True)
    with silence_mlflow():
        experiment = registry._experiment_id()
        registry.require_usable(write=True)
        registry._client.delete_experiment(experiment)
    registry.require_usable(write=False)
    with pytest.raises(RegistryError, match="the MLflow experiment x is deleted") as caught:
        registry.require_usable(write=True)
    assert f"mlflow experiments restore --experiment-id {experiment}`" in caught.value.hint
    with silence_mlflow():
        registry._client.restore_experiment(experiment)
    registry.require_usable(write=True)


@pytest.mark.parametrize(("retries", "requests"), [(None, 2), ("0", 1)])
def test_the_check_repeats_a_request_once_or_as_often_as_the_user_wants(retries, requests, stub, monkeypatch):
    stub.refuses_artifacts = True
    for name in REQUEST_LIMITS:
        monkeypatch.delenv(name, raising=False)
    if retries is not None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", retries)
    with pytest.raises(RegistryError, match="cannot store files of models"):
        Registry(stub.uri, "x", None).require_usable(write=True)
    assert len([request for request in stub.requests if request.startswith("PUT")]) == requests
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == (retries or "2")


def test_a_server_that_ends_during_a_run_is_told_in_words(stub, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = Registry(stub.uri, "x", None)
    registry.require_usable(write=False)
    stub.refusal = (503, "Service Unavailable")
    with pytest.raises(RegistryError, match=r"cannot open the registry x in http.*: the server answers 503"):
        registry.list_models()
    registry = Registry("http://127.0.0.1:9", "x", None)
    monkeypatch.setattr("toytip.models.registry.check_server", lambda _: None)
    with pytest.raises(
        RegistryError, match=r"cannot open the registry x in http.*: connection refused"
    ) as caught:
        registry.list_models()
    assert "Check MLFLOW_TRACKING_URI" in caught.value.hint


BROKEN_ANSWERS = {
    "the server closed the connection": b"",
    "the answer of the server is not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "the answer of the server is incomplete": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
}


@pytest.mark.parametrize("cause", BROKEN_ANSWERS)
def test_a_broken_connection_is_described_without_objects_of_the_client(cause):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            self.wfile.write(BROKEN_ANSWERS[cause])

    with http_server.serve(Handler) as port, pytest.raises(StoreError) as caught:
        check_server(f"http://127.0.0.1:{port}")
    assert str(caught.value) == f"cannot connect to the MLflow server at http://127.0.0.1:{port}: {cause}"


def test_a_run_fails_before_its_workers_start(stub, synthetic, tmp_path):
    stub.refusal = (403, "Invalid Host header")
    options = ("--source", synthetic, "--store", tmp_path / "store", "--gate", "on", "--workers", 1)
    refused = run_toytip("run", *options, "--progress", "none", MLFLOW_TRACKING_URI=stub.uri)
    require_error(refused, "Invalid Host header", "--allowed-hosts")
    assert not list(tmp_path.glob("store/dev/features/*"))
    folder = tmp_path / "store" / "dev" / "_registry" / "registry.db"
    folder.mkdir(parents=True)
    refused = run_toytip("run", *options, "--progress", "none")
    require_error(refused, "it is not a file", f"Restore {folder}")
    shutil.rmtree(folder)
