"""Forbid a module of a project to read files, except in the functions of reference tables.

Workers and models execute the module on machines that do not have the files. A change of such a
file would also not change the digest of the code, so that a run would not notice it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

from toytip.datasets.project.packages import PACKAGE_FOLDERS
from toytip.errors import ConfigError

# Files that belong to Python or to the operating system, such as time zones.
_SYSTEM_FOLDERS = (
    "/usr/share",
    "/usr/lib",
    "/etc",
    "/lib",
    "/proc",
    "/sys",
    "/dev",
    sys.prefix,
    sys.base_prefix,
)
_CODE_ENDINGS = (".py", ".pyc", ".so")
_IMPORT_SYSTEM = "<frozen importlib"
# Folders of installed packages, and of compiled code.
_CODE_FOLDERS = {*PACKAGE_FOLDERS, "__pycache__"}
# The module that this thread executes now, and that must not read files.
_EXECUTED: ContextVar[str] = ContextVar("_EXECUTED", default="")


class FileReadError(ConfigError):
    """A module reads a file, and is not allowed to."""


@contextlib.contextmanager
def forbid_reading(module: str) -> Iterator[None]:
    """Raise FileReadError if code of a module reads a file in this context."""
    _add_hook()
    token = _EXECUTED.set(module)
    try:
        yield
    finally:
        _EXECUTED.reset(token)


@functools.cache
def _add_hook() -> None:
    sys.addaudithook(_check_event)  # Python cannot remove it


def _check_event(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not (module := _EXECUTED.get()):
        return
    path, mode = arguments[:2]
    if not isinstance(path, str | bytes | os.PathLike) or not isinstance(mode, str) or "r" not in mode:
        return
    file = os.fsdecode(path)
    if _is_data(file) and _is_opened_by(inspect.currentframe(), module):
        raise FileReadError(
            f"it reads the file {file}, which only a function with @reference can do",
            hint="Read the file in a function with @reference, or write the values into the module.",
        )


def _is_data(file: str) -> bool:
    """Return whether a file is neither code nor a part of Python or of the system."""
    path = Path(file).absolute()
    if path.suffix in _CODE_ENDINGS or _CODE_FOLDERS.intersection(path.parts):
        return False
    return not any(map(path.is_relative_to, _SYSTEM_FOLDERS))


def _is_opened_by(frame: FrameType | None, module: str) -> bool:
    """Return whether a module opens a file itself, and not by an import of a package."""
    while frame is not None and frame.f_code.co_filename != module:
        if frame.f_code.co_filename.startswith(_IMPORT_SYSTEM):
            return False
        frame = frame.f_back
    return frame is not None
