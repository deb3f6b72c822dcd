"""Limit the time of a user's function in the trial."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from toytip.datasets.project.user_code import Part

# Enough for an import of a large library on a busy machine.
TRIAL_SECONDS = 30.0


@contextlib.contextmanager
def limit_time(part: Part) -> Iterator[None]:
    """Raise ConfigError, with the file and the line, if a part takes too long for a few rows.

    Python delivers signals only to the main thread. In other threads, there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise part.error(f"it takes longer than {TRIAL_SECONDS:g} s for a few rows", "Correct the function.")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, TRIAL_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
