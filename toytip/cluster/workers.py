"""The workers that are there: what they have, and which of them train."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

TRAINING_RESOURCE = "TRAIN"
# A worker that has gone is off the scheduler's list at the latest after so long.
DEPARTURE_TIMEOUT_S = 2


def available_cores() -> int:
    """Return the cores this process may use: those that it is bound to, and a container's share of them."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


def run_on_workers(
    client: Any, function: Callable[..., Any], *args: Any, workers: list[str] | None = None
) -> dict[str, Any]:
    """Ask workers something; return by address what each has said, or its error. Who goes meanwhile is left out.

    An elastic cluster may lose a worker at any moment, and so may every other.
    """
    said = client.run(function, *args, workers=workers, on_error="return")
    lost = {who for who, each in said.items() if isinstance(each, OSError)}
    end = time.monotonic() + DEPARTURE_TIMEOUT_S
    while (there := lost & set(client.scheduler_info(n_workers=-1)["workers"])) and time.monotonic() < end:
        time.sleep(0.1)
    return {who: each for who, each in said.items() if who not in lost or who in there}


@dataclass(frozen=True, kw_only=True)
class ClusterShape:
    """What a cluster has: workers, threads in the largest, bytes that the tightest may use (0: no limit)."""

    workers: int
    threads: int
    memory_limit: int
    ranks: int


def cluster_shape(client: Any) -> ClusterShape:
    """Return what a running cluster has."""
    workers = workers_by_address(client)
    return ClusterShape(
        workers=len(workers),
        threads=max(info["nthreads"] for info in workers.values()),
        memory_limit=min(
            (info["memory_limit"] for info in workers.values() if info["memory_limit"]), default=0
        ),
        ranks=len(training_ranks(client)),
    )


@dataclass(frozen=True, kw_only=True)
class Rank:
    """A worker that trains, and with how many threads."""

    address: str
    threads: int


def training_ranks(client: Any) -> list[Rank]:
    """Return the workers that train: of each host as many as it has cores, which share them.

    Where workers announce the resource TRAIN (`dask worker --resources TRAIN=1`), it is only they.
    """
    there = workers_by_address(client)
    announced = {address: info for address, info in there.items() if info["resources"].get(TRAINING_RESOURCE)}
    chosen = []
    for addresses, number in _workers_by_host(client, announced or there):
        training = addresses[:number]
        chosen += [Rank(address=each, threads=max(1, number // len(training))) for each in training]
    return chosen


class TaskCapacity(NamedTuple):
    """The threads of all workers, and how many tasks these can serve at once."""

    threads: int
    concurrent_tasks: int


def task_capacity(client: Any) -> TaskCapacity:
    """Return what room there is for tasks: one a thread, but no more than cores, and one, where all workers are here.

    Only of this machine it is known without asking workers, one of which might be frozen.
    """
    there = workers_by_address(client).values()
    threads = sum(info["nthreads"] for info in there)
    here = all(info["host"] == "127.0.0.1" for info in there)
    return TaskCapacity(
        threads, min(threads, available_cores() + 1) if here and threads > available_cores() else threads
    )


def _workers_by_host(client: Any, workers: dict[str, dict[str, Any]]) -> list[tuple[list[str], int]]:
    """Return the workers of each host, and the cores that it has."""
    hosts: dict[str, list[str]] = {}
    for address, info in workers.items():
        hosts.setdefault(info["host"], []).append(address)
    counted: dict[str, int] = {}
    while ask := {
        addresses[0]: host for host, addresses in hosts.items() if host not in counted and addresses
    }:
        said = run_on_workers(client, available_cores, workers=list(ask))
        for address, host in ask.items():
            answer = said.get(address, OSError())
            if isinstance(answer, OSError):  # it goes, or has gone: one beside it knows as well
                del hosts[host][0]
            elif isinstance(answer, BaseException):
                raise answer
            else:
                counted[host] = answer
    return [(hosts[host], counted[host]) for host in counted]


def workers_by_address(client: Any) -> dict[str, dict[str, Any]]:
    """Return the workers by address, in order of their names: the same order in every fresh cluster."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return dict(sorted(workers.items(), key=lambda item: (str(type(item[1]["name"])), item[1]["name"])))
