"""summary, postprocess, metrics and evaluate: counts that give scikit-learn's numbers."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tests.conftest import make_trips
from toytip.core.model import Encoding
from toytip.core.splits import Split, TimeRange
from toytip.core.tables import SCORES
from toytip.core.tlc import ZONE_ID_COUNT
from toytip.evaluation import metrics
from toytip.evaluation.breakdown import evaluation_report, metrics_by_split
from toytip.evaluation.metrics import Baseline
from toytip.evaluation.tally import (
    MIN_SLICE_TRIPS,
    PROBABILITY_BINS,
    Tally,
    combine_tallies,
    slice_tallies,
    tally_of,
)
from toytip.stages import featurize
from toytip.stages.postprocess import best_f1_threshold, postprocess
from toytip.stages.summarize import PROBABILITY_EPSILON, summarize_predictions

SPLIT = Split(
    train=TimeRange("2023-01-01", "2023-01-11"),
    validation=TimeRange("2023-01-11", "2023-01-21"),
    test=TimeRange("2023-01-21", "2023-02-01"),
)
ENCODING = Encoding(
    features=(), split=SPLIT, segment="all", rows=10, positives=4,
    hour_zone_rates=tuple(np.linspace(0.2, 0.7, 24 * ZONE_ID_COUNT).astype(np.float32).tolist()),
)  # fmt: skip


def made(rows=5_000, seed=3):
    """Return features of random trips over January, and scores of them that know something."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2023-01-01")
    trips = pd.concat([make_trips({})] * rows, ignore_index=True)
    trips["trip_id"] = np.arange(rows)
    trips["pickup_at"] = (start + pd.to_timedelta(rng.integers(0, 31 * 86_400, rows), unit="s")).astype(
        "datetime64[us]"
    )
    trips["dropoff_at"] = trips["pickup_at"] + pd.Timedelta("20min")
    trips["PULocationID"] = rng.integers(1, 264, rows).astype("float32")
    trips["payment_type"] = rng.choice([1.0, 2.0], rows, p=[0.7, 0.3]).astype("float32")
    trips["trip_distance"] = rng.gamma(2, 2, rows)
    label = rng.random(rows) < np.where(trips["payment_type"] == 1, 0.6, 0.05)
    trips["tip_amount"] = np.where(label, 5.0, 0.0)
    features = featurize.featurize(trips)
    chance = np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1).astype(np.float32)
    split = np.select(
        [features["pickup_at"] < v for v in ("2023-01-11", "2023-01-21")], ["train", "validation"], "test"
    )
    frame = features[["trip_id", "pickup_at", "PULocationID", "DOLocationID"]].assign(
        probability=chance,
        high_tip=label,
        split=pd.Series(split, dtype="str"),
        model_version=pd.Series(["v1"] * rows, dtype="str"),
    )
    return SCORES.validate(frame[SCORES.names]), features


def of(scores, features, threshold=0.5):
    return summarize_predictions(postprocess(scores, threshold), features, ENCODING)


def expected(rows):
    """Return scikit-learn's numbers."""
    y, p, d = rows["high_tip"], rows["probability"].astype(float), rows["prediction"]
    return {
        "rows": len(rows),
        "prevalence": pytest.approx(y.mean()),
        "auc": pytest.approx(sk.roc_auc_score(y, p), abs=1e-4),
        "pr_auc": pytest.approx(sk.average_precision_score(y, p), abs=1e-3),
        "log_loss": pytest.approx(
            sk.log_loss(y, np.clip(p, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)), abs=1e-6
        ),
        "brier": pytest.approx(sk.brier_score_loss(y, p), abs=1e-8),
        "f1": pytest.approx(sk.f1_score(y, d)),
        "precision": pytest.approx(sk.precision_score(y, d)),
        "recall": pytest.approx(sk.recall_score(y, d)),
        "f1_always_yes": pytest.approx(sk.f1_score(y, np.ones(len(y), bool))),
    }


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 3_000), max_size=3), st.integers(0, 9))
def test_metrics_are_scikit_learns_whatever_the_partitions(cuts, seed):
    scores, features = made(3_000, seed)
    frame = postprocess(scores, 0.5)
    edges = [0, *sorted(cuts), 3_000]
    summary = {}
    for a, b in pairwise(edges):
        summary = combine_tallies(
            summary, of(scores[a:b].reset_index(drop=True), features[a:b].reset_index(drop=True))
        )
    for population in ("all", "card"):
        paid = frame[features["payment_type"] == 1] if population == "card" else frame
        found = metrics_by_split(summary, population)
        assert list(found) == ["train", "validation", "test"]
        for name, values in found.items():
            assert values == expected(paid[paid["split"] == name])


