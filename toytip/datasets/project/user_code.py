"""Call the functions of a user's module, and describe their errors with file and line."""

from __future__ import annotations

import contextlib
import functools
import inspect
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from toytip.core.columns import Columns, row_count
from toytip.core.redact import suggest_name
from toytip.core.text import plural
from toytip.datasets.project.file_access import FileReadError
from toytip.errors import ConfigError, ToytipError

# The kinds of dtypes for numbers, and for True and False.
NUMBER_KINDS, TRUTH_KINDS = "biuf", "b"


@dataclass(frozen=True)
class Part:
    """A declared part of a module, for messages."""

    kind: str
    """Such as `feature` or `data set`, or the type of an object that contains a part."""
    name: str
    """Name of the part."""
    file: str
    """Path of the module."""
    line: int
    """Line of the definition."""

    @classmethod
    def of(cls, kind: str, function: Callable[..., Any]) -> Part:
        """Return the part that a function declares."""
        code = inspect.unwrap(function).__code__
        return cls(kind, function.__name__, code.co_filename, code.co_firstlineno)

    def error(self, cause: str, hint: str = "", line: int | None = None) -> ConfigError:
        """Return the error that the part cannot be used."""
        location = f"{self.file}, line {line or self.line}"
        return ConfigError(f"cannot use {self.kind} {self.name} ({location}): {cause}", hint=hint)

    def guard(
        self, function: Callable[[Columns], Any], dtype: str | None = None
    ) -> Callable[[Columns], npt.NDArray[Any]]:
        """Return a function that checks the number of values, and describes an error.

        The user's function gets a copy of the dict of columns, so that it cannot change the columns
        that other functions get. With `dtype`, the returned function also checks that this type has
        all values. Infinite values of a float type become NaN: they are not measured values.
        """

        @functools.wraps(function)
        def compute(trips: Columns) -> npt.NDArray[Any]:
            with self.describe_errors(trips), np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                result = function(trips.copy() if isinstance(trips, dict) else _arrays_of(trips))
                if isinstance(result, np.ma.MaskedArray):
                    hint = "Return an array without a mask, for example with result.filled(np.nan)."
                    raise self.error("it returns a masked array", hint)
                values = np.asarray(result)
            self.require_shape(values, row_count(trips))
            if dtype is not None:
                self.require_dtype(values, np.dtype(dtype))
                values = _without_infinity(values, np.dtype(dtype))
            return values

        return compute

    def require_shape(self, values: npt.NDArray[Any], rows: int) -> None:
        """Raise ConfigError if there is not one value per row."""
        if values.shape != (rows,):
            count = f"an array of the shape {values.shape}" if values.ndim else _describe_single(values)
            raise self.error(
                f"it returns {count} for {plural(rows, 'row')}",
                "Return one value per row, for example with np.where.",
            )

    def require_dtype(self, values: npt.NDArray[Any], dtype: np.dtype[Any]) -> None:
        """Raise ConfigError if a value is not a number that a dtype has."""
        if values.dtype.kind not in NUMBER_KINDS:
            raise self.error(f"it returns values of type {values.dtype}", "Return a number for each row.")
        if dtype.kind == "f" or np.can_cast(values.dtype, dtype):
            return
        limits = np.iinfo(dtype)
        wrong = ~((values >= limits.min) & (values <= limits.max))  # true for NaN
        if values.dtype.kind == "f":
            wrong |= values != np.round(values)
        if wrong.any():
            raise self.error(
                f"the value {values[wrong][0]:g} is not a number of type {dtype}",
                'Set dtype="float32", which has all numbers and missing values.',
            )

    @contextlib.contextmanager
    def describe_errors(self, trips: Columns) -> Iterator[None]:
        """Raise a ConfigError with the line of the module in place of any other error."""
        try:
            yield
        except FileReadError as error:
            raise self.error(str(error), error.hint, line_in(error, self.file)) from error
        except ToytipError:
            raise
        except (Exception, SystemExit) as error:
            line = line_in(error, self.file)
            if isinstance(error, KeyError) and error.args and error.args[0] not in trips:
                name = str(error.args[0])
                raise self.error(
                    f"it did not get the column {name}", self._hint_on_column(name, trips), line
                ) from error
            if (
                isinstance(error, AttributeError)
                and isinstance(error.obj, dict)
                and error.obj.keys() == trips.keys()
            ):
                cause = f"it gets a dict of arrays, which has no attribute {error.name}"
                hint = "Use functions of NumPy, or pd.DataFrame(trips)."
                if error.name in trips:
                    hint = f'Write trips["{error.name}"].'
                raise self.error(cause, hint, line) from error
            raise self.error(describe_error(error), "Correct the function.", line) from error

    def _hint_on_column(self, name: str, trips: Columns) -> str:
        """Return the hint on a column that the function did not get."""
        # A rule gets all columns, and a feature gets all columns of its reference tables.
        table, dot, _ = name.partition(".")
        if self.kind == "rule" or (dot and any(column.startswith(f"{table}.") for column in trips)):
            return suggest_name(name, trips, f"Choose from {', '.join(trips)}.")
        similar = suggest_name(name, trips, "")
        return f"{similar} If not, add {name} to needs." if similar else f"Add {table} to needs."


def _describe_single(value: npt.NDArray[Any]) -> str:
    """Describe an array without dimensions, such as `None` or `a generator`."""
    item = value.item()
    if item is None:
        return "None"
    if isinstance(item, bool | int | float | complex | str | bytes):
        return "a single value"
    return f"a value of type {type(item).__name__}"


def _without_infinity(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return values as a float dtype with NaN in place of infinity. Other dtypes do not change."""
    if dtype.kind != "f":
        return values
    with np.errstate(over="ignore"):  # a large number of float64 is infinite as float32
        converted = values.astype(dtype)
    return np.where(np.isinf(converted), dtype.type(np.nan), converted)


def _arrays_of(frame: Columns) -> dict[str, npt.NDArray[Any]]:
    return {str(name): np.asarray(values) for name, values in frame.items()}


def describe_error(error: BaseException) -> str:
    """Return the type and the first line of an error.

    >>> describe_error(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def line_in(error: BaseException, file: str) -> int | None:
    """Return the line of a file in which an error was raised, or None if no line of it was."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None
