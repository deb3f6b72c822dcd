"""Track and print the progress of a run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Console

from toytip.core.text import plural
from toytip.core.timing import StageTiming
from toytip.progress.console import ProgressConsole, ProgressMode, ProgressStyle
from toytip.progress.recorder import RunRecorder, StageRecord
from toytip.progress.stage_timer import StageDuration, StageHistory, StageTimer
from toytip.progress.state import RunOutcome, RunState, Unit

if TYPE_CHECKING:
    from toytip.config import Settings

# Without a grid, a running stage prints a line at this interval.
LINE_INTERVAL_SECONDS = 30
NO_REJECTS: Mapping[str, int] = MappingProxyType({})


class StageProgress:
    """Counts the steps and rows of a running stage."""

    def __init__(self, record: StageRecord, recorder: RunRecorder, console: ProgressConsole) -> None:
        self._record, self._recorder, self._console = record, recorder, console
        self._started_at = self._line_at = time.perf_counter()
        self._work = 0
        self._shape = ""

    @property
    def name(self) -> str:
        """Name of the stage."""
        return self._record.name

    @property
    def done(self) -> int:
        """Number of complete steps."""
        return self._record.done

    @property
    def rows(self) -> int:
        """Number of rows that the stage has processed."""
        return self._record.rows

    @property
    def started_at(self) -> float:
        """Start of the stage, by `time.perf_counter`."""
        return self._started_at

    @property
    def seconds(self) -> float:
        """Seconds since the start of the stage."""
        return time.perf_counter() - self._started_at

    @property
    def work(self) -> int:
        """Work of the stage: its number of rows, unless `set_work` was called."""
        return self._work

    def set_work(self, work: int) -> None:
        """Set the work of the stage, instead of its number of rows."""
        self._work = work

    @property
    def shape(self) -> str:
        """Facts other than the work that change the duration of the stage."""
        return self._shape

    def set_shape(self, shape: str) -> None:
        """Set facts other than the work that change the duration of the stage."""
        self._shape = shape

    def set_note(self, note: str) -> None:
        """Replace the note of the stage, which is printed at the end of its line."""
        self._recorder.record_note(self._record, note)

    def track_task(self, key: str, month: str) -> None:
        """Record the month of a task. The dashboard then requests the status of the task."""
        self._recorder.track_task(self._record, key, month)

    def month_of_task(self, key: str) -> str:
        """Return the month of a task, or an empty string for an unknown task."""
        return self._record.task_months.get(key, "")

    def advance(
        self,
        rows: int = 0,
        note: str = "",
        steps: int = 1,
        *,
        month: str = "",
        rejects: Mapping[str, int] = NO_REJECTS,
        reused: bool = False,
    ) -> None:
        """Count steps as done, and add their rows and their rejected trips by reason."""
        self._recorder.advance(
            self._record, steps=steps, rows=rows, note=note, month=month, rejects=rejects, reused=reused
        )
        self._work += rows
        if self._console.prints_lines and time.perf_counter() - self._line_at > LINE_INTERVAL_SECONDS:
            self._line_at = time.perf_counter()
            record = self._record
            self._console.print(f"{record.name:<12} {record.done:>4} of {record.total}  {self.describe()}")

    def record_round(
        self, number: int, validation: float | None, previous_train_loss: float | None = None
    ) -> None:
        """Count a training round as done, and record its validation loss.

        `previous_train_loss` is the training loss of the previous round.
        """
        self._recorder.record_losses(number, validation, previous_train_loss)
        note = f"log loss {validation:.5f}" if validation is not None else ""
        self.advance(note=note, steps=number - self.done)

    def describe(self) -> str:
        """Return the number of rows, the rows per second and the note, as text."""
        rows, note = self._record.rows, self._record.note
        speed = f"{plural(rows, 'row')}  {rows / max(self.seconds, 1e-6):,.0f} rows/s" if rows else ""
        return "  ".join(filter(None, (speed, note)))


class Progress:
    """Tracks the progress of a run: its state, its output and the duration of its stages."""

    def __init__(self, mode: ProgressMode = "auto", console: Console | None = None) -> None:
        self._console = ProgressConsole(mode, console)
        self._recorder = RunRecorder()
        self._timer = StageTimer()

    @classmethod
    def from_settings(cls, settings: Settings) -> Progress:
        """Return a `Progress` with the output mode of the settings."""
        return cls(settings.progress)

    @property
    def style(self) -> ProgressStyle:
        """The style of the output: grid, plain lines or none."""
        return self._console.style

    @property
    def warnings(self) -> list[str]:
        """The warnings so far, oldest first."""
        return self._recorder.warnings()

    @property
    def durations(self) -> dict[str, StageDuration]:
        """The duration and the number of rows of each complete stage."""
        return self._timer.durations()

    @property
    def stage_seconds(self) -> dict[str, float]:
        """The duration of each complete stage in seconds."""
        return {name: duration.seconds for name, duration in self.durations.items()}

    @property
    def stage_rows(self) -> dict[str, int]:
        """The number of rows of each complete stage."""
        return {name: duration.rows for name, duration in self.durations.items()}

    def timing(self, stage: str) -> StageTiming | None:
        """Return the timing of a stage, or None if the stage reused files."""
        return self._timer.timing(stage)

    def begin_run(self, run: str, store: str) -> None:
        """Record the version that the run publishes, and its store."""
        self._recorder.begin_run(run, store)

    def set_workers(self, workers: int, threads: int) -> None:
        """Record the number of workers and the number of threads."""
        self._timer.set_workers(workers, threads)

    def set_history(self, history: StageHistory) -> None:
        """Set the timings of earlier runs, with which the stages are compared."""
        self._timer.set_history(history)

    def show_live(self) -> contextlib.AbstractContextManager[None]:
        """Draw the grid until the context ends, if the style is `grid`."""
        return self._console.show_live(self.state)

    def info(self, text: str) -> None:
        """Print a line."""
        self._console.print(text)

    def warn(self, text: str) -> None:
        """Print a warning, and store the warning for the result of the run."""
        self._recorder.record_warning(text)
        self.info(f"warning: {text}")

    def record_published(self, table: str) -> None:
        """Record that a table is published."""
        self._recorder.record_published(table)

    def expect(self, name: str, months: Sequence[str] = (), *, total: int = 0, work: int = 0) -> None:
        """Plan a stage, given the month of each partition or the number of steps."""
        self._recorder.plan_stage(name, months, total, self._timer.expected_seconds(name, work))

    def skip(self, name: str, note: str) -> None:
        """Record that a planned stage is not needed."""
        self._recorder.skip_stage(name, note)

    @contextlib.contextmanager
    def stage(
        self, name: str, total: int, months: Sequence[str] = (), unit: Unit = "partitions"
    ) -> Iterator[StageProgress]:
        """Measure and show a stage of `total` steps. `months` has the month of each partition."""
        record = self._recorder.start_stage(name, total, months, unit)
        stage = StageProgress(record, self._recorder, self._console)
        yield stage
        self._timer.record(name, stage.started_at, record.rows)
        seconds, description = stage.seconds, stage.describe()
        self._recorder.end_stage(record)
        if self._console.prints_lines:
            self.info(f"{name:<12} {record.done:>4} done  {seconds:6.1f} s  {description}")
        if not stage.work or record.reused:
            return
        if warning := self._timer.record_work(name, stage.work, stage.shape):
            self.warn(warning)

    def end(self, outcome: RunOutcome, error: str = "") -> None:
        """Record the outcome of the run."""
        self._recorder.end_run(outcome, error)

    def state(self) -> RunState:
        """Return the current state of the run."""
        return self._recorder.state()

    def tasks_by_stage(self) -> dict[str, dict[str, str]]:
        """Return the month of each task of the running stages, by stage and task key."""
        return self._recorder.tasks_by_stage()

    def update_running(self, counts: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """Record the numbers of running and retried tasks, by stage and month."""
        self._recorder.update_running(counts)
