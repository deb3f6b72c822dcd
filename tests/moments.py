"""Moments of a run, known by what it has kept so far: the rounds of a checkpoint, the parts that are whole, the ranks that meet."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import time
from collections.abc import Callable

import psutil
import xgboost as xgb

from tests.undisturbed import Calm
from toytip.keeper import CHECKPOINTS
from toytip.store import NOTES, STAGING, Store

# What a run says when it has lost a rank: training was under way, or it would have nothing to say.
LOST = "training attempt 1 of 3 failed"


def until(run: subprocess.Popen[str], seen: Callable[[], bool]) -> float:
    """Look, again and again, until it is seen of a run that is under way; return when that was."""
    while not seen():
        assert run.poll() is None, "it ended before that was seen"
        time.sleep(0.005)
    return time.monotonic()


def rounds_kept(store: Store) -> int:
    """Return how many rounds the checkpoint of the training under way has; 0 where there is none yet, or no longer."""
    for name, info in store.place.files(f"{store.env}/{CHECKPOINTS}").items():
        if name.endswith(".ubj"):
            with contextlib.suppress(FileNotFoundError):
                return _rounds(store, name, info.mark)
    return 0


@functools.cache
def _rounds(store: Store, name: str, mark: str) -> int:
    return int(xgb.Booster(model_file=bytearray(store.place.read(name))).num_boosted_rounds())


def at_round(run: subprocess.Popen[str], store: Store, number: int, *, between: bool = False) -> None:
    """Wait until training has kept so many rounds; `between`: then half as long as it takes to the next checkpoint."""
    before = until(run, lambda: rounds_kept(store) >= number - 10)
    now = until(run, lambda: rounds_kept(store) >= number)
    time.sleep((now - before) / 2 if between else 0)


def in_training(store: Store, rounds: int) -> bool:
    """Tell whether a training that has begun has rounds before it."""
    return rounds_kept(store) < rounds and store.newest("models") is None


def parts_kept(store: Store, table: str) -> int:
    """Return how many parts of a version that is being made are whole."""
    staged = store.place.files(f"{store.env}/{STAGING}")
    return sum(f"/{NOTES}/{table}/" in name for name in staged)


def at_part(run: subprocess.Popen[str], store: Store, table: str, count: int) -> None:
    """Wait until so many parts of a table are whole."""
    until(run, lambda: parts_kept(store, table) >= count)


def parts_of(calm: Calm, table: str) -> int:
    """Return how many parts a table has in the end."""
    root, summary = calm
    manifest = Store(str(root), "dev").published(table, summary["tables"][table]["version"])
    assert manifest is not None
    return len(manifest.parts)


def in_making(store: Store, table: str, parts: int) -> bool:
    """Tell whether a table whose stage has begun lacks some of its parts."""
    return parts_kept(store, table) < parts and store.newest(table) is None


def processes(run: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that do a run's work on this machine, the first started first: the workers, then XGBoost's tracker."""
    server = next(child for child in psutil.Process(run.pid).children() if child.children())
    return sorted(server.children(), key=lambda child: child.create_time())
