"""Record the state of a run: its stages, rejected trips, losses, tables and warnings.

All methods of the recorder are thread-safe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from toytip.progress.state import (
    MAX_ROW_COUNTS,
    CurvePoint,
    MonthProgress,
    RowCount,
    RunOutcome,
    RunState,
    StageState,
    Unit,
)


class StageRecord:
    """The state of one stage. The recorder changes this record under a lock."""

    def __init__(
        self,
        name: str,
        total: int,
        months: Sequence[str],
        unit: Unit,
        expected_seconds: float | None = None,
    ) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.expected_seconds = expected_seconds
        self.done = self.rows = self.reused = 0
        self.note = ""
        self.is_skipped = False
        self.month_progress = count_by_month(months)
        # Month of each task of the running stage, by the key of the task.
        self.task_months: dict[str, str] = {}
        self.row_counts: tuple[RowCount, ...] = ()
        self.started_at: float | None = None
        self.ended_at: float | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the stage is planned but has not started yet."""
        return self.started_at is None and not self.is_skipped

    def state(self) -> StageState:
        """Return the current state of the stage."""
        return StageState(
            name=self.name,
            unit=self.unit,
            total=self.total,
            done=self.done,
            reused=self.reused,
            rows=self.rows,
            started_at=self.started_at,
            ended_at=self.ended_at,
            note=self.note,
            month_progress=dict(self.month_progress),
            expected_seconds=self.expected_seconds,
            skipped=self.is_skipped,
            row_counts=self.row_counts,
        )


def count_by_month(months: Sequence[str]) -> dict[str, MonthProgress]:
    """Return the number of partitions by month, given the month of each partition."""
    counts: dict[str, MonthProgress] = {}
    for month in months:
        counts[month] = counts.get(month, MonthProgress(0)).merge(MonthProgress(1))
    return counts


