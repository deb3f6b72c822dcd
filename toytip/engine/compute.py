"""Submit tasks, report their progress, and wait for all results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import CancelledError
from math import inf
from types import MappingProxyType
from typing import Any

import dask
import dask.dataframe as dd
import distributed
from dask.delayed import Delayed
from dask.optimization import cull
from distributed.comm import CommClosedError

from toytip import cluster
from toytip.core.text import plural
from toytip.engine.locality import LocalityQueue
from toytip.errors import ClusterError
from toytip.progress.tracker import StageProgress


def compute_partitions(
    client: distributed.Client,
    lazy: dd.Series,
    stage: StageProgress,
    names: Sequence[str] = (),
    files: Sequence[str] = (),
    months: Sequence[str] = (),
) -> list[Any]:
    """Compute a lazy series with one `PartitionResult` per partition. Returns the results in order.

    `names` has one description per partition, which appears in the error if the partition kills its
    workers. `files` has the file that each partition reads. With `files`, consecutive partitions of
    a file go to the same worker if possible. `months` has the month of each partition, for the
    progress display.
    """
    partitions, capacity = lazy.to_delayed(), cluster.task_capacity(client)
    keys = [partition.key for partition in partitions]
    is_limited = capacity.concurrent_tasks < capacity.threads
    window = None
    # Adaptive scaling depends on the number of waiting tasks, so an adaptive cluster gets all tasks
    # at once, unless its threads outnumber the cores.
    if is_limited or (files and not cluster.adaptive_limits(client)):
        window = _SubmissionWindow(client, partitions, files or range(len(partitions)))
    for key, month in zip(keys, months, strict=False):
        stage.track_task(key, month)
    futures = client.compute(partitions) if window is None else window.submit_next()
    series = wait_for(
        futures,
        stage,
        lambda result: result.iloc[0].rows,
        rejects=_rejects_by_reason,
        names=dict(zip(keys, names, strict=False)),
        next_futures=window.submit_next if window else None,
    )
    results = {future.key: result.iloc[0] for future, result in zip(futures, series, strict=True)}
    return [results[key] for key in keys]


def _rejects_by_reason(result: Any) -> Mapping[str, int]:
    records = result.iloc[0].records.values()
    return {reason: count for record in records for reason, count in record.rejects.items()}


class _SubmissionWindow:
    """Submits only as many partitions as can run at once, so that they do not share CPU caches."""

    CAPACITY_CHECK_SECONDS = 1.0

    def __init__(
        self, client: distributed.Client, partitions: Sequence[Delayed], files: Sequence[Hashable]
    ) -> None:
        self._client, self._partitions, self._files = client, partitions, files
        self._graph = dict(partitions[0].dask) if partitions else {}
        self._indices = {partition.key: index for index, partition in enumerate(partitions)}
        self._queue = LocalityQueue(files)
        self._running, self._capacity, self._checked_at = 0, 0, -inf

    def submit_next(self, finished: Any = None, result: Any = None) -> list[Any]:
        """Submit partitions until as many are running as can run at once.

        `finished` is the future that has just finished, and `result` is its result. In the first
        call, `finished` and `result` are None. Returns the futures of the submitted partitions.
        """
        if time.monotonic() - self._checked_at > self.CAPACITY_CHECK_SECONDS:
            # While all workers restart, the capacity is 0. One task must still wait on the
            # scheduler: without a pending task, the computation would end early.
            self._capacity = max(cluster.task_capacity(self._client).concurrent_tasks, 1)
            self._checked_at = time.monotonic()
        self._running -= finished is not None
        futures: list[Any] = []
        while self._running < self._capacity:
            index = self._queue.next(None if finished is None else self._indices[finished.key])
            if index is None:
                break
            futures.append(self._submit(index, finished, result))
            self._running, finished = self._running + 1, None
        return futures

    def _submit(self, index: int, finished: Any, result: Any) -> Any:
        """Submit a partition, if possible to the worker that has just read the same file."""
        key = self._partitions[index].key
        # Only the small graph of this partition is submitted. This takes less than a millisecond,
        # however many partitions exist.
        partition = Delayed(key, cull(self._graph, [key])[0])
        if finished is None or self._files[index] != self._files[self._indices[finished.key]]:
            return self._client.compute(partition)
        worker = result.iloc[0].worker
        return self._client.compute(partition, workers=[worker], allow_other_workers=True)


def map_partitions(
    client: distributed.Client,
    frame: dd.DataFrame,
    function: Callable[..., Any],
    *args: Any,
    stage: StageProgress,
) -> list[Any]:
    """Call a function on every partition, and return the values in the order of the partitions."""
    futures = client.compute([dask.delayed(function)(part, *args) for part in frame.to_delayed()])
    return wait_for(futures, stage, rows=lambda _: 0)


def wait_for(
    futures: list[Any],
    stage: StageProgress,
    rows: Callable[[Any], int],
    *,
    rejects: Callable[[Any], Mapping[str, int]] = lambda _: {},
    names: Mapping[Any, str] = MappingProxyType({}),
    next_futures: Callable[[Any, Any], list[Any]] | None = None,
) -> list[Any]:
    """Wait for futures, and report their progress. Returns their results in the order of `futures`.

    After each finished future, `next_futures` is called with this future and its result, and
    returns more futures to wait for. The first error cancels all unfinished futures. Raises
    ClusterError if a task kills its workers, or if the connection to the cluster is lost.
    """
    results: dict[Any, Any] = {}
    try:
        completed = distributed.as_completed(futures, with_results=True)
        for future, result in completed:
            # If the connection to the cluster is lost, the result of a cancelled future is an
            # error.
            if isinstance(result, BaseException):
                raise result
            results[future.key] = result
            for new_future in next_futures(future, result) if next_futures else ():
                futures.append(new_future)
                completed.add(new_future)
            stage.advance(rows(result), month=stage.month_of_task(future.key), rejects=rejects(result))
    except distributed.KilledWorker as error:
        missing = cluster.describe_missing_memory(futures[0].client, error.last_worker)
        raise _killed_workers_error(error, names.get(error.task, stage.name), missing) from None
    except (CancelledError, asyncio.CancelledError, CommClosedError, TimeoutError) as error:
        raise ClusterError(
            f"cannot complete {stage.name}: the connection to the cluster was lost ({error})",
            hint="Run the command again. The run resumes from the completed files.",
        ) from None
    finally:
        for future in futures:
            if not future.done():
                future.cancel()
    return [results[future.key] for future in futures]


def _killed_workers_error(error: distributed.KilledWorker, name: str, missing_memory: str) -> ClusterError:
    return ClusterError(
        f"cannot process {name}: the task killed {plural(error.allowed_failures + 1, 'worker')}, "
        "most likely because it needed too much memory",
        hint=f"Set a smaller --partition-rows, fewer --workers, or {missing_memory}.",
    )
