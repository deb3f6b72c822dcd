"""SQLite and MLflow's client read the same models from a database file."""

import contextlib
import sqlite3
import subprocess
import sys

import pytest

from tests.support.models import register, train_model
from toytip.config import Settings
from toytip.models.mlflow_env import silence_mlflow
from toytip.models.model_versions import read_from_file, read_with_client
from toytip.models.registry import open_registry

READ = """
import sys
from toytip.config import Settings
from toytip.models.registry import open_registry
models = open_registry(Settings.load(store=sys.argv[1]), "green", "all").list_models()
print(*(model.number for model in models), "mlflow" in sys.modules)
"""


@pytest.fixture
def registry(tmp_path):
    """A registry with three models of one name, one of them deleted, and one of another name."""
    model = train_model("green")
    for version in ("v1", "v2", "v3"):
        register(tmp_path, train_model("green", version=version), promote=version != "v3", note=version)
    register(tmp_path, train_model("green", "card", "v4"))
    registry = open_registry(Settings.load(store=str(tmp_path)), "green", model.encoding.segment)
    with silence_mlflow():
        registry._client.delete_model_version(registry.name, "2")
    return registry


def test_both_readers_return_the_same_models(registry, tmp_path):
    from_file = read_from_file(registry._database, registry.name, registry._artifact_uri)
    with silence_mlflow():
        assert from_file == read_with_client(registry._client, registry.name, registry._artifact_uri)
    assert [(model.number, model.run_version) for model in from_file] == [(1, "v1"), (3, "v3")]
    assert [model.aliases for model in from_file] == [(), ("challenger",)]
    assert read_from_file(registry._database, "unknown", registry._artifact_uri) == []


def test_a_reader_of_a_database_file_imports_no_mlflow(registry, tmp_path):
    command = [sys.executable, "-c", READ, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1 3 False\n"


@pytest.mark.parametrize("table", ["registered_models", "model_versions", "registered_model_aliases"])
def test_the_tables_of_a_different_mlflow_are_left_to_mlflow(tmp_path, table):
    file = tmp_path / "registry.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute(f"CREATE TABLE {table} (other TEXT)")
    assert read_from_file(file, "x", str) is None