class RunRecorder:
    """Records the state of a run."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._run = self._store = self._error = ""
        self._outcome: RunOutcome = "running"
        self._started_at = time.time()
        self._ended_at: float | None = None
        self._stages: list[StageRecord] = []
        self._rejects: dict[str, int] = {}
        self._curve: list[CurvePoint] = []
        self._published: list[str] = []
        self._warnings: list[str] = []

    def begin_run(self, run: str, store: str) -> None:
        """Record the version that the run publishes, and its store."""
        with self._lock:
            self._run, self._store = run, store

    def end_run(self, outcome: RunOutcome, error: str) -> None:
        """Record the outcome of the run."""
        with self._lock:
            self._ended_at, self._outcome, self._error = time.time(), outcome, error

    def record_warning(self, text: str) -> None:
        """Record a warning."""
        with self._lock:
            self._warnings.append(text)

    def record_published(self, table: str) -> None:
        """Record that a table is published."""
        with self._lock:
            self._published.append(table)

    def plan_stage(
        self, name: str, months: Sequence[str], total: int, expected_seconds: float | None
    ) -> None:
        """Record that a stage will run."""
        unit: Unit = "partitions" if months else "rounds" if total > 1 else "step"
        with self._lock:
            record = StageRecord(name, total or len(months) or 1, months, unit, expected_seconds)
            self._stages.append(record)

    def skip_stage(self, name: str, note: str) -> None:
        """Record that a planned stage is not needed."""
        with self._lock:
            for stage in self._waiting_stages():
                if stage.name == name:
                    stage.is_skipped, stage.note = True, note

    def start_stage(self, name: str, total: int, months: Sequence[str], unit: Unit) -> StageRecord:
        """Start the planned stage with this name, or a new stage before all planned stages."""
        with self._lock:
            stage = self._take_planned(name, total, months) or self._insert(name, total, months, unit)
            stage.started_at = time.time()
            stage.row_counts = (RowCount(stage.started_at, 0),)
            if stage.unit == "rounds":
                self._curve = []
        return stage

    def _waiting_stages(self) -> Iterator[StageRecord]:
        return (stage for stage in self._stages if stage.is_waiting)

    def _take_planned(self, name: str, total: int, months: Sequence[str]) -> StageRecord | None:
        stage = next((stage for stage in self._waiting_stages() if stage.name == name), None)
        if stage is not None:
            stage.total = total
            if months:
                stage.month_progress = count_by_month(months)
        return stage

    def _insert(self, name: str, total: int, months: Sequence[str], unit: Unit) -> StageRecord:
        stage = StageRecord(name, total, months, unit if total > 1 else "step")
        planned = next(self._waiting_stages(), None)
        self._stages.insert(self._stages.index(planned) if planned else len(self._stages), stage)
        return stage

    def end_stage(self, stage: StageRecord) -> None:
        """End a stage, which can have fewer steps than planned (for example early stopping)."""
        with self._lock:
            stage.ended_at = time.time()
            stage.total = stage.done
            stage.task_months = {}
            stage.month_progress = {
                month: progress._replace(running=0) for month, progress in stage.month_progress.items()
            }

    def advance(
        self,
        stage: StageRecord,
        *,
        steps: int,
        rows: int,
        note: str,
        month: str,
        rejects: Mapping[str, int],
        reused: bool,
    ) -> None:
        """Count steps of a stage as done, and add their rows and their rejected trips by reason."""
        reused_steps = steps if reused else 0
        with self._lock:
            stage.done, stage.rows, stage.note = stage.done + steps, stage.rows + rows, note
            stage.reused += reused_steps
            if rows:
                count = RowCount(time.time(), stage.rows)
                stage.row_counts = (*stage.row_counts[1 - MAX_ROW_COUNTS :], count)
            if month in stage.month_progress:
                step = MonthProgress(0, steps, reused_steps)
                stage.month_progress[month] = stage.month_progress[month].merge(step)
            for reason, rejected in rejects.items():
                self._rejects[reason] = self._rejects.get(reason, 0) + rejected

    def record_note(self, stage: StageRecord, note: str) -> None:
        """Replace the note of a stage, which is printed at the end of its line."""
        with self._lock:
            stage.note = note

    def record_losses(self, number: int, validation: float | None, previous_train_loss: float | None) -> None:
        """Record the validation loss of a round, and the training loss of the round before it.

        A training that resumes from a checkpoint repeats rounds. The repeated rounds replace the
        earlier losses.
        """
        with self._lock:
            while self._curve and self._curve[-1].round >= number:
                self._curve.pop()
            if self._curve and self._curve[-1].round == number - 1:
                self._curve[-1] = self._curve[-1]._replace(train=previous_train_loss)
            self._curve.append(CurvePoint(number, None, validation))

    def track_task(self, stage: StageRecord, key: str, month: str) -> None:
        """Record the month of a task of a stage, by the key of the task."""
        with self._lock:
            stage.task_months[key] = month

    def tasks_by_stage(self) -> dict[str, dict[str, str]]:
        """Return the month of each task of the running stages, by stage and task key."""
        with self._lock:
            return {stage.name: dict(stage.task_months) for stage in self._stages if stage.task_months}

    def update_running(self, counts: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """Record the numbers of running and retried tasks, by stage and month."""
        with self._lock:
            for stage in self._stages:
                if stage.name in counts and stage.task_months:
                    _update_months(stage, counts[stage.name])

    def warnings(self) -> list[str]:
        """Return the warnings so far, oldest first."""
        with self._lock:
            return list(self._warnings)

    def state(self) -> RunState:
        """Return the current state of the run."""
        with self._lock:
            return RunState(
                run=self._run,
                store=self._store,
                now=time.time(),
                started_at=self._started_at,
                ended_at=self._ended_at,
                outcome=self._outcome,
                error=self._error,
                stages=tuple(stage.state() for stage in self._stages),
                rejects=dict(self._rejects),
                curve=tuple(self._curve),
                published=tuple(self._published),
                warnings=tuple(self._warnings),
            )


def _update_months(stage: StageRecord, counts: Mapping[str, Sequence[int]]) -> None:
    for month, progress in stage.month_progress.items():
        running, retried = counts.get(month, (0, 0))
        retried = max(retried, progress.retried)
        stage.month_progress[month] = progress._replace(running=running, retried=retried)
