"""Tells when the first task of a Dask cluster began, and what workers there were: a preload of the scheduler.

It writes a line of JSON into the file that `BENCHMARKS_FIRST` names, once, and is gone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

FILE_VARIABLE = "BENCHMARKS_FIRST"
# For the command that is measured: its scheduler loads this module.
PRELOAD = {"DASK_DISTRIBUTED__SCHEDULER__PRELOAD": f'["{__name__}"]'}


class FirstTaskPlugin(SchedulerPlugin):  # type: ignore[misc]
    """Waits for the first task that is done."""

    name = "benchmarks-first"

    def __init__(self, scheduler: Any, file: Path) -> None:
        self._scheduler, self._file = scheduler, file

    def transition(self, _key: Any, _start: str, finish: str, *_: Any, **more: Any) -> None:
        """Hear of a task: where it is done, of when it began."""
        begun = [lap["start"] for lap in more.get("startstops") or () if lap["action"] == "compute"]
        if finish != "memory" or not begun:
            return
        self._scheduler.remove_plugin(name=self.name)
        workers = self._scheduler.workers.values()
        told = {
            "began": begun[0],
            "threads": sum(worker.nthreads for worker in workers),
            "memory_limit_mb": round(min(worker.memory_limit or 0 for worker in workers) / 1e6),
        }
        self._file.write_text(json.dumps(told))


def dask_setup(scheduler: Any) -> None:
    """Watch a scheduler, as Dask asks a preload to, for whoever wants to know."""
    if os.environ.get(FILE_VARIABLE):
        scheduler.add_plugin(FirstTaskPlugin(scheduler, Path(os.environ[FILE_VARIABLE])))
