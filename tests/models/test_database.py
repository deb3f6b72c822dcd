"""The database file of a registry: concurrent and interrupted creations, and its lock."""

import contextlib
import re
import signal
import sqlite3
import subprocess
import sys

import pytest

from tests.support.registry_schema import create_with_migrations, migrated_schema
from tests.support.runs import wait_until
from toytip.errors import RegistryError
from toytip.models import database
from toytip.models.database import NEW_PREFIX, SCHEMA_FILE, lock_database
from toytip.models.mlflow_env import silence_mlflow

CREATE = """
import pathlib, sys
from toytip.models.database import ensure_database, open_client
file = pathlib.Path(sys.argv[1])
ensure_database(file)
print(len(open_client(f"sqlite:///{file}").search_experiments()))
"""


def start_creation(file):
    return subprocess.Popen(
        [sys.executable, "-c", CREATE, file], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def create(file):
    """Return the number of experiments in a new database. MLflow creates a default experiment."""
    with start_creation(file) as process:
        return int(process.communicate(timeout=200)[0])


def visible_files(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_concurrent_creations_make_one_database(tmp_path):
    file = tmp_path / "registry.db"
    processes = [start_creation(file) for _ in range(3)]
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert outputs == ["1\n"] * 3
    assert [process.returncode for process in processes] == [0] * 3
    assert visible_files(tmp_path) == ["registry.db", "registry.db.lock"]


@pytest.mark.parametrize(("number", "kilobytes"), [(signal.SIGINT, 4), (signal.SIGKILL, 200)])
def test_an_interrupted_creation_leaves_no_partial_database(tmp_path, number, kilobytes):
    file = tmp_path / "registry.db"
    with start_creation(file) as process:
        # The database grows by the tables of one migration after the other.
        wait_until(lambda: size_of_private_file(tmp_path) >= kilobytes * 1024)
        process.send_signal(number)
        process.communicate(timeout=100)
    assert not file.exists()
    assert create(file) == 1
    assert visible_files(tmp_path) == ["registry.db", "registry.db.lock"]
    assert not list(tmp_path.glob(f"{NEW_PREFIX}*"))


def size_of_private_file(folder):
    return sum(path.stat().st_size for path in folder.glob(f"{NEW_PREFIX}*/*.db"))


def test_the_schema_file_is_the_result_of_the_migrations():
    """After an update of MLflow, run `python -m tests.support.registry_schema`."""
    assert words_of(SCHEMA_FILE.read_text()) == words_of(migrated_schema())


@pytest.mark.parametrize("revision", [None, "of_a_newer_mlflow"])
def test_a_new_database_has_the_schema_of_the_installed_mlflow(tmp_path, monkeypatch, revision):
    schema = tmp_path / "schema.sql"
    schema.write_text(SCHEMA_FILE.read_text().replace(installed_revision(), revision or installed_revision()))
    monkeypatch.setattr(database, "SCHEMA_FILE", schema)
    created, migrated = tmp_path / "registry" / "registry.db", tmp_path / "migrated.db"
    with silence_mlflow():
        database.ensure_database(created)
    create_with_migrations(migrated)
    assert schema_of(created) == schema_of(migrated)


def installed_revision():
    return re.search(r"INSERT INTO .alembic_version. VALUES\('(\w+)'\)", SCHEMA_FILE.read_text())[1]


def words_of(sql):
    """Return the words of statements. The migrations create constraints in a random order."""
    return sorted((sql or "").replace(",", " ").split())


def schema_of(file):
    with contextlib.closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        (experiments,) = connection.execute("SELECT name FROM experiments").fetchall()
        revision = connection.execute("SELECT * FROM alembic_version").fetchall()
    return [(name, words_of(sql)) for name, sql in rows], experiments, revision


def test_a_lock_that_another_process_holds_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "LOCK_TIMEOUT_S", 0)
    file = tmp_path / "registry.db"
    with (
        lock_database(file),
        pytest.raises(RegistryError, match=r"cannot lock the registry .*: another process has held"),
        lock_database(file),
    ):
        pass
    with lock_database(file):
        assert not file.exists()
