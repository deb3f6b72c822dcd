"""ranks: the workers that train together: who has which rows, what they hold, and what is done where one is lost."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import heapq
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import dask
import dask.dataframe as dd
import distributed
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb
from xgboost.collective import Config
from xgboost.dask import CommunicatorContext
from xgboost.tracker import RabitTracker

from toytip.boost import bins_of, boost, booster_params, canonical, quantize
from toytip.cluster import SILENCE_S, Rank, answers, ranks, trim, workers_of
from toytip.errors import ClusterError

TOPIC = "toytip-round"
ATTEMPTS = 3
# So long a worker that died may take to come back before the training goes on without it.
RETURN_S = 30
# Every so many rounds a rank gives back memory that is free.
TRIM = 10
# A matrix is kept on the scratch disk where that has so many times the room: other ranks may want as much. It takes
# two bytes a code, and these a row.
ROOM = 4
ROW_BYTES = 12
# So long a rank may take to leave a training that is over.
LEAVES_S = 5
# So often the driver looks whether all ranks are still there.
LOOK_S = 1

log = logging.getLogger(__name__)


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
class Task:
    """What is to be trained."""

    data: dd.DataFrame
    watched: dd.DataFrame | None
    rows: Sequence[int] | None
    counts: tuple[int, ...]
    rounds: int
    early_stop: int
    params: dict[str, Any]
    keeper: Keeper | None


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What a rank must know of it."""

    params: dict[str, Any]
    rounds: int
    early_stop: int
    threads: int
    start: bytes | None
    keeper: Keeper | None
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


# On a worker: what its ranks hold, and which of them are training.
_HELD: dict[tuple[str, int], _Held] = {}
_TRAINING: set[tuple[str, int]] = set()


# A rank that has lost its peers, or its rows, says so in any of these ways; and so does a driver that has lost a rank.
_LOST = (
    xgb.core.XGBoostError,
    RuntimeError,
    KeyError,
    OSError,
    distributed.KilledWorker,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
)


def persistently(client: Any, task: Task) -> tuple[bytes, int]:
    """Train, and try again where a worker was lost; return the model's bytes and its rounds."""
    count = len(workers_of(client))
    for attempt in range(1, ATTEMPTS + 1):
        if attempt > 1:  # one that died is started again, and should have its share
            with contextlib.suppress(TimeoutError):
                client.wait_for_workers(count, timeout=RETURN_S)
        try:
            return _train(client, task)
        except _LOST as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            if not answers(client):
                raise ClusterError(
                    "the cluster was lost in the middle of train; run again: it goes on from the last checkpoint"
                ) from None
            log.warning("training attempt %d of %d failed: %s", attempt, ATTEMPTS, reason)
            with contextlib.suppress(*_LOST, ValueError):  # without a nanny nothing can be started again
                _free(client)
    raise ClusterError(
        f"training failed {ATTEMPTS} times, at last with: {reason}; "
        "give the workers more memory, or use fewer; another run goes on from the last checkpoint"
    )


def _free(client: Any) -> None:
    """Start workers again whose rank does not leave a training that is over.

    Of three ranks or more, XGBoost may let one wait for ever that is no neighbour of the one that was lost (seen in 3.2).
    """
    end = time.monotonic() + LEAVES_S
    while inside := [w for w, there in client.run(_inside, on_error="ignore").items() if there]:
        if time.monotonic() > end:
            log.warning("ranks that wait for ever are started again: %s", ", ".join(inside))
            client.restart_workers(inside, timeout=RETURN_S, raise_for_error=False)
            return
        time.sleep(LOOK_S)


def _train(client: Any, task: Task) -> tuple[bytes, int]:
    client.wait_for_workers(1, timeout=SILENCE_S)
    chosen, token = ranks(client), secrets.token_hex(8)
    client.run(trim)  # what the row stages have left free is wanted now
    try:
        sums = _quantized(client, task, chosen, token)
        rows, positives = (sum(column) for column in zip(*sums, strict=True))
        keeper, alone = task.keeper, len(chosen) == 1
        job = _Job(
            params=booster_params(task.params, bins_of(task.counts), positives / rows),
            rounds=task.rounds,
            early_stop=task.early_stop,
            threads=min(rank.threads for rank in chosen),
            start=keeper.checkpoint() if keeper else None,
            keeper=keeper,
            communicator=None if alone else _communicator(client, len(chosen)),
        )
        futures = [
            client.submit(_boost, token, number, job, workers=[rank.address], pure=False)
            for number, rank in enumerate(chosen)
        ]
        booster, rounds = _gathered(client, futures, chosen)[0]
        return booster, rounds
    finally:
        with contextlib.suppress(*_LOST):
            client.run(_forget, token, on_error="ignore")


def _quantized(client: Any, task: Task, chosen: list[Rank], token: str) -> list[tuple[int, int]]:
    """Have every rank hold its share of the rows as a matrix; return the training rows and high tips of each."""
    shares = [_shared_out(client, frame, chosen, task.rows) for frame in (task.data, task.watched)]
    futures = [
        client.submit(
            _quantize, token, number, *shares[0][number], shares[1][number][1], task.counts, rank.threads,
            workers=[rank.address], pure=False,
        )
        for number, rank in enumerate(chosen)
    ]  # fmt: skip
    return _gathered(client, futures, chosen)


