"""Execute the module of a project once per process."""

from __future__ import annotations

import builtins
import linecache
import sys
import threading
from types import ModuleType
from typing import Any

from toytip.core.dataset.module_source import ModuleSource
from toytip.datasets.project.file_access import forbid_reading
from toytip.datasets.project.user_code import describe_error, line_in
from toytip.errors import ConfigError, ToytipError

# The threads of a worker get a module at the same time, and only one of them may execute it.
EXECUTION = threading.RLock()
_PRINT = print


def execute_module(module: ModuleSource) -> ModuleType:
    """Execute a module, and return it. Raises ConfigError if an error occurs."""
    with EXECUTION:
        return _execute(module)


def _execute(module: ModuleSource) -> ModuleType:
    name = f"toytip_project_{module.code_digest[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    # Without a time, the cache keeps the lines on machines that do not have the file.
    lines = module.source.splitlines(keepends=True)
    linecache.cache[module.file] = (len(module.source), None, lines, module.file)
    namespace = ModuleType(name)
    namespace.__file__ = module.file
    try:
        code = compile(module.source, module.file, "exec")
        vars(namespace)["__builtins__"] = {**vars(builtins), "print": _print_to_stderr}
        sys.modules[name] = namespace  # dataclasses in the module look it up
        with forbid_reading(module.file):
            exec(code, vars(namespace))  # noqa: S102 - the user's own code
    except (Exception, SystemExit) as error:  # an exit would end the command without a message
        sys.modules.pop(name, None)
        raise _module_error(error, module.file) from error
    return namespace


def _print_to_stderr(*values: object, **options: Any) -> None:
    """Print to stderr by default, because stdout has only the results of a command."""
    _PRINT(*values, **{"file": sys.stderr, **options})


def _module_error(error: BaseException, file: str) -> ConfigError:
    line = error.lineno if isinstance(error, SyntaxError) else line_in(error, file)
    location = f"{file}, line {line}" if line else file
    if isinstance(error, ToytipError):
        return ConfigError(f"cannot use {location}: {error}", hint=error.hint)
    hint = "Correct the file."
    if isinstance(error, ModuleNotFoundError):
        hint = f"A project is one file. Install the package {error.name}, or move its code into {file}."
    cause = (
        f"{type(error).__name__}: {error.msg}" if isinstance(error, SyntaxError) else describe_error(error)
    )
    return ConfigError(f"cannot use {location}: {cause}", hint=hint)
