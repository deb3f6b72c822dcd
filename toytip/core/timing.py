"""The duration of a stage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StageTiming:
    """The duration of a stage, with its amount of work and its workers."""

    stage: str
    """Name of the stage."""
    seconds: float
    """Duration in seconds."""
    work: int
    """Number of rows. For training, the number of rows times the number of rounds."""
    workers: int
    """Number of workers."""
    threads: int
    """Total number of threads of all workers."""
    shape: str = ""
    """Facts other than `work` that change the duration, for example the number of features."""
