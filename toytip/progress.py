"""Progress: a line for each stage, with a bar on a terminal and without one elsewhere. Always on stderr."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars


class Stage:
    """One stage under way: its parts, rows, and a note at the end of its line."""

    def __init__(self, bars: Bars | None, name: str, total: int) -> None:
        self.name, self.total = name, total
        self.done = self.rows = 0
        self.note = ""
        self.started = time.perf_counter()
        self._bars = bars
        self._task = bars.add_task(name, total=total, note="") if bars else None

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return time.perf_counter() - self.started

    def advance(self, rows: int = 0, note: str = "", parts: int = 1) -> None:
        """Count parts as done, with their rows."""
        self.done, self.rows, self.note = self.done + parts, self.rows + rows, note
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=self.done, note=self.describe())

    def describe(self) -> str:
        """Return rows, rows a second and the note."""
        speed = f"{self.rows:,} rows  {self.rows / max(self.seconds, 1e-6):,.0f} rows/s" if self.rows else ""
        return "  ".join(filter(None, (speed, self.note)))

    def finish(self) -> None:
        """Show the stage as done, also where it needed fewer parts than planned (an early stop)."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, total=self.done, completed=self.done, note=self.describe())


class Progress:
    """Tells a person at the terminal, or a log, how far the run is. Keeps seconds, rows, and start and end of every stage."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.seconds: dict[str, float] = {}
        self.rows: dict[str, int] = {}
        self.spans: dict[str, tuple[float, float]] = {}
        self._bars: Bars | None = None

    @contextlib.contextmanager
    def live(self) -> Iterator[Progress]:
        """Show bars for as long as the context lasts, on a terminal."""
        if not self.console.is_terminal:
            yield self
            return
        columns = (
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Bars(*columns, console=self.console) as bars:
            self._bars = bars
            try:
                yield self
            finally:
                self._bars = None

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Time a stage of `total` parts and show it."""
        stage = Stage(self._bars, name, total)
        yield stage
        self.seconds[name] = round(stage.seconds, 3)
        self.rows[name] = stage.rows
        self.spans[name] = (stage.started, time.perf_counter())
        stage.finish()
        if self._bars is None:
            self.say(f"{name:<12} {stage.done:>4} done  {stage.seconds:6.1f} s  {stage.describe()}")
