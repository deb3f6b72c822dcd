"""Tests of the boosting loop: checkpoints, and matrices in the local directory."""

import numpy as np
import pandas as pd
import pytest

from tests.training.data import NAMES
from toytip.core.columns import LABEL_COLUMN
from toytip.core.parameters import BoosterParams
from toytip.core.splits import split_names
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.estimators.preprocessor import Preprocess
from toytip.stages.preprocess import similarity_order
from toytip.training.boosting import (
    LearningCurve,
    _predict_margins,
    boost,
    checkpoint_bytes,
    model_bytes,
)
from toytip.training.local import train_in_process, train_rows, training_labels
from toytip.training.matrix import batch_parts
from toytip.training.rows import TrainingRows
from toytip.training.spec import TrainingSpec, boost_config


@pytest.fixture(scope="module")
def preprocess(features, split):
    return Preprocess(NAMES, TLC, split).fit(features)


@pytest.fixture(scope="module")
def train_part(features, split, preprocess):
    return encoded(preprocess, features[split_names(features, split, "all", TLC) == "train"])


def encoded(preprocess, rows):
    return preprocess.transform(rows).assign(**{LABEL_COLUMN: rows["high_tip"]})


def make_spec(preprocess, **params):
    return TrainingSpec(params=BoosterParams(**params), bin_counts=preprocess.encoding_.bin_counts)


@pytest.mark.parametrize(
    "sampling", [{}, {"subsample": 0.7, "colsample_bytree": 0.5, "colsample_bylevel": 0.5}]
)
def test_early_stopping_resumes_from_a_checkpoint(sampling, features, split, preprocess, train_part):
    """A checkpoint has the best round so far, and its loss."""
    validation = encoded(preprocess, features[split_names(features, split, "all", TLC) == "validation"])
    params = {"rounds": 200, "early_stopping_rounds": 5, "max_depth": 4, "learning_rate": 0.5}
    spec, checkpoints = make_spec(preprocess, **params, **sampling), {}

    def save(number, curve, booster):
        checkpoints[number] = checkpoint_bytes(booster, curve)

    parts = [train_part.head(300).assign(__row_id__=np.arange(300))], [validation]
    booster, best = train_in_process(*parts, spec, on_round=save)
    curve = LearningCurve.from_booster(booster)
    assert len(checkpoints) == best.round + 5 < 200
    for number in (1, best.round, best.round + 3, best.round + 5):
        resumed, resumed_best = train_in_process(*parts, spec, checkpoint=checkpoints[number])
        assert resumed_best == best
        assert LearningCurve.from_booster(resumed) == curve, "with the losses of the earlier rounds"
        assert model_bytes(resumed, resumed_best.round) == model_bytes(booster, best.round)


@pytest.mark.parametrize(
    ("rows", "batches"),
    [
        ([], []),
        ([7], [[7]]),
        ([5, 5, 5], [[5, 5], [5]]),
        ([2, 3, 20, 1, 9, 4], [[2, 3, 20], [1, 9], [4]]),
    ],
)
def test_small_parts_share_a_page(rows, batches):
    """Training on many small pages takes up to twice as long."""
    parts = [pd.DataFrame({"a": np.zeros(count, np.uint8)}) for count in rows]
    assert [[len(part) for part in batch] for batch in batch_parts(parts, 10)] == batches


@pytest.mark.parametrize("page_rows", [150, 500_000])
def test_a_matrix_in_the_local_directory_gives_the_same_trees_and_scores(
    page_rows, preprocess, train_part, tmp_path, monkeypatch
):
    monkeypatch.setattr("toytip.training.matrix.MIN_PAGE_ROWS", page_rows)
    spec = make_spec(preprocess, max_depth=4, learning_rate=0.3, rounds=8)
    parts = [train_part[:100], train_part[100:100], train_part[100:]]
    outputs = []
    for cache_folder in (None, tmp_path):
        rows = TrainingRows.of(parts, spec.bin_counts, cache_folder=cache_folder)
        booster, best = train_rows(rows, None, spec)
        outputs.append((model_bytes(booster, best.round), booster.predict(rows.matrix).tobytes()))
    assert list(tmp_path.iterdir()), "the matrix is in the folder"
    assert outputs[0] == outputs[1]


def test_a_rank_without_rows_has_no_margins(preprocess, train_part):
    spec = make_spec(preprocess, max_depth=2, rounds=2)
    rows, empty = (TrainingRows.of([part], spec.bin_counts) for part in (train_part, train_part[:0]))
    booster, _ = boost(rows, None, boost_config(spec, training_labels(rows, spec), None, 1))
    assert _predict_margins(booster, empty.matrix).shape == (0,)


def test_similar_rows_are_adjacent_and_no_row_is_lost(features, preprocess):
    matrix = preprocess.transform(features)
    order = similarity_order(matrix, preprocess.encoding_)
    assert sorted(order) == list(range(len(matrix)))
    exact = (feature for feature in preprocess.encoding_.features if feature.exact)
    coarsest = min(exact, key=lambda feature: feature.bin_count)
    assert matrix[coarsest.name].to_numpy()[order].tolist() == sorted(matrix[coarsest.name])
