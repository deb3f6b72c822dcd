"""The database file of a registry: concurrent and interrupted creations, and its lock."""

import signal
import subprocess
import sys

import pytest

from tests.support.runs import wait_until
from toytip.errors import RegistryError
from toytip.models import database
from toytip.models.database import NEW_PREFIX, lock_database

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
    return sum(path.stat().st_size for path in folder.glob(f"{NEW_PREFIX}*/private.db"))


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
