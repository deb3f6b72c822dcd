"""The state of a run as immutable values, for the terminal and the run dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Status = Literal["waiting", "running", "done", "skipped"]
RunOutcome = Literal["running", "done", "failed", "stopped"]
Unit = Literal["partitions", "rounds", "step"]
# Maximum number of points of a loss curve that are sent to the dashboard.
MAX_SENT_POINTS = 400
# The current rate is measured over this many seconds. At most this many row counts are stored.
CURRENT_RATE_SECONDS = 10.0
MAX_ROW_COUNTS = 256


class MonthProgress(NamedTuple):
    """Number of partitions of a stage in one month, by status."""

    partitions: int
    """Number of all partitions of the month."""
    done: int = 0
    """Number of complete partitions."""
    reused: int = 0
    """Number of complete partitions whose files an earlier run wrote."""
    running: int = 0
    """Number of partitions that a worker is computing."""
    retried: int = 0
    """Number of retries of partitions whose worker was lost."""

    @property
    def status(self) -> Status:
        """The status of the month."""
        if self.done >= self.partitions:
            return "done"
        return "running" if self.running or self.done else "waiting"

    def merge(self, other: MonthProgress) -> MonthProgress:
        """Return the sums of both counts."""
        return MonthProgress(*map(sum, zip(self, other, strict=True)))


class CurvePoint(NamedTuple):
    """The log loss after a training round."""

    round: int
    """Number of the round. The first round is 1."""
    train: float | None
    """Approximate log loss on the training trips, or None if it is not known yet."""
    validation: float | None
    """Log loss on the validation trips, or None without validation trips."""


class RowCount(NamedTuple):
    """The number of rows that a stage has processed up to a point in time."""

    time: float
    """Point in time, in seconds since the epoch."""
    rows: int
    """Number of rows that were processed since the start of the stage."""


@dataclass(frozen=True, kw_only=True)
class StageState:
    """The state of a stage."""

    name: str
    """Name of the stage."""
    unit: Unit = "partitions"
    """Unit of the steps in `total`, `done` and `reused`."""
    total: int = 0
    """Planned number of steps."""
    done: int = 0
    """Number of complete steps."""
    reused: int = 0
    """Number of complete steps whose files an earlier run wrote."""
    rows: int = 0
    """Number of rows that the stage has processed."""
    started_at: float | None = None
    """Start of the stage, in seconds since the epoch. None before the start."""
    ended_at: float | None = None
    """End of the stage, in seconds since the epoch. None before the end."""
    note: str = ""
    """Text at the end of the stage's line."""
    month_progress: Mapping[str, MonthProgress] = field(default_factory=dict)
    """Partition counts by month. Empty for a stage without partitions."""
    expected_seconds: float | None = None
    """Usual duration in seconds in earlier runs, or None if it is unknown."""
    skipped: bool = False
    """Whether the stage is skipped, because it is not needed."""
    row_counts: tuple[RowCount, ...] = ()
    """Row counts at the start of the stage, and after each of the latest partitions."""

    @property
    def status(self) -> Status:
        """The status of the stage."""
        if self.skipped:
            return "skipped"
        if self.started_at is None:
            return "waiting"
        return "running" if self.ended_at is None else "done"

    def seconds(self, now: float) -> float:
        """Return the duration of the stage so far, in seconds."""
        return 0.0 if self.started_at is None else max((self.ended_at or now) - self.started_at, 0.0)

    def rows_per_second(self, now: float) -> float | None:
        """Return the mean rate since the start of the stage, or None without rows."""
        return self.rows / max(self.seconds(now), 1e-6) if self.rows else None

    def current_rows_per_second(self, now: float) -> float | None:
        """Return the rate over the last ten seconds, or longer if a partition takes longer.

        Returns None if the stage is not running or has no rows yet.
        """
        if self.status != "running" or len(self.row_counts) < 2:
            return None
        *earlier, last = self.row_counts
        oldest = now - CURRENT_RATE_SECONDS
        since = next((count for count in reversed(earlier) if count.time <= oldest), earlier[0])
        return (last.rows - since.rows) / max(now - since.time, 1e-6)

    def remaining(self, now: float) -> float | None:
        """Return the estimated seconds until the end of the stage, or None without an estimate.

        The estimate is based on the steps that this run computed, or else on earlier runs. Reused
        steps do not count, because they took no time.
        """
        if self.status in ("done", "skipped"):
            return 0.0
        if computed := self.done - self.reused:
            return self.seconds(now) / computed * (self.total - self.done)
        return None if self.expected_seconds is None else max(self.expected_seconds - self.seconds(now), 0.0)


@dataclass(frozen=True, kw_only=True)
class RunState:
    """The state of a run. Times are in seconds since the epoch, by the client's clock."""

    run: str
    """Version that the run publishes."""
    now: float
    """Time at which this state was recorded."""
    started_at: float
    """Start of the run."""
    store: str = ""
    """Path or URI of the store."""
    outcome: RunOutcome = "running"
    """Outcome of the run, or `running` before it ends."""
    ended_at: float | None = None
    """End of the run. None before the run ends."""
    error: str = ""
    """Message of the error that stopped the run. Empty without an error."""
    stages: tuple[StageState, ...] = ()
    """All stages, in the order in which they run."""
    rejects: Mapping[str, int] = field(default_factory=dict)
    """Number of rejected trips by reason."""
    curve: tuple[CurvePoint, ...] = ()
    """Log loss by round of the latest training."""
    published: tuple[str, ...] = ()
    """Names of the published tables, in the order of publication."""
    warnings: tuple[str, ...] = ()
    """Warnings, oldest first."""

    @property
    def current(self) -> StageState | None:
        """The running stage, or None."""
        return next((stage for stage in self.stages if stage.status == "running"), None)

    @property
    def remaining(self) -> float | None:
        """Estimated seconds until the end of the run, or None if a stage has no estimate."""
        if self.outcome != "running":
            return 0.0
        estimates = [stage.remaining(self.now) for stage in self.stages if stage.unit != "step"]
        seconds = [estimate for estimate in estimates if estimate is not None]
        return sum(seconds) if seconds and len(seconds) == len(estimates) else None

    @property
    def months(self) -> tuple[str, ...]:
        """The months of all stages, oldest first."""
        return tuple(sorted({month for stage in self.stages for month in stage.month_progress}))


def downsample(curve: Sequence[CurvePoint], max_points: int = MAX_SENT_POINTS) -> list[CurvePoint]:
    """Return about `max_points` points of a curve, including the last point.

    >>> [point.round for point in downsample([CurvePoint(n, None, None) for n in range(1, 11)], 4)]
    [1, 4, 7, 10]
    """
    step = -(-len(curve) // max_points) or 1
    points = list(curve[::step])
    return points if not curve or points[-1] == curve[-1] else [*points, curve[-1]]


def format_duration(seconds: float) -> str:
    """Return a duration in seconds as text.

    >>> format_duration(4.2), format_duration(75), format_duration(7500)
    ('4 s', '1 min 15 s', '2 h 05 min')
    """
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} min"
