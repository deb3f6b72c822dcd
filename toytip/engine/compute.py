"""The barrier: tasks are handed in, their progress is told, and all that they leave is there before anything goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
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
    """Compute a lazy series of one value a partition, with its `rows` and `records`; return the values in order.

    `names` say what the partitions are, should one be the end of every worker that meets it; `files` what each is read
    from, where a worker had better go on in the file that it is at: each value has its `worker` then. An elastic cluster has
    to see all that there is to do. `months` say of which months they are, for the progress.
    """
    parts, room = lazy.to_delayed(), cluster.task_capacity(client)
    keys, window = [part.key for part in parts], None
    if room.concurrent_tasks < room.threads or (files and not cluster.adaptive_limits(client)):
        window = _SubmissionWindow(client, parts, files or range(len(parts)))
    for key, month in zip(keys, months, strict=False):
        stage.track_task(key, month)
    futures = client.compute(parts) if window is None else window.submit_next()
    found = wait_for(
        futures, stage, lambda done: done.iloc[0].rows,
        rejects=_rejects_by_reason, names=dict(zip(keys, names, strict=False)),
        next_futures=window.submit_next if window else None,
    )  # fmt: skip
    results = {future.key: result for future, result in zip(futures, found, strict=True)}
    return [results[key].iloc[0] for key in keys]


def _rejects_by_reason(result: Any) -> Mapping[str, int]:
    return {reason: n for record in result.iloc[0].records.values() for reason, n in record.rejects.items()}


class _SubmissionWindow:
    """Hands partitions in, no more than the workers can serve: more would only displace each other's caches."""

    CAPACITY_CHECK_SECONDS = 1.0

    def __init__(self, client: distributed.Client, parts: Sequence[Delayed], files: Sequence[object]) -> None:
        self._client, self._parts, self._files = client, parts, files
        self._graph = dict(parts[0].dask) if parts else {}
        self._numbers = {part.key: number for number, part in enumerate(parts)}
        self._lanes = LocalityQueue(files)
        self._under_way, self._most, self._looked = 0, 0, -inf

    def submit_next(self, done: Any = None, result: Any = None) -> list[Any]:
        """Return futures of what is handed in now that one is done: its successor, and others where workers have come."""
        if time.monotonic() - self._looked > self.CAPACITY_CHECK_SECONDS:
            self._most, self._looked = cluster.task_capacity(self._client).concurrent_tasks, time.monotonic()
        self._under_way -= done is not None
        handed: list[Any] = []
        while self._under_way < self._most:
            number = self._lanes.next(None if done is None else self._numbers[done.key])
            if number is None:
                break
            handed.append(self._submit(number, done, result))
            self._under_way, done = self._under_way + 1, None
        return handed

    def _submit(self, number: int, done: Any, result: Any) -> Any:
        key = self._parts[number].key
        # A graph of its own: to hand it in takes a millisecond then, however many there are.
        part = Delayed(key, cull(self._graph, [key])[0])
        if done is None or self._files[number] != self._files[self._numbers[done.key]]:
            return self._client.compute(part)
        return self._client.compute(part, workers=[result.iloc[0].worker], allow_other_workers=True)


def map_partitions(
    client: distributed.Client,
    frame: dd.DataFrame,
    function: Callable[..., Any],
    *args: Any,
    stage: StageProgress,
) -> list[Any]:
    """Ask something of every partition; return the answers in their order."""
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
    """Wait for futures, telling the progress; return their results in order. `next_futures` follow on each that is done, and its result.

    The first error ends the wait and the work. Raises ClusterError where workers keep dying.
    """
    results: dict[Any, Any] = {}
    try:
        under_way = distributed.as_completed(futures, with_results=True)
        for future, result in under_way:
            # So it is told of a future that was cancelled with its cluster.
            if isinstance(result, BaseException):
                raise result
            results[future.key] = result
            for another in next_futures(future, result) if next_futures else ():
                futures.append(another)
                under_way.add(another)
            stage.advance(rows(result), month=stage.task_months.get(future.key, ""), rejects=rejects(result))
    except distributed.KilledWorker as error:
        raise ClusterError(
            f"{names.get(error.task, 'a task')} killed {error.allowed_failures + 1} workers, most likely for memory; "
            "try a smaller --partition-rows, fewer --workers, or a larger --memory-limit"
        ) from None
    except (CancelledError, asyncio.CancelledError, CommClosedError, TimeoutError) as error:
        raise ClusterError(
            f"the cluster was lost in the middle of {stage.name}: {error}; run again"
        ) from None
    finally:
        for future in futures:
            if not future.done():
                future.cancel()
    return [results[future.key] for future in futures]
