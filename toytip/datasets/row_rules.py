"""The cleaning rules that every data set has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from toytip.core.arrays import BoolArray
from toytip.core.columns import Columns
from toytip.core.dataset.declarations import Rule, rule
from toytip.core.dataset.trip_ids import file_month_index
from toytip.core.times import month_index


def any_missing(trips: Columns, names: Sequence[str]) -> BoolArray:
    """Return the rows in which a value of one of the columns is missing."""
    return np.asarray(np.logical_or.reduce([pd.isna(trips[name]) for name in names]), bool)


@rule
def unreadable_value(trips: Columns) -> BoolArray:
    """A value is not a time, a code or an amount, for example the text `ten` as an amount."""
    unreadable = trips.get("unreadable")
    return np.zeros(len(trips["trip_id"]), bool) if unreadable is None else np.asarray(unreadable, bool)


def missing_value_rule(names: Sequence[str]) -> Rule:
    """Return the rule that rejects the rows in which a required column has no value."""

    @rule
    def missing_value(trips: Columns) -> BoolArray:
        """A required value is missing."""
        return any_missing(trips, names)

    return missing_value


def out_of_month_rule(time_column: str) -> Rule:
    """Return the rule that rejects the rows whose time is not in the month of the file."""

    @rule
    def out_of_month(trips: Columns) -> BoolArray:
        """The time is not in the month of the file."""
        return np.not_equal(month_index(trips[time_column]), file_month_index(trips["trip_id"]))

    return out_of_month
