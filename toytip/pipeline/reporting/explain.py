"""Feature importance: the gain of the splits, and SHAP values of a small sample of trips."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.cluster import available_cores
from toytip.core.model import FeatureEncoding, TrainedModel
from toytip.core.splits import in_split, overlaps
from toytip.report.curves import shap_by_category, shap_by_quantile_group
from toytip.report.facts import FeatureImportance
from toytip.stages import infer, preprocess
from toytip.store.manifest import Manifest
from toytip.store.store import Store

# TreeSHAP takes 1 to 2 ms per trip. A mean over this many trips is precise to a few percent.
MAX_SAMPLE_TRIPS = 256
# The sample comes from at most this many files, because each file must be read.
MAX_SAMPLE_FILES = 2


def sample_test_trips(store: Store, features: Manifest, model: TrainedModel) -> pd.DataFrame:
    """Return at most MAX_SAMPLE_TRIPS test trips, evenly from at most MAX_SAMPLE_FILES files.

    The sample of a version is always the same.
    """
    encoding = model.encoding
    test = encoding.split.test
    files = [file for file in features.files if file.rows and overlaps(file.key.month, test)]
    chosen = np.unique(np.linspace(0, len(files) - 1, min(MAX_SAMPLE_FILES, len(files))).astype(int))
    table = model.encoding.dataset.feature_table(*model.encoding.feature_names)
    frames = []
    for index in chosen.tolist():
        rows = store.read_data_file(table, features.version, files[index])
        test_rows = np.flatnonzero(in_split(rows, encoding.split, encoding.segment, "test", encoding.dataset))
        count = min(MAX_SAMPLE_TRIPS // len(chosen), len(test_rows))
        drawn = test_rows[np.linspace(0, len(test_rows) - 1, count).astype(int)] if count else test_rows
        frames.append(rows.iloc[drawn])
    return pd.concat(frames, ignore_index=True) if frames else empty_sample(model)


def empty_sample(model: TrainedModel) -> pd.DataFrame:
    """Return a sample without trips."""
    return model.encoding.dataset.feature_table(*model.encoding.feature_names).empty()


def feature_importances(model: TrainedModel, trips: pd.DataFrame) -> list[FeatureImportance]:
    """Return the features, sorted by mean absolute SHAP value, or by gain if there are no trips."""
    gains, dataset = infer.gain_importance(model), model.encoding.dataset
    categorical = dataset.monitoring.unordered
    if trips.empty:
        by_gain = [FeatureImportance(name, gain, None, []) for name, gain in gains.items()]
        return sorted(by_gain, key=lambda importance: -importance.gain_share)
    matrix = preprocess.encode(trips, model.encoding)
    shap = infer.shap_values(matrix, model.booster, available_cores()).astype(np.float64)
    importances = [
        FeatureImportance(
            codes.name,
            gains[codes.name],
            float(np.abs(shap[:, column]).mean()),
            (shap_by_category if codes.name in categorical else shap_by_quantile_group)(
                bin_values(matrix[codes.name].to_numpy(), codes), shap[:, column]
            ),
            is_categorical=codes.name in categorical,
            is_zone=codes.name in dataset.zone_columns,
            words=dataset.value_words.get(codes.name, {}),
        )
        for column, codes in enumerate(model.encoding.features)
    ]
    return sorted(importances, key=lambda importance: -(importance.mean_abs_shap or 0.0))


def bin_values(bin_indexes: npt.NDArray[Any], codes: FeatureEncoding) -> npt.NDArray[np.float64]:
    """Return a value for each bin index: the exact value, or the lower edge of the bin.

    Missing and unseen values are NaN.
    """
    values = np.array(codes.values, np.float64)
    bins = values if codes.exact else np.concatenate([values[:1], values])
    table = np.concatenate([bins, np.full(codes.bin_count - len(bins), np.nan)])
    return np.asarray(table[bin_indexes], np.float64)
