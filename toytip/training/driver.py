"""ranks: the workers that train together: who has which rows, what they hold, and what is done where one is lost."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import heapq
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask
import dask.dataframe as dd
import distributed
import pandas as pd
import xgboost as xgb
from xgboost.collective import Config

from toytip.cluster import (
    WORKER_TTL_S,
    Rank,
    scheduler_answers,
    training_ranks,
    trim_memory,
    workers_by_address,
)
from toytip.errors import ClusterError
from toytip.training import rank as rank_of
from toytip.training import tracker
from toytip.training.boosting import LearningCurve, max_bin, xgboost_params
from toytip.training.rank import Checkpoints, RankConfig, TrainingResult

TRAINING_ATTEMPTS = 3
# So long a worker that died may take to come back before the training goes on without it.
WORKER_RETURN_SECONDS = 30
# So long a rank may take to leave a training that is over.
RANK_EXIT_SECONDS = 5
# So often the driver looks whether all ranks are still there.
RANK_CHECK_SECONDS = 1

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What is to be trained."""

    data: dd.DataFrame
    validation: dd.DataFrame | None
    rows: Sequence[int] | None
    bin_counts: tuple[int, ...]
    rounds: int
    early_stopping_rounds: int
    params: dict[str, Any]
    checkpoints: Checkpoints | None
    topic: str


# A rank that has lost its peers, or its rows, says so in any of these ways; and so does a driver that has lost a rank.
_RANK_LOSS_ERRORS = (
    xgb.core.XGBoostError,
    RuntimeError,
    KeyError,
    OSError,
    distributed.KilledWorker,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
)


def train_with_retries(client: Any, job: TrainingJob) -> TrainingResult:
    """Train, and try again where a worker was lost; return the model's bytes, its rounds, and how it learned."""
    count = len(workers_by_address(client))
    for attempt in range(1, TRAINING_ATTEMPTS + 1):
        if attempt > 1:  # one that died is started again, and should have its share
            with contextlib.suppress(TimeoutError):
                client.wait_for_workers(count, timeout=WORKER_RETURN_SECONDS)
        try:
            return _train_once(client, job)
        except _RANK_LOSS_ERRORS as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            if not scheduler_answers(client):
                raise ClusterError(
                    "the cluster was lost in the middle of train; run again: it goes on from the last checkpoint"
                ) from None
            log.warning("training attempt %d of %d failed: %s", attempt, TRAINING_ATTEMPTS, reason)
            with contextlib.suppress(
                *_RANK_LOSS_ERRORS, ValueError
            ):  # without a nanny nothing can be started again
                _restart_stuck_ranks(client)
    raise ClusterError(
        f"training failed {TRAINING_ATTEMPTS} times, at last with: {reason}; "
        "give the workers more memory, or use fewer; another run goes on from the last checkpoint"
    )


def _restart_stuck_ranks(client: Any) -> None:
    """Start workers again whose rank does not leave a training that is over.

    Of three ranks or more, XGBoost may let one wait for ever that is no neighbour of the one that was lost (seen in 3.2).
    """
    end = time.monotonic() + RANK_EXIT_SECONDS
    while inside := [w for w, there in client.run(rank_of.is_training, on_error="ignore").items() if there]:
        if time.monotonic() > end:
            log.warning("ranks that wait for ever are started again: %s", ", ".join(inside))
            client.restart_workers(inside, timeout=WORKER_RETURN_SECONDS, raise_for_error=False)
            return
        time.sleep(RANK_CHECK_SECONDS)


def _train_once(client: Any, task: TrainingJob) -> TrainingResult:
    client.wait_for_workers(1, timeout=WORKER_TTL_S)
    chosen, token = training_ranks(client), secrets.token_hex(8)
    client.run(trim_memory, on_error="ignore")  # what the row stages have left free is wanted now
    try:
        sums = _load_shards(client, task, chosen, token)
        rows, positives, roomy = (sum(column) for column in zip(*sums, strict=True))
        if roomy < len(chosen):
            log.warning(
                "training holds its codes in memory: the scratch disk has no room (DASK_TEMPORARY_DIRECTORY)"
            )
        keeper, alone = task.checkpoints, len(chosen) == 1
        job = RankConfig(
            params=xgboost_params(task.params, max_bin(task.bin_counts), positives / rows),
            rounds=task.rounds,
            early_stopping_rounds=task.early_stopping_rounds,
            threads=min(rank.threads for rank in chosen),
            checkpoint=keeper.load() if keeper else None,
            checkpoints=keeper,
            topic=task.topic,
            communicator=None if alone else _start_communicator(client, token, len(chosen)),
        )
        futures = [
            client.submit(rank_of.train_rank, token, number, job, workers=[rank.address], pure=False)
            for number, rank in enumerate(chosen)
        ]
        return _combine_results(_wait_for_ranks(client, futures, chosen))
    finally:
        with contextlib.suppress(*_RANK_LOSS_ERRORS):
            client.run_on_scheduler(tracker.stop_tracker, token)
        with contextlib.suppress(*_RANK_LOSS_ERRORS):
            client.run(rank_of.release_shard, token, on_error="ignore")


