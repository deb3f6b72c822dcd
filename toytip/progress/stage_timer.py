"""Measure the duration of the stages of a run, and compare the stages with earlier runs."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

from toytip.core.timing import StageTiming


class StageHistory(Protocol):
    """The timings of stages in earlier runs."""

    def expected_seconds(self, stage: str, work: int) -> float | None:
        """Return the usual seconds of a stage for this amount of work, or None if it is unknown."""

    def slow_warning(self, timing: StageTiming) -> str | None:
        """Return a warning if a stage took much longer than usual, or else None."""


class StageDuration(NamedTuple):
    """Start and end of a stage, by `time.perf_counter`, and its number of rows."""

    start: float
    stop: float
    rows: int

    @property
    def seconds(self) -> float:
        """Duration in seconds, to the millisecond."""
        return round(self.stop - self.start, 3)


class StageTimer:
    """Records the duration of each stage."""

    def __init__(self) -> None:
        self._workers = self._threads = 0
        self._history: StageHistory | None = None
        self._durations: dict[str, StageDuration] = {}
        self._timings: dict[str, StageTiming] = {}

    def set_workers(self, workers: int, threads: int) -> None:
        """Record the number of workers and the number of threads, for all later stages."""
        self._workers, self._threads = workers, threads

    def set_history(self, history: StageHistory) -> None:
        """Set the timings of earlier runs, with which all later stages are compared."""
        self._history = history

    def expected_seconds(self, stage: str, work: int) -> float | None:
        """Return the usual duration of a stage in seconds, or None if it is unknown."""
        return self._history.expected_seconds(stage, work) if self._history and work else None

    def record(self, stage: str, started_at: float, rows: int) -> None:
        """Record that a stage ends now."""
        self._durations[stage] = StageDuration(started_at, time.perf_counter(), rows)

    def record_work(self, stage: str, work: int, shape: str = "") -> str | None:
        """Record the work of a complete stage, and return a warning if the stage was slow.

        The work of a stage is its number of rows. The work of training is rows times rounds.
        """
        timing = StageTiming(
            stage=stage,
            seconds=self._durations[stage].seconds,
            work=work,
            workers=self._workers,
            threads=self._threads,
            shape=shape,
        )
        self._timings[stage] = timing
        return self._history.slow_warning(timing) if self._history else None

    def durations(self) -> dict[str, StageDuration]:
        """Return the durations of all complete stages, by stage."""
        return dict(self._durations)

    def timing(self, stage: str) -> StageTiming | None:
        """Return the timing of a stage, or None if the stage reused files."""
        return self._timings.get(stage)
