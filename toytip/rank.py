"""rank: one of the workers that train together: what it holds, and its rounds. `toytip.ranks` says who has which rows."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import distributed
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb
from xgboost.dask import CommunicatorContext

from toytip.boost import Curve, boost, canonical, half_way, quantize
from toytip.cluster import trim

# Every so many rounds a rank gives back memory that is free.
TRIM = 10
# A matrix is kept on the scratch disk where that has so many times the room: other ranks may want as much. It takes
# two bytes a code, and these a row.
ROOM = 4
ROW_BYTES = 12


class Keeper(Protocol):
    """Keeps what training should not lose; the ranks get a pickle of it."""

    @property
    def every(self) -> int:
        """How many rounds it is from one checkpoint to the next."""

    def checkpoint(self) -> bytes | None:
        """Return the booster that was kept last; None where there is none."""

    def keep(self, booster: bytes) -> None:
        """Keep a booster half-way, in place of the one before."""

    def scores(self, number: int, chances: npt.NDArray[np.float32]) -> None:
        """Keep what the model says of the rows of a partition that it was trained on, in the order of the index."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a rank must know of it; its rounds are told under the `topic`, which no other training has."""

    params: dict[str, Any]
    rounds: int
    early_stop: int
    threads: int
    start: bytes | None
    keeper: Keeper | None
    topic: str
    communicator: dict[str, Any] | None


class _Held(NamedTuple):
    """What a rank holds while it trains.

    The matrices, the labels of the first, which partitions its rows are of, the order of the index of each; and the
    folder of what is on the scratch disk.
    """

    train: xgb.QuantileDMatrix
    label: npt.NDArray[np.bool_]
    valid: xgb.QuantileDMatrix | None
    numbers: Sequence[int]
    orders: list[npt.NDArray[np.uint32]]
    scratch: tempfile.TemporaryDirectory[str]


class Trained(NamedTuple):
    """What a rank says when it is done: the losses by round and of how many rows; the first, the model's bytes and rounds."""

    booster: bytes
    rounds: int
    curve: Curve
    rows: int


# On a worker: what its ranks hold, and which of them are training.
_HELD: dict[tuple[str, int], _Held] = {}
_TRAINING: set[tuple[str, int]] = set()


def hold(
    token: str,
    number: int,
    numbers: list[int],
    parts: list[pd.DataFrame],
    watched: list[pd.DataFrame],
    counts: tuple[int, ...],
    threads: int,
) -> tuple[int, int, bool]:
    """Hold a share of the rows as matrices, from then on.

    Return how many they are, how many have a high tip, and whether the scratch disk had room for the codes.

    `numbers` say which partitions `parts` are, where they are whole ones; `watched` are parts of the validation rows.
    """
    scratch = tempfile.TemporaryDirectory(dir=distributed.get_worker().local_directory)
    folder, rows = Path(scratch.name), sum(map(len, parts))
    roomy = shutil.disk_usage(folder).free > ROOM * rows * (2 * len(counts) + ROW_BYTES)
    train = quantize([(_codes(part), None) for part in parts], counts, threads, folder if roomy else None)
    valid = [(_codes(part), part["high_tip"].to_numpy(np.float32)) for part in watched]
    label = np.concatenate([part["high_tip"].to_numpy() for part in parts])
    orders = [np.argsort(part.index.to_numpy()).astype(np.uint32) for part in parts]
    _HELD[token, number] = _Held(
        train, label, quantize(valid, counts, threads) if valid else None, numbers,
        [_laid_down(order, folder / f"{k}.npy") for k, order in enumerate(orders)] if roomy else orders, scratch,
    )  # fmt: skip
    return rows, int(label.sum()), roomy


def _codes(part: pd.DataFrame) -> pd.DataFrame:
    return part.drop(columns="high_tip")


def _laid_down(values: npt.NDArray[Any], file: Path) -> npt.NDArray[Any]:
    """Keep an array in a file, and only there, until it is looked at."""
    np.save(file, values)
    return np.asarray(np.load(file, mmap_mode="r"))


def train(token: str, number: int, job: Job) -> Trained:
    """Train as one of the ranks."""
    _TRAINING.add((token, number))
    try:
        return _boosted(token, number, job)
    finally:
        _TRAINING.discard((token, number))


def training() -> bool:
    """Tell whether a rank of this worker is training."""
    return bool(_TRAINING)


def _boosted(token: str, number: int, job: Job) -> Trained:
    held, worker, keeper = _HELD[token, number], distributed.get_worker(), job.keeper

    def seen(done: int, curve: Curve, booster: xgb.Booster) -> None:
        if done % TRIM == 1:  # what the matrix was made of is free by the end of the first round
            trim()
        if number == 0:
            loss = curve.valid[-1] if curve.valid else None
            event = {"round": done, "log_loss": loss, "train_log_loss_before": curve.train[-1]}
            worker.log_event(job.topic, event)
            if keeper and done % keeper.every == 0:
                keeper.keep(half_way(booster, curve))

    with _muted(), CommunicatorContext(**job.communicator) if job.communicator else contextlib.nullcontext():
        booster, best = boost(
            held.train, held.label, held.valid, job.params, rounds=job.rounds, early_stop=job.early_stop,
            threads=job.threads, start=job.start, seen=seen,
        )  # fmt: skip
    if keeper and held.numbers and best.round == booster.num_boosted_rounds():
        # The booster still has them: to ask is free, now.
        cuts = np.cumsum([len(order) for order in held.orders])[:-1]
        told = np.split(booster.predict(held.train), cuts)
        for part, order, chances in zip(held.numbers, held.orders, told, strict=True):
            keeper.scores(part, chances[order])
    curve = Curve.of(booster)
    return Trained(canonical(booster, best.round) if number == 0 else b"", best.round, curve, len(held.label))


def forget(token: str) -> None:
    """Let go of what this worker's ranks hold."""
    for key in [key for key in _HELD if key[0] == token]:
        scratch = _HELD.pop(key).scratch
        scratch.cleanup()


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Keep XGBoost's own lines about ranks, which no verbosity turns off, out of the progress display."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
