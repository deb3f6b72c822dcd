"""A scheduler preload that records the start of the first task, and the size of the workers.

It writes one line of JSON to the file in BENCHMARKS_FIRST_TASK_FILE. Then it removes itself from
the scheduler.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dask.utils import key_split
from distributed.diagnostics.plugin import SchedulerPlugin

FILE_VARIABLE = "BENCHMARKS_FIRST_TASK_FILE"
# Environment variables of the measured command. With them, its scheduler loads this module.
PRELOAD = {"DASK_DISTRIBUTED__SCHEDULER__PRELOAD": f'["{__name__}"]'}


class FirstTaskPlugin(SchedulerPlugin):  # type: ignore[misc]
    """Records when the first finished task started."""

    name = "benchmarks-first-task"

    def __init__(self, scheduler: Any, file: Path) -> None:
        self._scheduler, self._file = scheduler, file

    def transition(self, key: Any, _start: str, finish: str, *_: Any, **kwargs: Any) -> None:
        """Record the start of the first task that has finished."""
        spans = kwargs.get("startstops") or ()
        starts = [span["start"] for span in spans if span["action"] == "compute"]
        if finish != "memory" or not starts:
            return
        self._scheduler.remove_plugin(name=self.name)
        workers = self._scheduler.workers.values()
        record = {
            "started_at": starts[0],
            "task": key_split(key),
            "threads": sum(worker.nthreads for worker in workers),
            "memory_limit_mb": round(min(worker.memory_limit or 0 for worker in workers) / 1e6),
        }
        self._file.write_text(json.dumps(record))


def dask_setup(scheduler: Any) -> None:
    """Add the plugin to the scheduler if FILE_VARIABLE is set. Dask calls this function."""
    if os.environ.get(FILE_VARIABLE):
        scheduler.add_plugin(FirstTaskPlugin(scheduler, Path(os.environ[FILE_VARIABLE])))
