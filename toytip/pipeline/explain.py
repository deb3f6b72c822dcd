"""leaning: how a model leans on its features, by the gain of its splits and by a bounded sample of trips."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.cluster import available_cores
from toytip.core.model import FeatureEncoding, TrainedModel
from toytip.core.splits import in_split, overlaps
from toytip.monitoring.drift import CATEGORICAL_FEATURES
from toytip.report.curves import shap_by_category, shap_by_quantile_group
from toytip.report.facts import FeatureImportance
from toytip.stages import featurize, infer, preprocess
from toytip.store.manifest import Manifest
from toytip.store.store import Store

# TreeSHAP takes a millisecond or two a trip; the mean of so many contributions is known to a few per cent.
MAX_SAMPLE_TRIPS = 256
# Of so many parts, the trips are drawn evenly: of more, more bytes would be read than the sample is worth.
MAX_SAMPLE_FILES = 2


def sample_test_trips(store: Store, features: Manifest, model: TrainedModel) -> pd.DataFrame:
    """Return at most MAX_SAMPLE_TRIPS trips of the test months, evenly from at most MAX_SAMPLE_FILES parts: of a version, always the same."""
    span = model.encoding.split.test
    records = [record for record in features.files if record.rows and overlaps(record.key.month, span)]
    places = np.unique(np.linspace(0, len(records) - 1, min(MAX_SAMPLE_FILES, len(records))).astype(int))
    table = featurize.feature_table(model.encoding.feature_names)
    frames = []
    for place in places.tolist():
        rows = store.read_data_file(table, features.version, records[place])
        inside = np.flatnonzero(in_split(rows, model.encoding.split, model.encoding.segment, "test"))
        count = min(MAX_SAMPLE_TRIPS // len(places), len(inside))
        drawn = inside[np.linspace(0, len(inside) - 1, count).astype(int)] if count else inside
        frames.append(rows.iloc[drawn])
    return pd.concat(frames, ignore_index=True) if frames else empty_sample(model)


def empty_sample(model: TrainedModel) -> pd.DataFrame:
    """Return a sample of no trips."""
    return featurize.feature_table(model.encoding.feature_names).empty()


def feature_importances(model: TrainedModel, trips: pd.DataFrame) -> list[FeatureImportance]:
    """Return how much the model leans on each feature, most first: by contributions where there are trips, else by gain."""
    gains = infer.gain_importance(model)
    if trips.empty:
        found = [FeatureImportance(name, gain, None, []) for name, gain in gains.items()]
        return sorted(found, key=lambda each: -each.gain_share)
    matrix = preprocess.encode(trips, model.encoding)
    said = infer.shap_values(matrix, model.booster, available_cores()).astype(np.float64)
    found = [
        FeatureImportance(
            codes.name,
            gains[codes.name],
            float(np.abs(said[:, column]).mean()),
            (shap_by_category if codes.name in CATEGORICAL_FEATURES else shap_by_quantile_group)(
                bin_values(matrix[codes.name].to_numpy(), codes), said[:, column]
            ),
        )
        for column, codes in enumerate(model.encoding.features)
    ]
    return sorted(found, key=lambda each: -(each.mean_abs_shap or 0.0))


def bin_values(bin_indexes: npt.NDArray[Any], codes: FeatureEncoding) -> npt.NDArray[np.float64]:
    """Return the values that codes stand for: of bins, their lower edge; NaN for what is missing or was never seen."""
    known = np.array(codes.values, np.float64)
    bins = known if codes.exact else np.concatenate([known[:1], known])
    table = np.concatenate([bins, np.full(codes.bin_count - len(bins), np.nan)])
    return np.asarray(table[bin_indexes], np.float64)
