"""state: how far a run is, as one small frozen value; the terminal, the live page and its figures are drawn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Status = Literal["waiting", "running", "done", "skipped"]
RunOutcome = Literal["running", "done", "failed", "stopped"]
# A curve has at most so many points, however many rounds there are.
MAX_SENT_POINTS = 400
# A rate is that of now over so many seconds, told by the last so many counts.
CURRENT_RATE_SECONDS = 10.0
MAX_ROW_COUNTS = 256


class MonthProgress(NamedTuple):
    """The parts of a stage in one month: how many, done, of these taken over, under way, and begun again."""

    partitions: int
    done: int = 0
    reused: int = 0
    running: int = 0
    retried: int = 0

    @property
    def status(self) -> Status:
        """How far the month is."""
        if self.done >= self.partitions:
            return "done"
        return "running" if self.running or self.done else "waiting"

    def merge(self, other: MonthProgress) -> MonthProgress:
        """Return the parts of both."""
        return MonthProgress(*map(sum, zip(self, other, strict=True)))


class CurvePoint(NamedTuple):
    """The log loss after a round, of training rows (about) and validation rows, where they are known."""

    round: int
    train: float | None
    validation: float | None


class RowCount(NamedTuple):
    """How many rows a stage had made by a moment."""

    time: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class StageState:
    """How far a stage is: of `total` parts, or rounds, `done`; seconds are since the epoch.

    `month_progress` are its parts by month, where it has any; `expected_seconds` the seconds that it should take by its own history;
    `row_counts` its rows when it began and after each of its last parts.
    """

    name: str
    unit: str = "partitions"
    total: int = 0
    done: int = 0
    reused: int = 0
    rows: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    note: str = ""
    month_progress: Mapping[str, MonthProgress] = field(default_factory=dict)
    expected_seconds: float | None = None
    skipped: bool = False
    row_counts: tuple[RowCount, ...] = ()

    @property
    def status(self) -> Status:
        """Whether it has begun, and ended."""
        if self.skipped:
            return "skipped"
        if self.started_at is None:
            return "waiting"
        return "running" if self.ended_at is None else "done"

    def seconds(self, now: float) -> float:
        """Return how long it has taken so far."""
        return 0.0 if self.started_at is None else max((self.ended_at or now) - self.started_at, 0.0)

    def rows_per_second(self, now: float) -> float | None:
        """Return rows a second; None where it has read none."""
        return self.rows / max(self.seconds(now), 1e-6) if self.rows else None

    def current_rows_per_second(self, now: float) -> float | None:
        """Return rows a second over the last seconds, or since the last part but one; None where it makes none."""
        if self.status != "running" or len(self.row_counts) < 2:
            return None
        *before, last = self.row_counts
        since = next(
            (count for count in reversed(before) if count.time <= now - CURRENT_RATE_SECONDS), before[0]
        )
        return (last.rows - since.rows) / max(now - since.time, 1e-6)

    def remaining(self, now: float) -> float | None:
        """Return the seconds that are left: by what is done, else by its history; None where nothing tells.

        What was taken over took no time.
        """
        if self.status in ("done", "skipped"):
            return 0.0
        if made := self.done - self.reused:
            return self.seconds(now) / made * (self.total - self.done)
        return None if self.expected_seconds is None else max(self.expected_seconds - self.seconds(now), 0.0)


@dataclass(frozen=True, kw_only=True)
class RunState:
    """How far a run is. `now` is the driver's clock, by which all the seconds are told."""

    run: str
    now: float
    started_at: float
    store: str = ""
    outcome: RunOutcome = "running"
    ended_at: float | None = None
    error: str = ""
    stages: tuple[StageState, ...] = ()
    rejects: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[CurvePoint, ...] = ()
    published: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def current(self) -> StageState | None:
        """The stage under way."""
        return next((stage for stage in self.stages if stage.status == "running"), None)

    @property
    def remaining(self) -> float | None:
        """The seconds that are left of all that is planned; None where nothing tells how long a stage will take."""
        if self.outcome != "running":
            return 0.0
        told = [stage.remaining(self.now) for stage in self.stages if stage.unit != "step"]
        known = [seconds for seconds in told if seconds is not None]
        return sum(known) if known and len(known) == len(told) else None

    @property
    def months(self) -> tuple[str, ...]:
        """All months of all stages, in order."""
        return tuple(sorted({month for stage in self.stages for month in stage.month_progress}))


def downsample(curve: Sequence[CurvePoint], max_points: int = MAX_SENT_POINTS) -> list[CurvePoint]:
    """Return a curve of at most about so many points, the last among them.

    >>> [point.round for point in downsample([CurvePoint(n, None, None) for n in range(1, 11)], 4)]
    [1, 4, 7, 10]
    """
    step = -(-len(curve) // max_points) or 1
    kept = list(curve[::step])
    return kept if not curve or kept[-1] == curve[-1] else [*kept, curve[-1]]


def format_duration(seconds: float) -> str:
    """Return a span of time in words.

    >>> format_duration(4.2), format_duration(75), format_duration(7500)
    ('4 s', '1 min 15 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
