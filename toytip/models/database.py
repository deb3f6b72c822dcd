"""The database file of a registry: its creation, its lock, and its client.

MLflow creates a database with about 40 migrations, which take seconds and are not one transaction.
The file `registry_schema.sql` contains their result, which SQLite loads in milliseconds. A newer
MLflow runs only its own additional migrations, and an older MLflow runs all migrations.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toytip.errors import RegistryError
from toytip.io.file_locks import lock_file

LOCK_TIMEOUT_S = 120
LOCK_POLL_S = 0.05
LOCAL_DATABASE = "MLFLOW_TRACKING_URI to sqlite:///FILE on a local disk, or to the URL of an MLflow server"
# Characters with a meaning in a URI.
URI_CHARACTERS = frozenset("?%#")
NEW_PREFIX = ".new-"
SCHEMA_FILE = Path(__file__).with_name("registry_schema.sql")


def database_uri(file: Path) -> str:
    """Return the URI of a database file for MLflow.

    SQLAlchemy and MLflow read a path with `?`, `%` or `#` in different ways. Such a folder gets a
    symbolic link, whose path has none of these characters.
    """
    if not set(str(file)) & URI_CHARACTERS:
        return f"sqlite:///{file}"
    return f"sqlite:///{_plain_folder(str(file.parent.absolute()))}/{file.name}"


@functools.lru_cache(maxsize=32)
def _plain_folder(folder: str) -> str:
    """Return the path of a symbolic link to a folder. The link is deleted when the process ends."""
    private = tempfile.mkdtemp(prefix="toytip-registry-")
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    link = Path(private, "folder")
    link.symlink_to(folder, target_is_directory=True)
    return str(link)


@contextlib.contextmanager
def lock_database(file: Path) -> Iterator[None]:
    """Hold the lock of a database file.

    The operating system releases the lock if the process ends. Raises RegistryError if another
    process holds the lock for two minutes.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("a") as lock:
        _acquire(lock.fileno(), file)
        yield


def _acquire(descriptor: int, file: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            return lock_file(descriptor, file, choice=LOCAL_DATABASE)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RegistryError(
                    f"cannot lock the registry {file}: another process has held the lock for "
                    f"{LOCK_TIMEOUT_S} s",
                    hint="End the process that uses the registry, and run the command again.",
                ) from None
            time.sleep(LOCK_POLL_S)


def open_client(uri: str) -> Any:
    """Return MLflow's client of a database file or of a tracking server."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def ensure_database(file: Path) -> None:
    """Create a database file, unless it exists.

    Only a complete database gets its name. An interrupted creation leaves at most a hidden folder,
    which the next creation deletes.
    """
    if file.is_file():
        return
    with lock_database(file):
        if file.is_file():
            return
        for abandoned in file.parent.glob(f"{NEW_PREFIX}*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=NEW_PREFIX, dir=file.parent) as folder:
            private, copied = _create_database(Path(folder)), Path(folder, "copy.db")
            # This process keeps connections to the private file. SQLite's locks do not work if one
            # process opens a file by two names, so the database gets a file of its own.
            shutil.copyfile(private, copied)
            with copied.open("rb+") as stream:
                os.fsync(stream.fileno())
            copied.replace(file)


def _create_database(folder: Path) -> Path:
    """Create a database in a private folder, and return its path."""
    file = folder / "private.db"
    _apply_schema(file)
    try:
        _initialize(file)
    except Exception:  # noqa: BLE001 - the schema is of a newer MLflow, whatever MLflow and Alembic raise
        file = folder / "migrated.db"
        _initialize(file)
    return file


def _apply_schema(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as database:
        # If this process ends now, the file is incomplete, but nobody uses it.
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(SCHEMA_FILE.read_text(encoding="utf-8"))


def _initialize(file: Path) -> None:
    """Let MLflow create all tables and rows that do not exist."""
    client = open_client(database_uri(file))
    client.search_experiments(max_results=1)
    client.search_registered_models(max_results=1)