def test_the_error_of_the_bins_is_bounded():
    scores, features = made()
    tally = tally_of(of(scores, features), "test", "all")
    rows = scores[scores["split"] == "test"]
    exact = sk.roc_auc_score(rows["high_tip"], rows["probability"])
    assert (
        abs(metrics.compute_metrics(tally)["auc"] - exact)
        <= metrics.auc_binning_error(tally.negatives, tally.positives)
        < 1e-3
    )


def test_the_slices_are_of_all_trips():
    scores, features = made()
    summary = of(scores, features)
    whole = tally_of(summary, "test", "card")
    told = slice_tallies(summary, "test", "card")
    assert {name for name, _ in told} == {
        "day", "distance", "airport", "hour", "weekday", "payment_type", "rate_code", "vendor",
    }  # fmt: skip
    for slice_ in {name for name, _ in told}:
        parts = [tally for (name, _), tally in told.items() if name == slice_]
        assert sum(part.rows for part in parts) == whole.rows
        assert sum(part.log_loss for part in parts) == whole.log_loss
        assert sum(part.true_positives for part in parts) == whole.true_positives
    assert {value for name, value in told if name == "payment_type"} == {"1"}
    long = features[
        (scores["split"] == "test") & (features["trip_distance"].between(5, 10, inclusive="left"))
    ]
    assert told["distance", "5-10 miles"].rows == (long["payment_type"] == 1).sum()


def test_boroughs_are_told_where_the_zones_are_known():
    scores, features = made(500)
    names = tuple("Queens" if zone % 2 else "Bronx" for zone in range(ZONE_ID_COUNT))
    summary = summarize_predictions(postprocess(scores, 0.5), features, ENCODING, names)
    found = {
        value: tally.rows
        for (name, value), tally in slice_tallies(summary, "train", "all").items()
        if name == "borough"
    }
    rows = features[scores["split"] == "train"]
    assert found == {
        "Queens": (rows["PULocationID"] % 2 == 1).sum(),
        "Bronx": (rows["PULocationID"] % 2 == 0).sum(),
    }


def test_missing_codes_are_a_slice_of_their_own():
    scores, features = made(500)
    features.loc[:99, "RatecodeID"] = np.nan
    told = [slice_tallies(of(scores, features), split, "all") for split in ("train", "validation", "test")]
    assert sum(t["rate_code", "missing"].rows for t in told if ("rate_code", "missing") in t) == 100


