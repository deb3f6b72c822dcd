"""train: estimators that stand in a pipeline, and one model whatever the cluster."""

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

from toytip.core.model import TrainedModel
from toytip.core.splits import plan_split, split_names
from toytip.sources.discovery import open_source
from toytip.sources.reader import read_partition
from toytip.stages import preprocess
from toytip.stages.clean import clean
from toytip.stages.conform import conform
from toytip.stages.featurize import feature_set, featurize
from toytip.stages.infer import infer, predict_probabilities
from toytip.stages.preprocess import encode
from toytip.training.boosting import (
    GRADIENT_STEP,
    ExactLogistic,
    LearningCurve,
    boost,
    build_matrix,
    checkpoint_bytes,
    model_bytes,
    xgboost_params,
)
from toytip.training.driver import balance
from toytip.training.estimator import Preprocess, TipClassifier

NAMES = feature_set("payment")


@pytest.fixture(scope="module")
def features(synthetic):
    import pandas as pd

    parts = open_source(str(synthetic)).partitions(10_000)
    return pd.concat(
        [featurize(clean(conform(read_partition(part), part))[0]) for part in parts], ignore_index=True
    )


@pytest.fixture(scope="module")
def split(synthetic):
    return plan_split(open_source(str(synthetic)).months)


def lazily(frame, partitions):
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_pandas(frame, npartitions=partitions, sort=False)


@pytest.fixture(scope="module")
def pipeline(features, split, client):
    frame = lazily(features, 4)
    stages = make_pipeline(Preprocess(NAMES, split), TipClassifier(rounds=12, max_depth=4))
    return stages.fit(frame, frame["high_tip"])


def test_a_pipeline_fits_and_predicts_lazily(pipeline, features):
    frame = lazily(features, 4)
    chance = pipeline.predict_proba(frame).compute()
    assert chance.shape == (len(features), 2)
    np.testing.assert_allclose(chance.sum(axis=1), 1, rtol=1e-6)
    assert roc_auc_score(features["high_tip"], chance[:, 1]) > 0.8
    assert (
        accuracy_score(frame["high_tip"].to_dask_array().compute(), pipeline.predict(frame).compute()) > 0.7
    )


def test_alone_in_a_batch_and_lazily_is_the_same_probability(pipeline, features):
    rows = features.head(40)
    batch = pipeline.predict_proba(rows)[:, 1]
    alone = [pipeline.predict_proba(rows.iloc[[i]])[0, 1] for i in range(len(rows))]
    lazy = pipeline.predict_proba(lazily(rows, 3)).compute()[:, 1]
    assert batch.tolist() == alone == lazy.tolist()


def test_infer_is_the_pipeline(pipeline, features):
    coder, classifier = (step for _, step in pipeline.steps)
    model = TrainedModel(
        version="v1", booster=classifier.booster_, encoding=coder.encoding_, rounds=classifier.rounds_
    )
    scores = infer(features, encode(features, model.encoding), model)
    assert scores["probability"].tolist() == pipeline.predict_proba(features)[:, 1].tolist()
    assert scores["split"].equals(split_names(features, model.encoding.split, "all"))


def test_dask_mls_parallel_post_fit_gives_the_same_probabilities(pipeline, features):
    classifier = xgb.XGBClassifier()
    classifier.load_model(bytearray(pipeline[-1].booster_))
    codes = pipeline[0].transform(features)
    wrapped = ParallelPostFit(classifier).predict_proba(lazily(codes, 4)).compute()[:, 1]
    np.testing.assert_allclose(wrapped, predict_probabilities(codes, pipeline[-1].booster_), rtol=1e-6)


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_the_model_does_not_see_the_partitions(partitions, pipeline, features):
    frame = lazily(features, partitions)
    again = clone(pipeline).fit(frame, frame["high_tip"])
    assert again[-1].booster_ == pipeline[-1].booster_


def test_a_plain_xgboost_on_the_same_codes_is_no_better(pipeline, features, split):
    codes = pipeline[0].transform(features)
    label = features["high_tip"]
    plain = xgb.XGBClassifier(n_estimators=12, max_depth=4, learning_rate=0.1, max_bin=512).fit(codes, label)
    ours = roc_auc_score(label, pipeline.predict_proba(features)[:, 1])
    assert ours == pytest.approx(roc_auc_score(label, plain.predict_proba(codes)[:, 1]), abs=2e-3)


def test_early_stopping_keeps_the_best_round(features, split, client):
    coder = Preprocess(NAMES, split).fit(features)
    told = split_names(features, split, "all")
    few = features[told == "train"].head(300)
    valid = features[told == "validation"]
    x, y = lazily(coder.transform(few), 2), lazily(few[["high_tip"]], 2)["high_tip"]
    watched = lazily(coder.transform(valid), 1), lazily(valid[["high_tip"]], 1)["high_tip"]
    events = []
    classifier = TipClassifier(rounds=200, learning_rate=0.5, early_stopping_rounds=5, on_round=events.append)
    classifier.fit(x, y, eval_set=watched)
    assert 1 <= classifier.rounds_ < 195
    booster = xgb.Booster()
    booster.load_model(bytearray(classifier.booster_))
    assert booster.num_boosted_rounds() == classifier.rounds_
    assert not booster.attributes()
    never = TipClassifier(rounds=30, learning_rate=0.5, early_stopping_rounds=0).fit(x, y, eval_set=watched)
    assert never.rounds_ == 30


