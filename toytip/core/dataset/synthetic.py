"""Synthetic source files of a data set: what to generate, and the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from toytip.core.months import Month


@dataclass(frozen=True, kw_only=True)
class SyntheticSpec:
    """The parameters of a synthetic year.

    `rows_per_month` is the mean over the year. `drift` enables the drift that the year has.
    `injected_drift` adds a drift of one kind, which monitoring should find.
    """

    rows_per_month: int = 100_000
    seed: int = 2020
    drift: bool = True
    injected_drift: str | None = None


class MonthGenerator(Protocol):
    """Generates the rows of a month."""

    def __call__(self, month: Month, spec: SyntheticSpec) -> pa.Table:
        """Return the rows of a month, with the column names and types of published files."""


@dataclass(frozen=True, kw_only=True)
class SyntheticFiles:
    """The synthetic files of a data set."""

    kind: str
    """Kind of the files."""
    months: tuple[Month, ...]
    """Months of the synthetic year."""
    drift_kinds: tuple[str, ...]
    """Kinds of drift that can be injected."""
    file_name: Callable[[Month], str]
    """Returns the name of the file of a month."""
    generate_month: MonthGenerator
    """Returns the rows of a month. Equal arguments give equal rows."""


@dataclass(frozen=True, kw_only=True)
class SyntheticReport:
    """The files of a synthetic year."""

    folder: str
    """Folder or URI of the files."""
    file_count: int
    """Number of monthly files."""
    rows: int
    """Number of rows in all files."""
    months: tuple[Month, ...]
    """Months of the files."""
