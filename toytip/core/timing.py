"""The duration of a stage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StageTiming:
    """The duration of a stage, its work and its workers.

    Work is the number of rows. In training it is the number of rows times rounds.
    """

    stage: str
    seconds: float
    work: int
    workers: int
    threads: int
