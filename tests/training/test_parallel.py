"""Tests of the training of a run, which goes through dask-ml's `ParallelPostFit`."""

import dask
import dask.dataframe as dd
import pytest
from dask_ml.wrappers import ParallelPostFit

from tests.training.data import NAMES
from toytip.core.columns import LABEL_COLUMN, ROW_ID_COLUMN
from toytip.core.parameters import BoosterParams
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.estimators.parallel import BinnedXGBClassifier, fit_in_parallel
from toytip.estimators.preprocessor import Preprocess
from toytip.stages.infer import predict_probabilities
from toytip.training.fitting import fit_booster
from toytip.training.spec import TrainingSpec

PARAMS = {"max_depth": 4, "learning_rate": 0.5}


def to_dask(frame, partitions):
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_pandas(frame, npartitions=partitions, sort=False)


@pytest.fixture(scope="module")
def encoded(features, split):
    """Bin indices, and the numbers of bin indices."""
    preprocess = Preprocess(NAMES, TLC, split).fit(features)
    return preprocess.transform(features), preprocess.encoding_.bin_counts


def test_a_run_trains_the_model_of_its_parameters(encoded, features, client):
    """All parameters reach the training, and the bytes do not depend on the wrapper."""
    bins, bin_counts = encoded
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
    spec = TrainingSpec(params=params, bin_counts=bin_counts, constraints=params.constraints_of(bins.columns))
    frame = to_dask(
        bins.assign(**{ROW_ID_COLUMN: features["trip_id"], LABEL_COLUMN: features["high_tip"]}), 3
    )
    training = (frame.drop(columns=LABEL_COLUMN), frame[LABEL_COLUMN])
    result = fit_in_parallel(training, training, spec)
    parts = frame.to_delayed()
    expected = fit_booster(parts, parts, spec)
    assert result.booster == expected.booster
    assert result.rows == len(features)
    assert len(result.curve.validation) == 9


def test_the_wrapped_classifier_has_the_probabilities_of_a_run(encoded, features, client):
    bins, bin_counts = encoded
    lazy, label = to_dask(bins, 4), to_dask(features, 4)["high_tip"]
    model = ParallelPostFit(BinnedXGBClassifier(n_estimators=5, **PARAMS))
    model.fit(lazy, label, bin_counts=bin_counts)
    probabilities = model.predict_proba(lazy).compute()[:, 1]
    assert probabilities.tolist() == predict_probabilities(bins, model.result_.booster).tolist()
    assert model.predict(lazy).compute().tolist() == (probabilities >= 0.5).tolist()
    assert model.classes_.tolist() == [False, True]
