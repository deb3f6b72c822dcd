"""Train on several workers: assign rows to ranks, start ranks, and recover from lost ranks."""

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
from typing import Any, NamedTuple

import distributed
import xgboost as xgb
from xgboost.collective import Config

from toytip.cluster import (
    WORKER_TTL_S,
    Rank,
    pooled_for_training,
    scheduler_answers,
    training_ranks,
    trim_memory,
    workers_by_address,
)
from toytip.errors import ClusterError
from toytip.training import tracker
from toytip.training.boosting import LearningCurve
from toytip.training.rank import (
    BinStorage,
    Checkpoints,
    RankConfig,
    RankId,
    ShardSummary,
    TrainingResult,
    is_training,
    load_shard,
    release_shard,
    train_rank,
)
from toytip.training.spec import TrainingSpec, boost_config, merge_labels

TRAINING_ATTEMPTS = 3
# Maximum time to wait for a lost worker to restart. After this time, training resumes without this
# worker.
WORKER_RETURN_SECONDS = 30
# Maximum time for the ranks to leave a failed training.
RANK_EXIT_SECONDS = 5
# Interval between two checks that the workers of all ranks still exist.
RANK_CHECK_SECONDS = 1

log = logging.getLogger(__name__)

# The errors of a rank that has lost other ranks or its rows, and of a client process that has lost
# a rank.
_RANK_LOSS_ERRORS = (
    xgb.core.XGBoostError,
    RuntimeError,
    KeyError,
    OSError,
    distributed.KilledWorker,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
)


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """The data and the parameters of a training."""

    data: Sequence[Any]
    """Delayed partitions of the training rows (see `toytip.core.columns`)."""
    validation: Sequence[Any] | None
    rows: Sequence[int] | None
    """The number of rows in the data file of each partition of `data`, or None if unknown."""
    spec: TrainingSpec
    checkpoints: Checkpoints | None
    topic: str
    """The Dask topic under which the first rank reports its rounds."""


class _Share(NamedTuple):
    """The partitions of a rank: their numbers, and their futures (None without a frame)."""

    numbers: list[int]
    futures: list[Any] | None


def train_with_retries(client: Any, job: TrainingJob) -> TrainingResult:
    """Train, and try again if a worker is lost. Raises ClusterError after three failed attempts."""
    worker_count = len(workers_by_address(client))
    for attempt in range(1, TRAINING_ATTEMPTS + 1):
        if attempt > 1:  # a lost worker is restarted, and should take part again
            with contextlib.suppress(TimeoutError):
                client.wait_for_workers(worker_count, timeout=WORKER_RETURN_SECONDS)
        try:
            return _train_once(client, job)
        except _RANK_LOSS_ERRORS as error:
            cause = (str(error).strip() or type(error).__name__).splitlines()[-1]
            if not scheduler_answers(client):
                raise ClusterError(
                    "cannot train the model: the connection to the cluster was lost",
                    hint="Run the command again. Training resumes from the latest checkpoint.",
                ) from None
            log.warning("training attempt %d of %d failed: %s", attempt, TRAINING_ATTEMPTS, cause)
            # Restarting fails for a worker that has no nanny.
            with contextlib.suppress(*_RANK_LOSS_ERRORS, ValueError):
                _restart_stuck_ranks(client)
    raise ClusterError(
        f"cannot train the model: training failed {TRAINING_ATTEMPTS} times, the last time with: {cause}",
        hint="Give the workers more memory, or use fewer workers. "
        "The next run resumes training from the latest checkpoint.",
    )


def _train_once(client: Any, job: TrainingJob) -> TrainingResult:
    """Load the rows on all ranks, train, and release the rows."""
    client.wait_for_workers(1, timeout=WORKER_TTL_S)
    # A rank without a partition would have nothing to train on.
    ranks, token = training_ranks(client)[: len(job.data)], secrets.token_hex(8)
    if not ranks:
        raise RuntimeError("no worker answers")
    # Training needs the memory that the partition-wise stages have freed.
    client.run(trim_memory, on_error="ignore")
    try:
        with pooled_for_training(client, ranks):
            shards = _load_shards(client, job, ranks, token)
            _warn_without_space(shards)
            config = _rank_config(client, job, ranks, shards, token)
            futures = [
                client.submit(train_rank, RankId(token, number), config, workers=[rank.address], pure=False)
                for number, rank in enumerate(ranks)
            ]
            return _combine_results(_wait_for_ranks(client, futures, ranks))
    finally:
        with contextlib.suppress(*_RANK_LOSS_ERRORS):
            client.run_on_scheduler(tracker.stop_tracker, token)
        with contextlib.suppress(*_RANK_LOSS_ERRORS):
            client.run(release_shard, token, on_error="ignore")


def _rank_config(
    client: Any, job: TrainingJob, ranks: list[Rank], shards: list[ShardSummary], token: str
) -> RankConfig:
    labels = merge_labels(shard.labels for shard in shards)
    validation = [shard.validation_labels for shard in shards if shard.validation_labels is not None]
    threads = min(rank.threads for rank in ranks)
    return RankConfig(
        boost=boost_config(job.spec, labels, merge_labels(validation) if validation else None, threads),
        checkpoint=job.checkpoints.load() if job.checkpoints else None,
        checkpoints=job.checkpoints,
        topic=job.topic,
        communicator=None if len(ranks) == 1 else _start_communicator(client, token, len(ranks)),
    )


