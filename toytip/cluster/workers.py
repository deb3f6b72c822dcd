"""The workers that are there: what they have, and which of them train."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


def cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    """Return the workers that train: of each host as many as it has cores, which share them."""
    hosts: dict[str, list[str]] = {}
    for address, info in workers_of(client).items():
        hosts.setdefault(info["host"], []).append(address)
    there = client.run(cores, workers=[addresses[0] for addresses in hosts.values()])
    chosen = []
    for addresses in hosts.values():
        number = there[addresses[0]]
        peers = tuple(addresses[:number])
        chosen += [
            Rank(address=a, threads=max(1, number // len(peers)), peers=tuple(addresses)) for a in peers
        ]
    return chosen


def workers_of(client: Any) -> dict[str, dict[str, Any]]:
    """Return the workers by address, in order of their names: the same order in every fresh cluster."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return dict(sorted(workers.items(), key=lambda item: (str(type(item[1]["name"])), item[1]["name"])))
