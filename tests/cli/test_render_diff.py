"""The text of `toytip version diff`."""

import numpy as np
import pytest

from tests.support.score_histograms import tally_of_trips
from toytip.cli.render.diff import show_diff
from toytip.evaluation.tally import PROBABILITY_BINS, TallyKey
from toytip.store.compare import ColumnDiff, VersionDiff
from toytip.store.metric_changes import compare_tallies

DAYS = [f"2023-01-{day:02d}" for day in range(1, 11)]
NOTHING = {
    "versions": ("va", "vb"),
    "rows": {"predictions": (900, 900), "monitoring": (143, 147)},
    "rejects": {"out_of_month": (48, 48)},
    "config": {},
    "columns": {},
    "segment": "all",
    "metrics": {},
    "test_metrics": {},
    "predictions": None,
}


def scored(skill, days=DAYS, seed=0):
    """Return metric histograms of card trips on some days, whose scores have some skill."""
    rng = np.random.default_rng(seed)
    label = rng.random((len(days), 400)) < 0.5
    noise = np.random.default_rng(1).normal(0, 0.2, label.shape)
    probability = np.clip(0.5 + skill * (label - 0.5) + noise, 0.01, 0.99)
    tallies = {
        TallyKey("test", "card", "model", "day", day): tally_of_trips(probability[i], label[i])
        for i, day in enumerate(days)
    }
    total = tally_of_trips(probability.ravel(), label.ravel(), bins=PROBABILITY_BINS)
    return tallies | {TallyKey("test", "card", "model"): total}


def test_a_change_has_an_interval_that_contains_it():
    changes = compare_tallies(scored(0.2), scored(0.3), "all")
    for name in ("auc", "log_loss", "f1"):
        change = changes[name]
        assert change.change == pytest.approx(change.values[1] - change.values[0])
        assert change.interval.low < change.change < change.interval.high, name
    assert changes["auc"].interval.low > 0 > changes["log_loss"].interval.high, "B is better"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (scored(0.2), scored(0.3, seed=5)),  # other trips
        (scored(0.2), scored(0.3, DAYS[1:])),  # other days
        (scored(0.2, DAYS[:6]), scored(0.3, DAYS[:6])),  # fewer than seven days
    ],
)
def test_other_trips_or_too_few_days_have_no_interval(a, b):
    assert all(change.interval is None for change in compare_tallies(a, b, "all").values())


def test_metrics_come_first_and_noise_is_left_out(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    changes = compare_tallies(scored(0.2), scored(0.3), "all")
    pair = (0.3, 0.4)
    fares = ColumnDiff(mean=(14.0, 15.0), min=(0.1, 0.2), max=(90.0, 99.0), missing=(0.0, 0.0))
    hours = ColumnDiff(mean=(13.0, 13.01), min=(0.0, 0.0), max=(23.0, 22.0), missing=(0.0, 0.0))
    diff = VersionDiff(
        **NOTHING
        | {
            "test_metrics": {"all": changes, "card": changes},
            "config": {"predictions": {"threshold": pair}, "metric_histograms": {"threshold": pair}},
            "columns": {"fare_amount": fares, "pickup_hour": hours},
        }
    )
    show_diff(diff, "diff.html")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["A is va", "B is vb"]
    assert lines[2].split() == ["test", "A", "B", "B", "-", "A", "95", "%", "interval"]
    assert [line for line in lines if "trips (" in line] == [
        "all trips (4,000)",
        "card trips (4,000), the only trips with recorded tips",
    ]
    auc = changes["auc"]
    texts = (f"{auc.values[0]:.4f}", f"{auc.values[1]:.4f}", f"{auc.change:+.4f}")
    low, high = auc.interval
    assert lines[4].split() == ["AUC", *texts, f"{low:+.4f}", "to", f"{high:+.4f}"]
    assert [line.split() for line in lines if line.startswith("threshold")] == [["threshold", "0.3", "0.4"]]
    assert [line.split() for line in lines if line.startswith("fare")] == [["fare_amount", "14", "15", "+1"]]
    assert not [line for line in lines if "monitoring" in line or "pickup_hour" in line or "out_of" in line]
    assert lines[-1] == "comparison written to diff.html"


def test_two_equal_versions_say_so(capsys):
    changes = compare_tallies(scored(0.2), scored(0.2), "all")
    show_diff(VersionDiff(**NOTHING | {"test_metrics": {"all": changes}}))
    assert capsys.readouterr().out.splitlines()[2:] == [
        "the test metrics of A and B are the same",
        "rows, rejected rows and settings are the same",
    ]
