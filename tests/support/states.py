"""States of runs for tests."""

from __future__ import annotations

from typing import Any

from toytip.core.timing import StageTiming
from toytip.progress.state import RunState, StageState


def run_state(*stages: StageState, **fields: Any) -> RunState:
    """Return the state of the run v1, 20 seconds after its start."""
    return RunState(run="v1", now=100, started_at=80, stages=stages, **fields)


def stage_timing(
    seconds: float,
    work: int = 1_000,
    stage: str = "infer",
    workers: int = 2,
    threads: int = 2,
    shape: str = "",
) -> StageTiming:
    """Return the timing of a stage."""
    return StageTiming(stage=stage, seconds=seconds, work=work, workers=workers, threads=threads, shape=shape)
