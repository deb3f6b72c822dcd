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

from toytip import grid
from toytip.state import COUNTS, Cell, Count, Outcome, Point, RunState, StageState
from toytip.values import Took

if TYPE_CHECKING:
    from toytip.config import Settings

Mode = Literal["auto", "grid", "plain", "quiet"]
# The grid is drawn so often a second; without one, a stage that goes on for long says so every so many seconds.
DRAWN = 4
SAID_S = 30


class Stage:
    """One stage under way, or still to come: its parts by month, its rows, and a note at the end of its line."""

    def __init__(self, progress: Progress, name: str, total: int, months: Sequence[str], unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = self.rows = self.taken = self.work = 0
        self.note = ""
        self.skipped = False
        self.expected: float | None = None
        self.cells: dict[str, Cell] = {}
        # The parts under way: the keys of their tasks, and their months.
        self.keys: dict[str, str] = {}
        self._counts: tuple[Count, ...] = ()
        self._progress = progress
        self._began: float | None = None
        self._ended: float | None = None
        self._started = self._said = 0.0
        self.lay_out(months)

    def lay_out(self, months: Sequence[str]) -> None:
        """Say of every part of which month it is."""
        cells: dict[str, Cell] = {}
        for month in months:
            cells[month] = cells.get(month, Cell(0)).plus(Cell(1))
        self.cells = cells

    def begin(self) -> None:
        """Start its clock."""
        self._began, self._started = time.time(), time.perf_counter()
        self._said = self._started
        self._counts = (Count(self._began, 0),)

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return time.perf_counter() - self._started

    def watch(self, key: str, month: str) -> None:
        """Keep which task makes a part of which month: the scheduler is asked how it goes."""
        self.keys[key] = month

    def advance(
        self,
        rows: int = 0,
        note: str = "",
        parts: int = 1,
        *,
        month: str = "",
        rejects: Mapping[str, int] | None = None,
        taken: bool = False,
    ) -> None:
        """Count parts as done, with their rows, and rejects by reason; `taken` are those that an earlier run has made."""
        with self._progress.lock:
            self.done, self.rows, self.note = self.done + parts, self.rows + rows, note
            self.taken += parts if taken else 0
            self.work += rows
            if rows:
                self._counts = (*self._counts[1 - COUNTS :], Count(time.time(), self.rows))
            if month in self.cells:
                self.cells[month] = self.cells[month].plus(Cell(0, parts, parts if taken else 0))
            for reason, count in (rejects or {}).items():
                self._progress.rejects[reason] = self._progress.rejects.get(reason, 0) + count
        if self._progress.lines and time.perf_counter() - self._said > SAID_S:
            self._said = time.perf_counter()
            self._progress.say(f"{self.name:<12} {self.done:>4} of {self.total}  {self.describe()}")

    def round(self, number: int, valid: float | None, train_before: float | None = None) -> None:
        """Count a round of training as done: its validation loss, and the training loss of the round before."""
        curve = self._progress.curve
        with self._progress.lock:
            while (
                curve and curve[-1].round >= number
            ):  # a training that lost a worker goes on from a checkpoint
                curve.pop()
            if curve and curve[-1].round == number - 1:
                curve[-1] = curve[-1]._replace(train=train_before)
            curve.append(Point(number, None, valid))
        note = f"log loss {valid:.5f}" if valid is not None else ""
        self.advance(note=note, parts=number - self.done)

    def hear(self, told: Mapping[str, Sequence[int]]) -> None:
        """Take what the scheduler says of the months: how many parts are under way, and have been begun again."""
        with self._progress.lock:
            for month, cell in self.cells.items():
                running, retried = told.get(month, (0, 0))
                self.cells[month] = cell._replace(running=running, retried=max(retried, cell.retried))

    def describe(self) -> str:
        """Return rows, rows a second and the note."""
        speed = f"{self.rows:,} rows  {self.rows / max(self.seconds, 1e-6):,.0f} rows/s" if self.rows else ""
        return "  ".join(filter(None, (speed, self.note)))

    def finish(self) -> None:
        """Show the stage as done, also where it needed fewer parts than planned (an early stop)."""
        self._ended = time.time()
        self.total = self.done
        self.keys = {}
        self.cells = {month: cell._replace(running=0) for month, cell in self.cells.items()}

    def state(self) -> StageState:
        """Return how far it is."""
        return StageState(
            name=self.name, unit=self.unit, total=self.total, done=self.done, taken=self.taken, rows=self.rows,
            began=self._began, ended=self._ended, note=self.note, cells=dict(self.cells), expected=self.expected,
            skipped=self.skipped, counts=self._counts,
        )  # fmt: skip


class Progress:
    """Tells a person at the terminal, or a log, how far the run is. Keeps the state, and seconds, rows, start and end of every stage.

    `auto` is `grid` on a terminal and `plain` elsewhere; `quiet` says nothing.
    """

    def __init__(self, mode: Mode = "auto", console: Console | None = None) -> None:
        assert mode in get_args(Mode), mode
        self.console = console or Console(stderr=True, highlight=False)
        drawable = self.console.is_terminal and not self.console.is_dumb_terminal
        self.mode = ("grid" if drawable else "plain") if mode == "auto" else mode
        self.seconds: dict[str, float] = {}
        self.rows: dict[str, int] = {}
        self.spans: dict[str, tuple[float, float]] = {}
        self.took: dict[str, Took] = {}
        self.warnings: list[str] = []
        self.rejects: dict[str, int] = {}
        self.curve: list[Point] = []
        self.published: list[str] = []
        self.stages: list[Stage] = []
        self.lock = threading.RLock()
        self.run = self.store = self.error = ""
        self.outcome: Outcome = "running"
        self.workers = self.threads = 0
        # Says of a stage that has ended whether it was slow, in one line.
        self.bell: Callable[[Took], str | None] = lambda _: None
        # Says how many seconds a stage should take for so much work.
        self.pace: Callable[[str, int], float | None] = lambda _name, _work: None
        self._began = time.time()
        self._ended: float | None = None
        self._live: Live | None = None

    @classmethod
    def of(cls, settings: Settings) -> Progress:
        """Return what tells it as the settings say."""
        return cls(settings.progress)

    @property
    def lines(self) -> bool:
        """Whether stages are told as lines."""
        return self.mode == "plain" or (self.mode == "grid" and self._live is None)

    @contextlib.contextmanager
    def live(self) -> Iterator[Progress]:
        """Show the grid for as long as the context lasts, on a terminal."""
        if self.mode != "grid":
            yield self
            return
        with Live(get_renderable=self._drawn, console=self.console, refresh_per_second=DRAWN) as live:
            self._live = live
            try:
                yield self
            finally:
                self._live = None

    def _drawn(self) -> Text:
        return grid.draw(self.state(), self.console.width, grid.marks_of(self.console.encoding))

    def say(self, text: str) -> None:
        """Print a line."""
        if self.mode != "quiet":
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning, and keep it for the summary."""
        self.warnings.append(text)
        self.say(f"warning: {text}")

    def expect(self, name: str, months: Sequence[str] = (), *, total: int = 0, work: int = 0) -> None:
        """Say that a stage will come: its parts by month, or how many steps it has, and how much work it is."""
        unit = "parts" if months else "rounds" if total > 1 else "step"
        stage = Stage(self, name, total or len(months) or 1, months, unit)
        stage.expected = self.pace(name, work) if work else None
        with self.lock:
            self.stages.append(stage)

    def skip(self, name: str, note: str) -> None:
        """Say that a stage that was expected is not needed."""
        for stage in self._waiting():
            if stage.name == name:
                stage.skipped, stage.note = True, note

    def _waiting(self) -> list[Stage]:
        return [stage for stage in self.stages if stage.state().standing == "waiting"]

    @contextlib.contextmanager
    def stage(
        self, name: str, total: int, months: Sequence[str] = (), unit: str = "parts"
    ) -> Iterator[Stage]:
        """Time a stage of `total` parts and show it; `months` say of every part of which month it is."""
        stage = self._come(name, total, months, unit)
        stage.begin()
        yield stage
        seconds, ended = stage.seconds, time.perf_counter()
        self.seconds[name], self.rows[name], self.spans[name] = (
            round(seconds, 3),
            stage.rows,
            (ended - seconds, ended),
        )
        with self.lock:
            stage.finish()
        if self.lines:
            self.say(f"{name:<12} {stage.done:>4} done  {seconds:6.1f} s  {stage.describe()}")
        if stage.work and not stage.taken:
            took = Took(
                stage=name, seconds=round(seconds, 3), work=stage.work, workers=self.workers, threads=self.threads
            )  # fmt: skip
            self.took[name] = took
            if line := self.bell(took):
                self.warn(line)

    def _come(self, name: str, total: int, months: Sequence[str], unit: str) -> Stage:
        """Return the stage that was expected under that name, else a new one, before those that are still to come."""
        waiting = self._waiting()
        for stage in waiting:
            if stage.name == name:
                with self.lock:
                    stage.total = total
                    stage.lay_out(months or [m for m, cell in stage.cells.items() for _ in range(cell.parts)])
                return stage
        stage = Stage(self, name, total, months, unit if total > 1 else "step")
        with self.lock:
            self.stages.insert(self.stages.index(waiting[0]) if waiting else len(self.stages), stage)
        return stage

    def end(self, outcome: Outcome, error: str = "") -> None:
        """Say how the run has ended."""
        self._ended, self.outcome, self.error = time.time(), outcome, error

    def state(self) -> RunState:
        """Return how far the run is."""
        with self.lock:
            return RunState(
                run=self.run, store=self.store, now=time.time(), began=self._began, ended=self._ended,
                outcome=self.outcome, error=self.error, stages=tuple(stage.state() for stage in self.stages),
                rejects=dict(self.rejects), curve=tuple(self.curve), published=tuple(self.published),
                warnings=tuple(self.warnings),
            )  # fmt: skip

    def watched(self) -> dict[str, dict[str, str]]:
        """Return the keys of the tasks under way and their months, by stage."""
        with self.lock:
            return {stage.name: dict(stage.keys) for stage in self.stages if stage.keys}

    def hear(self, told: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """Take what the scheduler says of the stages under way."""
        for stage in self.stages:
            if stage.name in told and stage.keys:
                stage.hear(told[stage.name])
