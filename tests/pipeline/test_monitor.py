"""`toytip monitor`, and the monitoring of a run: results, exit codes and the published history."""

import json
from pathlib import Path

import duckdb
import pytest

from tests.support.runs import parse_summary, run_toytip
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.stages import profile

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def finished_run(synthetic, tmp_path_factory):
    store = tmp_path_factory.mktemp("monitor") / "store"
    options = ("--source", synthetic, "--store", store, "--workers", 2, "--rounds", 20, "--json")
    return store, parse_summary(run_toytip("run", *options))


def test_a_run_monitors_its_months(finished_run):
    _, summary = finished_run
    report = summary["monitoring"]
    assert report["analysis_months"] == ["2020-03", "2020-04"]
    assert report["feature_reference"] == ["2020-01", "2020-02"]
    assert report["performance_reference"] == ["2020-03"]
    assert report["version"] == summary["version"]
    assert ("share", "segment") in {(alert["kind"], alert["name"]) for alert in report["active_alerts"]}
    assert {"feature_histograms", "metric_histograms", "monitoring"} <= set(summary["tables"])
    # The metrics of the test month are those of the run.
    realized = report["performance_by_month"][-1]["metrics"]
    test_metrics = summary["metrics"]["test"]["all"]
    for name, tolerance in (("f1", 0), ("rows", 0), ("log_loss", 1e-12), ("auc", 1e-3)):
        assert realized[name] == pytest.approx(test_metrics[name], abs=tolerance)


def test_monitor_exits_with_3_for_an_alert_and_publishes_its_measurements(finished_run, invoke_cli):
    store, summary = finished_run
    alerted = invoke_cli("monitor", "--store", store, "--json")
    assert alerted.returncode == 3, alerted.stderr
    report = json.loads(alerted.stdout)
    # Without options, the command monitors what the run did.
    publishing = ("version", "files")
    assert {key: value for key, value in report.items() if key not in publishing} == {
        key: value for key, value in summary["monitoring"].items() if key not in publishing
    }
    saved = json.loads(Path(report["files"]["json"]).read_text())
    assert saved == {**report, "files": {}}
    chart = Path(report["files"]["png"]).read_bytes()
    assert chart.startswith(b"\x89PNG")
    assert len(chart) > 20_000
    quiet = invoke_cli(
        "monitor", "--store", store, "--reference", "2020-01", "--analysis-months", "2020-02", "--dry-run"
    )
    assert quiet.returncode == 0, quiet.stderr
    assert "no alerts in 2020-02" in quiet.stdout
    assert "the model was trained on reference months" in " ".join(quiet.stdout.split())
    history = json.loads(invoke_cli("version", "list", "--store", store, "--json").stdout)["versions"]
    versions = [row["version"] for row in history if row["table"] == "monitoring"]
    assert versions == [summary["version"], report["version"]], "a dry run publishes nothing"
    files = f"{store}/dev/monitoring/*/*/*/*.parquet"
    rows = duckdb.sql(
        f"select version, month, name from read_parquet('{files}', hive_partitioning=true) "
        "where alert and kind = 'share' and name = 'segment' order by version"
    ).fetchall()
    assert rows == [(version, 4, "segment") for version in versions]


def test_monitor_prints_alerts_and_causes(finished_run, invoke_cli):
    store, summary = finished_run
    printed = invoke_cli("monitor", "--store", store, "--model", summary["model"]["version"], "--dry-run")
    assert printed.returncode == 3
    assert "share of card" in printed.stdout
    assert "due to" in printed.stdout
    assert "payment_type" in printed.stdout
    late = invoke_cli("monitor", "--store", store, "--labels-until", "2020-03", "--dry-run", "--json")
    report = json.loads(late.stdout)
    assert (report["version"], report["files"], report["labels_until"]) == (None, {}, "2020-03")
    last = report["performance_by_month"][-1]
    assert last["metrics"] is None
    assert last["estimated_metrics"]["f1"] > 0.5


def test_monitoring_that_is_not_possible_is_an_error_and_a_hint(finished_run, invoke_cli, tmp_path):
    store, _ = finished_run
    for options, message, code in (
        (("--store", tmp_path / "none"), "cannot read models in ", 1),
        (("--store", store, "--model", "v9"), "v9", 1),
        (("--store", store, "--analysis-months", "2021-01"), "cannot monitor 2021-01: ", 2),
    ):
        refused = invoke_cli("monitor", *options)
        assert refused.returncode == code
        error, *hints = refused.stderr.splitlines()
        assert error.startswith("error: ")
        assert message in error
        assert len(hints) <= 1
        assert all(hint.startswith("hint: ") for hint in hints)


def test_the_histograms_add_up_to_the_trips(finished_run):
    _, summary = finished_run
    path = summary["tables"]["feature_histograms"]["path"]
    rows = duckdb.sql(
        f"select feature, sum(trips) from read_parquet('{path}/*/*/*.parquet') group by feature"
    ).fetchall()
    assert {trips for _, trips in rows} == {summary["rows"]["kept"]}
    names = {feature.name for feature in TLC.features}
    assert {name for name, _ in rows} == names | set(profile.CHECK_HISTOGRAMS)
    features = summary["tables"]["features"]["path"]
    difference = duckdb.sql(
        f"""select (select sum(value_sum / value_scale) / sum(trips)
                    from read_parquet('{path}/*/*/*.parquet') where feature = 'fare_amount')
                 - (select avg(fare_amount) from read_parquet('{features}/*/*/*.parquet'))"""
    ).fetchall()[0][0]
    assert difference == pytest.approx(0, abs=0.002)
