"""Send the state of a run to the scheduler twice per second, for the run dashboard."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from toytip.config import Settings
from toytip.core.redact import first_line
from toytip.errors import ToytipError
from toytip.progress.snapshot import snapshot_run

if TYPE_CHECKING:
    from toytip.dashboard.plugin import UpdateReply
    from toytip.progress.tracker import Progress

UPDATE_INTERVAL_S = 0.5
UPDATE_TIMEOUT_S = 5
# An open page has this much time to read the outcome of a run before a local scheduler stops.
END_DISPLAY_TIMEOUT_S = 1.5
_CONNECTION_ERRORS = (
    OSError,
    RuntimeError,
    TimeoutError,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
)


def dashboard_url(dask_dashboard: str) -> str:
    """Return the URL of the run dashboard, given the URL of the Dask dashboard.

    >>> dashboard_url("http://127.0.0.1:8787/status")
    'http://127.0.0.1:8787/toytip'
    """
    return f"{dask_dashboard.removesuffix('/status').rstrip('/')}/toytip"


@contextlib.contextmanager
def report_state(client: Any, settings: Settings, progress: Progress) -> Iterator[None]:
    """Report the progress of a run until the context ends, and then the outcome of the run."""
    reporter = _start_reporter(client, progress) if settings.live_dashboard else None
    try:
        yield
    except KeyboardInterrupt:
        progress.end("stopped")
        raise
    except BaseException as error:
        progress.end("failed", first_line(error) if isinstance(error, ToytipError) else type(error).__name__)
        raise
    else:
        progress.end("done")
    finally:
        if reporter is not None:
            reporter.close()


def install_plugin(client: Any) -> str | None:
    """Install the plugin on the scheduler. Returns the error message of a failure, or None."""
    try:
        from toytip.dashboard.plugin import DashboardPlugin

        client.register_plugin(DashboardPlugin())
    except Exception as error:  # noqa: BLE001 - a run must not fail because of its dashboard
        return first_line(error)
    return None


def _start_reporter(client: Any, progress: Progress) -> StateReporter | None:
    """Return a reporter that is running, or None if the scheduler rejects the plugin."""
    if (error := install_plugin(client)) is not None:
        progress.info(f"no run dashboard: the scheduler rejected its plugin ({error})")
        return None
    progress.info(f"run dashboard {dashboard_url(client.dashboard_link)}")
    reporter = StateReporter(client, progress)
    reporter.start()
    return reporter


class StateReporter(threading.Thread):
    """Exchanges state with the scheduler until the reporter is closed or the scheduler stops."""

    def __init__(self, client: Any, progress: Progress) -> None:
        super().__init__(daemon=True, name="toytip-dashboard")
        self._client, self._progress = client, progress
        self._closed = threading.Event()

    def run(self) -> None:
        """Send the state of the run and receive its task counts, at a fixed interval."""
        with contextlib.suppress(*_CONNECTION_ERRORS):
            self._exchange()
            while not self._closed.wait(UPDATE_INTERVAL_S):
                self._exchange()

    def _exchange(self) -> UpdateReply:
        reply = self._client.sync(
            self._client.scheduler.toytip_update_run,
            state=snapshot_run(self._progress.state()),
            tasks_by_stage=self._progress.tasks_by_stage(),
            client=self._client.id,
            callback_timeout=UPDATE_TIMEOUT_S,
        )
        self._progress.update_running(reply["task_counts"])
        return cast("UpdateReply", reply)

    def close(self) -> None:
        """Send the outcome of the run. If a page is open, wait until the page has read it."""
        self._closed.set()
        self.join(UPDATE_TIMEOUT_S)
        if self._client.status != "running" or self.is_alive():
            return
        deadline = time.monotonic() + END_DISPLAY_TIMEOUT_S
        with contextlib.suppress(*_CONNECTION_ERRORS):
            while self._is_end_pending() and time.monotonic() < deadline:
                time.sleep(0.1)

    def _is_end_pending(self) -> bool:
        reply = self._exchange()
        return reply["is_page_open"] and not reply["is_end_displayed"]
