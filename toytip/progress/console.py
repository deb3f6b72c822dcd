"""Print the progress of a run: as a grid on a terminal or in a notebook, and as lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from rich.console import Console
from rich.live import Live

from toytip.progress import notebook, terminal
from toytip.progress.state import RunState

ProgressMode = Literal["auto", "plain", "none"]
ProgressStyle = Literal["grid", "plain", "none"]
REFRESHES_PER_SECOND = 4


class _PipeSafeConsole(Console):
    """A console that prints nothing more if the reader of the pipe has ended. Rich would exit."""

    def on_broken_pipe(self) -> None:
        """Discard all further output, also that of processes that start later."""
        self.quiet = True
        with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as devnull:
            os.dup2(devnull.fileno(), sys.stderr.fileno())


def stderr_console() -> Console:
    """Return a console for stderr that is a terminal only if stderr is one.

    Jupyter sets FORCE_COLOR. Without this check, a notebook would get every frame of the grid.
    """
    is_terminal = None if sys.stderr is not None and sys.stderr.isatty() else False  # None if closed
    return _PipeSafeConsole(stderr=True, highlight=False, force_jupyter=False, force_terminal=is_terminal)


class ProgressConsole:
    """Prints progress on stderr, in one of three modes.

    `auto` draws a grid on a terminal and in a notebook, and prints lines elsewhere. `plain` prints
    lines. `none` prints nothing.
    """

    def __init__(self, mode: ProgressMode, console: Console | None) -> None:
        assert mode in get_args(ProgressMode), mode
        self._console = console or stderr_console()
        self._in_notebook = console is None and notebook.in_notebook()
        on_terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        can_draw = self._in_notebook or on_terminal
        self._style: ProgressStyle = ("grid" if can_draw else "plain") if mode == "auto" else mode
        self._is_live = False

    @property
    def style(self) -> ProgressStyle:
        """The style of the output: grid, plain lines or none."""
        return self._style

    @property
    def prints_lines(self) -> bool:
        """Whether stages are printed as lines, because no grid is drawn now."""
        return self._style == "plain" or (self._style == "grid" and not self._is_live)

    def print(self, text: str) -> None:
        """Print a line, without spaces at its end."""
        if self._style != "none":
            try:
                self._console.print(text.rstrip(), markup=False, highlight=False, soft_wrap=True)
            except OSError:  # for example because the disk is full
                self._console.quiet = True

    @contextlib.contextmanager
    def show_live(self, state: Callable[[], RunState]) -> Iterator[None]:
        """Draw the grid until the context ends, if the style is `grid`."""
        if self._style != "grid":
            yield
            return
        with self._live_grid(state):
            self._is_live = True
            try:
                yield
            finally:
                self._is_live = False

    def _live_grid(self, state: Callable[[], RunState]) -> contextlib.AbstractContextManager[Any]:
        if self._in_notebook:
            return notebook.show_live(lambda: terminal.render(state()).plain)
        glyphs = terminal.glyphs_for(self._console.encoding)
        return Live(
            get_renderable=lambda: terminal.render(state(), self._console.width, glyphs),
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
        )
