"""Wait for the injection points of a run, which are defined by its progress and not by time.

The progress is what the run has stored: the rounds of its checkpoint, its complete files, and the
ranks that connect.
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import xgboost as xgb

from tests.support.reference_run import ReferenceRun
from toytip.store.store import Store
from toytip.training.boosting import read_checkpoint

# A run prints this if it loses a rank while it trains.
RANK_LOST_MESSAGE = "training attempt 1 of 3 failed"
CHECKPOINT_ROUNDS = 10


def wait_for_run(run: subprocess.Popen[str], condition: Callable[[], bool]) -> float:
    """Wait until a condition is true of an unfinished run. Returns the time."""
    while not condition():
        assert run.poll() is None, "the run ended before the condition was true"
        time.sleep(0.005)
    return time.monotonic()


def checkpoint_rounds(store: Store) -> int:
    """Return the number of rounds of the training's checkpoint, or 0 if there is none."""
    for name, info in store.file_io.list_files(store.layout.checkpoints).items():
        if name.endswith(".checkpoint"):
            with contextlib.suppress(FileNotFoundError):
                return _booster_rounds(store, name, info.etag)
    return 0


@functools.cache
def _booster_rounds(store: Store, name: str, etag: str) -> int:
    return int(xgb.Booster(model_file=read_checkpoint(store.file_io.read(name))).num_boosted_rounds())


def wait_for_round(run: subprocess.Popen[str], store: Store, number: int, *, between: bool = False) -> None:
    """Wait for the checkpoint of a round, or halfway to the next one (`between`)."""
    previous = wait_for_run(run, lambda: checkpoint_rounds(store) >= number - CHECKPOINT_ROUNDS)
    now = wait_for_run(run, lambda: checkpoint_rounds(store) >= number)
    time.sleep((now - previous) / 2 if between else 0)


def is_training(store: Store, rounds: int) -> bool:
    """Return whether a started training has rounds left."""
    return checkpoint_rounds(store) < rounds and not store.list_tables("models")


def count_staged_files(store: Store, table: str) -> int:
    """Return the number of complete files of a version that is being written."""
    staged = store.file_io.list_files(store.layout.staging)
    notes = (store.layout.parse_note(name) for name in staged)
    return sum(note is not None and note[1] == table for note in notes)


def wait_for_files(run: subprocess.Popen[str], store: Store, table: str, count: int) -> None:
    """Wait until a number of files of a table are complete."""
    wait_for_run(run, lambda: count_staged_files(store, table) >= count)


def count_files(reference: ReferenceRun, table: str) -> int:
    """Return the number of files of a table of the reference run."""
    root, summary = reference
    manifest = Store(str(root), "dev").get_manifest(table, summary["tables"][table]["version"])
    assert manifest is not None
    return len(manifest.files)


def is_being_written(store: Store, table: str, files: int) -> bool:
    """Return whether a table whose stage has started does not have all of its files yet."""
    return count_staged_files(store, table) < files and not store.list_tables(table)


def worker_processes(run: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the workers of a run, which are the children of its fork server, the oldest first."""
    server = next(child for child in psutil.Process(run.pid).children() if child.children())
    return sorted(server.children(), key=lambda child: child.create_time())


def rank_process(processes: list[psutil.Process], scratch: Path) -> psutil.Process:
    """Return the first of these workers that has loaded rows for training.

    A worker holds the lock of its folder in the local directory. A rank has another folder there.
    """
    folders = {folder.parent for folder in scratch.glob("*/worker-*/tmp*")}
    locks = {f"{folder}.dirlock" for folder in folders}
    return next(process for process in processes if locks & {file.path for file in process.open_files()})


def has_loaded_rows(scratch: Path) -> bool:
    """Return whether a worker has loaded rows for training."""
    return any(scratch.glob("*/worker-*/tmp*"))
