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
    from toytip.progress import Progress

EVERY_S = 0.5
# So long the scheduler may take to answer, and a page that is looked at to ask how it ended.
ANSWER_S = 5
SHOWN_S = 1.5
_GONE = (OSError, RuntimeError, TimeoutError, asyncio.CancelledError, concurrent.futures.CancelledError)


def page_of(dashboard: str) -> str:
    """Return the address of the live page beside Dask's own.

    >>> page_of("http://127.0.0.1:8787/status")
    'http://127.0.0.1:8787/toytip'
    """
    return f"{dashboard.removesuffix('/status').rstrip('/')}/toytip"


@contextlib.contextmanager
def shown(client: Any, settings: Settings, progress: Progress) -> Iterator[None]:
    """Show the progress on the scheduler's page as long as the context lasts, and then how it ended."""
    link = _link(client, progress) if settings.live else None
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


def install(client: Any) -> str | None:
    """Give the scheduler its end of it, where it has none yet; return why it does not take it, if it does not."""
    try:
        from toytip.cluster.board import Board

        client.register_plugin(Board())
    except Exception as error:  # noqa: BLE001 - whatever a scheduler has against it, the work goes on
        return first_line(error)
    return None


def _link(client: Any, progress: Progress) -> Link | None:
    """Return the driver's end; None, and one line, where the scheduler takes no plugin."""
    if (reason := install(client)) is not None:
        progress.say(f"no live page: the scheduler does not take it ({reason})")
        return None
    progress.say(f"live page {page_of(client.dashboard_link)}")
    link = Link(client, progress)
    link.start()
    return link


class Link(threading.Thread):
    """Tells and hears until it is closed, or the scheduler is gone."""

    def __init__(self, client: Any, progress: Progress) -> None:
        super().__init__(daemon=True, name="toytip-live")
        self._client, self._progress = client, progress
        self._ended = threading.Event()

    def run(self) -> None:
        """Tell and hear, again and again."""
        with contextlib.suppress(*_GONE):
            self._exchange()
            while not self._ended.wait(EVERY_S):
                self._exchange()

    def _exchange(self) -> dict[str, Any]:
        progress = self._progress
        told = self._client.sync(
            self._client.scheduler.toytip_live, state=progress.state().to_json(), watched=progress.watched(),
            client=self._client.id, callback_timeout=ANSWER_S,
        )  # fmt: skip
        progress.hear(told["cells"])
        return dict(told)

    def close(self) -> None:
        """Tell how it ended; where somebody looks at the page, wait until it has asked."""
        self._ended.set()
        self.join(ANSWER_S)
        if self._client.status != "running" or self.is_alive():
            return
        end = time.monotonic() + SHOWN_S
        with contextlib.suppress(*_GONE):
            while (told := self._exchange())["looked_at"] and not told["shown"] and time.monotonic() < end:
                time.sleep(0.1)
