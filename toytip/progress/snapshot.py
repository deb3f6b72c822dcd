"""The state of a run as plain values. The client process sends these values to the scheduler."""

from __future__ import annotations

from typing import NamedTuple, TypedDict

from toytip.progress.state import (
    CurvePoint,
    MonthProgress,
    RunOutcome,
    RunState,
    StageState,
    Status,
    downsample,
)


class MonthSnapshot(NamedTuple):
    """The partitions of one stage and month. In JSON, this tuple is an array, to save space."""

    status: Status
    partitions: int
    done: int
    reused: int
    running: int
    retried: int

    @classmethod
    def from_progress(cls, month: MonthProgress) -> MonthSnapshot:
        """Return the partition counts of a month, with the status of the month."""
        return cls(month.status, *month)


class StageSnapshot(TypedDict):
    """The progress of a stage. Unknown rates and times are null."""

    name: str
    unit: str
    status: Status
    total: int
    done: int
    reused: int
    rows: int
    elapsed_seconds: float
    rows_per_second: float | None
    current_rows_per_second: float | None
    remaining_seconds: float | None
    note: str
    months: dict[str, MonthSnapshot]


class RunSnapshot(TypedDict):
    """The progress of a run. Points in time are seconds since the epoch, by the client's clock."""

    run: str
    store: str
    outcome: RunOutcome
    error: str
    started_at: float
    ended_at: float | None
    now: float
    remaining_seconds: float | None
    months: list[str]
    stages: list[StageSnapshot]
    rejects: dict[str, int]
    curve: list[CurvePoint]
    published: list[str]
    warnings: list[str]


def snapshot_run(state: RunState) -> RunSnapshot:
    """Return the state of a run as plain values, including rates and remaining times."""
    is_running = state.outcome == "running"
    return RunSnapshot(
        run=state.run,
        store=state.store,
        outcome=state.outcome,
        error=state.error,
        started_at=state.started_at,
        ended_at=state.ended_at,
        now=state.now,
        remaining_seconds=state.remaining,
        months=list(state.months),
        stages=[_snapshot_stage(stage, state.now, is_running=is_running) for stage in state.stages],
        rejects=dict(state.rejects),
        curve=downsample(state.curve),
        published=list(state.published),
        warnings=list(state.warnings),
    )


def _snapshot_stage(stage: StageState, now: float, *, is_running: bool) -> StageSnapshot:
    return StageSnapshot(
        name=stage.name,
        unit=stage.unit,
        status=stage.status,
        total=stage.total,
        done=stage.done,
        reused=stage.reused,
        rows=stage.rows,
        elapsed_seconds=round(stage.seconds(now), 3),
        rows_per_second=stage.rows_per_second(now),
        current_rows_per_second=stage.current_rows_per_second(now) if is_running else None,
        remaining_seconds=stage.remaining(now),
        note=stage.note,
        months={name: MonthSnapshot.from_progress(month) for name, month in stage.month_progress.items()},
    )
