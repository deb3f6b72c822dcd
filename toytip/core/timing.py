"""The duration of a stage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StageTiming:
    """The duration of a stage, and the work and resources that it had."""

    stage: str
    """Name of the stage."""
    seconds: float
    """Duration in seconds."""
    work: int
    """Number of rows, or of rows times rounds for training."""
    workers: int
    """Number of workers."""
    threads: int
    """Number of threads of all workers."""
