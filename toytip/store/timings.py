"""Timings of stages in earlier versions, and a warning if a stage was much slower than before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from toytip.core.text import plural
from toytip.core.timing import StageTiming
from toytip.store.manifest import Manifest

# The duration of a stage is estimated from its latest COMPARABLE_RUNS executions with the same
# number of workers and threads.
COMPARABLE_RUNS = 5
# A stage is slow if it takes at least MIN_SLOW_SECONDS, and more than SLOW_FACTOR times the median
# of the latest COMPARABLE_RUNS executions of the same size. With fewer executions, the usual
# duration is unknown. Executions have the same size if their shapes are equal, and if their amounts
# of work differ by at most a factor of SIMILAR_WORK.
SLOW_FACTOR = 2.0
MIN_SLOW_SECONDS = 5.0
SIMILAR_WORK = 1.25


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
    """Return a warning if a stage was slow compared with earlier runs of the same size, or None."""
    same_size = [earlier for earlier in timings if _has_same_size(earlier, timing)]
    earlier = [run.seconds for run in comparable(same_size, timing.stage, timing.workers, timing.threads)]
    if len(earlier) < COMPARABLE_RUNS or timing.seconds < MIN_SLOW_SECONDS:
        return None
    if timing.seconds <= SLOW_FACTOR * median(earlier) or timing.seconds <= max(earlier):
        return None
    return (
        f"{timing.stage} took {timing.seconds:.1f} s, and the last {COMPARABLE_RUNS} runs of this size with "
        f"{plural(timing.workers, 'worker')} took {min(earlier):.1f} to {max(earlier):.1f} s "
        "(check whether other programs use the machine)"
    )


def _has_same_size(earlier: StageTiming, timing: StageTiming) -> bool:
    """Return whether an earlier execution had the same shape, and about as much work."""
    if earlier.shape != timing.shape or not timing.work:
        return False
    return 1 / SIMILAR_WORK <= earlier.work / timing.work <= SIMILAR_WORK
