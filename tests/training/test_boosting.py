"""Tests of the boosting loop: exact sums, checkpoints, and matrices in the local directory."""

import numpy as np
import pandas as pd
import pytest

from tests.training.data import NAMES
from toytip.core.splits import split_names
from toytip.datasets.tlc.dataset import TLC
from toytip.stages.preprocess import similarity_order
from toytip.training.boosting import (
    GRADIENT_STEP,
    ExactLogistic,
    LearningCurve,
    _predict_margins,
    batch_parts,
    boost,
    build_matrix,
    checkpoint_bytes,
    model_bytes,
    xgboost_params,
)
from toytip.training.estimator import Preprocess


def test_early_stopping_resumes_from_a_checkpoint(features, split):
    """A checkpoint has the best round so far, and its loss."""
    preprocess = Preprocess(NAMES, split, dataset=TLC).fit(features)
    names, counts = split_names(features, split, "all", TLC), preprocess.encoding_.bin_counts
    rows = features[names == "train"].head(300)
    train, validation = (
        build_matrix([(preprocess.transform(part), part["high_tip"].to_numpy("float32"))], counts, 1)
        for part in (rows, features[names == "validation"])
    )
    label = rows["high_tip"].to_numpy()
    params = xgboost_params({"max_depth": 4, "eta": 0.5}, max(counts), float(label.mean()))
    options = {"rounds": 200, "early_stopping_rounds": 5}
    checkpoints = {}

    def save(number, curve, booster):
        checkpoints[number] = checkpoint_bytes(booster, curve)

    booster, best = boost(train, label, validation, params, **options, on_round=save)
    curve = LearningCurve.from_booster(booster)
    assert len(checkpoints) == best.round + 5 < 200
    for number in (1, best.round, best.round + 3, best.round + 5):
        checkpoint = checkpoints[number]
        resumed, resumed_best = boost(train, label, validation, params, **options, checkpoint=checkpoint)
        assert resumed_best == best
        assert LearningCurve.from_booster(resumed) == curve, "with the losses of the earlier rounds"
        assert model_bytes(resumed, resumed_best.round) == model_bytes(booster, best.round)


def test_gradients_add_up_exactly_in_any_order():
    """The model is therefore the same on any number of workers."""
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 3, 400_000).astype(np.float32)
    label = rng.random(len(margin)) < 0.5
    probability = 1 / (1 + np.exp(-margin.astype(float)))
    gradient, hessian = ExactLogistic(label)(margin.copy())
    expected = (probability - label, probability * (1 - probability))
    for values, exact in zip((gradient, hessian), expected, strict=True):
        np.testing.assert_allclose(values, exact, atol=2.5 * GRADIENT_STEP)
        assert (values / GRADIENT_STEP == np.rint(values / GRADIENT_STEP)).all()
        orders = [rng.permutation(values) for _ in range(20)]
        assert len({float(np.cumsum(order, dtype=np.float64)[-1]) for order in orders}) == 1
    assert (hessian > 0).all()


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
    parts = [(pd.DataFrame({"a": np.zeros(count, np.uint8)}), None) for count in rows]
    grouped = batch_parts(parts, 10)
    assert [[len(bins) for bins, _ in batch] for batch in grouped] == batches


@pytest.mark.parametrize("page_rows", [150, 500_000])
def test_a_matrix_in_the_local_directory_gives_the_same_trees_and_scores(
    page_rows, features, split, tmp_path, monkeypatch
):
    monkeypatch.setattr("toytip.training.boosting.MIN_PAGE_ROWS", page_rows)
    preprocess = Preprocess(NAMES, split, dataset=TLC).fit(features)
    rows = features[split_names(features, split, "all", TLC) == "train"]
    label, counts = rows["high_tip"].to_numpy(), preprocess.encoding_.bin_counts
    parts = [(preprocess.transform(part), None) for part in (rows[:100], rows[100:100], rows[100:])]
    params = xgboost_params({"max_depth": 4, "eta": 0.3}, max(counts), float(label.mean()))
    outputs = []
    for cache_folder in (None, tmp_path):
        matrix = build_matrix(parts, counts, 1, cache_folder)
        booster, best = boost(matrix, label, None, params, rounds=8)
        outputs.append((model_bytes(booster, best.round), booster.predict(matrix).tobytes()))
    assert list(tmp_path.iterdir()), "the matrix is in the folder"
    assert outputs[0] == outputs[1]


def test_a_rank_without_rows_has_no_margins(features, split):
    preprocess = Preprocess(NAMES, split, dataset=TLC).fit(features)
    rows = features[split_names(features, split, "all", TLC) == "train"]
    label, counts = rows["high_tip"].to_numpy(), preprocess.encoding_.bin_counts
    params = xgboost_params({"max_depth": 2}, max(counts), float(label.mean()))
    matrix = build_matrix([(preprocess.transform(rows), None)], counts, 1)
    booster, _ = boost(matrix, label, None, params, rounds=2)
    empty = build_matrix([(preprocess.transform(rows[:0]), None)], counts, 1)
    assert _predict_margins(booster, empty).shape == (0,)


def test_similar_rows_are_adjacent_and_no_row_is_lost(features, split):
    preprocess = Preprocess(NAMES, split, dataset=TLC).fit(features)
    matrix = preprocess.transform(features)
    order = similarity_order(matrix, preprocess.encoding_)
    assert sorted(order) == list(range(len(matrix)))
    exact = (feature for feature in preprocess.encoding_.features if feature.exact)
    coarsest = min(exact, key=lambda feature: feature.bin_count)
    assert matrix[coarsest.name].to_numpy()[order].tolist() == sorted(matrix[coarsest.name])
