"""Read the reference tables of a module, and join them to the features that need them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.columns import Columns
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import Feature, Reference
from toytip.core.dataset.module_source import ModuleSource
from toytip.core.dataset.own import OwnDataset
from toytip.core.dataset.reference import ReferenceRows, join_rows
from toytip.core.text import plural
from toytip.core.time_values import NEW_YORK
from toytip.datasets.project.execution import execute_module
from toytip.datasets.project.parts import Parts, is_of_file, moment_of, needed_columns, part_of
from toytip.datasets.project.user_code import NUMBER_KINDS, Part

# Workers and models get the rows by value, so that they must be few.
MAX_VALUES = 2_000_000


def read_references(module: ModuleSource) -> ModuleSource:
    """Return a module with the rows of its reference tables. Only the client process reads them.

    Raises ConfigError if a table cannot be read, or if its columns cannot be used.
    """
    values = list(vars(execute_module(module)).values())
    declared = [item for item in values if isinstance(item, Reference) and is_of_file(item, module.file)]
    zone = next((item.time_zone for item in values if isinstance(item, OwnDataset)), NEW_YORK)
    return replace(module, references=tuple(_read_rows(item, zone) for item in dict.fromkeys(declared)))


def _read_rows(declared: Reference, zone: str) -> ReferenceRows:
    part = part_of(declared)
    with part.describe_errors({}):
        frame = declared.load()
    if not isinstance(frame, pd.DataFrame):
        raise part.error(f"it returns a {type(frame).__name__}", "Return a pandas DataFrame.")
    if not frame.columns.is_unique:
        raise part.error(
            f"several columns of the table have the name {_repeated(frame.columns)}", "Rename one of them."
        )
    times = [_times_of(part, frame, name, zone) for name in (declared.valid_at, declared.known_at)]
    names = [name for name in frame.columns if name not in (declared.valid_at, declared.known_at)]
    if missing := [name for name in declared.key if name not in names]:
        raise part.error(f"the table has no column {missing[0]}", f"It has {', '.join(map(str, frame))}.")
    if not set(names) - set(declared.key):
        raise part.error("the table has no values", "Add a column in addition to the key and the times.")
    if frame.size > MAX_VALUES:
        raise part.error(
            f"the table has {plural(frame.size, 'value')}, and the limit is {MAX_VALUES:,}",
            "Leave out columns and rows that no feature uses.",
        )
    _require_few_combinations(part, [frame[name] for name in declared.key], times[0])
    numbers = {str(name): _numbers_of(part, frame[name], is_key=name in declared.key) for name in names}
    rounded = {declared.valid_at: times[0], declared.known_at: times[1]}
    _forbid_duplicates(part, declared, frame.assign(**rounded))
    return ReferenceRows.of(declared.name, declared.key, _duration_of(part, declared), times, numbers)


def _require_few_combinations(part: Part, keys: Sequence[pd.Series[Any]], times: npt.NDArray[Any]) -> None:
    """Raise ConfigError if the combinations of keys and times exceed the range of int64."""
    sizes = [*(key.nunique() for key in keys), len(np.unique(times)) + 1]
    if math.prod(sizes) >= 2**63:
        cause = f"the columns of its key have {' x '.join(map(str, sizes[:-1]))} combinations"
        raise part.error(cause, "Use fewer columns as the key, or columns with fewer values.")


def _repeated(names: pd.Index[Any]) -> str:
    return str(names[names.duplicated()][0])


def _times_of(part: Part, frame: pd.DataFrame, name: str, zone: str) -> npt.NDArray[Any]:
    """Return the times of a column in microseconds, rounded up: no row is known too early."""
    if name not in frame.columns:
        raise part.error(f"the table has no column {name}", f"It has {', '.join(map(str, frame))}.")
    column = frame[name]
    if column.dtype.kind != "M":
        hint = f'Convert it, for example with pd.read_csv(file, parse_dates=["{name}"]).'
        raise part.error(f"the column {name} has values of type {column.dtype}, not times", hint)
    if (own_zone := _zone_of(column)) is not None:
        hint = f'Convert it to local times without a time zone: frame["{name}"].dt.tz_convert("{zone}").dt.tz_localize(None).'
        raise part.error(f"the times of the column {name} have the time zone {own_zone}", hint)
    if column.isna().any():
        row = int(np.argmax(column.isna()))
        raise part.error(f"the column {name} has no time in row {row} (counted from 0)", "Remove this row.")
    times = np.asarray(column)
    times = times if times.dtype.kind == "M" else times.astype("datetime64[us]")  # dates of Arrow
    years = times.astype("datetime64[Y]").astype(np.int64) + 1970
    if not ((years >= 1) & (years <= 9999)).all():
        raise part.error(f"a time of the column {name} is out of range", "Use years from 1 to 9999.")
    floors = times.astype("datetime64[us]")
    return np.asarray(floors + (floors < times).astype("timedelta64[us]"))


def _zone_of(column: pd.Series[Any]) -> Any:
    """Return the time zone of a column of times of NumPy or Arrow, or None without one."""
    arrow = getattr(column.dtype, "pyarrow_dtype", None)
    return getattr(column.dtype, "tz", None) or getattr(arrow, "tz", None)


def _forbid_duplicates(part: Part, declared: Reference, frame: pd.DataFrame) -> None:
    """Raise ConfigError if two rows of a key have the same times, so that their order decides."""
    columns = [*declared.key, declared.valid_at, declared.known_at]
    repeated = frame.duplicated(columns)
    if repeated.any():
        row = int(np.argmax(repeated))
        raise part.error(
            f"row {row} (counted from 0) has the same {', '.join(columns)} as an earlier row",
            f"Remove one of the rows. A correction has a later {declared.known_at}.",
        )


def _numbers_of(part: Part, column: pd.Series[Any], *, is_key: bool) -> npt.NDArray[np.float64]:
    if column.dtype.kind not in NUMBER_KINDS:
        raise part.error(
            f"the column {column.name} has values of type {column.dtype}",
            "Use numbers, or leave out the column.",
        )
    if is_key and column.isna().any():
        raise part.error(f"the key {column.name} is missing in a row", "Remove these rows.")
    return np.asarray(column.to_numpy(np.float64, na_value=np.nan))


def _duration_of(part: Part, declared: Reference) -> int:
    """Return the duration for which rows are valid, in microseconds. 0 without a limit."""
    if declared.valid_for == "":
        return 0
    hint = 'Use a duration such as "1D" or "3h".'
    try:
        duration = pd.Timedelta(declared.valid_for)
    except ValueError:
        raise part.error(f"valid_for is {declared.valid_for!r}", hint) from None
    if not duration >= pd.Timedelta("1us"):  # also NaT
        raise part.error(f"valid_for is {declared.valid_for!r}, not a positive duration", hint)
    return int(duration // pd.Timedelta("1us"))


def join_references(parts: Parts, references: Sequence[ReferenceRows], base: Dataset) -> Parts:
    """Return the parts with features that join the reference tables that they need."""
    by_name = {rows.name: rows for rows in references}
    return replace(parts, features=tuple(_joined(item, parts, by_name, base) for item in parts.features))


def _joined(feature: Feature, parts: Parts, by_name: dict[str, ReferenceRows], base: Dataset) -> Feature:
    used = [item.name for item in parts.references if item.name in feature.needs]
    if not used:
        return feature
    own = tuple(name for name in feature.needs if name not in used)
    compute, moment = feature.compute, moment_of(feature, base)

    @functools.wraps(compute)
    def join_and_compute(trips: Columns) -> npt.ArrayLike:
        columns = {name: trips[name] for name in own}
        for name in used:
            columns |= join_rows(by_name[name], trips, base.time_column, moment)
        return compute(columns)

    joined: Callable[[Columns], npt.ArrayLike] = join_and_compute
    return replace(feature, needs=needed_columns(feature, parts.references, base), compute=joined)
