"""The barrier: tasks are handed in, their progress is told, and all that they leave is there before anything goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from itertools import islice
from typing import Any

import dask
import dask.dataframe as dd
import distributed
from dask.delayed import Delayed
from dask.optimization import cull
from distributed.comm import CommClosedError

from toytip.cluster import at_once
from toytip.errors import ClusterError
from toytip.progress import Stage


def collect(
    client: distributed.Client,
    lazy: dd.Series,
    stage: Stage,
    names: Sequence[str] = (),
    months: Sequence[str] = (),
) -> list[Any]:
    """Compute a lazy series of one value a partition, each with its `rows`; return the values in order.

    Where there are more workers than cores, no more are under way than these can serve, and one: they would only
    displace each other's caches. `names` say what the partitions are, should one be the end of every worker that meets it;
    `months` of which months they are, for the progress.
    """
    parts, most = lazy.to_delayed(), at_once(client)
    if most is None:
        futures, more = client.compute(parts), iter(())
    else:
        more = map(client.compute, _apart(parts))
        futures = list(islice(more, most))
    results = gather(
        futures, stage, rows=lambda result: result.iloc[0].rows, rejects=_rejects, names=names, months=months, more=more
    )  # fmt: skip
    return [result.iloc[0] for result in results]


def _rejects(result: Any) -> Mapping[str, int]:
    return {reason: n for record in result.iloc[0].records.values() for reason, n in record.rejects.items()}


def _apart(parts: Sequence[Delayed]) -> Iterator[Delayed]:
    """Give every task a graph of its own: to hand one in takes a millisecond then, however many there are."""
    graph = dict(parts[0].dask) if parts else {}
    for part in parts:
        yield Delayed(part.key, cull(graph, [part.key])[0])


def each(
    client: distributed.Client, frame: dd.DataFrame, ask: Callable[..., Any], *args: Any, stage: Stage
) -> list[Any]:
    """Ask something of every partition; return the answers in their order."""
    futures = client.compute([dask.delayed(ask)(part, *args) for part in frame.to_delayed()])
    return gather(futures, stage, rows=lambda _: 0)


def gather(
    futures: list[Any],
    stage: Stage,
    rows: Callable[[Any], int],
    *,
    rejects: Callable[[Any], Mapping[str, int]] = lambda _: {},
    names: Sequence[str] = (),
    months: Sequence[str] = (),
    more: Iterable[Any] = (),
) -> list[Any]:
    """Wait for futures, telling the progress; return their results in order. For each that is done, one `more` begins.

    The first error ends the wait and the work. Raises ClusterError where workers keep dying.
    """
    results: dict[Any, Any] = {}
    for future, month in zip(futures, months, strict=False):
        stage.watch(future.key, month)
    try:
        under_way, others = distributed.as_completed(futures, with_results=True), iter(more)
        for future, result in under_way:
            # So it is told of a future that was cancelled with its cluster.
            if isinstance(result, BaseException):
                raise result
            results[future.key] = result
            for another in islice(others, 1):
                if months:
                    stage.watch(another.key, months[len(futures)])
                futures.append(another)
                under_way.add(another)
            stage.advance(rows(result), month=stage.keys.get(future.key, ""), rejects=rejects(result))
    except distributed.KilledWorker as error:
        named = dict(zip((future.key for future in futures), names, strict=False))
        raise ClusterError(
            f"{named.get(error.task, 'a task')} killed {error.allowed_failures + 1} workers, most likely for memory; "
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
