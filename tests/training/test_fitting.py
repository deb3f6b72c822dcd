"""Tests of a training on the workers: the same model on every cluster, and checkpoints."""

import itertools
from dataclasses import replace

import dask
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb

from tests.training.data import NAMES
from toytip.cluster.workers import HostResources, choose_ranks, workers_by_address
from toytip.core.columns import LABEL_COLUMN, ROW_ID_COLUMN
from toytip.core.parameters import BoosterParams
from toytip.core.splits import split_names
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.estimators.preprocessor import Preprocess
from toytip.stages.infer import predict_probabilities
from toytip.training import driver
from toytip.training.boosting import read_checkpoint
from toytip.training.fitting import fit_booster
from toytip.training.spec import TrainingSpec

PARAMS = {"rounds": 12, "max_depth": 4, "early_stopping_rounds": 0}


@pytest.fixture(scope="module")
def encoded(features, split):
    """The bin indices and labels of all rows, and the numbers of bin indices."""
    preprocess = Preprocess(NAMES, TLC, split).fit(features)
    frame = preprocess.transform(features).assign(**{LABEL_COLUMN: features["high_tip"]})
    return frame.set_axis(pd.RangeIndex(len(frame)), axis=0), preprocess.encoding_.bin_counts


def delayed_parts(frame, count):
    bounds = np.linspace(0, len(frame), count + 1).astype(int)
    parts = [frame[start:stop] for start, stop in itertools.pairwise(bounds)]
    return [dask.delayed(part.reset_index(drop=True)) for part in parts]


def fit(encoded, partitions, validation=None, checkpoints=None, on_round=None, **params):
    frame, bin_counts = encoded
    spec = TrainingSpec(params=BoosterParams(**(PARAMS | params)), bin_counts=bin_counts)
    parts = delayed_parts(frame, partitions)
    return fit_booster(parts, validation, spec, checkpoints=checkpoints, on_round=on_round)


@pytest.fixture(scope="module")
def expected(encoded, client):
    return fit(encoded, 4)


def use_a_rank_per_worker(monkeypatch, *, on_disk=False):
    """Train on two ranks, as on two hosts."""

    def ranks_of_workers(client):
        workers = workers_by_address(client)
        resources = {
            address: HostResources(frozenset({number}), 1, 2**30) for number, address in enumerate(workers)
        }
        ranks = choose_ranks(workers, resources)
        assert len(ranks) == 2
        return [replace(rank, pooled_memory=0) for rank in ranks] if on_disk else ranks

    monkeypatch.setattr(driver, "training_ranks", ranks_of_workers)


@pytest.fixture(params=["one rank", "a rank per worker", "a rank per worker, matrix on disk"])
def layout(request, monkeypatch):
    """Train on one rank, as on one host, or on two ranks."""
    if "per worker" in request.param:
        use_a_rank_per_worker(monkeypatch, on_disk="disk" in request.param)
    return request.param


@pytest.mark.parametrize("partitions", [1, 3, 7])
@pytest.mark.usefixtures("layout")
def test_the_model_does_not_depend_on_the_partitions_and_ranks(partitions, encoded, expected):
    assert fit(encoded, partitions).booster == expected.booster


SAMPLING = {"subsample": 0.7, "colsample_bytree": 0.6, "colsample_bylevel": 0.6, "scale_pos_weight": 2}


@pytest.mark.parametrize("partitions", [1, 5])
def test_sampling_and_weights_do_not_depend_on_the_ranks(partitions, encoded, client, monkeypatch):
    frame = encoded[0].assign(**{ROW_ID_COLUMN: np.arange(len(encoded[0]))}), encoded[1]
    one_rank = fit(frame, partitions, **SAMPLING)
    use_a_rank_per_worker(monkeypatch)
    shuffled = frame[0].sample(frac=1, random_state=partitions), frame[1]
    assert fit(shuffled, 3 * partitions, **SAMPLING).booster == one_rank.booster


@pytest.mark.usefixtures("layout", "client")
def test_early_stopping_keeps_the_best_round(encoded, features, split):
    """All rows of the validation month can be on one rank."""
    frame, bin_counts = encoded
    names = split_names(features, split, "all", TLC).reset_index(drop=True)
    train = frame[names == "train"].head(300), bin_counts
    validation = delayed_parts(frame[names == "validation"], 1)
    params, events = {"rounds": 200, "learning_rate": 0.5, "early_stopping_rounds": 5}, []
    result = fit(train, 2, validation, on_round=events.append, **params)
    assert 1 <= result.rounds < 195
    booster = xgb.Booster(model_file=bytearray(result.booster))
    assert booster.num_boosted_rounds() == result.rounds
    assert not booster.attributes()
    # The last events can arrive after the end of the training.
    assert events
    assert [event.round for event in events] == list(range(1, len(events) + 1))
    losses = [event.validation_loss for event in events]
    assert losses == result.curve.validation[: len(losses)]
    never = fit(train, 2, validation, **params | {"rounds": 30, "early_stopping_rounds": 0})
    assert never.rounds == 30


class ScoredCheckpoints:
    """Checkpoints in a folder that all ranks can access, and the scores of the training rows."""

    interval_rounds = 4

    def __init__(self, folder):
        self.folder = folder

    def load(self):
        files = sorted(self.folder.glob("*.ubj"))
        return files[-1].read_bytes() if files else None

    def save(self, booster):
        model = xgb.Booster(model_file=read_checkpoint(booster))
        (self.folder / f"{model.num_boosted_rounds():03d}.ubj").write_bytes(booster)

    def save_scores(self, partition, probabilities):
        np.save(self.folder / f"{partition}.npy", probabilities)


def test_training_resumes_from_a_checkpoint_to_the_same_bytes(encoded, expected, tmp_path):
    checkpoints = ScoredCheckpoints(tmp_path)
    assert fit(encoded, 3, checkpoints=checkpoints).booster == expected.booster
    assert sorted(path.name for path in tmp_path.glob("*.ubj")) == ["004.ubj", "008.ubj", "012.ubj"]
    for later in ("012.ubj", "008.ubj"):
        (tmp_path / later).unlink()
        events = []
        resumed = fit(encoded, 3, checkpoints=checkpoints, on_round=events.append)
        assert resumed.booster == expected.booster
        assert not {1, 2, 3, 4} & {event.round for event in events}
    bins = encoded[0].drop(columns=LABEL_COLUMN)
    probabilities = predict_probabilities(bins, expected.booster)
    bounds = np.linspace(0, len(bins), 4).astype(int)[1:-1]
    for partition, values in enumerate(np.split(probabilities, bounds)):
        assert np.load(tmp_path / f"{partition}.npy").tolist() == values.tolist(), "equal to the last bit"
