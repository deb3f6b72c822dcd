"""Show the progress of a run in a notebook, as one output that is replaced in place.

A saved notebook has the last state only. A terminal's control codes would stack all states.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

REFRESH_SECONDS = 0.5


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


@contextlib.contextmanager
def show_live(render: Callable[[], str]) -> Iterator[None]:
    """Display a text until the context ends, and replace it while the cell runs."""
    from IPython.display import display

    handle: Any = display(_output(render()), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    stopped = threading.Event()

    def refresh() -> None:
        while not stopped.wait(REFRESH_SECONDS):
            handle.update(_output(render()), raw=True)

    # The context has the message of the cell, to which the updates belong.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(refresh,), daemon=True, name="toytip-progress")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        handle.update(_output(render()), raw=True)


def _output(text: str) -> dict[str, Any]:
    return {"text/plain": text}
