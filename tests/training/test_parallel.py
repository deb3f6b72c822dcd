"""Tests of the training of a run, which fits its pipeline through dask-ml's `ParallelPostFit`."""

import cloudpickle
import dask
import dask.dataframe as dd
import pytest
from dask_ml.wrappers import ParallelPostFit
from sklearn.frozen import FrozenEstimator

from tests.training.data import NAMES
from toytip.core.columns import LABEL_COLUMN, ROW_ID_COLUMN
from toytip.core.parameters import BoosterParams
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.estimators import parallel
from toytip.estimators.parallel import BinnedXGBClassifier, fit_in_parallel
from toytip.estimators.pipelines import connect_steps
from toytip.estimators.preprocessor import Preprocess
from toytip.stages.infer import predict_probabilities
from toytip.training.fitting import fit_booster
from toytip.training.spec import TrainingSpec

PARAMS = {"max_depth": 4, "learning_rate": 0.5}


def to_dask(frame, partitions):
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_pandas(frame, npartitions=partitions, sort=False)


@pytest.fixture(scope="module")
def preprocess(features, split):
    return Preprocess(NAMES, TLC, split).fit(features)


def test_a_run_trains_the_model_of_its_parameters(preprocess, features, client):
    """All parameters reach the training, and the bytes depend on neither wrapper nor pipeline."""
    params = BoosterParams(
        rounds=9,
        early_stopping_rounds=3,
        subsample=0.7,
        colsample_bytree=0.8,
        colsample_bylevel=0.8,
        sampling_seed=3,
        scale_pos_weight=2.0,
        min_child_weight=2.0,
        reg_alpha=0.5,
        reg_lambda=2.0,
        gamma=0.1,
        monotone_constraints="trip_distance=-1",
        **PARAMS,
    )
    bins, encoding = preprocess.transform(features), preprocess.encoding_
    lazy = to_dask(features, 3)
    training = (lazy, lazy["high_tip"])
    result = fit_in_parallel(encoding, params, training, training)
    spec = TrainingSpec(
        params=params, bin_counts=encoding.bin_counts, constraints=params.constraints_of(bins.columns)
    )
    special = {ROW_ID_COLUMN: features["trip_id"], LABEL_COLUMN: features["high_tip"]}
    parts = to_dask(bins.assign(**special), 5).to_delayed()
    expected = fit_booster(parts, parts, spec)
    assert result.booster == expected.booster
    assert result.rows == len(features)
    assert len(result.curve.validation) == 9


def test_the_wrapped_pipeline_has_the_probabilities_of_a_run(preprocess, features, client):
    lazy = to_dask(features, 4)
    classifier = BinnedXGBClassifier(n_estimators=5, **PARAMS)
    model = ParallelPostFit(connect_steps(FrozenEstimator(preprocess), classifier))
    model.fit(lazy, lazy["high_tip"], classifier__encoding=preprocess.encoding_)
    probabilities = model.predict_proba(lazy).compute()[:, 1]
    bins = preprocess.transform(features)
    assert probabilities.tolist() == predict_probabilities(bins, classifier.result_.booster).tolist()
    assert model.predict(lazy).compute().tolist() == (probabilities >= 0.5).tolist()
    assert model.estimator.classes_.tolist() == [False, True]


def test_the_workers_of_a_run_do_not_import_scikit_learn(preprocess, features, client, monkeypatch):
    """No task refers to a module that imports it. The import takes each worker a second."""
    tasks = []

    def record(data, validation, *args, **kwargs):
        tasks.extend([*data, *validation])
        return fit_booster(data, validation, *args, **kwargs)

    monkeypatch.setattr(parallel, "fit_booster", record)
    lazy = to_dask(features, 2)
    training = (lazy, lazy["high_tip"])
    fit_in_parallel(preprocess.encoding_, BoosterParams(rounds=2, subsample=0.5), training, training)
    assert len(tasks) == 4
    for task in tasks:
        names = cloudpickle.dumps(dict(task.dask))
        assert b"toytip.stages.preprocess" in names
        assert b"toytip.estimators" not in names
        assert b"sklearn" not in names
