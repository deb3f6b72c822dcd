"""The database file of a registry: its creation, its lock, and its client.

MLflow creates a database with about 40 migrations, which take seconds and are not one transaction.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toytip.errors import RegistryError

LOCK_TIMEOUT_S = 120
LOCK_POLL_S = 0.05
NEW_PREFIX = ".new-"


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
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
            private, copied = Path(folder, "private.db"), Path(folder, "copy.db")
            client = open_client(f"sqlite:///{private}")
            # Each of the two calls creates tables, if they do not exist.
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
            # This process keeps connections to the private file. SQLite's locks do not work if one
            # process opens a file by two names, so the database gets a file of its own.
            shutil.copyfile(private, copied)
            with copied.open("rb+") as stream:
                os.fsync(stream.fileno())
            copied.replace(file)
