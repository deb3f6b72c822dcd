"""Duration, throughput and memory of a run."""

from __future__ import annotations

import time
from typing import Self

from toytip.cluster import MemorySampler
from toytip.pipeline.result import RunTiming
from toytip.progress.tracker import Progress


class RunMeter:
    """Measures the time of a run since its creation, and the memory inside its `with` block."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._memory = MemorySampler()
        self._started_at = time.perf_counter()

    def __enter__(self) -> Self:
        self._memory.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.stop()

    def timing(self, *, rows: int, workers: int) -> RunTiming:
        """Return the timing up to now, for a number of source rows.

        Call this method after the `with` block.
        """
        seconds = time.perf_counter() - self._started_at
        return RunTiming(
            elapsed_seconds=round(seconds, 3),
            rows_per_second=round(rows / seconds, 1),
            stage_seconds=self._progress.stage_seconds,
            stage_rows=self._progress.stage_rows,
            stage_memory_mb=self._peaks_by_stage(),
            peak_memory_mb=self._memory.stop(),
            workers=workers,
        )

    def _peaks_by_stage(self) -> dict[str, float]:
        """Return the peak memory of each stage during which the memory was sampled."""
        durations = self._progress.durations.items()
        peaks = {name: self._memory.peak_between(stage.start, stage.stop) for name, stage in durations}
        return {name: peak for name, peak in peaks.items() if peak is not None}
