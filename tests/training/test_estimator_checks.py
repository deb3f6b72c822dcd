"""The checks of scikit-learn for estimators."""

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import toytip
from toytip.estimators.exact_xgb import ExactXGBClassifier, ExactXGBRegressor

pytestmark = pytest.mark.usefixtures("one_thread")

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "weighted gradients are rounded to a coarser step, "
    "so that the predictions differ by more than 1e-7",
}


@parametrize_with_checks(
    [ExactXGBClassifier(n_estimators=20, max_depth=3), ExactXGBRegressor(n_estimators=20, max_depth=3)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,  # noqa: ARG005 - scikit-learn's signature
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_an_estimator_follows_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


def test_the_estimators_are_public():
    assert toytip.ExactXGBClassifier is ExactXGBClassifier
    assert toytip.ExactXGBRegressor is ExactXGBRegressor


@pytest.mark.parametrize("kind", [ExactXGBClassifier, ExactXGBRegressor])
def test_a_clone_has_the_same_parameters(kind):
    estimator = kind(n_estimators=7, subsample=0.5, monotone_constraints={"a": 1}, id_column="id")
    assert clone(estimator).get_params() == estimator.get_params()
    assert estimator.set_params(max_bin=9).get_params()["max_bin"] == 9
