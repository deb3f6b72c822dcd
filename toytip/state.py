"""state: how far a run is, as one small frozen value; the terminal, the live page and its figures are drawn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Standing = Literal["waiting", "running", "done", "skipped"]
Outcome = Literal["running", "done", "failed", "stopped"]
# A curve has at most so many points, however many rounds there are.
POINTS = 400
# A rate is that of now over so many seconds, told by the last so many counts.
NOW_S = 10.0
COUNTS = 256


class Cell(NamedTuple):
    """The parts of a stage in one month: how many, done, of these taken over, under way, and begun again."""

    parts: int
    done: int = 0
    taken: int = 0
    running: int = 0
    retried: int = 0

    @property
    def standing(self) -> Standing:
        """How far the month is."""
        if self.done >= self.parts:
            return "done"
        return "running" if self.running or self.done else "waiting"

    def plus(self, other: Cell) -> Cell:
        """Return the parts of both."""
        return Cell(*map(sum, zip(self, other, strict=True)))


class Point(NamedTuple):
    """The log loss after a round, of training rows (about) and validation rows, where they are known."""

    round: int
    train: float | None
    valid: float | None


class Count(NamedTuple):
    """How many rows a stage had made by a moment."""

    at: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class StageState:
    """How far a stage is: of `total` parts, or rounds, `done`; seconds are since the epoch.

    `cells` are its parts by month, where it has any; `expected` the seconds that it should take by its own history;
    `counts` its rows when it began and after each of its last parts.
    """

    name: str
    unit: str = "parts"
    total: int = 0
    done: int = 0
    taken: int = 0
    rows: int = 0
    began: float | None = None
    ended: float | None = None
    note: str = ""
    cells: Mapping[str, Cell] = field(default_factory=dict)
    expected: float | None = None
    skipped: bool = False
    counts: tuple[Count, ...] = ()

    @property
    def standing(self) -> Standing:
        """Whether it has begun, and ended."""
        if self.skipped:
            return "skipped"
        if self.began is None:
            return "waiting"
        return "running" if self.ended is None else "done"

    def seconds(self, now: float) -> float:
        """Return how long it has taken so far."""
        return 0.0 if self.began is None else max((self.ended or now) - self.began, 0.0)

    def rate(self, now: float) -> float | None:
        """Return rows a second; None where it has read none."""
        return self.rows / max(self.seconds(now), 1e-6) if self.rows else None

    def rate_now(self, now: float) -> float | None:
        """Return rows a second over the last seconds, or since the last part but one; None where it makes none."""
        if self.standing != "running" or len(self.counts) < 2:
            return None
        *before, last = self.counts
        since = next((count for count in reversed(before) if count.at <= now - NOW_S), before[0])
        return (last.rows - since.rows) / max(now - since.at, 1e-6)

    def left(self, now: float) -> float | None:
        """Return the seconds that are left: by what is done, else by its history; None where nothing tells.

        What was taken over took no time.
        """
        if self.standing in ("done", "skipped"):
            return 0.0
        if made := self.done - self.taken:
            return self.seconds(now) / made * (self.total - self.done)
        return None if self.expected is None else max(self.expected - self.seconds(now), 0.0)


@dataclass(frozen=True, kw_only=True)
class RunState:
    """How far a run is. `now` is the driver's clock, by which all the seconds are told."""

    run: str
    now: float
    began: float
    store: str = ""
    outcome: Outcome = "running"
    ended: float | None = None
    error: str = ""
    stages: tuple[StageState, ...] = ()
    rejects: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[Point, ...] = ()
    published: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def current(self) -> StageState | None:
        """The stage under way."""
        return next((stage for stage in self.stages if stage.standing == "running"), None)

    @property
    def left(self) -> float | None:
        """The seconds that are left of all that is planned; None where nothing tells how long a stage will take."""
        if self.outcome != "running":
            return 0.0
        told = [stage.left(self.now) for stage in self.stages if stage.unit != "step"]
        known = [seconds for seconds in told if seconds is not None]
        return sum(known) if known and len(known) == len(told) else None

    @property
    def months(self) -> tuple[str, ...]:
        """All months of all stages, in order."""
        return tuple(sorted({month for stage in self.stages for month in stage.cells}))

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with what follows from them: rates, and the time that is left."""
        running = self.outcome == "running"
        return {
            "run": self.run,
            "store": self.store,
            "outcome": self.outcome,
            "error": self.error,
            "began": self.began,
            "ended": self.ended,
            "now": self.now,
            "left": self.left,
            "months": list(self.months),
            "stages": [_stage_to_json(stage, self.now, running) for stage in self.stages],
            "rejects": dict(self.rejects),
            "curve": [list(point) for point in thinned(self.curve)],
            "published": list(self.published),
            "warnings": list(self.warnings),
        }


def _stage_to_json(stage: StageState, now: float, running: bool) -> dict[str, Any]:
    return {
        "name": stage.name,
        "unit": stage.unit,
        "standing": stage.standing,
        "total": stage.total,
        "done": stage.done,
        "taken": stage.taken,
        "rows": stage.rows,
        "seconds": round(stage.seconds(now), 3),
        "rate": stage.rate(now),
        "rate_now": stage.rate_now(now) if running else None,
        "left": stage.left(now),
        "note": stage.note,
        "cells": {month: [cell.standing, *cell] for month, cell in stage.cells.items()},
    }


def thinned(curve: Sequence[Point], most: int = POINTS) -> list[Point]:
    """Return a curve of at most about so many points, the last among them.

    >>> [point.round for point in thinned([Point(n, None, None) for n in range(1, 11)], 4)]
    [1, 4, 7, 10]
    """
    step = -(-len(curve) // most) or 1
    kept = list(curve[::step])
    return kept if not curve or kept[-1] == curve[-1] else [*kept, curve[-1]]


def spoken(seconds: float) -> str:
    """Return a span of time in words.

    >>> spoken(4.2), spoken(75), spoken(7500)
    ('4 s', '1 min 15 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