def _shared_out(
    client: Any, frame: dd.DataFrame | None, chosen: list[Rank], rows: Sequence[int] | None
) -> list[tuple[list[int], list[Any]]]:
    """Compute a frame's partitions; return for each rank the numbers of those that it should take, and their futures.

    Each is computed on the host where it is needed if that can be. Where there are fewer than ranks, every one is
    dealt out over them all.
    """
    if frame is None:
        return [([], [])] * len(chosen)
    parts = frame.to_delayed()
    if len(parts) < len(chosen):
        dealt = [
            dask.delayed(_deal)(part, number, len(chosen)) for number in range(len(chosen)) for part in parts
        ]
        shares = [dealt[k * len(parts) : (k + 1) * len(parts)] for k in range(len(chosen))]
        numbers: list[list[int]] = [[] for _ in chosen]  # none has one to itself
    else:
        numbers = balanced(rows if rows and len(rows) == len(parts) else [1] * len(parts), len(chosen))
        shares = [[parts[number] for number in share] for share in numbers]
    return [
        (share, client.compute(lazy, workers=list(rank.peers), allow_other_workers=True))
        for share, lazy, rank in zip(numbers, shares, chosen, strict=True)
    ]


def balanced(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Deal out items so that each of `count` has about as much; return their numbers, in order.

    >>> balanced([5, 1, 4, 2], 2)
    [[0, 1], [2, 3]]
    """
    load = [(0, number) for number in range(count)]
    taken: list[list[int]] = [[] for _ in range(count)]
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        total, number = heapq.heappop(load)
        heapq.heappush(load, (total + sizes[index], number))
        taken[number].append(index)
    return [sorted(share) for share in taken]


def _deal(frame: pd.DataFrame, number: int, count: int) -> pd.DataFrame:
    return frame.iloc[number::count]


def _gathered(client: Any, futures: list[Any], chosen: list[Rank]) -> list[Any]:
    """Wait for a task of every rank, and look after the ranks meanwhile: one that is lost is noticed at once."""
    try:
        while any(not future.done() for future in futures):
            with contextlib.suppress(TimeoutError):
                distributed.wait(futures, timeout=LOOK_S)
            if any(future.status in ("error", "lost", "cancelled") for future in futures):
                break
            there = client.nthreads()
            for rank in chosen:
                if rank.address not in there:
                    raise RuntimeError(f"the worker at {rank.address} was lost")
        return list(client.gather(futures))
    finally:
        client.cancel(futures)


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


def _communicator(client: Any, count: int) -> dict[str, Any]:
    """Start the tracker on the scheduler, where the ranks find each other; return what they must know."""
    told = client.run_on_scheduler(_track, count)
    return dict(Config(retry=1, timeout=SILENCE_S).get_comm_config(told))


def _track(count: int, dask_scheduler: Any = None) -> dict[str, Any]:
    host = distributed.comm.get_address_host(dask_scheduler.address)
    tracker = RabitTracker(host_ip=host, n_workers=count, sortby="task")
    tracker.start()
    threading.Thread(target=tracker.wait_for, daemon=True, name="toytip-tracker").start()
    return dict(tracker.worker_args())


def _quantize(
    token: str,
    number: int,
    numbers: list[int],
    parts: list[pd.DataFrame],
    watched: list[pd.DataFrame],
    counts: tuple[int, ...],
    threads: int,
) -> tuple[int, int]:
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
    return rows, int(label.sum())


def _codes(part: pd.DataFrame) -> pd.DataFrame:
    return part.drop(columns="high_tip")


def _laid_down(values: npt.NDArray[Any], file: Path) -> npt.NDArray[Any]:
    """Keep an array in a file, and only there, until it is looked at."""
    np.save(file, values)
    return np.asarray(np.load(file, mmap_mode="r"))


def _boost(token: str, number: int, job: _Job) -> tuple[bytes, int] | None:
    """Train as one of the ranks; the first returns the model's bytes and rounds."""
    _TRAINING.add((token, number))
    try:
        return _boosted(token, number, job)
    finally:
        _TRAINING.discard((token, number))


def _inside() -> bool:
    """Tell whether a rank of this worker is training."""
    return bool(_TRAINING)


def _boosted(token: str, number: int, job: _Job) -> tuple[bytes, int] | None:
    held, worker, keeper = _HELD[token, number], distributed.get_worker(), job.keeper

    def seen(done: int, loss: float | None, booster: xgb.Booster) -> None:
        if done % TRIM == 1:  # what the matrix was made of is free by the end of the first round
            trim()
        if number == 0:
            worker.log_event(TOPIC, {"round": done, "log_loss": loss})
            if keeper and done % keeper.every == 0:
                keeper.keep(bytes(booster.save_raw("ubj")))

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
    return (canonical(booster, best.round), best.round) if number == 0 else None


def _forget(token: str) -> None:
    for key in [key for key in _HELD if key[0] == token]:
        scratch = _HELD.pop(key).scratch
        scratch.cleanup()
