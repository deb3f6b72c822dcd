"""A synthetic year without drift, and a model of its first months."""

import pytest

from tests.support.monitored_year import ROWS, YEAR, score_month, train_model
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.synthetic import SyntheticSpec


@pytest.fixture(scope="session")
def spec():
    return SyntheticSpec(rows_per_month=ROWS, seed=11, drift=False)


@pytest.fixture(scope="session")
def model(spec):
    return train_model(spec, TLC.feature_set("payment"))


@pytest.fixture(scope="session")
def year(model, spec):
    """The inputs of monitoring for each month of a year without drift."""
    return {month: score_month(model, month, spec) for month in YEAR}
