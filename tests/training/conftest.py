"""Fixtures of the tests of training."""

import pandas as pd
import pytest

from toytip.core.splits import plan_split
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.sources.discovery import open_source
from toytip.sources.reader import read_partition
from toytip.stages.clean import clean
from toytip.stages.conform import conform
from toytip.stages.featurize import featurize


@pytest.fixture(scope="session")
def features(synthetic):
    partitions = open_source(str(synthetic)).partitions(10_000)
    frames = [featurize(clean(conform(read_partition(one), one, TLC), TLC)[0], TLC) for one in partitions]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="session")
def split(synthetic):
    return plan_split(open_source(str(synthetic)).months)


@pytest.fixture
def one_thread(monkeypatch):
    """Train on one core, because threads wait for each other in each round if cores are shared."""
    monkeypatch.setattr("toytip.estimators.fit.available_cores", lambda: 1)
