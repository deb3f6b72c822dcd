"""The workers of a running cluster: their sizes, their capacity, and which workers train."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from toytip.cluster.host_limits import available_cores, available_memory

# If any worker announces this resource (`--resources TRAIN=1`), only such workers train.
TRAINING_RESOURCE = "TRAIN"
# The scheduler removes a stopped worker from its list within this time.
DEPARTURE_TIMEOUT_S = 2
# If the limits of the workers are a larger share of the memory, none of them can be raised much.
MAX_LIMITS_SHARE = 0.9
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


def workers_by_address(client: Any) -> dict[str, WorkerInfo]:
    """Return the workers, sorted by name. This order is the same in every new cluster."""
    workers = _identify_workers(client)
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
    return set(_identify_workers(client))


def _identify_workers(client: Any) -> dict[str, Any]:
    """Return the scheduler's description of each worker, by address.

    The client also asks regularly, without workers, and `scheduler_info` can return that answer.
    """
    identity = client.sync(client.scheduler.identity, n_workers=-1)
    return dict(identity["workers"])


@dataclass(frozen=True, kw_only=True)
class ClusterShape:
    """The sizes of a cluster.

    `threads` is the largest number of threads per worker. `memory_limit` is the lowest limit of a
    worker in bytes, or 0 without a limit. `training_memory` is the smallest memory of a rank.
    """

    workers: int
    threads: int
    memory_limit: int
    ranks: int
    training_memory: int


def cluster_shape(client: Any) -> ClusterShape:
    """Return the sizes of a running cluster."""
    workers, ranks = workers_by_address(client).values(), training_ranks(client)
    limits = [worker.memory_limit for worker in workers if worker.memory_limit]
    return ClusterShape(
        workers=len(workers),
        threads=max(worker.threads for worker in workers),
        memory_limit=min(limits, default=0),
        ranks=len(ranks),
        training_memory=min((rank.pooled_memory for rank in ranks), default=0),
    )


def has_spare_memory(client: Any, lost: Any) -> bool:
    """Return whether this machine has memory that no limit of a worker uses.

    `lost` is the scheduler's state of a worker that was killed, and is perhaps not restarted yet.
    Always true for workers on other hosts, whose memory is unknown.
    """
    if lost.host != LOOPBACK:
        return True
    limits = {lost.name: lost.memory_limit or 0}
    limits |= {info["name"]: info["memory_limit"] or 0 for info in _identify_workers(client).values()}
    return leave_spare_memory(list(limits.values()), available_memory())


def leave_spare_memory(limits: Sequence[int], available: int) -> bool:
    """Return whether memory limits of workers can be raised on a machine. 0 means no limit.

    By default, the workers share all memory of the machine, except for a remainder.

    >>> leave_spare_memory([2_000, 2_000], 8_000), leave_spare_memory([2_666] * 3, 8_000)
    (True, False)
    """
    return 0 not in limits and sum(limits) < MAX_LIMITS_SHARE * available


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
    """A worker that trains with all cores of its host."""

    address: str
    host_workers: tuple[str, ...]
    """The workers of the host, including this one. They load the rows of the rank."""
    threads: int
    """The number of training threads: the number of cores of the host."""
    memory_limit: int
    """The memory limit of the worker in bytes, or 0 without a limit."""
    pooled_memory: int
    """The memory in bytes for training. The other workers of the host are idle meanwhile."""


class HostResources(NamedTuple):
    """The resources of a host, as a process on this host sees them.

    `cpus` has the numbers of the cores that the process can use. `memory` is in bytes.
    """

    cpus: frozenset[int]
    cores: int
    memory: int


def host_resources() -> HostResources:
    """Return the resources of this host, given the CPU affinity and the limits of a container."""
    cores = available_cores()
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(cores)
    return HostResources(frozenset(cpus), cores, available_memory())


def training_ranks(client: Any) -> list[Rank]:
    """Return the workers that train, one per host.

    If any worker announces the resource TRAIN, only workers with this resource train.
    """
    workers = workers_by_address(client)
    trainers = {address: worker for address, worker in workers.items() if worker.is_trainer} or workers
    resources: dict[str, HostResources] = {}
    for address, reply in run_on_workers(client, host_resources, workers=list(trainers)).items():
        if isinstance(reply, HostResources):
            resources[address] = reply
        elif not isinstance(reply, OSError):  # a worker that cannot be reached does not train
            raise reply
    return choose_ranks(trainers, resources)


def choose_ranks(workers: dict[str, WorkerInfo], resources: dict[str, HostResources]) -> list[Rank]:
    """Return the first worker of each host as a rank, among the workers with `resources`.

    Workers on one host that cannot use the same cores (for example, in two Slurm jobs) are treated
    as workers on different hosts.
    """
    hosts: dict[tuple[str, frozenset[int]], list[str]] = {}
    for address, worker in workers.items():
        if address in resources:
            hosts.setdefault((worker.host, resources[address].cpus), []).append(address)
    return [
        Rank(
            address=addresses[0],
            host_workers=tuple(addresses),
            threads=resources[addresses[0]].cores,
            memory_limit=workers[addresses[0]].memory_limit,
            pooled_memory=pool_memory(
                [workers[address].memory_limit for address in addresses], resources[addresses[0]].memory
            ),
        )
        for addresses in hosts.values()
    ]


def pool_memory(limits: Sequence[int], host_memory: int) -> int:
    """Return the memory that the workers of a host can use together. A limit of 0 means no limit.

    >>> [pool_memory(limits, 6_000) for limits in ([1_000, 2_000], [4_000, 4_000], [4_000, 0])]
    [3000, 6000, 6000]
    """
    return min(sum(limits), host_memory) if all(limits) else host_memory
