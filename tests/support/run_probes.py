"""Moments of a run, known by what it has kept so far: the rounds of a checkpoint, the parts that are whole, the ranks that meet."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import time
from collections.abc import Callable

import psutil
import xgboost as xgb

from tests.support.reference_run import ReferenceRun
from toytip.store.store import Store

# What a run says when it has lost a rank: training was under way, or it would have nothing to say.
RANK_LOST_MESSAGE = "training attempt 1 of 3 failed"


def wait_for_run(run: subprocess.Popen[str], condition: Callable[[], bool]) -> float:
    """Look, again and again, until it is seen of a run that is under way; return when that was."""
    while not condition():
        assert run.poll() is None, "it ended before that was seen"
        time.sleep(0.005)
    return time.monotonic()


def checkpoint_rounds(store: Store) -> int:
    """Return how many rounds the checkpoint of the training under way has; 0 where there is none yet, or no longer."""
    for name, info in store.file_io.list_files(store.layout.checkpoints).items():
        if name.endswith(".ubj"):
            with contextlib.suppress(FileNotFoundError):
                return _booster_rounds(store, name, info.etag)
    return 0


@functools.cache
def _booster_rounds(store: Store, name: str, mark: str) -> int:
    return int(xgb.Booster(model_file=bytearray(store.file_io.read(name))).num_boosted_rounds())


def wait_for_round(run: subprocess.Popen[str], store: Store, number: int, *, between: bool = False) -> None:
    """Wait until training has kept so many rounds; `between`: then half as long as it takes to the next checkpoint."""
    before = wait_for_run(run, lambda: checkpoint_rounds(store) >= number - 10)
    now = wait_for_run(run, lambda: checkpoint_rounds(store) >= number)
    time.sleep((now - before) / 2 if between else 0)


def is_training(store: Store, rounds: int) -> bool:
    """Tell whether a training that has begun has rounds before it."""
    return checkpoint_rounds(store) < rounds and store.newest_manifest("models") is None


def count_staged_parts(store: Store, table: str) -> int:
    """Return how many parts of a version that is being made are whole."""
    staged = store.file_io.list_files(store.layout.staging)
    notes = (store.layout.parse_note(name) for name in staged)
    return sum(note is not None and note[1] == table for note in notes)


def wait_for_parts(run: subprocess.Popen[str], store: Store, table: str, count: int) -> None:
    """Wait until so many parts of a table are whole."""
    wait_for_run(run, lambda: count_staged_parts(store, table) >= count)


def count_parts(reference: ReferenceRun, table: str) -> int:
    """Return how many parts a table has in the end."""
    root, summary = reference
    manifest = Store(str(root), "dev").get_manifest(table, summary["tables"][table]["version"])
    assert manifest is not None
    return len(manifest.files)


def is_being_built(store: Store, table: str, parts: int) -> bool:
    """Tell whether a table whose stage has begun lacks some of its parts."""
    return count_staged_parts(store, table) < parts and store.newest_manifest(table) is None


def worker_processes(run: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that do a run's work on this machine, the first started first: the workers, then XGBoost's tracker."""
    server = next(child for child in psutil.Process(run.pid).children() if child.children())
    return sorted(server.children(), key=lambda child: child.create_time())
