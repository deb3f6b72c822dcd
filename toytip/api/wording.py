"""Errors of the Python API, which name arguments in place of command-line options.

The texts of errors name options, such as `--months 2023-01:2023-12`. The functions of the API raise
the same errors, and name the argument instead: `months="2023-01:2023-12"`.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from toytip.errors import ToytipError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Class = TypeVar("Class", bound=type)

# Code in backticks, such as a command, stays as it is.
_CODE = re.compile(r"(`[^`]*`)")
# A value follows its option. A word that follows an option is not a value.
_OPTION = re.compile(
    r"(?<![\w-])--(?P<name>[a-z][a-z-]*)(?:[ =](?P<value>'[^']*'|s3://[\w./-]*\w|\d[\w:.,/-]*\w|\d))?"
)


def to_arguments(text: str) -> str:
    """Return the text of an error with arguments in place of options.

    >>> to_arguments("Set --months, for example --months 2023-01:2023-12. See `toytip run --help`.")
    'Set `months`, for example `months="2023-01:2023-12"`. See `toytip run --help`.'
    """
    parts = _CODE.split(text)
    return "".join(part if part.startswith("`") else _OPTION.sub(_argument, part) for part in parts)


def _argument(option: re.Match[str]) -> str:
    name, value = option["name"].replace("-", "_"), option["value"]
    if value is None:
        return f"`{name}`"
    literal = value if value.isdigit() else '"' + value.strip("'") + '"'
    return f"`{name}={literal}`"


def with_python_errors(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a function raise errors that name arguments."""

    @functools.wraps(function)
    def call(*args: Parameters.args, **options: Parameters.kwargs) -> Result:
        try:
            return function(*args, **options)
        except ToytipError as error:
            _name_arguments(error)
            raise

    return call


def _name_arguments(error: ToytipError) -> None:
    """Change the message and the hint of an error, which also is a note of the error."""
    error.args = (to_arguments(str(error)),)
    error.hint = to_arguments(error.hint)
    error.__notes__ = [to_arguments(note) for note in getattr(error, "__notes__", ())]


def with_python_errors_of_methods(cls: Class) -> Class:
    """Make the public methods of a class raise errors that name arguments."""
    for name, member in list(vars(cls).items()):
        if inspect.isfunction(member) and not name.startswith("_"):
            setattr(cls, name, with_python_errors(member))
    return cls
