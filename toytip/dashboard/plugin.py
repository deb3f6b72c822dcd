"""A scheduler plugin that serves the run dashboard: a page, its JSON data, and metrics.

A run installs the plugin on its scheduler. A scheduler can also load the plugin before the first
run, so that the page exists from the start: `dask scheduler --preload toytip.dashboard.plugin`.

The plugin has no attributes before it starts. The client therefore sends only the class name
to the scheduler.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypedDict

from distributed import SchedulerPlugin
from tornado import web

from toytip.core.jsonable import dump_json, to_json
from toytip.dashboard.prometheus import RunCounters, register
from toytip.progress.snapshot import RunSnapshot

MAX_ENDED_RUNS = 12
# A page counts as closed if it has not requested the state for this long.
PAGE_TIMEOUT_S = 2.0
PAGE_FILES = {"": "text/html", "/page.js": "text/javascript", "/page.css": "text/css"}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
DISCONNECTED_ERROR = "the client process disconnected before the run ended"

# For each month of a stage: number of running partitions, and number of retried partitions.
TaskCounts = dict[str, tuple[int, int]]


class UpdateReply(TypedDict):
    """The reply of the scheduler to a state update from a client process."""

    task_counts: dict[str, TaskCounts]
    """Task counts of each stage."""
    is_page_open: bool
    is_end_displayed: bool
    """Whether an open page has displayed the outcome of the run."""


class DisplayedRun(RunSnapshot):
    """The state of a run, with the time since its last update."""

    seconds_since_update: float


class WorkerSnapshot(TypedDict):
    """The memory and the number of tasks of a worker."""

    name: str
    memory_bytes: int
    memory_limit_bytes: int
    threads: int
    processing: int


class DashboardSnapshot(TypedDict):
    """The data of the page: runs, newest run first, and workers."""

    runs: list[DisplayedRun]
    workers: list[WorkerSnapshot]
    lost_workers: int


@dataclass
class DashboardRun:
    """The latest state of a run, and the unfinished tasks whose status its client process requests.

    `tasks_by_stage` maps each task key of a stage to the month of the task.
    """

    state: RunSnapshot
    last_update: float
    client: str
    tasks_by_stage: dict[str, dict[str, str]]
    is_end_displayed: bool = False


class DashboardPlugin(SchedulerPlugin):  # type: ignore[misc]
    """Receives the state of each run from its client process, and serves the state to pages."""

    name = "toytip"
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """See SchedulerPlugin."""
        self.scheduler = scheduler
        self.runs: dict[str, DashboardRun] = {}
        self.totals = RunCounters()
        self.retries: Counter[str] = Counter()
        self.last_viewed = 0.0
        scheduler.handlers["toytip_update_run"] = self.update
        scheduler.http_application.add_application(web.Application(_routes(_path_prefix(scheduler), self)))
        _add_navigation_link(scheduler)
        register(self)

    def update(
        self, state: RunSnapshot, tasks_by_stage: dict[str, dict[str, str]], client: str
    ) -> UpdateReply:
        """Store the state of a run, and return the numbers of its running and retried tasks."""
        register(self)
        previous = self.runs.get(state["run"])
        self.totals.add_progress(previous.state if previous else None, state)
        is_end_displayed = (
            previous is not None
            and previous.is_end_displayed
            and previous.state["outcome"] == state["outcome"]
        )
        self.runs[state["run"]] = DashboardRun(
            state, time.monotonic(), client, tasks_by_stage, is_end_displayed
        )
        ended = [name for name, run in self.runs.items() if run.state["outcome"] != "running"]
        for name in ended[:-MAX_ENDED_RUNS]:
            del self.runs[name]
        return {
            "task_counts": {stage: self._count_tasks(tasks) for stage, tasks in tasks_by_stage.items()},
            "is_page_open": time.monotonic() - self.last_viewed < PAGE_TIMEOUT_S,
            "is_end_displayed": is_end_displayed,
        }

    def _count_tasks(self, months: dict[str, str]) -> TaskCounts:
        counts: TaskCounts = {}
        for key, month in months.items():
            task = self.scheduler.tasks.get(key)
            running, retried = counts.get(month, (0, 0))
            is_running = task is not None and task.state == "processing"
            counts[month] = (running + is_running, retried + self.retries[key])
        return counts

    def log_event(self, topic: str, msg: Any) -> None:
        """See SchedulerPlugin. Counts lost workers, and the tasks that they were computing."""
        if topic != "all" or not isinstance(msg, dict) or msg.get("action") != "remove-worker":
            return
        if msg.get("expected"):
            return
        self.totals.lost_workers += 1
        stages = {
            str(key): stage
            for run in self.runs.values()
            for stage, tasks in run.tasks_by_stage.items()
            for key in tasks
        }
        for key in map(str, msg.get("processing-tasks", ())):
            if key in stages:
                self.retries[key] += 1
                self.totals.increment("retried", stages[key], 1)

    def remove_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002 - the hook's fixed signature
        """See SchedulerPlugin.

        A run fails if its client process disconnects before the run ends.
        """
        for run in self.runs.values():
            if run.client == client and run.state["outcome"] == "running":
                failed = run.state.copy()
                failed["outcome"], failed["error"] = "failed", DISCONNECTED_ERROR
                failed["ended_at"] = run.state["now"]
                failed["stages"] = [stage.copy() for stage in run.state["stages"]]
                for stage in failed["stages"]:
                    stage["current_rows_per_second"] = None
                self.totals.add_progress(run.state, failed)
                run.state = failed

    def snapshot(self) -> DashboardSnapshot:
        """Return the data of the page, and record that a page is open."""
        self.last_viewed = now = time.monotonic()
        for run in self.runs.values():
            run.is_end_displayed = True
        runs = sorted(self.runs.values(), key=lambda run: -run.state["started_at"])
        return {
            "runs": [{**run.state, "seconds_since_update": round(now - run.last_update, 1)} for run in runs],
            "workers": list(self._workers()),
            "lost_workers": self.totals.lost_workers,
        }

    def _workers(self) -> Iterator[WorkerSnapshot]:
        for worker in self.scheduler.workers.values():
            yield {
                "name": str(worker.name),
                "memory_bytes": int(worker.metrics.get("memory", 0)),
                "memory_limit_bytes": worker.memory_limit or 0,
                "threads": worker.nthreads,
                "processing": len(worker.processing),
            }


def _routes(
    prefix: str, plugin: DashboardPlugin
) -> list[tuple[str, type[web.RequestHandler], dict[str, Any]]]:
    """Return the tornado routes of the page, its files and its data."""
    files = [
        (f"{prefix}toytip{path}", PageHandler, {"name": path, "content_type": content_type})
        for path, content_type in PAGE_FILES.items()
    ]
    return [*files, (f"{prefix}toytip/state.json", StateHandler, {"plugin": plugin})]


def _path_prefix(scheduler: Any) -> str:
    """Return the path prefix of Dask's own pages, such as `/`."""
    for application in scheduler.http_application.applications:
        if prefix := getattr(application, "prefix", ""):
            return f"/{prefix.strip('/')}/" if prefix.strip("/") else "/"
    return "/"


