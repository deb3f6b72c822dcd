"""leaning: how a model leans on its features, by the gain of its splits and by a bounded sample of trips."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.cluster import cores
from toytip.report.facts import Leaning, by_value, strip
from toytip.splits import of, overlaps
from toytip.stages import featurize, infer, preprocess
from toytip.stages.drift import CATEGORIES
from toytip.store import Manifest, Store
from toytip.values import FeatureCodes, Model

# TreeSHAP takes a millisecond or two a trip; the mean of so many contributions is known to a few per cent.
TRIPS = 256
# Of so many parts, the trips are drawn evenly: of more, more bytes would be read than the sample is worth.
PARTS = 2


def sample(store: Store, features: Manifest, model: Model) -> pd.DataFrame:
    """Return at most TRIPS trips of the test months, evenly from at most PARTS parts: of a version, always the same."""
    span = model.encoding.split.test
    records = [record for record in features.parts if record.rows and overlaps(record.key.month, span)]
    places = np.unique(np.linspace(0, len(records) - 1, min(PARTS, len(records))).astype(int))
    table = featurize.table_of(model.encoding.names)
    frames = []
    for place in places.tolist():
        rows = store.read(table, features.version, records[place])
        inside = np.flatnonzero(of(rows, model.encoding.split, model.encoding.population, "test"))
        count = min(TRIPS // len(places), len(inside))
        drawn = inside[np.linspace(0, len(inside) - 1, count).astype(int)] if count else inside
        frames.append(rows.iloc[drawn])
    return pd.concat(frames, ignore_index=True) if frames else nothing(model)


def nothing(model: Model) -> pd.DataFrame:
    """Return a sample of no trips."""
    return featurize.table_of(model.encoding.names).empty()


def leaning(model: Model, trips: pd.DataFrame) -> list[Leaning]:
    """Return how much the model leans on each feature, most first: by contributions where there are trips, else by gain."""
    gains = infer.gains(model)
    if trips.empty:
        found = [Leaning(name, gain, None, []) for name, gain in gains.items()]
        return sorted(found, key=lambda each: -each.gain)
    matrix = preprocess.encode(trips, model.encoding)
    said = infer.contributions(matrix, model.booster, cores()).astype(np.float64)
    found = [
        Leaning(
            codes.name,
            gains[codes.name],
            float(np.abs(said[:, column]).mean()),
            (by_value if codes.name in CATEGORIES else strip)(
                values_of(matrix[codes.name].to_numpy(), codes), said[:, column]
            ),
        )
        for column, codes in enumerate(model.encoding.features)
    ]
    return sorted(found, key=lambda each: -(each.shap or 0.0))


def values_of(found: npt.NDArray[Any], codes: FeatureCodes) -> npt.NDArray[np.float64]:
    """Return the values that codes stand for: of bins, their lower edge; NaN for what is missing or was never seen."""
    known = np.array(codes.values, np.float64)
    bins = known if codes.exact else np.concatenate([known[:1], known])
    table = np.concatenate([bins, np.full(codes.count - len(bins), np.nan)])
    return np.asarray(table[found], np.float64)
