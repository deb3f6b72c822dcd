"""A scikit-learn pipeline that trains on the features of trips."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline

from toytip.core.dataset.dataset import load_dataset
from toytip.errors import DataError
from toytip.estimators.exact_xgb import ExactXGBClassifier
from toytip.estimators.preprocessor import Preprocess


def make_pipeline(feature_set: str = "payment", *, dataset: str = "tlc", **params: Any) -> Pipeline:
    """Return an unfitted scikit-learn pipeline with the features and the bins of a run.

    `params` are parameters of `ExactXGBClassifier`. Fit the pipeline on a Dask or pandas frame with
    the columns of the table `features`, and on labels with two values. For example, `label` is the
    name of the column with the labels:

        trips = toytip.open_store("toytip-store").features()
        toytip.make_pipeline("dropoff", max_depth=8).fit(trips, trips[label])

    The step `preprocess` fits the bins and the target-encoded features on all rows, and replaces
    features with bin indices. The step `classifier` trains. `dataset` is the name of a built-in
    data set. Raises ConfigError for an unknown feature set, and DataError for `id_column`, because
    bin indices have no IDs.
    """
    if params.get("id_column") is not None:
        raise DataError("cannot set id_column: the classifier gets the bin indices of the rows, and no IDs")
    declared = load_dataset(dataset)
    names, rates = declared.feature_set(feature_set), declared.target_rate_set(feature_set)
    steps = [
        ("preprocess", Preprocess(names, declared, rate_names=rates)),
        ("classifier", ExactXGBClassifier(**params)),
    ]
    return Pipeline(steps)
