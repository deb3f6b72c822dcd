"""The monthly job without trips: check each later month with the training months of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from toytip.core.months import Month
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.monitoring.data_check import DataCheck, check_months
from toytip.monitoring.month_counts import MonthSummary

# Numbers of training months: limits are doubled below six months.
WINDOW_SIZES = (3, 6, 9)


class Window(NamedTuple):
    """The training months of a model, and all later months."""

    training: Sequence[Month]
    later: Sequence[Month]


@dataclass(frozen=True, kw_only=True)
class WindowResult:
    """The verdicts of the monthly job on months without injected faults."""

    windows: int = 0
    checks: int = 0
    """Number of checks of a later month."""
    warned: int = 0
    """Number of checks with a warning."""
    held: tuple[str, ...] = ()
    """Held month of each check. Training months that are held count as well."""

    def __add__(self, other: WindowResult) -> WindowResult:
        """Return the results of the windows of both."""
        return WindowResult(
            windows=self.windows + other.windows,
            checks=self.checks + other.checks,
            warned=self.warned + other.warned,
            held=self.held + other.held,
        )


def all_windows(months: Iterable[Month]) -> Iterator[Window]:
    """Yield each sequence of consecutive months as a window, if there is a later month."""
    ordered = sorted(months)
    for start in range(len(ordered)):
        for stop in range(start + 1, len(ordered)):
            yield Window(ordered[start:stop], ordered[stop:])


def first_windows(months: Iterable[Month]) -> Iterator[Window]:
    """Yield windows of some sizes that begin with the first month."""
    ordered = sorted(months)
    for size in WINDOW_SIZES:
        yield Window(ordered[:size], ordered[size:])


def check_new_month(
    summaries: Mapping[Month, MonthSummary], training: Sequence[Month], month: Month
) -> DataCheck:
    """Check a month with the training months of a model, as `toytip run --model` does."""
    return check_months({name: summaries[name] for name in (*training, month)}, training, {}, TLC)


def check_windows(summaries: Mapping[Month, MonthSummary], windows: Iterable[Window]) -> WindowResult:
    """Check all later months of all windows."""
    result = WindowResult()
    for training, later in windows:
        checks = [check_new_month(summaries, training, month) for month in later]
        result += WindowResult(
            windows=1,
            checks=len(checks),
            warned=sum(check.months[-1].verdict == "warn" for check in checks),
            held=tuple(month for check in checks for month in check.held),
        )
    return result