def _start_communicator(client: Any, token: str, rank_count: int) -> dict[str, Any]:
    """Start the tracker on the scheduler's host.

    Returns the arguments for XGBoost's communicator.
    """
    worker_args = client.run_on_scheduler(tracker.start_tracker, token, rank_count)
    return dict(Config(retry=1, timeout=WORKER_TTL_S).get_comm_config(worker_args))


def _warn_without_space(shards: list[ShardSummary]) -> None:
    if any(shard.storage is BinStorage.MEMORY_WITHOUT_SPACE for shard in shards):
        log.warning(
            "not enough space in the local directory of a worker, so training keeps its data in memory "
            "(set DASK_TEMPORARY_DIRECTORY)"
        )


def _load_shards(client: Any, job: TrainingJob, ranks: list[Rank], token: str) -> list[ShardSummary]:
    """Load the rows of every rank into a matrix. Returns one summary per rank."""
    train = _assign_partitions(client, job.data, ranks, job.rows)
    validation = _assign_partitions(client, job.validation, ranks, job.rows)
    futures = [
        client.submit(
            load_shard,
            RankId(token, number),
            train[number].numbers,
            train[number].futures,
            validation[number].futures,
            job.spec,
            rank,
            workers=[rank.address],
            pure=False,
        )
        for number, rank in enumerate(ranks)
    ]
    return _wait_for_ranks(client, futures, ranks)


def _assign_partitions(
    client: Any, partitions: Sequence[Any] | None, ranks: list[Rank], rows: Sequence[int] | None
) -> list[_Share]:
    """Assign delayed partitions to ranks, and start to compute them. Returns the shares.

    Each partition is computed by a worker on the host of its rank if possible.
    """
    if partitions is None:
        return [_Share([], None)] * len(ranks)
    sizes = rows if rows and len(rows) == len(partitions) else [1] * len(partitions)
    shares = []
    for rank, numbers in zip(ranks, balance(sizes, len(ranks)), strict=True):
        tasks = [partitions[number] for number in numbers]
        workers = list(rank.host_workers)
        futures = client.compute(tasks, workers=workers, allow_other_workers=True)
        shares.append(_Share(numbers, futures))
    return shares


def balance(sizes: Sequence[int], rank_count: int) -> list[list[int]]:
    """Assign items to ranks so that ranks get similar total sizes. Returns the items per rank.

    >>> balance([5, 1, 4, 2], 2)
    [[0, 1], [2, 3]]
    """
    loads = [(0, rank) for rank in range(rank_count)]
    shares: list[list[int]] = [[] for _ in range(rank_count)]
    for item in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
        load, rank = heapq.heappop(loads)
        heapq.heappush(loads, (load + sizes[item], rank))
        shares[rank].append(item)
    return [sorted(share) for share in shares]


def _wait_for_ranks(client: Any, futures: list[Any], ranks: list[Rank]) -> list[Any]:
    """Wait for one task per rank. Raises RuntimeError as soon as a rank is lost.

    A rank can be lost after its task has finished, but before the result is fetched. The result
    would then never arrive, because no other worker may run the task.
    """
    gathered = client.gather(futures, asynchronous=True)
    results = asyncio.run_coroutine_threadsafe(gathered, client.loop.asyncio_loop)
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                return list(results.result(RANK_CHECK_SECONDS))
            addresses = client.nthreads()
            for rank in ranks:
                if rank.address not in addresses:
                    raise RuntimeError(f"the worker at {rank.address} was lost")
    finally:
        client.cancel(futures)


def _combine_results(results: list[TrainingResult]) -> TrainingResult:
    """Return the first rank's result, with the mean training loss and the rows of all ranks.

    Each rank measures the training loss on its own rows, whereas XGBoost measures the validation
    loss over all ranks.
    """
    rows = max(sum(result.rows for result in results), 1)
    train_losses = [
        sum(loss * result.rows for loss, result in zip(losses, results, strict=True)) / rows
        for losses in zip(*(result.curve.train for result in results), strict=True)
    ]
    curve = LearningCurve(train_losses, results[0].curve.validation)
    return results[0]._replace(curve=curve, rows=rows)


def _restart_stuck_ranks(client: Any) -> None:
    """Restart workers whose rank does not leave a failed training.

    With three or more ranks, XGBoost can leave a rank hanging if this rank is not a direct neighbor
    of the lost rank (observed in version 3.2).
    """
    deadline = time.monotonic() + RANK_EXIT_SECONDS
    while stuck := _training_workers(client):
        if time.monotonic() > deadline:
            log.warning("restarting workers whose rank hangs: %s", ", ".join(stuck))
            client.restart_workers(stuck, timeout=WORKER_RETURN_SECONDS, raise_for_error=False)
            return
        time.sleep(RANK_CHECK_SECONDS)


def _training_workers(client: Any) -> list[str]:
    replies = client.run(is_training, on_error="ignore")
    return [address for address, trains in replies.items() if trains]
