"""Tests of the estimators: pipelines, and the same model on every cluster."""

from dataclasses import replace

import dask
import dask.dataframe as dd
import numpy as np
import pytest
import xgboost as xgb
from dask_ml.metrics import accuracy_score
from dask_ml.wrappers import ParallelPostFit
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from tests.training.data import NAMES
from toytip.cluster.workers import HostResources, choose_ranks, workers_by_address
from toytip.core.model import TrainedModel
from toytip.core.parameters import BoosterParams
from toytip.core.splits import split_names
from toytip.datasets.tlc.dataset import TLC
from toytip.stages.infer import infer, predict_probabilities
from toytip.stages.preprocess import encode
from toytip.training import driver
from toytip.training.estimator import Preprocess, TipClassifier
from toytip.training.parallel import fit_in_parallel


def to_dask(frame, partitions):
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_pandas(frame, npartitions=partitions, sort=False)


@pytest.fixture(scope="module")
def pipeline(features, split, client):
    frame = to_dask(features, 4)
    steps = make_pipeline(Preprocess(NAMES, split, dataset=TLC), TipClassifier(rounds=12, max_depth=4))
    return steps.fit(frame, frame["high_tip"])


def test_a_pipeline_fits_and_predicts_lazily(pipeline, features):
    frame = to_dask(features, 4)
    probabilities = pipeline.predict_proba(frame).compute()
    assert probabilities.shape == (len(features), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert roc_auc_score(features["high_tip"], probabilities[:, 1]) > 0.8
    labels = frame["high_tip"].to_dask_array().compute()
    assert accuracy_score(labels, pipeline.predict(frame).compute()) > 0.7


def test_one_row_a_batch_and_a_lazy_frame_have_the_same_probabilities(pipeline, features):
    rows = features.head(40)
    batch = pipeline.predict_proba(rows)[:, 1]
    single = [pipeline.predict_proba(rows.iloc[[index]])[0, 1] for index in range(len(rows))]
    lazy = pipeline.predict_proba(to_dask(rows, 3)).compute()[:, 1]
    assert batch.tolist() == single == lazy.tolist()


def test_infer_and_the_pipeline_have_the_same_probabilities(pipeline, features):
    preprocess, classifier = (step for _, step in pipeline.steps)
    model = TrainedModel(
        version="v1",
        booster=classifier.booster_,
        encoding=preprocess.encoding_,
        rounds=classifier.rounds_,
    )
    scores = infer(features, encode(features, model.encoding), model)
    assert scores["probability"].tolist() == pipeline.predict_proba(features)[:, 1].tolist()
    assert scores["split"].equals(split_names(features, model.encoding.split, "all", TLC))


def test_parallel_post_fit_of_dask_ml_has_the_same_probabilities(pipeline, features):
    classifier = xgb.XGBClassifier()
    classifier.load_model(bytearray(pipeline[-1].booster_))
    bins = pipeline[0].transform(features)
    probabilities = ParallelPostFit(classifier).predict_proba(to_dask(bins, 4)).compute()[:, 1]
    expected = predict_probabilities(bins, pipeline[-1].booster_)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)


def test_parallel_post_fit_of_a_pipeline_has_exactly_its_probabilities(pipeline, features):
    lazy = ParallelPostFit(pipeline, predict_proba_meta=np.empty((0, 2), np.float32))
    probabilities = lazy.predict_proba(to_dask(features, 4)).compute()
    assert probabilities.tolist() == pipeline.predict_proba(features).tolist()


def test_the_training_of_a_run_is_that_of_the_estimator(pipeline, features):
    """A run passes its rows through dask-ml's wrapper."""
    frame = to_dask(features, 3)
    params = BoosterParams(rounds=12, max_depth=4)
    bin_counts = pipeline[0].encoding_.bin_counts
    training = (pipeline[0].transform(frame), frame["high_tip"])
    result = fit_in_parallel(training, None, params, bin_counts=bin_counts)
    assert result.booster == pipeline[-1].booster_
    assert result.rows == len(features)


