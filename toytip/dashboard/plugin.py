"""board: on the scheduler: what the runs that it serves are at, as a page, as JSON, and as figures for Prometheus.

A plugin without anything of its own: what is sent to the scheduler is its name. A scheduler may also load it before any
run comes, so that the page is there from the beginning: `dask scheduler --preload toytip.dashboard.plugin`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from distributed import SchedulerPlugin
from tornado import web

from toytip.dashboard.prometheus import RunCounters, register

# Runs that have ended are shown until so many others have.
MAX_ENDED_RUNS = 12
# A page that has not asked for so long is not looked at.
VIEWED_WITHIN_S = 2.0
PAGE_FILES = {"": "text/html", "/page.js": "text/javascript", "/page.css": "text/css"}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass
class DashboardRun:
    """What a driver has said of its run last, and when; and how often the tasks of its months were begun again."""

    state: dict[str, Any]
    last_update: float
    client: str
    task_keys: dict[str, dict[str, str]]
    end_viewed: bool = False


class DashboardPlugin(SchedulerPlugin):  # type: ignore[misc]
    """Keeps the state of runs, which their drivers send, and shows it."""

    name = "toytip"
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """See SchedulerPlugin."""
        self.scheduler = scheduler
        self.runs: dict[str, DashboardRun] = {}
        self.totals = RunCounters()
        self.retried: Counter[str] = Counter()
        self.last_viewed = 0.0
        scheduler.handlers["toytip_live"] = self.update
        prefix = _path_prefix(scheduler)
        scheduler.http_application.add_application(
            web.Application([
                *((f"{prefix}toytip{path}", PageHandler, {"name": path, "kind": kind}) for path, kind in PAGE_FILES.items()),
                (f"{prefix}toytip/state.json", StateHandler, {"board": self}),
            ])
        )  # fmt: skip
        _add_navigation_link(scheduler)
        register(self)

    def update(
        self, state: dict[str, Any], watched: dict[str, dict[str, str]], client: str
    ) -> dict[str, Any]:
        """Take the state of a run; return by stage and month how many tasks are under way, and how many were begun again."""
        before = self.runs.get(state["run"])
        self.totals.add_progress(before.state if before else {}, state)
        shown = before is not None and before.end_viewed and before.state["outcome"] == state["outcome"]
        self.runs[state["run"]] = DashboardRun(state, time.monotonic(), client, watched, shown)
        ended = [name for name, run in self.runs.items() if run.state["outcome"] != "running"]
        for name in ended[:-MAX_ENDED_RUNS]:
            del self.runs[name]
        return {
            "cells": {stage: self._months(keys) for stage, keys in watched.items()},
            "looked_at": time.monotonic() - self.last_viewed < VIEWED_WITHIN_S,
            "shown": shown,
        }

    def _months(self, keys: dict[str, str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for key, month in keys.items():
            task = self.scheduler.tasks.get(key)
            told = found.setdefault(month, [0, 0])
            told[0] += task is not None and task.state == "processing"
            told[1] += self.retried[key]
        return found

    def log_event(self, topic: str, msg: Any) -> None:
        """See SchedulerPlugin: a worker that goes unbidden is lost, and what it was at is begun again."""
        if topic != "all" or not isinstance(msg, dict) or msg.get("action") != "remove-worker":
            return
        if msg.get("expected"):
            return
        self.totals.lost_workers += 1
        ours = {
            str(key): stage
            for run in self.runs.values()
            for stage, keys in run.task_keys.items()
            for key in keys
        }
        for key in map(str, msg.get("processing-tasks", ())):
            if key in ours:
                self.retried[key] += 1
                self.totals.increment("retried", ours[key], 1)

    def remove_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002 - the hook's fixed signature
        """See SchedulerPlugin: a run whose driver has gone without a word has failed."""
        for run in self.runs.values():
            if run.client == client and run.state["outcome"] == "running":
                gone = {
                    "outcome": "failed",
                    "error": "its driver has gone without a word",
                    "ended": run.state["now"],
                    "stages": [{**stage, "rate_now": None} for stage in run.state["stages"]],
                }
                after = {**run.state, **gone}
                self.totals.add_progress(run.state, after)
                run.state = after

    def snapshot(self) -> dict[str, Any]:
        """Return what the page shows: runs, the newest first, and the workers' memory against its limit."""
        self.last_viewed = now = time.monotonic()
        for run in self.runs.values():
            run.end_viewed = True
        runs = sorted(self.runs.values(), key=lambda run: -run.state["began"])
        return {
            "runs": [{**run.state, "silent": round(now - run.last_update, 1)} for run in runs],
            "workers": list(self._workers()),
            "lost": self.totals.lost_workers,
        }

    def _workers(self) -> Iterator[dict[str, Any]]:
        for worker in self.scheduler.workers.values():
            yield {
                "name": str(worker.name),
                "memory": int(worker.metrics.get("memory", 0)),
                "limit": worker.memory_limit,
                "threads": worker.nthreads,
                "processing": len(worker.processing),
            }


def _path_prefix(scheduler: Any) -> str:
    """Return under which path the scheduler has its own pages."""
    for application in scheduler.http_application.applications:
        if prefix := getattr(application, "prefix", ""):
            return f"/{prefix.strip('/')}/" if prefix.strip("/") else "/"
    return "/"


def _add_navigation_link(scheduler: Any) -> None:
    """Have Dask's own pages lead to ours, where there are any."""
    try:
        from distributed.dashboard.scheduler import template_variables
    except ImportError:  # no bokeh, no pages
        return
    pages = template_variables(scheduler).get("pages", [])
    if "toytip" not in pages:
        pages.append("toytip")


class _SecureHandler(web.RequestHandler):
    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-cache")


class PageHandler(_SecureHandler):
    """The page, its script and its style: files of the package, by name."""

    def initialize(self, name: str, kind: str) -> None:
        """See tornado."""
        self.name, self.kind = name, kind

    def get(self) -> None:
        """Answer with the file."""
        file = resources.files("toytip.dashboard").joinpath("static", self.name.lstrip("/") or "page.html")
        self.set_header("Content-Type", f"{self.kind}; charset=utf-8")
        self.finish(file.read_bytes())


class StateHandler(_SecureHandler):
    """What the page shows, as JSON."""

    def initialize(self, board: DashboardPlugin) -> None:
        """See tornado."""
        self.board = board

    def get(self) -> None:
        """Answer with the state of all runs."""
        self.finish(self.board.snapshot())


def dask_setup(scheduler: Any) -> None:
    """See `dask scheduler --preload`: the scheduler starts its plugins next."""
    scheduler.add_plugin(DashboardPlugin(), name=DashboardPlugin.name)
