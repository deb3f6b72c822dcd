"""The pipeline of a run, for your own code with scikit-learn and dask-ml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toytip.datasets.registry import dataset_of
from toytip.datasets.words import DEFAULT_KIND
from toytip.estimators.pipelines import feature_pipeline
from toytip.pipeline.startup.project import read_project

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def make_pipeline(
    feature_set: str | None = None,
    *,
    taxi: str | None = None,
    project: str | Path | None = None,
    **params: Any,
) -> Pipeline:
    """Return an unfitted scikit-learn pipeline with the features and the bins of a run.

    `params` are parameters of `ExactXGBClassifier`. Fit the pipeline on a Dask or pandas frame with
    the columns of the table `features`, and on labels with two values. For example, `label` is the
    name of the column with the labels:

        trips = toytip.open_store("toytip-store").features()
        toytip.make_pipeline("dropoff", max_depth=8).fit(trips, trips[label])

    The step `preprocess` fits the bins and the target-encoded features on all rows, and replaces
    features with bin indices. The step `classifier` trains. Without a feature set, the pipeline has
    all features. `taxi` is the kind of the source files. By default, it is the data set that the
    project declares, or yellow taxis. `project` is the path of the module of a project. The
    pipeline then has the features of this project. Raises ConfigError for an unknown
    feature set or taxi type, and for a module that cannot be used. Raises DataError, with the
    reason, for a parameter that cannot be exact.
    """
    dataset = dataset_of(taxi or DEFAULT_KIND) if project is None else read_project(str(project), taxi)
    return feature_pipeline(dataset, feature_set, **params)
