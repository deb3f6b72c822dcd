"""The workers of a running cluster: their sizes, their capacity, and which workers train."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

# If any worker announces this resource (`--resources TRAIN=1`), only such workers train.
TRAINING_RESOURCE = "TRAIN"
# The scheduler removes a stopped worker from its list within this time.
DEPARTURE_TIMEOUT_S = 2
LOOPBACK = "127.0.0.1"

Reply = TypeVar("Reply")


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """A worker. A memory limit of 0 means no limit."""

    host: str
    threads: int
    memory_limit: int
    is_trainer: bool
    """Whether the worker announces the training resource."""


def available_cores() -> int:
    """Return the number of usable cores, given the CPU affinity and the limits of a container."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


def workers_by_address(client: Any) -> dict[str, WorkerInfo]:
    """Return the workers, sorted by name. This order is the same in every new cluster."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    ordered = sorted(workers.items(), key=lambda item: (str(type(item[1]["name"])), item[1]["name"]))
    return {
        address: WorkerInfo(
            host=info["host"],
            threads=info["nthreads"],
            memory_limit=info["memory_limit"] or 0,
            is_trainer=bool(info["resources"].get(TRAINING_RESOURCE)),
        )
        for address, info in ordered
    }


def run_on_workers(
    client: Any, function: Callable[..., Reply], *args: Any, workers: list[str] | None = None
) -> dict[str, Reply | BaseException]:
    """Call a function on workers, by default on all. Returns values or errors by address.

    Workers that leave the cluster during the call are omitted. A worker can leave at any time,
    because of adaptive scaling or a failure.
    """
    replies = client.run(function, *args, workers=workers, on_error="return")
    unreachable = {address for address, reply in replies.items() if isinstance(reply, OSError)}
    deadline = time.monotonic() + DEPARTURE_TIMEOUT_S
    while unreachable & (present := _addresses(client)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return {
        address: reply
        for address, reply in replies.items()
        if address not in unreachable or address in present
    }


def _addresses(client: Any) -> set[str]:
    return set(client.scheduler_info(n_workers=-1)["workers"])


@dataclass(frozen=True, kw_only=True)
class ClusterShape:
    """The sizes of a cluster.

    `threads` is the largest number of threads per worker. `memory_limit` is the lowest limit of a
    worker in bytes, or 0 without a limit.
    """

    workers: int
    threads: int
    memory_limit: int
    ranks: int


def cluster_shape(client: Any) -> ClusterShape:
    """Return the sizes of a running cluster."""
    workers = workers_by_address(client).values()
    limits = [worker.memory_limit for worker in workers if worker.memory_limit]
    return ClusterShape(
        workers=len(workers),
        threads=max(worker.threads for worker in workers),
        memory_limit=min(limits, default=0),
        ranks=len(training_ranks(client)),
    )


class TaskCapacity(NamedTuple):
    """The number of threads of all workers, and how many tasks can run at once without overload."""

    threads: int
    concurrent_tasks: int


def task_capacity(client: Any) -> TaskCapacity:
    """Return the capacity: one task per thread, but at most cores + 1 on a single machine.

    On other hosts, the number of cores does not limit the capacity. toytip would have to request
    this number from a worker, which may be frozen.
    """
    workers = workers_by_address(client).values()
    threads = sum(worker.threads for worker in workers)
    is_local = all(worker.host == LOOPBACK for worker in workers)
    if is_local and threads > available_cores():
        return TaskCapacity(threads, min(threads, available_cores() + 1))
    return TaskCapacity(threads, threads)


@dataclass(frozen=True, kw_only=True)
class Rank:
    """A worker that trains, and the number of its training threads."""

    address: str
    threads: int


def training_ranks(client: Any) -> list[Rank]:
    """Return the workers that train: on each host, at most one per core.

    The chosen workers of a host share its cores equally. If any worker announces the resource
    TRAIN, only workers with this resource train.
    """
    workers = workers_by_address(client)
    trainers = {address: worker for address, worker in workers.items() if worker.is_trainer}
    ranks = []
    for addresses, cores in _workers_by_host(client, trainers or workers):
        chosen = addresses[:cores]
        ranks += [Rank(address=address, threads=max(1, cores // len(chosen))) for address in chosen]
    return ranks


def _workers_by_host(client: Any, workers: dict[str, WorkerInfo]) -> list[tuple[list[str], int]]:
    """Return the workers of each host, and the number of cores of the host."""
    hosts: dict[str, list[str]] = {}
    for address, worker in workers.items():
        hosts.setdefault(worker.host, []).append(address)
    cores: dict[str, int] = {}
    while pending := {
        addresses[0]: host for host, addresses in hosts.items() if host not in cores and addresses
    }:
        replies = run_on_workers(client, available_cores, workers=list(pending))
        for address, host in pending.items():
            reply = replies.get(address, OSError())
            if isinstance(reply, OSError):  # the worker has left: ask another worker of the host
                del hosts[host][0]
            elif isinstance(reply, BaseException):
                raise reply
            else:
                cores[host] = reply
    return [(hosts[host], cores[host]) for host in cores]
