"""How long a stage took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StageTiming:
    """How long a stage took for all of its work: rows, or in training rows times rounds; and with what."""

    stage: str
    seconds: float
    work: int
    workers: int
    threads: int