def test_partitions_are_dealt_out_evenly():
    sizes = [500, 10, 490, 1_000, 20, 980]
    shares = balance(sizes, 3)
    assert sorted(number for share in shares for number in share) == list(range(6))
    assert [sum(sizes[n] for n in share) for share in shares] == [1_000, 1_000, 1_000]
    assert balance([7], 2) == [[0], []]


class Folder:
    """A keeper on a folder that all ranks see."""

    interval_rounds = 4

    def __init__(self, folder):
        self.folder = folder

    def load(self):
        kept = sorted(self.folder.glob("*.ubj"))
        return kept[-1].read_bytes() if kept else None

    def save(self, booster):
        model = xgb.Booster(model_file=bytearray(booster))
        (self.folder / f"{model.num_boosted_rounds():03d}.ubj").write_bytes(booster)

    def save_scores(self, partition, probabilities):
        np.save(self.folder / f"{partition}.npy", probabilities)


def test_training_goes_on_from_a_checkpoint_to_the_same_bytes(pipeline, features, tmp_path):
    coder, before = (step for _, step in pipeline.steps)
    frame, keeper = lazily(features, 3), Folder(tmp_path)
    codes, label = coder.transform(frame), frame["high_tip"]
    whole = clone(before).fit(codes, label, keeper=keeper)
    assert whole.booster_ == before.booster_
    assert sorted(path.name for path in tmp_path.glob("*.ubj")) == ["004.ubj", "008.ubj", "012.ubj"]
    for later in ("012.ubj", "008.ubj"):
        (tmp_path / later).unlink()
        rounds = []
        again = clone(before).set_params(on_round=lambda event, told=rounds: told.append(event["round"]))
        assert again.fit(codes, label, keeper=keeper).booster_ == before.booster_
        assert not {1, 2, 3, 4} & set(rounds)
    given = [len(part) for part in frame.partitions]
    cuts = np.split(predict_probabilities(coder.transform(features), before.booster_), np.cumsum(given)[:-1])
    for number, wanted in enumerate(cuts):
        assert np.load(tmp_path / f"{number}.npy").tolist() == wanted.tolist(), "to the last bit"


def test_early_stopping_goes_on_where_it_was(features, split):
    """The best round so far, and how long ago it was, are part of a checkpoint."""
    coder = Preprocess(NAMES, split).fit(features)
    told, counts = split_names(features, split, "all"), coder.encoding_.bin_counts
    few, valid = features[told == "train"].head(300), features[told == "validation"]
    train, watched = (
        build_matrix([(coder.transform(rows), rows["high_tip"].to_numpy("float32"))], counts, 1)
        for rows in (few, valid)
    )
    params = xgboost_params({"max_depth": 4, "eta": 0.5}, max(counts), float(few["high_tip"].mean()))
    kept = {}

    def seen(number, curve, booster):
        kept[number] = checkpoint_bytes(booster, curve)

    label = few["high_tip"].to_numpy()
    booster, best = boost(train, label, watched, params, rounds=200, early_stopping_rounds=5, on_round=seen)
    assert len(kept) == best.round + 5 < 200
    for number in (1, best.round, best.round + 3, best.round + 5):
        again, found = boost(
            train, label, watched, params, rounds=200, early_stopping_rounds=5, checkpoint=kept[number]
        )
        assert found == best
        assert LearningCurve.from_booster(again) == LearningCurve.from_booster(booster), (
            "the losses of the rounds before are kept too"
        )
        assert model_bytes(again, found.round) == model_bytes(booster, best.round)


def test_gradients_add_up_exactly_in_any_order():
    """What makes the model the same on any number of workers, also where rounding would tell them apart."""
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 3, 400_000).astype(np.float32)
    label = rng.random(len(margin)) < 0.5
    chance = 1 / (1 + np.exp(-margin.astype(float)))
    found = ExactLogistic(label)(margin.copy())
    for sums, wanted in zip(found, (chance - label, chance * (1 - chance)), strict=True):
        np.testing.assert_allclose(sums, wanted, atol=2.5 * GRADIENT_STEP)
        assert (sums / GRADIENT_STEP == np.rint(sums / GRADIENT_STEP)).all()
        orders = [rng.permutation(sums) for _ in range(20)]
        assert len({float(np.cumsum(order, dtype=np.float64)[-1]) for order in orders}) == 1
    assert (found[1] > 0).all()


def test_codes_on_the_scratch_disk_give_the_same_trees_and_scores(features, split, tmp_path):
    coder = Preprocess(NAMES, split).fit(features)
    rows = features[split_names(features, split, "all") == "train"]
    label, counts = rows["high_tip"].to_numpy(), coder.encoding_.bin_counts
    parts = [(coder.transform(part), None) for part in (rows[:100], rows[100:100], rows[100:])]
    params = xgboost_params({"max_depth": 4, "eta": 0.3}, max(counts), float(label.mean()))
    found = []
    for cache in (None, tmp_path):
        matrix = build_matrix(parts, counts, 1, cache)
        booster, best = boost(matrix, label, None, params, rounds=8)
        found.append((model_bytes(booster, best.round), booster.predict(matrix).tobytes()))
    assert list(tmp_path.iterdir()), "it was there"
    assert found[0] == found[1]


def test_alike_rows_stand_together_and_none_is_lost(features, split):
    coder = Preprocess(NAMES, split).fit(features)
    matrix = coder.transform(features)
    order = preprocess.similarity_order(matrix, coder.encoding_)
    assert sorted(order) == list(range(len(matrix)))
    fewest = min(
        (codes for codes in coder.encoding_.features if codes.exact), key=lambda codes: codes.bin_count
    )
    assert matrix[fewest.name].to_numpy()[order].tolist() == sorted(matrix[fewest.name])
