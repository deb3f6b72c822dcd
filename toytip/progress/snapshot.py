"""The state of a run as plain values, which the client process sends to the scheduler."""

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
    """The partitions of one stage and month. An array in JSON, so that the state is small."""

    status: Status
    partitions: int
    done: int
    reused: int
    running: int
    retried: int

    @classmethod
    def from_progress(cls, month: MonthProgress) -> MonthSnapshot:
        """Return the counts of a month, with its status."""
        return cls(month.status, *month)


class StageSnapshot(TypedDict):
    """How far a stage is. Rates and times are null if they are unknown."""

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
    """How far a run is. Times are seconds since the epoch, by the clock of the client process."""

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
    """Return the state as plain values, including rates and remaining time."""
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