def _combine_results(results: list[TrainingResult]) -> TrainingResult:
    """Return what the ranks are done with as one; every rank has its own training rows, and all watch the same validation."""
    rows = max(sum(each.rows for each in results), 1)
    train = [
        sum(loss * each.rows for loss, each in zip(losses, results, strict=True)) / rows
        for losses in zip(*(each.curve.train for each in results), strict=True)
    ]
    return results[0]._replace(curve=LearningCurve(train, results[0].curve.validation), rows=rows)


def _load_shards(
    client: Any, job: TrainingJob, chosen: list[Rank], token: str
) -> list[tuple[int, int, bool]]:
    """Have every rank hold its share of the rows as a matrix; return what each says of it."""
    shares = [_assign_partitions(client, frame, chosen, job.rows) for frame in (job.data, job.validation)]
    futures = [
        client.submit(
            rank_of.load_shard, token, number, *shares[0][number], shares[1][number][1], job.bin_counts, rank.threads,
            workers=[rank.address], pure=False,
        )
        for number, rank in enumerate(chosen)
    ]  # fmt: skip
    return _wait_for_ranks(client, futures, chosen)


def _assign_partitions(
    client: Any, frame: dd.DataFrame | None, chosen: list[Rank], rows: Sequence[int] | None
) -> list[tuple[list[int], list[Any]]]:
    """Compute a frame's partitions; return for each rank the numbers of those that it should take, and their futures.

    Each is computed by the rank that needs it, if that can be: ranks are as many as cores. Where there are fewer than ranks, every one is
    dealt out over them all.
    """
    if frame is None:
        return [([], [])] * len(chosen)
    parts = frame.to_delayed()
    if len(parts) < len(chosen):
        dealt = [
            dask.delayed(_take_every_nth_row)(part, number, len(chosen))
            for number in range(len(chosen))
            for part in parts
        ]
        shares = [dealt[k * len(parts) : (k + 1) * len(parts)] for k in range(len(chosen))]
        numbers: list[list[int]] = [[] for _ in chosen]  # none has one to itself
    else:
        numbers = balance(rows if rows and len(rows) == len(parts) else [1] * len(parts), len(chosen))
        shares = [[parts[number] for number in share] for share in numbers]
    return [
        (share, client.compute(lazy, workers=[rank.address], allow_other_workers=True))
        for share, lazy, rank in zip(numbers, shares, chosen, strict=True)
    ]


def balance(sizes: Sequence[int], rank_count: int) -> list[list[int]]:
    """Deal out items so that each of `rank_count` has about as much; return their numbers, in order.

    >>> balance([5, 1, 4, 2], 2)
    [[0, 1], [2, 3]]
    """
    load = [(0, number) for number in range(rank_count)]
    taken: list[list[int]] = [[] for _ in range(rank_count)]
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        total, number = heapq.heappop(load)
        heapq.heappush(load, (total + sizes[index], number))
        taken[number].append(index)
    return [sorted(share) for share in taken]


def _take_every_nth_row(frame: pd.DataFrame, number: int, count: int) -> pd.DataFrame:
    return frame.iloc[number::count]


def _wait_for_ranks(client: Any, futures: list[Any], chosen: list[Rank]) -> list[Any]:
    """Wait for a task of every rank, and look after the ranks meanwhile: one that is lost is noticed at once.

    It may be lost with a result that is done and was not yet fetched: that is never made again, since no other may have its task.
    """
    results = client.gather(futures, asynchronous=True)
    answer = asyncio.run_coroutine_threadsafe(results, client.loop.asyncio_loop)
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                return list(answer.result(RANK_CHECK_SECONDS))
            there = client.nthreads()
            for rank in chosen:
                if rank.address not in there:
                    raise RuntimeError(f"the worker at {rank.address} was lost")
    finally:
        client.cancel(futures)


def _start_communicator(client: Any, token: str, count: int) -> dict[str, Any]:
    """Start the tracker beside the scheduler, where the ranks find each other; return what they must know."""
    told = client.run_on_scheduler(tracker.start_tracker, token, count)
    return dict(Config(retry=1, timeout=WORKER_TTL_S).get_comm_config(told))
