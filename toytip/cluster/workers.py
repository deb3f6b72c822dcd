"""The workers that are there: what they have, and which of them train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TRAIN = "TRAIN"


def cores() -> int:
    """Return the cores this process may use: those that it is bound to, and a container's share of them."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a cluster has: workers, threads in the largest, bytes that the tightest may use (0: no limit)."""

    workers: int
    threads: int
    limit: int
    ranks: int


def shape_of(client: Any) -> Shape:
    """Return what a running cluster has."""
    workers = workers_of(client)
    return Shape(
        workers=len(workers),
        threads=max(info["nthreads"] for info in workers.values()),
        limit=min((info["memory_limit"] for info in workers.values() if info["memory_limit"]), default=0),
        ranks=len(ranks(client)),
    )


@dataclass(frozen=True, kw_only=True)
class Rank:
    """A worker that trains: with how many threads, and the workers of its host, itself among them."""

    address: str
    threads: int
    peers: tuple[str, ...]


def ranks(client: Any) -> list[Rank]:
    """Return the workers that train: of each host as many as it has cores, which share them.

    Where workers announce the resource TRAIN (`dask worker --resources TRAIN=1`), it is only they.
    """
    there = workers_of(client)
    announced = {address: info for address, info in there.items() if info["resources"].get(TRAIN)}
    hosts: dict[str, list[str]] = {}
    for address, info in (announced or there).items():
        hosts.setdefault(info["host"], []).append(address)
    counted = client.run(cores, workers=[addresses[0] for addresses in hosts.values()])
    chosen = []
    for addresses in hosts.values():
        number = counted[addresses[0]]
        peers = tuple(addresses[:number])
        chosen += [
            Rank(address=a, threads=max(1, number // len(peers)), peers=tuple(addresses)) for a in peers
        ]
    return chosen


def workers_of(client: Any) -> dict[str, dict[str, Any]]:
    """Return the workers by address, in order of their names: the same order in every fresh cluster."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return dict(sorted(workers.items(), key=lambda item: (str(type(item[1]["name"])), item[1]["name"])))
