"""Differences between two versions."""

import re
import shutil

import duckdb
import pytest

from tests.support.runs import FAST_RUN, parse_summary, run_toytip

pytestmark = pytest.mark.cluster


def count_changed_predictions(a, b):
    paths = [f"{summary['tables']['predictions']['path']}/*/*/*.parquet" for summary in (a, b)]
    query = f"""select count(*) from read_parquet('{paths[0]}') a join read_parquet('{paths[1]}') b
                using (trip_id) where a.prediction <> b.prediction"""
    return duckdb.sql(query).fetchall()[0][0]


def test_the_differences_of_two_feature_sets(tagged_runs):
    _, where, first, second = tagged_runs
    diff = parse_summary(run_toytip("version", "diff", "first", second["version"], *where, "--json"))
    assert diff["rows"]["predictions"] == [first["rows"]["kept"]] * 2
    assert diff["config"]["encodings"]["feature_set"] == ["payment", "pickup"]
    fare_mean = diff["columns"]["fare_amount"]["mean"]
    assert fare_mean[0] == fare_mean[1] > 0
    assert diff["metrics"]["test"]["auc"] == [
        summary["metrics"]["test"]["all"]["auc"] for summary in (first, second)
    ]
    assert diff["predictions"]["changed_predictions"] == count_changed_predictions(first, second) > 0
    assert diff["predictions"]["common"] == first["rows"]["kept"]
    assert diff["segment"] == "all"
    text = run_toytip("version", "diff", "first", second["version"], *where).stdout
    assert "predictions changed" in text
    auc = [summary["metrics"]["test"]["all"]["auc"] for summary in (first, second)]
    assert re.search(rf"\nAUC +{auc[0]:.4f} +{auc[1]:.4f} +{auc[1] - auc[0]:+.4f}  \S+ to \S+\n", text)
    assert "\ncard trips (" in text
    change = diff["test_metrics"]["all"]["auc"]
    assert change["change"] == pytest.approx(auc[1] - auc[0])
    assert change["interval"]["low"] <= change["change"] <= change["interval"]["high"]
    assert "are the same" in run_toytip("version", "diff", first["version"], "first", *where).stdout


def test_models_of_two_segments_are_compared_on_card_trips(tagged_runs, tmp_path):
    folder, (_, store), first, _ = tagged_runs
    where = ("--store", shutil.copytree(store, tmp_path / "st"))
    card = parse_summary(run_toytip("run", "--source", folder, *where, "--segment", "card", *FAST_RUN))
    diff = parse_summary(run_toytip("version", "diff", first["version"], card["version"], *where, "--json"))
    assert diff["segment"] == "card"
    assert diff["config"]["encodings"]["segment"] == ["all", "card"]
    rows, auc = diff["metrics"]["test"]["rows"], diff["metrics"]["test"]["auc"]
    assert rows == [card["metrics"]["test"]["card"]["rows"]] * 2
    assert auc == [
        first["evaluation"]["test"]["card"]["metrics"]["auc"],
        card["metrics"]["test"]["card"]["auc"],
    ]
    text = run_toytip("version", "diff", first["version"], card["version"], *where).stdout
    assert "trained on different segments: compare them on card trips" in text
    assert diff["test_metrics"]["card"]["auc"]["values"] == auc
