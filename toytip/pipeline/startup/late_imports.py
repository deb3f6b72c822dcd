"""Import the modules that only later stages of a run need, while the workers compute."""

from __future__ import annotations

import contextlib
import importlib
import threading

# scikit-learn and dask-ml.
TRAINING_MODULES = ("toytip.training.parallel",)
# The libraries of the charts and of Dask's performance report, and the page.
REPORT_MODULES = (
    "distributed.dashboard.scheduler",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "toytip.pipeline.reporting.pages",
)


def import_in_background(modules: tuple[str, ...]) -> None:
    """Import modules in a thread, which ends with the process."""
    threading.Thread(target=_import_modules, args=(modules,), daemon=True, name="toytip-imports").start()


def _import_modules(modules: tuple[str, ...]) -> None:
    for name in modules:
        with contextlib.suppress(Exception):  # the code that needs the module reports the error
            importlib.import_module(name)
