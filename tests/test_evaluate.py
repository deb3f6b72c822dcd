"""summary, postprocess and evaluate: counts that give scikit-learn's numbers."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from toytip.schema import SCORES
from toytip.stages.evaluate import auc_error, evaluate, metrics
from toytip.stages.postprocess import postprocess, tune
from toytip.stages.summary import EPSILON, summarize
from toytip.tally import BINS, Tally, merge


def scores(rows=5_000, seed=3, splits=("train", "valid", "test", "other")):
    rng = np.random.default_rng(seed)
    label = rng.random(rows) < 0.4
    chance = np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1).astype(np.float32)
    frame = pd.DataFrame(
        {
            "trip_id": np.arange(rows),
            "pickup_at": np.datetime64("2023-01-01", "us"),
            "PULocationID": np.int32(1),
            "DOLocationID": np.int32(2),
            "probability": chance,
            "high_tip": label,
            "split": pd.Series(rng.choice(splits, rows), dtype="str"),
            "model_version": pd.Series(["v1"] * rows, dtype="str"),
        }
    )
    return SCORES.check(frame[SCORES.names])


def test_metrics_are_scikit_learns():
    frame = postprocess(scores(), 0.5)
    found = evaluate(summarize(frame))
    assert list(found) == ["train", "valid", "test"]
    for name, values in found.items():
        rows = frame[frame["split"] == name]
        y, p, d = rows["high_tip"], rows["probability"].astype(float), rows["prediction"]
        assert values["rows"] == len(rows)
        assert values["prevalence"] == pytest.approx(y.mean())
        assert values["auc"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-4)
        assert values["pr_auc"] == pytest.approx(sk.average_precision_score(y, p), abs=1e-3)
        assert values["log_loss"] == pytest.approx(sk.log_loss(y, np.clip(p, EPSILON, 1 - EPSILON)), abs=1e-6)
        assert values["brier"] == pytest.approx(sk.brier_score_loss(y, p), abs=1e-8)
        assert values["f1"] == pytest.approx(sk.f1_score(y, d))
        assert values["precision"] == pytest.approx(sk.precision_score(y, d))
        assert values["recall"] == pytest.approx(sk.recall_score(y, d))
        assert values["f1_always_yes"] == pytest.approx(sk.f1_score(y, np.ones(len(y), bool)))


def test_the_error_of_the_bins_is_bounded():
    frame = postprocess(scores(splits=("test",)), 0.5)
    tally = summarize(frame)["test"]
    exact = sk.roc_auc_score(frame["high_tip"], frame["probability"])
    assert abs(metrics(tally)["auc"] - exact) <= auc_error(tally.negatives, tally.positives) < 1e-3


def test_the_tuned_threshold_is_the_best_there_is():
    frame = scores(splits=("valid",))
    tally = summarize(postprocess(frame, 0.5))["valid"]
    threshold = tune(tally.negatives, tally.positives)
    best = sk.f1_score(frame["high_tip"], postprocess(frame, threshold)["prediction"])
    others = [
        sk.f1_score(frame["high_tip"], postprocess(frame, t)["prediction"]) for t in np.linspace(0, 0.99, 200)
    ]
    assert best >= max(others)
    assert float(np.float32(threshold)) == threshold


def test_without_positives_the_threshold_is_the_default():
    assert tune(np.ones(BINS, np.int64), np.zeros(BINS, np.int64)) == 0.5


def test_a_split_without_positives_has_no_auc():
    frame = postprocess(scores(splits=("test",)).assign(high_tip=False), 0.5)
    found = evaluate(summarize(frame))["test"]
    assert found["auc"] is found["pr_auc"] is found["recall"] is None
    assert found["prevalence"] == 0


def test_certainty_has_a_finite_loss():
    frame = scores(10).assign(probability=np.float32(1), high_tip=False)
    tally = merge(summarize(postprocess(frame, 0.5)), {})
    assert all(isinstance(item, Tally) and 0 < item.log_loss < 2**45 for item in tally.values())
