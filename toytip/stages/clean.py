"""Split `trips` into kept trips and `rejects`.

A rule of the data set marks the rows to reject. The reason for a rejected row is the name of the
first rule that marks the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BoolArray
from toytip.core.columns import Columns, columns_of
from toytip.core.dataset.dataset import Dataset
from toytip.core.tables import REJECTS, TRIPS

NO_PLACEHOLDERS: Mapping[str, BoolArray] = MappingProxyType({})


def rule_indices(
    trips: Columns, dataset: Dataset, placeholders: Mapping[str, BoolArray] = NO_PLACEHOLDERS
) -> npt.NDArray[np.int8]:
    """Return the index of the first rule that rejects each trip, or -1 without one.

    `placeholders` are the rows in which a column has a placeholder, by column. A rule with declared
    needs does not reject these rows.
    """
    rule_index = np.full(len(trips["trip_id"]), -1, dtype=np.int8)
    for index, rule in reversed(list(enumerate(dataset.rules))):
        rejected = np.asarray(rule.rejects(trips), bool)
        for name in rule.needs:
            if name in placeholders:
                rejected = rejected & ~placeholders[name]
        rule_index[rejected] = index
    return rule_index


def first_broken_rule(trips: pd.DataFrame, dataset: Dataset) -> pd.Series:
    """Return the index of the first rule that rejects each trip, or -1 without one (int8)."""
    return pd.Series(rule_indices(columns_of(trips), dataset), index=trips.index, name="rule_index")


def accepted_trips(trips: pd.DataFrame, rule_index: pd.Series, dataset: Dataset) -> pd.DataFrame:
    """Return the `trips` that no rule rejects."""
    return dataset.table(TRIPS).validate(_trips_in(trips, rule_index < 0))


def rejected_trips(trips: pd.DataFrame, rule_index: pd.Series, dataset: Dataset) -> pd.DataFrame:
    """Return `rejects`: the trips that a rule rejects, with the column `reason`."""
    rejected = rule_index >= 0
    names = np.array(dataset.reject_reasons, dtype=object)[rule_index[rejected]]
    reasons = pd.Series(names, dtype="str", name="reason")
    return dataset.table(REJECTS).validate(_trips_in(trips, rejected).assign(reason=reasons))


def _trips_in(trips: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    """Return rows of `trips` or `raw_trips` as `trips`."""
    selected = trips[rows].reset_index(drop=True)
    if "unreadable" in selected:
        del selected["unreadable"]  # `drop` would copy all other columns
    return selected


def clean(trips: pd.DataFrame, dataset: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split `trips` or `raw_trips` into kept trips and `rejects`. Every row is in one of them."""
    rule_index = first_broken_rule(trips, dataset)
    return accepted_trips(trips, rule_index, dataset), rejected_trips(trips, rule_index, dataset)


def count_reasons(rejects: pd.DataFrame) -> dict[str, int]:
    """Return the number of rows per reason, in alphabetical order, without zeros."""
    counts = rejects["reason"].value_counts().sort_index()
    return {str(reason): int(count) for reason, count in counts.items()}
