"""live: the driver's end of the live page: twice a second it tells the scheduler how far the run is, and hears how its tasks go."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from toytip.config import Settings, first_line
from toytip.errors import ToytipError

if TYPE_CHECKING:
    from toytip.progress.tracker import Progress

UPDATE_INTERVAL_S = 0.5
# So long the scheduler may take to answer, and a page that is looked at to ask how it ended.
UPDATE_TIMEOUT_S = 5
END_VIEW_TIMEOUT_S = 1.5
_CONNECTION_ERRORS = (
    OSError,
    RuntimeError,
    TimeoutError,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
)


def dashboard_url(dashboard: str) -> str:
    """Return the address of the live page beside Dask's own.

    >>> dashboard_url("http://127.0.0.1:8787/status")
    'http://127.0.0.1:8787/toytip'
    """
    return f"{dashboard.removesuffix('/status').rstrip('/')}/toytip"


@contextlib.contextmanager
def report_state(client: Any, settings: Settings, progress: Progress) -> Iterator[None]:
    """Show the progress on the scheduler's page as long as the context lasts, and then how it ended."""
    link = _open_reporter(client, progress) if settings.live_dashboard else None
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
        if link is not None:
            link.close()


def install_plugin(client: Any) -> str | None:
    """Give the scheduler its end of it, where it has none yet; return why it does not take it, if it does not."""
    try:
        from toytip.dashboard.plugin import DashboardPlugin

        client.register_plugin(DashboardPlugin())
    except Exception as error:  # noqa: BLE001 - whatever a scheduler has against it, the work goes on
        return first_line(error)
    return None


def _open_reporter(client: Any, progress: Progress) -> StateReporter | None:
    """Return the driver's end; None, and one line, where the scheduler takes no plugin."""
    if (reason := install_plugin(client)) is not None:
        progress.info(f"no live page: the scheduler does not take it ({reason})")
        return None
    progress.info(f"live page {dashboard_url(client.dashboard_link)}")
    link = StateReporter(client, progress)
    link.start()
    return link


class StateReporter(threading.Thread):
    """Tells and hears until it is closed, or the scheduler is gone."""

    def __init__(self, client: Any, progress: Progress) -> None:
        super().__init__(daemon=True, name="toytip-live")
        self._client, self._progress = client, progress
        self._ended = threading.Event()

    def run(self) -> None:
        """Tell and hear, again and again."""
        with contextlib.suppress(*_CONNECTION_ERRORS):
            self._exchange()
            while not self._ended.wait(UPDATE_INTERVAL_S):
                self._exchange()

    def _exchange(self) -> dict[str, Any]:
        progress = self._progress
        told = self._client.sync(
            self._client.scheduler.toytip_live, state=progress.state().to_json(), watched=progress.tasks_by_stage(),
            client=self._client.id, callback_timeout=UPDATE_TIMEOUT_S,
        )  # fmt: skip
        progress.update_running(told["cells"])
        return dict(told)

    def close(self) -> None:
        """Tell how it ended; where somebody looks at the page, wait until it has asked."""
        self._ended.set()
        self.join(UPDATE_TIMEOUT_S)
        if self._client.status != "running" or self.is_alive():
            return
        end = time.monotonic() + END_VIEW_TIMEOUT_S
        with contextlib.suppress(*_CONNECTION_ERRORS):
            while (told := self._exchange())["looked_at"] and not told["shown"] and time.monotonic() < end:
                time.sleep(0.1)
