"""Compute the features and the label of kept `trips`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.columns import Columns, columns_of
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import Feature
from toytip.core.tables import FEATURES, TRIPS


def compute_features(trips: Columns, features: Iterable[Feature]) -> dict[str, npt.NDArray[Any]]:
    """Return the values of features of kept trips, by name, with their declared types."""
    # A large amount becomes infinite in float32, and gets the last bin.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return {declared.name: declared.values(trips) for declared in features}


def featurize(trips: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """Return the `features` of kept `trips`, one row per trip, in the same order."""
    columns, label = columns_of(dataset.table(TRIPS).validate(trips)), dataset.label
    keys = {name: columns[name] for name in ("trip_id", dataset.time_column)}
    values = {**compute_features(columns, dataset.features), label.name: label.values(columns)}
    return dataset.table(FEATURES).validate(pd.DataFrame({**keys, **values}, index=trips.index))