def _add_navigation_link(scheduler: Any) -> None:
    """Add a link to the navigation of Dask's own pages, if the scheduler serves them."""
    dask_pages = sys.modules.get("distributed.dashboard.scheduler")
    if dask_pages is None:  # without bokeh, or before somebody opens one of the pages
        return
    pages = dask_pages.template_variables(scheduler).get("pages", [])
    if "toytip" not in pages:
        pages.append("toytip")


class _SecureHandler(web.RequestHandler):
    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-cache")


class PageHandler(_SecureHandler):
    """Serves the page, its script and its style sheet, which are files of the package."""

    def initialize(self, name: str, content_type: str) -> None:
        """See tornado."""
        self.name, self.content_type = name, content_type

    def get(self) -> None:
        """Respond with the file."""
        file = resources.files("toytip.dashboard").joinpath("static", self.name.lstrip("/") or "page.html")
        self.set_header("Content-Type", f"{self.content_type}; charset=utf-8")
        self.finish(file.read_bytes())


class StateHandler(_SecureHandler):
    """Serves the data of the page as JSON."""

    def initialize(self, plugin: DashboardPlugin) -> None:
        """See tornado."""
        self.plugin = plugin

    def get(self) -> None:
        """Respond with the state of all runs."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(dump_json(to_json(self.plugin.snapshot())))


def dask_setup(scheduler: Any) -> None:
    """See `dask scheduler --preload`. The scheduler starts its plugins after this function."""
    scheduler.add_plugin(DashboardPlugin(), name=DashboardPlugin.name)
