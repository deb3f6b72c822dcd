"""The scikit-learn pipeline of a run and of `toytip.make_pipeline`."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline

from toytip.core.dataset.dataset import Dataset
from toytip.estimators.exact_xgb import ExactXGBClassifier
from toytip.estimators.preprocessor import Preprocess

# The names of the two steps.
PREPROCESS, CLASSIFIER = "preprocess", "classifier"


def connect_steps(preprocess: Any, classifier: ExactXGBClassifier) -> Pipeline:
    """Return a pipeline that replaces features with bin indices, and trains on these."""
    return Pipeline([(PREPROCESS, preprocess), (CLASSIFIER, classifier)])


def feature_pipeline(dataset: Dataset, feature_set: str | None, **params: Any) -> Pipeline:
    """Return an unfitted pipeline for a feature set of a data set, or for all features.

    `params` are parameters of `ExactXGBClassifier`. Raises ConfigError for an unknown feature set,
    and DataError, with the reason, for a parameter that cannot be exact.
    """
    preprocess = Preprocess(
        dataset.feature_set(feature_set),
        dataset,
        rate_names=dataset.target_rate_set(feature_set),
        id_column=params.get("id_column"),
    )
    return connect_steps(preprocess, ExactXGBClassifier().set_params(**params))
