"""`toytip backtest`: folds, their agreement with a run, and the saved result."""

import csv
import json
from pathlib import Path

import pytest

from tests.support.evaluations import METRICS
from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import make_manifest, make_part_record
from toytip.cli.render.backtest import show_backtest
from toytip.config import Settings
from toytip.core.months import parse_months
from toytip.errors import ConfigError, StoreError
from toytip.monitoring.aging import AgedPerformance, AgeLoss, BacktestResult, LossSummary
from toytip.pipeline.context import RunContext
from toytip.pipeline.experiments.backtest import make_folds, run_backtest
from toytip.progress.tracker import Progress
from toytip.store.store import store_from_settings


def test_a_store_that_is_not_writable_is_rejected_first(tmp_path):
    """The command fails before it starts a cluster."""
    (tmp_path / "dev").touch()
    settings = Settings.load(store=str(tmp_path))
    context = RunContext(settings, store_from_settings(settings), None, Progress("none"), "")
    months = parse_months("2023-01:2023-04")
    features = make_manifest([make_part_record(month) for month in months], table="features")
    with pytest.raises(StoreError, match="cannot write to store"):
        run_backtest(context, features, min_train_months=2, horizon_months=1, max_auc_loss=0.005)


def test_folds_roll_over_the_year():
    months = parse_months("2023-01:2023-06")
    folds = [
        (len(fold.train_months), str(fold.validation_month), [str(month) for month in fold.test_months])
        for fold in make_folds(months, 2, 2)
    ]
    assert folds == [
        (2, "2023-03", ["2023-04", "2023-05"]),
        (3, "2023-04", ["2023-05", "2023-06"]),
        (4, "2023-05", ["2023-06"]),
    ]
    with pytest.raises(
        ConfigError, match="cannot backtest 3 months: the first model needs 2 training months"
    ):
        make_folds(months[:3], 2, 2)


@pytest.fixture(scope="module")
def backtest(synthetic, tmp_path_factory):
    store = tmp_path_factory.mktemp("backtest") / "store"
    options = ("--source", synthetic, "--store", store, "--workers", 2, "--rounds", 8, "--json")
    return store, parse_summary(run_toytip("backtest", *options, "--min-train-months", 1))


def test_a_fold_agrees_with_a_run(backtest, synthetic, tmp_path):
    _, result = backtest
    rows = {
        (row["validation_month"], row["month"], row["segment"]): row for row in result["performance_by_month"]
    }
    split = ("--train-months", "2020-01:2020-02", "--validation-month", "2020-03", "--test-months", "2020-04")
    options = ("--source", synthetic, "--store", tmp_path / "store", "--workers", 2, "--rounds", 8)
    run = parse_summary(run_toytip("run", *options, *split, "--json"))
    for segment in ("all", "card"):
        metrics = run["evaluation"]["test"][segment]["metrics"]
        row = rows["2020-03", "2020-04", segment]
        assert {name: row["metrics"][name] for name in metrics} == metrics
    assert {key[:2] for key in rows} == {
        ("2020-02", "2020-02"),
        ("2020-02", "2020-03"),
        ("2020-02", "2020-04"),
        ("2020-03", "2020-03"),
        ("2020-03", "2020-04"),
    }
    assert rows["2020-03", "2020-03", "all"]["f1_change"]["total"] == 0
    assert [loss["age_months"] for loss in result["auc_loss_by_age"]["all"]] == [2]


def test_the_result_is_saved_as_json_csv_and_chart(backtest):
    store, result = backtest
    report = store / "dev" / "_reports" / f"{result['version']}.backtest.json"
    assert json.loads(report.read_text()) == {**result, "files": {}}
    with Path(result["files"]["csv"]).open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == len(result["performance_by_month"])
    assert float(rows[-1]["auc"]) == result["performance_by_month"][-1]["metrics"]["auc"]
    chart = Path(result["files"]["png"]).read_bytes()
    assert chart.startswith(b"\x89PNG")
    assert len(chart) > 20_000


def aged(age, month):
    return AgedPerformance(
        validation_month="2023-03",
        month=month,
        age_months=age,
        segment="all",
        metrics=METRICS,
        f1_always_positive=0.6,
        f1_change=None,
        log_loss_change=None,
    )


@pytest.mark.parametrize(
    ("max_age", "answer"),
    [
        (1, "segment all: maximum age 1 month, with a mean AUC loss of at most 0.005"),
        (2, "segment all: maximum age at least 2 months, all with a mean AUC loss of at most 0.005"),
    ],
)
def test_the_maximum_age_is_the_first_line_and_the_table_is_last(max_age, answer, capsys):
    loss = AgeLoss(age_months=2, auc=LossSummary.of([0.001]), log_loss=LossSummary.of([0.1]), n_months=1)
    result = BacktestResult(
        version="v1",
        performance_by_month=(aged(0, "2023-03"), aged(1, "2023-04"), aged(2, "2023-05")),
        auc_loss_by_age={"all": (loss,)},
        max_age_months={"all": max_age},
        files={"csv": "v1.backtest.csv"},
    )
    show_backtest(result, 0.005)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == answer
    assert lines[1].startswith("  AUC loss at age 2 months")
    assert lines.index("v1.backtest.csv") < lines.index(next(line for line in lines if "log loss" in line))
    assert lines[-1].split()[:2] == ["2023-03", "2023-05"]


def test_the_data_is_read_once_and_a_table_is_printed(backtest):
    store, _ = backtest
    printed = run_toytip("backtest", "--store", store, "--workers", 2, "--rounds", 3, "--min-train-months", 1)
    assert printed.returncode == 0, printed.stderr
    assert "maximum age" in printed.stdout
    assert printed.stderr.count("read ") == 1
    assert "read            4 done" in printed.stderr
