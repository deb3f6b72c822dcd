"""The state of a run, as immutable values. The terminal and the run dashboard show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Status = Literal["waiting", "running", "done", "skipped"]
RunOutcome = Literal["running", "done", "failed", "stopped"]
Unit = Literal["partitions", "rounds", "step"]
# The most points of a loss curve that are sent to the dashboard.
MAX_SENT_POINTS = 400
# The current rate is that of the last seconds, by at most the last row counts.
CURRENT_RATE_SECONDS = 10.0
MAX_ROW_COUNTS = 256


class MonthProgress(NamedTuple):
    """Number of partitions of a stage in one month, by status."""

    partitions: int
    """All partitions of the month."""
    done: int = 0
    """Partitions that are complete."""
    reused: int = 0
    """Complete partitions whose files an earlier run wrote."""
    running: int = 0
    """Partitions that a worker computes now."""
    retried: int = 0
    """Partitions that were computed again, because their worker was lost."""

    @property
    def status(self) -> Status:
        """The status of the month."""
        if self.done >= self.partitions:
            return "done"
        return "running" if self.running or self.done else "waiting"

    def merge(self, other: MonthProgress) -> MonthProgress:
        """Return the sum of both."""
        return MonthProgress(*map(sum, zip(self, other, strict=True)))


class CurvePoint(NamedTuple):
    """The log loss after a training round."""

    round: int
    """Number of the round, from 1."""
    train: float | None
    """Approximate log loss of the training trips, if it is known."""
    validation: float | None
    """Log loss of the validation trips, if there are any."""


class RowCount(NamedTuple):
    """The number of rows that a stage has processed at a time."""

    time: float
    """Seconds since the epoch."""
    rows: int
    """Number of rows since the start of the stage."""


@dataclass(frozen=True, kw_only=True)
class StageState:
    """The state of a stage."""

    name: str
    """Name of the stage."""
    unit: Unit = "partitions"
    """Unit of `total` and `done`."""
    total: int = 0
    """Planned number of steps."""
    done: int = 0
    """Number of steps that are done."""
    reused: int = 0
    """Steps that an earlier run did."""
    rows: int = 0
    """Number of rows that are processed."""
    started_at: float | None = None
    """Start, in seconds since the epoch."""
    ended_at: float | None = None
    """End, in seconds since the epoch."""
    note: str = ""
    """Text at the end of the stage's line."""
    month_progress: Mapping[str, MonthProgress] = field(default_factory=dict)
    """Partitions by month, if the stage has any."""
    expected_seconds: float | None = None
    """Usual duration in earlier runs."""
    skipped: bool = False
    """Whether the stage is not needed."""
    row_counts: tuple[RowCount, ...] = ()
    """Row counts at the start, and after each of the last partitions."""

    @property
    def status(self) -> Status:
        """The status of the stage."""
        if self.skipped:
            return "skipped"
        if self.started_at is None:
            return "waiting"
        return "running" if self.ended_at is None else "done"

    def seconds(self, now: float) -> float:
        """Return the duration so far."""
        return 0.0 if self.started_at is None else max((self.ended_at or now) - self.started_at, 0.0)

    def rows_per_second(self, now: float) -> float | None:
        """Return the mean rate, or None without rows."""
        return self.rows / max(self.seconds(now), 1e-6) if self.rows else None

    def current_rows_per_second(self, now: float) -> float | None:
        """Return the rate of the last seconds, or of the last partition. None without rows."""
        if self.status != "running" or len(self.row_counts) < 2:
            return None
        *earlier, last = self.row_counts
        oldest = now - CURRENT_RATE_SECONDS
        since = next((count for count in reversed(earlier) if count.time <= oldest), earlier[0])
        return (last.rows - since.rows) / max(now - since.time, 1e-6)

    def remaining(self, now: float) -> float | None:
        """Return the estimated seconds to the end, or None if there is no estimate.

        The estimate is based on the steps that are done, or else on earlier runs. Reused steps took
        no time.
        """
        if self.status in ("done", "skipped"):
            return 0.0
        if computed := self.done - self.reused:
            return self.seconds(now) / computed * (self.total - self.done)
        return None if self.expected_seconds is None else max(self.expected_seconds - self.seconds(now), 0.0)


@dataclass(frozen=True, kw_only=True)
class RunState:
    """The state of a run. All times are in seconds since the epoch, by the clock of the client."""

    run: str
    """Version that the run publishes."""
    now: float
    """Time of this state."""
    started_at: float
    """Start of the run."""
    store: str = ""
    """Path or URI of the store."""
    outcome: RunOutcome = "running"
    """How the run ended, or `running`."""
    ended_at: float | None = None
    """End of the run."""
    error: str = ""
    """Message of the error that stopped the run."""
    stages: tuple[StageState, ...] = ()
    """All stages, in order."""
    rejects: Mapping[str, int] = field(default_factory=dict)
    """Number of rejected trips by reason."""
    curve: tuple[CurvePoint, ...] = ()
    """Losses by round of the last training."""
    published: tuple[str, ...] = ()
    """Published tables, in order."""
    warnings: tuple[str, ...] = ()
    """Warnings, in order."""

    @property
    def current(self) -> StageState | None:
        """The running stage."""
        return next((stage for stage in self.stages if stage.status == "running"), None)

    @property
    def remaining(self) -> float | None:
        """Estimated seconds to the end of all stages, or None if one has no estimate."""
        if self.outcome != "running":
            return 0.0
        estimates = [stage.remaining(self.now) for stage in self.stages if stage.unit != "step"]
        seconds = [estimate for estimate in estimates if estimate is not None]
        return sum(seconds) if seconds and len(seconds) == len(estimates) else None

    @property
    def months(self) -> tuple[str, ...]:
        """The months of all stages, in order."""
        return tuple(sorted({month for stage in self.stages for month in stage.month_progress}))


def downsample(curve: Sequence[CurvePoint], max_points: int = MAX_SENT_POINTS) -> list[CurvePoint]:
    """Return a curve of about `max_points` points, with its last one.

    >>> [point.round for point in downsample([CurvePoint(n, None, None) for n in range(1, 11)], 4)]
    [1, 4, 7, 10]
    """
    step = -(-len(curve) // max_points) or 1
    points = list(curve[::step])
    return points if not curve or points[-1] == curve[-1] else [*points, curve[-1]]


def format_duration(seconds: float) -> str:
    """Return a duration as text.

    >>> format_duration(4.2), format_duration(75), format_duration(7500)
    ('4 s', '1 min 15 s', '2 h 05 min')
    """
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} min"
