"""Real published months: rows, rejects and AUC agree with plain XGBoost in one process."""

import functools

import pytest

from tests.support.runs import parse_summary, run_toytip

pytestmark = [pytest.mark.cluster, pytest.mark.real]
GREEN = {
    "out_of_month": 141,
    "non_positive_fare": 3_170,
    "non_positive_duration": 978,
    "implausible_distance": 562,
}
YELLOW_2020 = {
    "out_of_month": 2,
    "non_positive_fare": 604,
    "non_positive_duration": 241,
    "overlong_trip": 1,
    "implausible_distance": 3,
}


def run(source, store, *more):
    return parse_summary(
        run_toytip("run", "--source", source, "--store", store, "--workers", 2, "--json", *more)
    )


@pytest.fixture(scope="module")
def run_months(real_data_dir, tmp_path_factory):
    """Return a function that runs once on a folder, and returns the JSON result."""

    @functools.cache
    def run_once(folder):
        rounds = () if folder == "green-2023" else ("--rounds", 10)
        return run(real_data_dir / folder, tmp_path_factory.mktemp(folder), *rounds)

    return run_once


@pytest.mark.parametrize(
    ("folder", "read", "kept", "rejects"),
    [
        ("green-2023", 787_060, 782_209, GREEN),
        ("yellow-sample-2020", 120_000, 119_149, YELLOW_2020),
        ("yellow-sample-2019", 120_000, 119_609, None),
    ],
)
def test_rows_and_rejects(folder, read, kept, rejects, run_months):
    summary = run_months(folder)
    assert summary["rows"] == {"read": read, "kept": kept, "rejected": read - kept}
    if rejects is not None:
        assert summary["rejects"] == rejects
    assert (
        summary["metrics"]["test"]["all"]["f1"]
        > summary["evaluation"]["test"]["all"]["baselines"]["always_positive"]["f1"]
    )


def test_green_has_the_auc_of_plain_xgboost(run_months):
    summary = run_months("green-2023")
    assert summary["metrics"]["test"]["all"]["auc"] > 0.8755 - 0.003
    assert summary["metrics"]["test"]["all"]["rows"] == 63_852


def test_the_fall_of_f1_in_april_2020_is_due_to_the_card_share(real_data_dir, tmp_path):
    split = ("--train-months", "2020-01", "--validation-month", "2020-02", "--test-months", "2020-03:2020-12")
    summary = run(
        real_data_dir / "yellow-sample-2020", tmp_path, *split, "--feature-set", "seed", "--rounds", 100
    )
    months = {row["month"]: row for row in summary["monitoring"]["performance_by_month"]}
    assert months["reference"]["segment_share"] > 0.72
    assert months["2020-05"]["segment_share"] < 0.52
    for month in ("2020-04", "2020-05"):
        f1, prevalence = months[month]["f1_change"], months[month]["prevalence_change"]
        assert f1["total"] < -0.12
        assert f1["segment_share"] < 0.8 * f1["total"], "mostly the share of card trips"
        assert f1["model"] > -0.02, "little of it due to the model"
        assert prevalence["segment_share"] < 0.8 * prevalence["total"]
    history = summary["monitoring"]["alert_history"]
    alerts = {(alert["month"], alert["kind"], alert["name"]) for alert in history}
    assert ("2020-05", "share", "segment") in alerts
    assert not {name for _, kind, name in alerts if kind == "model"}
