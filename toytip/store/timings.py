"""Timings of stages in earlier versions, and a warning if a stage was much slower than before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from toytip.core.timing import StageTiming
from toytip.store.manifest import Manifest

# A stage is compared with at most COMPARABLE_RUNS earlier executions, the latest ones with the same
# number of workers and threads. The stage is slow if it takes at least MIN_SLOW_SECONDS, and if its
# time per row is more than SLOW_FACTOR times the median time per row of the earlier executions.
COMPARABLE_RUNS = 5
SLOW_FACTOR = 2.0
MIN_SLOW_SECONDS = 5.0


def stage_timings(manifests: Iterable[Manifest]) -> list[StageTiming]:
    """Return the timing of every stage of every version, oldest first.

    A stage that wrote several tables of a version counts once.
    """
    timed = {
        (manifest.version, manifest.duration.stage): (manifest.created_at, manifest.duration)
        for manifest in manifests
        if manifest.duration is not None and manifest.duration.work > 0
    }
    return [timing for _, timing in sorted(timed.values(), key=lambda item: item[0])]


def comparable(timings: Sequence[StageTiming], stage: str, workers: int, threads: int) -> list[StageTiming]:
    """Return the latest timings of a stage with this number of workers and threads."""
    same = [
        timing
        for timing in timings
        if (timing.stage, timing.workers, timing.threads) == (stage, workers, threads)
    ]
    return same[-COMPARABLE_RUNS:]


def median_rate(timings: Sequence[StageTiming]) -> float | None:
    """Return the median number of seconds per unit of work, or None if there are no timings."""
    return median(timing.seconds / timing.work for timing in timings) if timings else None


def slow_warning(timing: StageTiming, timings: Sequence[StageTiming]) -> str | None:
    """Return a warning if a stage was slow compared with earlier runs, or None."""
    earlier = comparable(timings, timing.stage, timing.workers, timing.threads)
    usual = median_rate(earlier)
    if usual is None or not timing.work or timing.seconds < MIN_SLOW_SECONDS:
        return None
    factor = timing.seconds / timing.work / usual
    if factor <= SLOW_FACTOR:
        return None
    return (
        f"{timing.stage} took {timing.seconds:.1f} s, and its time per row is {factor:.1f}x the median "
        f"of the last {len(earlier)} runs with {timing.workers} workers"
    )