@pytest.fixture(params=["one rank", "a rank per worker", "a rank per worker, matrix on disk"])
def layout(request, monkeypatch):
    """Train on one rank, as on one host, or on two ranks, as on two hosts."""
    if "per worker" in request.param:

        def ranks_of_workers(client):
            workers = workers_by_address(client)
            resources = {
                address: HostResources(frozenset({number}), 1, 2**30)
                for number, address in enumerate(workers)
            }
            ranks = choose_ranks(workers, resources)
            assert len(ranks) == 2
            return [replace(rank, pooled_memory=0) for rank in ranks] if "disk" in request.param else ranks

        monkeypatch.setattr(driver, "training_ranks", ranks_of_workers)
    return request.param


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_the_model_does_not_depend_on_the_partitions_and_ranks(partitions, layout, pipeline, features):
    frame = to_dask(features, partitions)
    other = clone(pipeline).fit(frame, frame["high_tip"])
    assert other[-1].booster_ == pipeline[-1].booster_


def test_plain_xgboost_on_the_same_bins_is_not_better(pipeline, features, split):
    bins = pipeline[0].transform(features)
    label = features["high_tip"]
    plain = xgb.XGBClassifier(n_estimators=12, max_depth=4, learning_rate=0.1, max_bin=512).fit(bins, label)
    ours = roc_auc_score(label, pipeline.predict_proba(features)[:, 1])
    assert ours == pytest.approx(roc_auc_score(label, plain.predict_proba(bins)[:, 1]), abs=2e-3)


def test_early_stopping_keeps_the_best_round(layout, features, split, client):
    """All rows of the validation month can be on one rank."""
    preprocess = Preprocess(NAMES, split, dataset=TLC).fit(features)
    names = split_names(features, split, "all", TLC)
    train, validation = features[names == "train"].head(300), features[names == "validation"]
    x, y = to_dask(preprocess.transform(train), 2), to_dask(train[["high_tip"]], 2)["high_tip"]
    eval_set = (
        to_dask(preprocess.transform(validation), 1),
        to_dask(validation[["high_tip"]], 1)["high_tip"],
    )
    events = []
    classifier = TipClassifier(rounds=200, learning_rate=0.5, early_stopping_rounds=5, on_round=events.append)
    classifier.fit(x, y, eval_set=eval_set)
    assert 1 <= classifier.rounds_ < 195
    booster = xgb.Booster()
    booster.load_model(bytearray(classifier.booster_))
    assert booster.num_boosted_rounds() == classifier.rounds_
    assert not booster.attributes()
    # The last events can arrive after the end of the training.
    assert events
    assert [event.round for event in events] == list(range(1, len(events) + 1))
    losses = [event.validation_loss for event in events]
    assert losses == classifier.curve_.validation[: len(losses)]
    never = TipClassifier(rounds=30, learning_rate=0.5, early_stopping_rounds=0).fit(x, y, eval_set=eval_set)
    assert never.rounds_ == 30


class FolderCheckpoints:
    """Checkpoints in a folder that all ranks can access."""

    interval_rounds = 4

    def __init__(self, folder):
        self.folder = folder

    def load(self):
        files = sorted(self.folder.glob("*.ubj"))
        return files[-1].read_bytes() if files else None

    def save(self, booster):
        model = xgb.Booster(model_file=bytearray(booster))
        (self.folder / f"{model.num_boosted_rounds():03d}.ubj").write_bytes(booster)

    def save_scores(self, partition, probabilities):
        np.save(self.folder / f"{partition}.npy", probabilities)


def test_training_resumes_from_a_checkpoint_to_the_same_bytes(pipeline, features, tmp_path):
    preprocess, expected = (step for _, step in pipeline.steps)
    frame, checkpoints = to_dask(features, 3), FolderCheckpoints(tmp_path)
    bins, label = preprocess.transform(frame), frame["high_tip"]
    complete = clone(expected).fit(bins, label, checkpoints=checkpoints)
    assert complete.booster_ == expected.booster_
    assert sorted(path.name for path in tmp_path.glob("*.ubj")) == ["004.ubj", "008.ubj", "012.ubj"]
    for later in ("012.ubj", "008.ubj"):
        (tmp_path / later).unlink()
        rounds = []
        resumed = clone(expected).set_params(on_round=lambda event, rounds=rounds: rounds.append(event.round))
        assert resumed.fit(bins, label, checkpoints=checkpoints).booster_ == expected.booster_
        assert not {1, 2, 3, 4} & set(rounds)
    sizes = [len(part) for part in frame.partitions]
    probabilities = predict_probabilities(preprocess.transform(features), expected.booster_)
    for partition, values in enumerate(np.split(probabilities, np.cumsum(sizes)[:-1])):
        assert np.load(tmp_path / f"{partition}.npy").tolist() == values.tolist(), "equal to the last bit"
