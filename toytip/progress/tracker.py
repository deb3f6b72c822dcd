"""Progress: how far the run is, kept as one state: a grid on a terminal, a line for each stage elsewhere. Always on stderr."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from rich.console import Console
from rich.live import Live
from rich.text import Text

from toytip.core.timing import StageTiming
from toytip.progress import terminal
from toytip.progress.state import (
    MAX_ROW_COUNTS,
    CurvePoint,
    MonthProgress,
    RowCount,
    RunOutcome,
    RunState,
    StageState,
)

if TYPE_CHECKING:
    from toytip.config import Settings

ProgressMode = Literal["auto", "grid", "plain", "quiet"]
# The grid is drawn so often a second; without one, a stage that goes on for long says so every so many seconds.
REFRESHES_PER_SECOND = 4
LINE_INTERVAL_SECONDS = 30


class StageProgress:
    """One stage under way, or still to come: its parts by month, its rows, and a note at the end of its line."""

    def __init__(self, progress: Progress, name: str, total: int, months: Sequence[str], unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = self.rows = self.reused = self.work = 0
        self.note = ""
        self.skipped = False
        self.expected: float | None = None
        self.month_progress: dict[str, MonthProgress] = {}
        # The parts under way: the keys of their tasks, and their months.
        self.task_months: dict[str, str] = {}
        self._counts: tuple[RowCount, ...] = ()
        self._progress = progress
        self._began: float | None = None
        self._ended: float | None = None
        self._started = self._said = 0.0
        self.set_months(months)

    def set_months(self, months: Sequence[str]) -> None:
        """Say of every part of which month it is."""
        cells: dict[str, MonthProgress] = {}
        for month in months:
            cells[month] = cells.get(month, MonthProgress(0)).merge(MonthProgress(1))
        self.month_progress = cells

    def start(self) -> None:
        """Start its clock."""
        self._began, self._started = time.time(), time.perf_counter()
        self._said = self._started
        self._counts = (RowCount(self._began, 0),)

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return time.perf_counter() - self._started

    def track_task(self, key: str, month: str) -> None:
        """Keep which task makes a part of which month: the scheduler is asked how it goes."""
        self.task_months[key] = month

    def advance(
        self,
        rows: int = 0,
        note: str = "",
        parts: int = 1,
        *,
        month: str = "",
        rejects: Mapping[str, int] | None = None,
        reused: bool = False,
    ) -> None:
        """Count parts as done, with their rows, and rejects by reason; `reused` are those that an earlier run has made."""
        with self._progress.lock:
            self.done, self.rows, self.note = self.done + parts, self.rows + rows, note
            self.reused += parts if reused else 0
            self.work += rows
            if rows:
                self._counts = (*self._counts[1 - MAX_ROW_COUNTS :], RowCount(time.time(), self.rows))
            if month in self.month_progress:
                self.month_progress[month] = self.month_progress[month].merge(
                    MonthProgress(0, parts, parts if reused else 0)
                )
            for reason, count in (rejects or {}).items():
                self._progress.rejects[reason] = self._progress.rejects.get(reason, 0) + count
        if self._progress.prints_lines and time.perf_counter() - self._said > LINE_INTERVAL_SECONDS:
            self._said = time.perf_counter()
            self._progress.info(f"{self.name:<12} {self.done:>4} of {self.total}  {self.describe()}")

    def record_round(self, number: int, validation: float | None, train_before: float | None = None) -> None:
        """Count a round of training as done: its validation loss, and the training loss of the round before."""
        curve = self._progress.curve
        with self._progress.lock:
            while (
                curve and curve[-1].round >= number
            ):  # a training that lost a worker goes on from a checkpoint
                curve.pop()
            if curve and curve[-1].round == number - 1:
                curve[-1] = curve[-1]._replace(train=train_before)
            curve.append(CurvePoint(number, None, validation))
        note = f"log loss {validation:.5f}" if validation is not None else ""
        self.advance(note=note, parts=number - self.done)

    def update_running(self, counts: Mapping[str, Sequence[int]]) -> None:
        """Take what the scheduler says of the months: how many parts are under way, and have been begun again."""
        with self._progress.lock:
            for month, cell in self.month_progress.items():
                running, retried = counts.get(month, (0, 0))
                self.month_progress[month] = cell._replace(
                    running=running, retried=max(retried, cell.retried)
                )

    def describe(self) -> str:
        """Return rows, rows a second and the note."""
        speed = f"{self.rows:,} rows  {self.rows / max(self.seconds, 1e-6):,.0f} rows/s" if self.rows else ""
        return "  ".join(filter(None, (speed, self.note)))

    def finish(self) -> None:
        """Show the stage as done, also where it needed fewer parts than planned (an early stop)."""
        self._ended = time.time()
        self.total = self.done
        self.task_months = {}
        self.month_progress = {month: cell._replace(running=0) for month, cell in self.month_progress.items()}

    def state(self) -> StageState:
        """Return how far it is."""
        return StageState(
            name=self.name, unit=self.unit, total=self.total, done=self.done, reused=self.reused, rows=self.rows,
            started_at=self._began, ended_at=self._ended, note=self.note, month_progress=dict(self.month_progress), expected_seconds=self.expected,
            skipped=self.skipped, row_counts=self._counts,
        )  # fmt: skip


class Progress:
    """Tells a person at the terminal, or a log, how far the run is. Keeps the state, and seconds, rows, start and end of every stage.

    `auto` is `grid` on a terminal and `plain` elsewhere; `quiet` says nothing.
    """

    def __init__(self, mode: ProgressMode = "auto", console: Console | None = None) -> None:
        assert mode in get_args(ProgressMode), mode
        self.console = console or Console(stderr=True, highlight=False)
        drawable = self.console.is_terminal and not self.console.is_dumb_terminal
        self.mode = ("grid" if drawable else "plain") if mode == "auto" else mode
        self.stage_seconds: dict[str, float] = {}
        self.stage_rows: dict[str, int] = {}
        self.stage_intervals: dict[str, tuple[float, float]] = {}
        self.timings: dict[str, StageTiming] = {}
        self.warnings: list[str] = []
        self.rejects: dict[str, int] = {}
        self.curve: list[CurvePoint] = []
        self.published: list[str] = []
        self.stages: list[StageProgress] = []
        self.lock = threading.RLock()
        self.run = self.store = self.error = ""
        self.outcome: RunOutcome = "running"
        self.workers = self.threads = 0
        # Says of a stage that has ended whether it was slow, in one line.
        self.slow_check: Callable[[StageTiming], str | None] = lambda _: None
        # Says how many seconds a stage should take for so much work.
        self.estimate_seconds: Callable[[str, int], float | None] = lambda _name, _work: None
        self._began = time.time()
        self._ended: float | None = None
        self._live: Live | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Progress:
        """Return what tells it as the settings say."""
        return cls(settings.progress)

    @property
    def prints_lines(self) -> bool:
        """Whether stages are told as lines."""
        return self.mode == "plain" or (self.mode == "grid" and self._live is None)

    @contextlib.contextmanager
    def show_live(self) -> Iterator[Progress]:
        """Show the grid for as long as the context lasts, on a terminal."""
        if self.mode != "grid":
            yield self
            return
        with Live(
            get_renderable=self._render, console=self.console, refresh_per_second=REFRESHES_PER_SECOND
        ) as live:
            self._live = live
            try:
                yield self
            finally:
                self._live = None

    def _render(self) -> Text:
        return terminal.render(self.state(), self.console.width, terminal.glyphs_for(self.console.encoding))

    def info(self, text: str) -> None:
        """Print a line."""
        if self.mode != "quiet":
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning, and keep it for the summary."""
        self.warnings.append(text)
        self.info(f"warning: {text}")

    def expect(self, name: str, months: Sequence[str] = (), *, total: int = 0, work: int = 0) -> None:
        """Say that a stage will come: its parts by month, or how many steps it has, and how much work it is."""
        unit = "partitions" if months else "rounds" if total > 1 else "step"
        stage = StageProgress(self, name, total or len(months) or 1, months, unit)
        stage.expected = self.estimate_seconds(name, work) if work else None
        with self.lock:
            self.stages.append(stage)

    def skip(self, name: str, note: str) -> None:
        """Say that a stage that was expected is not needed."""
        for stage in self._waiting_stages():
            if stage.name == name:
                stage.skipped, stage.note = True, note

    def _waiting_stages(self) -> list[StageProgress]:
        return [stage for stage in self.stages if stage.state().status == "waiting"]

    @contextlib.contextmanager
    def stage(
        self, name: str, total: int, months: Sequence[str] = (), unit: str = "partitions"
    ) -> Iterator[StageProgress]:
        """Time a stage of `total` parts and show it; `months` say of every part of which month it is."""
        stage = self._find_or_add_stage(name, total, months, unit)
        stage.start()
        yield stage
        seconds, ended = stage.seconds, time.perf_counter()
        self.stage_seconds[name], self.stage_rows[name], self.stage_intervals[name] = (
            round(seconds, 3),
            stage.rows,
            (ended - seconds, ended),
        )
        with self.lock:
            stage.finish()
        if self.prints_lines:
            self.info(f"{name:<12} {stage.done:>4} done  {seconds:6.1f} s  {stage.describe()}")
        if stage.work and not stage.reused:
            took = StageTiming(
                stage=name, seconds=round(seconds, 3), work=stage.work, workers=self.workers, threads=self.threads
            )  # fmt: skip
            self.timings[name] = took
            if line := self.slow_check(took):
                self.warn(line)

    def _find_or_add_stage(self, name: str, total: int, months: Sequence[str], unit: str) -> StageProgress:
        """Return the stage that was expected under that name, else a new one, before those that are still to come."""
        waiting = self._waiting_stages()
        for stage in waiting:
            if stage.name == name:
                with self.lock:
                    stage.total = total
                    stage.set_months(
                        months
                        or [m for m, cell in stage.month_progress.items() for _ in range(cell.partitions)]
                    )
                return stage
        stage = StageProgress(self, name, total, months, unit if total > 1 else "step")
        with self.lock:
            self.stages.insert(self.stages.index(waiting[0]) if waiting else len(self.stages), stage)
        return stage

    def end(self, outcome: RunOutcome, error: str = "") -> None:
        """Say how the run has ended."""
        self._ended, self.outcome, self.error = time.time(), outcome, error

    def state(self) -> RunState:
        """Return how far the run is."""
        with self.lock:
            return RunState(
                run=self.run, store=self.store, now=time.time(), started_at=self._began, ended_at=self._ended,
                outcome=self.outcome, error=self.error, stages=tuple(stage.state() for stage in self.stages),
                rejects=dict(self.rejects), curve=tuple(self.curve), published=tuple(self.published),
                warnings=tuple(self.warnings),
            )  # fmt: skip

    def tasks_by_stage(self) -> dict[str, dict[str, str]]:
        """Return the keys of the tasks under way and their months, by stage."""
        with self.lock:
            return {stage.name: dict(stage.task_months) for stage in self.stages if stage.task_months}

    def update_running(self, counts: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """Take what the scheduler says of the stages under way."""
        for stage in self.stages:
            if stage.name in counts and stage.task_months:
                stage.update_running(counts[stage.name])
