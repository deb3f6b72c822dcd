"""Import the modules that only the end of a run needs, while the workers compute."""

from __future__ import annotations

import contextlib
import importlib
import threading

# The libraries of the charts and of Dask's performance report, and the page.
LATE_MODULES = (
    "distributed.dashboard.scheduler",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "toytip.pipeline.reporting.pages",
)


def import_in_background() -> None:
    """Import the modules in a thread, which ends with the process."""
    threading.Thread(target=_import_modules, daemon=True, name="toytip-imports").start()


def _import_modules() -> None:
    for name in LATE_MODULES:
        with contextlib.suppress(Exception):  # the code that needs the module reports the error
            importlib.import_module(name)