def test_intervals_hold_what_they_should():
    """Of many samples of days, about 95 % of the intervals hold the metric of the whole population."""
    scores, features = made(60_000)
    summary = of(scores, features)
    days = [t for (n, _), t in slice_tallies(summary, "train", "all").items() if n == "day"]
    spans = metrics.bootstrap_intervals(days)
    values = metrics.compute_metrics(tally_of(summary, "train", "all"))
    for name in ("auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "prevalence"):
        low, high = spans[name]
        assert low < high
        assert low - 2e-3 <= values[name] <= high + 2e-3, name
    wide = metrics.bootstrap_intervals(
        [t for (n, _), t in slice_tallies(of(*made(2_000)), "train", "all").items() if n == "day"]
    )
    assert wide["auc"][1] - wide["auc"][0] > 3 * (spans["auc"][1] - spans["auc"][0])
    assert set(metrics.bootstrap_intervals(days[:3]).values()) == {None}


def test_calibration_is_scikit_learns():
    from sklearn.calibration import calibration_curve

    scores, features = made()
    rows = scores[scores["split"] == "test"]
    error, bands = metrics.calibration_bands(tally_of(of(scores, features), "test", "all"))
    happened, predicted = calibration_curve(
        rows["high_tip"], rows["probability"], n_bins=metrics.CALIBRATION_BANDS
    )
    assert [band["happened"] for band in bands] == pytest.approx(happened.tolist(), abs=1e-12)
    assert [band["predicted"] for band in bands] == pytest.approx(predicted.tolist(), abs=1e-4)
    weights = np.array([band["trips"] for band in bands])
    assert error == pytest.approx(np.average(np.abs(happened - predicted), weights=weights), abs=1e-4)


def test_the_curve_and_the_confusion():
    scores, features = made()
    tally = tally_of(of(scores, features, 0.3), "test", "all")
    frame = postprocess(scores, 0.3)
    rows = frame[frame["split"] == "test"]
    assert list(metrics.confusion_counts(tally).values()) == [
        ((rows["prediction"] == d) & (rows["high_tip"] == y)).sum()
        for d, y in ((True, True), (True, False), (False, True), (False, False))
    ]
    for point in metrics.threshold_curve(tally)[::10]:
        decided = rows["probability"] >= np.float32(point["threshold"])
        assert point["f1"] == pytest.approx(sk.f1_score(rows["high_tip"], decided))


def test_every_metric_stands_beside_trivial_baselines():
    scores, features = made()
    told = evaluation_report(of(scores, features), Baseline(rate=0.4, threshold=0.5))["test"]["all"]
    rows = scores[scores["split"] == "test"]
    y = rows["high_tip"]
    yes, rate, hour_zone = (told["baselines"][name] for name in ("always_yes", "base_rate", "hour_zone"))
    assert yes["f1"] == pytest.approx(sk.f1_score(y, np.ones(len(y), bool)))
    assert rate["log_loss"] == pytest.approx(sk.log_loss(y, np.full(len(y), 0.4)))
    assert rate["brier"] == pytest.approx(sk.brier_score_loss(y, np.full(len(y), 0.4)))
    rated = ENCODING.hour_zone_rate(features["pickup_hour"].to_numpy(), features["PULocationID"].to_numpy())[
        rows.index
    ]
    assert hour_zone["auc"] == pytest.approx(sk.roc_auc_score(y, rated), abs=1e-3)
    assert hour_zone["log_loss"] == pytest.approx(sk.log_loss(y, rated.astype(float)), abs=1e-6)
    assert told["lift"]["base_rate"]["log_loss"] == pytest.approx(
        rate["log_loss"] - told["metrics"]["log_loss"]
    )
    assert told["lift"]["always_yes"]["auc"] == pytest.approx(told["metrics"]["auc"] - 0.5)
    assert all(slice_["rows"] >= MIN_SLICE_TRIPS for slice_ in told["slices"])
    aucs = [slice_["auc"] for slice_ in told["worst"]]
    assert aucs == sorted(aucs)
    fewer = [round(s["rows"] * min(s["prevalence"], 1 - s["prevalence"])) for s in told["slices"]]
    assert aucs[0] == min(
        s["auc"] for s, n in zip(told["slices"], fewer, strict=True) if n >= metrics.MIN_CLASS_TRIPS
    )
    assert min(fewer) < metrics.MIN_CLASS_TRIPS, "some have too few to be named"


def test_rates_by_hour_and_zone_are_counted_and_drawn_to_the_whole():
    from toytip.stages import preprocess

    _, features = made(20_000)
    census = preprocess.count_values(features, ("pickup_hour",), SPLIT, "all")
    encoding = preprocess.fit_encoding(census, SPLIT, "all")
    rows = features[features["pickup_at"] < "2023-01-11"]
    whole = rows["high_tip"].mean()
    here = rows[(rows["pickup_hour"] == 8) & (rows["PULocationID"] == 100)]
    wanted = (here["high_tip"].sum() + preprocess.HOUR_ZONE_SMOOTHING * whole) / (
        len(here) + preprocess.HOUR_ZONE_SMOOTHING
    )
    assert encoding.hour_zone_rate(np.array([8]), np.array([100]))[0] == pytest.approx(wanted, rel=1e-6)
    assert encoding.hour_zone_rate(np.array([8]), np.array([9_999]))[0] == pytest.approx(whole, rel=1e-6)
    assert Encoding.from_json(encoding.to_json()) == encoding


def test_a_feature_that_knows_the_tip_is_found_also_when_it_is_derived():
    from toytip.stages import preprocess

    scores, features = made(20_000)
    rng = np.random.default_rng(0)
    label = scores["high_tip"].to_numpy()
    columns = {
        "settled": np.where(label, 5.0, 0.0),
        "derived": np.log1p(np.where(label, 5.0, 0.0)) / features["fare_amount"]
        + rng.normal(0, 0.01, len(label)),
        "not monotone": np.where(label, rng.choice([-3.0, 3.0], len(label)), rng.normal(0, 0.5, len(label))),
        "missing tells": np.where(label, np.nan, 1.0),
        "chance": rng.normal(size=len(label)),
        "payment": features["payment_type"],
    }
    frame = features.assign(**columns)
    census = preprocess.count_values(frame, tuple(columns), SPLIT, "all")
    found = {
        name: metrics.single_feature_auc(counts, positives, census.rows, census.positives)
        for name, (_, counts, positives) in census.by_value.items()
    }
    assert {name for name, value in found.items() if value >= metrics.LEAKAGE_AUC} == set(columns) - {
        "chance",
        "payment",
    }
    assert found["chance"] < 0.6
    rows = features["pickup_at"] < "2023-01-11"
    paid = (features["payment_type"] == 1)[rows]
    assert found["payment"] == pytest.approx(sk.roc_auc_score(label[rows], paid))


def test_the_tuned_threshold_is_the_best_there_is():
    scores, features = made()
    tally = tally_of(of(scores, features), "validation", "all")
    threshold = best_f1_threshold(tally.negatives, tally.positives)
    frame = scores[scores["split"] == "validation"].reset_index(drop=True)
    best = sk.f1_score(frame["high_tip"], postprocess(frame, threshold)["prediction"])
    others = [
        sk.f1_score(frame["high_tip"], postprocess(frame, t)["prediction"]) for t in np.linspace(0, 0.99, 200)
    ]
    assert best >= max(others)
    assert float(np.float32(threshold)) == threshold


def test_without_positives_the_threshold_is_the_default():
    assert best_f1_threshold(np.ones(PROBABILITY_BINS, np.int64), np.zeros(PROBABILITY_BINS, np.int64)) == 0.5


def test_a_split_without_positives_has_no_auc():
    scores, features = made(300)
    summary = of(scores.assign(high_tip=False), features)
    found = metrics_by_split(summary)["test"]
    assert found["auc"] is found["pr_auc"] is found["recall"] is None
    assert found["prevalence"] == 0
    assert evaluation_report(summary, Baseline(rate=0.4))["test"]["all"]["worst"] == []


def test_certainty_has_a_finite_loss():
    scores, features = made(10)
    summary = of(scores.assign(probability=np.float32(1), high_tip=False), features)
    assert all(isinstance(item, Tally) and 0 < item.log_loss < 2**45 for item in summary.values())
    assert replace(ENCODING, hour_zone_rates=()).hour_zone_rate(np.zeros(2), np.zeros(2)).tolist() == pytest.approx(
        [0.4, 0.4]
    )
