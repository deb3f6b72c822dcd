"""pace: how long a stage takes for its work, by what the manifests of earlier versions say; and whether one was slow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from toytip.core.timing import StageTiming
from toytip.store.manifest import Manifest

# A stage is compared with the last so many times that it had the same workers; and is slow where it takes so many times
# their median for a row, and so many seconds.
COMPARABLE_RUNS = 5
SLOW_FACTOR = 2.0
MIN_SLOW_SECONDS = 5.0


def stage_timings(manifests: Iterable[Manifest]) -> list[StageTiming]:
    """Return how long the stages of versions took, in order of time; a stage that left several tables is told once."""
    found = {
        (m.version, m.duration.stage): m for m in manifests if m.duration is not None and m.duration.work > 0
    }
    ordered = sorted(found.values(), key=lambda manifest: manifest.created_at)
    return [manifest.duration for manifest in ordered if manifest.duration is not None]


def comparable(timings: Sequence[StageTiming], stage: str, workers: int, threads: int) -> list[StageTiming]:
    """Return the last times that a stage ran with so many workers and threads."""
    same = [took for took in timings if (took.stage, took.workers, took.threads) == (stage, workers, threads)]
    return same[-COMPARABLE_RUNS:]


def median_rate(timings: Sequence[StageTiming]) -> float | None:
    """Return the median of the seconds for a unit of work; None where there is no history."""
    return median(took.seconds / took.work for took in timings) if timings else None


def slow_warning(timing: StageTiming, timings: Sequence[StageTiming]) -> str | None:
    """Return a line where a stage was slow by its own history; None where it was not, or has none."""
    there = comparable(timings, timing.stage, timing.workers, timing.threads)
    wont = median_rate(there)
    if wont is None or not timing.work or timing.seconds < MIN_SLOW_SECONDS:
        return None
    times = timing.seconds / timing.work / wont
    if times <= SLOW_FACTOR:
        return None
    return (
        f"{timing.stage} was slow: {timing.seconds:.1f} s, {times:.1f} times what it took for a row in the last "
        f"{len(there)} versions with {timing.workers} workers"
    )
