"""pace: how long a stage takes for its work, by what the manifests of earlier versions say; and whether one was slow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from toytip.manifest import Manifest
from toytip.values import Took

# A stage is compared with the last so many times that it had the same workers; and is slow where it takes so many times
# their median for a row, and so many seconds.
LAST = 5
TIMES = 2.0
LEAST_S = 5.0


def history(manifests: Iterable[Manifest]) -> list[Took]:
    """Return how long the stages of versions took, in order of time; a stage that left several tables is told once."""
    found = {(m.version, m.took.stage): m for m in manifests if m.took is not None and m.took.work > 0}
    ordered = sorted(found.values(), key=lambda manifest: manifest.created)
    return [manifest.took for manifest in ordered if manifest.took is not None]


def alike(before: Sequence[Took], stage: str, workers: int, threads: int) -> list[Took]:
    """Return the last times that a stage ran with so many workers and threads."""
    same = [took for took in before if (took.stage, took.workers, took.threads) == (stage, workers, threads)]
    return same[-LAST:]


def usual(before: Sequence[Took]) -> float | None:
    """Return the median of the seconds for a unit of work; None where there is no history."""
    return median(took.seconds / took.work for took in before) if before else None


def slow(now: Took, before: Sequence[Took]) -> str | None:
    """Return a line where a stage was slow by its own history; None where it was not, or has none."""
    there = alike(before, now.stage, now.workers, now.threads)
    wont = usual(there)
    if wont is None or not now.work or now.seconds < LEAST_S:
        return None
    times = now.seconds / now.work / wont
    if times <= TIMES:
        return None
    return (
        f"{now.stage} was slow: {now.seconds:.1f} s, {times:.1f} times what it took for a row in the last "
        f"{len(there)} versions with {now.workers} workers"
    )
