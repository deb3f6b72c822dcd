"""Load the module of a project in Python, for example in a test."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from toytip.datasets.project.execution import execute_module
from toytip.pipeline.startup.project import read_project


def load_project(file: str | Path, taxi: str | None = None) -> ModuleType:
    """Return the module of a project after the checks of a run, which include a trial.

    `file` is the path of the module, and `taxi` a kind of source files that it works with: by
    default the data set that the module declares, else yellow taxis. Call a declared feature, rule,
    label or segment with a dict of arrays, by column. Raises ConfigError with the line of the
    module if a check fails.
    """
    dataset = read_project(str(file), taxi)
    assert dataset.module is not None, "a project has a module"
    return execute_module(dataset.module)
