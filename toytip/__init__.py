"""Train and run a high-tip classifier on a year of NYC taxi trips, on a Dask cluster.

    run = toytip.run("data/green-2023")           run the complete pipeline
    store = toytip.open_store("toytip-store")     open a store for reading
    store.predictions(months="2023-12")           read predictions as a lazy Dask DataFrame

Submodules are loaded on first use, so that workers, which import this module, start quickly. See
`docs/how-to/python.md`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from toytip._version import __version__

__all__ = [
    "ExactXGBClassifier",
    "ExactXGBRegressor",
    "Field",
    "Judged",
    "Model",
    "Monitoring",
    "OwnDataset",
    "Run",
    "Store",
    "ToytipError",
    "__version__",
    "errors",
    "feature",
    "judge",
    "label",
    "load_project",
    "make_pipeline",
    "monitor",
    "open_store",
    "reference",
    "rule",
    "run",
    "segment",
]


def unsupported_system() -> str | None:
    """Return why toytip cannot run here, or None if it can."""
    if find_spec("fcntl") is None:
        return "toytip needs Linux or macOS. On Windows, use WSL 2"
    if sys.flags.optimize > 1:
        return (
            "toytip cannot run without docstrings, because XGBoost needs them. Remove -OO or PYTHONOPTIMIZE=2"
        )
    return None


if TYPE_CHECKING:
    from toytip import errors
    from toytip.api.judge import Judged, judge
    from toytip.api.model import Model
    from toytip.api.monitoring import Monitoring, monitor
    from toytip.api.pipelines import make_pipeline
    from toytip.api.project import load_project
    from toytip.api.run import Run, run
    from toytip.api.store import Store, open_store
    from toytip.core.dataset.declarations import Field, feature, label, reference, rule, segment
    from toytip.core.dataset.own import OwnDataset
    from toytip.errors import ToytipError
    from toytip.estimators.exact_xgb import ExactXGBClassifier, ExactXGBRegressor
else:
    _MODULES = {
        "ExactXGBClassifier": "estimators.exact_xgb",
        "ExactXGBRegressor": "estimators.exact_xgb",
        "Field": "core.dataset.declarations",
        "Judged": "api.judge",
        "Model": "api.model",
        "Monitoring": "api.monitoring",
        "OwnDataset": "core.dataset.own",
        "Run": "api.run",
        "Store": "api.store",
        "ToytipError": "errors",
        "feature": "core.dataset.declarations",
        "judge": "api.judge",
        "label": "core.dataset.declarations",
        "load_project": "api.project",
        "make_pipeline": "api.pipelines",
        "monitor": "api.monitoring",
        "open_store": "api.store",
        "reference": "core.dataset.declarations",
        "rule": "core.dataset.declarations",
        "run": "api.run",
        "segment": "core.dataset.declarations",
    }

    def __getattr__(name: str) -> Any:
        if name == "errors":
            return import_module("toytip.errors")
        if name not in _MODULES:
            raise AttributeError(f"module 'toytip' has no attribute {name!r}")
        if cause := unsupported_system():
            raise ImportError(cause)
        return getattr(import_module(f"toytip.{_MODULES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
