"""backtest and decay: what age does to a model, with parts that add up."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import make_manifest, make_part_record
from toytip.config import Settings
from toytip.core.months import parse_months
from toytip.errors import ConfigError, StoreError
from toytip.evaluation.tally import LOSS_SCALE, PROBABILITY_BINS, Tally
from toytip.monitoring.aging import AgeLoss, max_model_age
from toytip.monitoring.attribution import f1_and_log_loss_changes
from toytip.pipeline.backtest import make_folds, run_backtest
from toytip.pipeline.context import RunContext
from toytip.progress.tracker import Progress
from toytip.store.store import store_from_settings


def tally(positives, negatives, hits, alarms, loss_yes=0.5, loss_no=0.3):
    counts = np.zeros((2, PROBABILITY_BINS), np.int64)
    counts[0, 0], counts[1, 0] = negatives, positives
    yes, no = (round(n * each * LOSS_SCALE) for n, each in ((positives, loss_yes), (negatives, loss_no)))
    return Tally(counts[0], counts[1], hits, alarms, yes + no, 0, yes)


share = st.floats(0.01, 0.99)


@given(share, share, share, share, share, share)
def test_the_parts_add_up_to_the_whole(p, q, hit, alarm, later_hit, later_alarm):
    n = 10**6

    def of(share, hits, alarms, loss):
        yes = round(share * n)
        return tally(yes, n - yes, round(hits * yes), round(alarms * (n - yes)), loss, 1 - loss)

    then, now = of(p, hit, alarm, 0.4), of(q, later_hit, later_alarm, 0.7)
    for change in f1_and_log_loss_changes(then, now):
        assert change.prevalence + change.skill == pytest.approx(change.whole, abs=1e-12)
    back = f1_and_log_loss_changes(now, then)
    assert [c.prevalence for c in back] == pytest.approx(
        [-c.prevalence for c in f1_and_log_loss_changes(then, now)], abs=1e-9
    )


def test_another_prevalence_alone_and_another_skill_alone_are_told_apart():
    then = tally(1_000, 1_000, 800, 300)
    fewer = tally(500, 1_500, 400, 450)
    f1, loss = f1_and_log_loss_changes(then, fewer)
    assert f1.skill == pytest.approx(0, abs=1e-12)
    assert f1.whole == f1.prevalence < -0.1
    assert loss.skill == pytest.approx(0, abs=1e-9)
    f1, loss = f1_and_log_loss_changes(then, tally(1_000, 1_000, 600, 400, 0.7))
    assert f1.prevalence == pytest.approx(0, abs=1e-12)
    assert f1.skill < 0 < loss.skill
    assert loss.prevalence == pytest.approx(0, abs=1e-9)
    assert f1_and_log_loss_changes(then, tally(0, 10, 0, 1)) == (None, None)


def test_a_store_that_cannot_be_written_is_said_before_the_work(tmp_path):
    """There are no workers to ask yet."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "_reports").touch()
    settings = Settings.load(store=str(tmp_path))
    context = RunContext(settings, store_from_settings(settings), None, Progress("quiet"), "")
    months = parse_months("2023-01:2023-04")
    features = make_manifest([make_part_record(month) for month in months], table="features")
    with pytest.raises(StoreError, match="cannot be written"):
        run_backtest(context, features, min_train_months=2, horizon_months=1, max_auc_loss=0.005)


def test_folds_roll_over_the_year():
    months = parse_months("2023-01:2023-06")
    found = [
        (len(f.train_months), str(f.validation_month), [str(m) for m in f.test_months])
        for f in make_folds(months, 2, 2)
    ]
    assert found == [
        (2, "2023-03", ["2023-04", "2023-05"]),
        (3, "2023-04", ["2023-05", "2023-06"]),
        (4, "2023-05", ["2023-06"]),
    ]
    with pytest.raises(ConfigError, match="3 months are too few: a fold takes 2 to train on"):
        make_folds(months[:3], 2, 2)


def test_how_old_a_model_may_be():
    ages = [
        AgeLoss(age=a, months=3, auc=(loss, 0, 1), log_loss=(0, 0, 0))
        for a, loss in ((2, 0.001), (3, 0.01), (4, 0.0))
    ]
    assert [max_model_age(ages, tolerance) for tolerance in (0, 0.005, 0.02)] == [1, 2, 4]


@pytest.fixture(scope="module")
def told(synthetic, tmp_path_factory):
    store = tmp_path_factory.mktemp("backtest") / "store"
    args = ("--source", synthetic, "--store", store, "--workers", 2, "--rounds", 8, "--json")
    return store, parse_summary(run_toytip("backtest", *args, "--first", 1))


def test_a_fold_is_what_a_run_says(told, synthetic, tmp_path):
    found = told[1]
    rows = {(r["tuned_on"], r["month"], r["population"]): r for r in found["rows"]}
    split = ("--train", "2020-01:2020-02", "--valid", "2020-03", "--test", "2020-04")
    run = parse_summary(
        run_toytip(
            "run",
            "--source",
            synthetic,
            "--store",
            tmp_path / "store",
            "--workers",
            2,
            "--rounds",
            8,
            *split,
            "--json",
        )
    )
    for population, row in (
        ("all", rows["2020-03", "2020-04", "all"]),
        ("card", rows["2020-03", "2020-04", "card"]),
    ):
        wanted = run["evaluation"]["test"][population]["metrics"]
        assert {name: row[name] for name in wanted} == wanted
    assert {key[:2] for key in rows} == {
        ("2020-02", "2020-02"), ("2020-02", "2020-03"), ("2020-02", "2020-04"),
        ("2020-03", "2020-03"), ("2020-03", "2020-04"),
    }  # fmt: skip
    assert rows["2020-03", "2020-03", "all"]["f1_change"] == 0
    assert [age["age"] for age in found["ages"]["all"]] == [2]


def test_the_table_and_the_picture_are_kept(told):
    store, found = told
    files = found["files"]
    assert (
        json.loads((store / "dev" / "_reports" / f"{found['version']}.backtest.json").read_text())["rows"]
        == found["rows"]
    )
    assert Path(files["csv"]).read_text().count("\n") == len(found["rows"]) + 1
    content = Path(files["png"]).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 20_000


def test_it_reads_the_data_once_and_shows_a_table(told):
    store, _ = told
    done = run_toytip("backtest", "--store", store, "--workers", 2, "--rounds", 3, "--first", 1)
    assert done.returncode == 0, done.stderr
    assert "a model may be" in done.stdout
    assert done.stderr.count("read ") == 1
    assert "read            4 done" in done.stderr
