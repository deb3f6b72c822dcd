"""A new month arrives: the champion scores it, and the month is checked and monitored."""

import datetime as dt
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support.runs import parse_summary, run_toytip
from toytip.api.store import open_store
from toytip.errors import StoreError
from toytip.store.store import Store

pytestmark = pytest.mark.cluster
OPTIONS = ("--gate", "on", "--workers", 1, "--json")
NEW_MONTH = ("--model", "champion", "--months", "2020-04")
APRIL = "yellow_tripdata_2020-04.parquet"
# Exit codes of a run without an alert, and with one.
FINISHED = (0, 3)


@pytest.fixture(scope="module")
def trained(synthetic, tmp_path_factory):
    """A store with a champion that was trained on January, and its JSON result."""
    store = tmp_path_factory.mktemp("monthly") / "store"
    command = ("run", "--source", synthetic, "--months", "2020-01:2020-03", "--store", store)
    return store, parse_summary(run_toytip(*command, "--rounds", 30, "--max-depth", 4, *OPTIONS))


@pytest.fixture
def store(trained, tmp_path):
    return Path(shutil.copytree(trained[0], tmp_path / "store"))


def score_month(store, source, *options, **env):
    return run_toytip("run", "--source", source, "--store", store, *NEW_MONTH, *OPTIONS, *options, **env)


def parse_finished(process):
    assert process.returncode in FINISHED, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def scored(trained, synthetic, tmp_path_factory):
    """The store after the champion has scored April, and the JSON result."""
    store = Path(shutil.copytree(trained[0], tmp_path_factory.mktemp("scored") / "store"))
    return store, parse_finished(score_month(store, synthetic))


def test_the_champion_scores_a_new_month(trained, scored):
    _, first = trained
    store, result = scored
    assert first["status"] == result["status"] == "passed"
    assert result["model"]["version"] == first["version"]
    assert result["promotion"] is None
    assert "preprocess" not in result["stage_seconds"]
    assert [item["verdict"] for item in result["data_check"]["months"]] in (["pass"], ["warn"])
    assert result["metrics"]["test"]["all"]["rows"] == result["rows"]["kept"]
    predictions = open_store(store).predictions().compute()
    assert set(predictions["split"]) == {"test"}
    assert set(predictions["model_version"]) == {first["version"]}


def test_the_scores_are_those_of_a_training_run_with_the_same_model(trained, scored, synthetic, tmp_path):
    """A run with April as a second test month reuses the model."""
    _, first = trained
    store = Path(shutil.copytree(trained[0], tmp_path / "store"))
    months = ("--train-months", "2020-01", "--validation-month", "2020-02", "--test-months")
    command = ("run", "--source", synthetic, "--store", store, *months, "2020-03:2020-04")
    result = parse_summary(run_toytip(*command, "--rounds", 30, "--max-depth", 4, *OPTIONS))
    assert result["model"]["version"] == first["version"]
    both = [
        open_store(root).predictions(months="2020-04").compute().set_index("trip_id")["probability"]
        for root in (scored[0], store)
    ]
    assert both[0].equals(both[1])


def test_the_new_run_is_current_and_the_old_one_has_the_champion(trained, scored):
    store, result = scored
    runs = open_store(store).runs()
    assert runs.index.tolist() == [result["version"], trained[1]["version"]]
    assert runs["is_current"].tolist() == [True, False]
    assert runs["is_champion"].tolist() == [False, True]
    assert runs["auc"].notna().all()


def test_single_stages_evaluate_and_monitor_the_new_month(scored):
    store, result = scored
    evaluated = parse_summary(run_toytip("stage", "evaluate", "--store", store, "--workers", 1, "--json"))
    assert evaluated["version"] == result["version"]
    assert evaluated["metrics"]["test"] == result["metrics"]["test"]
    monitored = parse_finished(
        run_toytip("monitor", "--model", "champion", "--store", store, "--dry-run", "--json")
    )
    assert monitored["analysis_months"][-1] == "2020-04"
    assert monitored["feature_reference"] == ["2020-01"]
    assert monitored["drift_by_month"] == result["monitoring"]["drift_by_month"]


def test_an_unchanged_month_is_not_scored_again(scored, synthetic):
    store, result = scored
    repeated = parse_finished(score_month(store, synthetic))
    assert repeated["up_to_date"]
    assert repeated["version"] == result["version"]
    assert len(Store(str(store), "dev").list_runs()) == 2


def test_an_alert_is_an_exit_code(store, synthetic):
    alert = score_month(store, synthetic, TOYTIP_ALERT_PSI="0.00001", TOYTIP_ALERT_MIN_BREACHES="1")
    assert alert.returncode == 3, alert.stderr
    assert json.loads(alert.stdout)["monitoring"]["active_alerts"]


def test_a_champion_of_another_store_carries_its_reference(trained, scored, synthetic, tmp_path):
    """The registry is all that the two stores share."""
    registry = f"sqlite:///{trained[0]}/dev/_registry/registry.db"
    process = score_month(tmp_path / "other", synthetic, MLFLOW_TRACKING_URI=registry)
    result = parse_finished(process)
    assert result["status"] == "passed"
    assert result["monitoring"]["feature_reference"] == ["2020-01"]
    assert result["monitoring"]["drift_by_month"] == scored[1]["monitoring"]["drift_by_month"]


@pytest.fixture
def in_cents(synthetic, tmp_path):
    """The source, with the amounts of April in cents."""
    folder = Path(shutil.copytree(synthetic, tmp_path / "cents"))
    table = pq.read_table(folder / APRIL)
    for name in ("fare_amount", "tip_amount"):
        column = pc.multiply(table[name], 100.0)
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, folder / APRIL)
    return folder


def test_a_held_month_is_not_scored_until_a_person_accepts_it(store, in_cents):
    held = score_month(store, in_cents)
    assert held.returncode == 1
    error, hint = held.stderr.strip().splitlines()[-2:]
    assert error.startswith("error: cannot score 2020-04: the data check holds it")
    assert "fare_amount" in error
    assert "toytip source accept 2020-04 --reason" in hint
    runs = open_store(store).runs()
    assert runs["status"].tolist() == ["failed-check", "passed"]
    assert runs["is_current"].tolist() == [False, True]

    accept = ("source", "accept", "2020-04", "--store", store)
    assert "no reason given" in run_toytip(*accept).stderr
    assert run_toytip(*accept, "--reason", "a real change").returncode == 0
    result = parse_finished(score_month(store, in_cents))
    (month,) = result["data_check"]["months"]
    assert (month["verdict"], month["accepted"]) == ("hold", "a real change")
    run = Store(str(store), "dev").get_run(result["version"])
    assert run.run.data_check.months[0].accepted == "a real change"

    table = pq.read_table(in_cents / APRIL)
    pq.write_table(table.slice(1), in_cents / APRIL)
    assert score_month(store, in_cents).returncode == 1, "the file is not the accepted one"


@pytest.fixture
def without_tips(synthetic, tmp_path):
    """The source, with tips in a single trip of April, which is in another month."""
    folder = Path(shutil.copytree(synthetic, tmp_path / "without-tips"))
    table = pq.read_table(folder / APRIL)
    tips = pa.array([1.0] + [None] * (len(table) - 1), pa.float64())
    table = table.set_column(table.schema.get_field_index("tip_amount"), "tip_amount", tips)
    index = table.schema.get_field_index("tpep_pickup_datetime")
    times = table.column(index).to_pylist()
    times[0] -= dt.timedelta(days=60)
    table = table.set_column(index, table.field(index), pa.array(times, table.field(index).type))
    pq.write_table(table, folder / APRIL)
    return folder


def test_a_month_without_tips_is_scored_with_another_command(store, without_tips, tmp_path):
    rejected = "the cleaning rules rejected all trips of 2020-04 ("
    alone = score_month(store, without_tips)
    assert alone.returncode == 1
    error, hint = alone.stderr.strip().splitlines()[-2:]
    assert error.startswith(f"error: cannot publish features: {rejected}")
    assert " missing_value" in error
    assert error.endswith("most often because tip_amount is null)")
    assert hint == "hint: To score trips without labels, use `toytip score`."

    with_march = score_month(store, without_tips, "--months", "2020-03:2020-04")
    assert with_march.returncode == 1
    assert f"warning: {rejected}" in with_march.stderr
    assert "is null). To score trips without labels, use `toytip score`\n" in with_march.stderr
    assert "error: cannot score 2020-04: the data check holds it" in with_march.stderr

    scores = tmp_path / "scores.parquet"
    trips = (without_tips / APRIL, "--model", "champion", "--store", store, "--output", scores)
    assert run_toytip("score", *trips).returncode == 0
    assert pq.read_table(scores)["probability"].null_count < len(pq.read_table(scores)) / 10


def test_nothing_learns_from_a_held_month(in_cents, tmp_path):
    """The amounts of February are wrong: training uses January and March only."""
    (in_cents / APRIL).unlink()
    february = in_cents / "yellow_tripdata_2020-02.parquet"
    table = pq.read_table(february)
    column = pc.multiply(table["fare_amount"], 100.0)
    table = table.set_column(table.schema.get_field_index("fare_amount"), "fare_amount", column)
    pq.write_table(table, february)
    months = ("--train-months", "2020-01:2020-02", "--validation-month", "none", "--test-months", "2020-03")
    command = ("run", "--source", in_cents, "--months", "2020-01:2020-03", *months)
    summary = parse_summary(
        run_toytip(*command, "--store", tmp_path / "st", "--rounds", 5, "--max-depth", 3, *OPTIONS)
    )
    verdicts = {item["month"]: item["verdict"] for item in summary["data_check"]["months"]}
    assert verdicts["2020-02"] == "hold"
    assert summary["data_check"]["reference"] == ["2020-01"]
    predictions = open_store(tmp_path / "st").predictions().compute()
    by_month = predictions.groupby(predictions["pickup_at"].dt.month)["split"].unique()
    assert [list(splits) for splits in by_month] == [["train"], ["other"], ["test"]]
    assert any("data check holds 2020-02" in warning for warning in summary["warnings"])
    accept = ("source", "accept", "2020-02", "--store", tmp_path / "st", "--reason", "for a test")
    assert run_toytip(*accept).returncode == 0
    repeated = parse_summary(
        run_toytip(*command, "--store", tmp_path / "st", "--rounds", 5, "--max-depth", 3, *OPTIONS)
    )
    assert not repeated["up_to_date"]
    predictions = open_store(tmp_path / "st").predictions(repeated["version"]).compute()
    assert set(predictions["split"]) == {"train", "test"}


def test_a_held_test_month_is_evaluated_but_not_gated(in_cents, tmp_path):
    command = ("run", "--source", in_cents, "--store", tmp_path / "st", "--rounds", 5, *OPTIONS)
    summary = parse_summary(run_toytip(*command))
    assert summary["status"] == "failed-check"
    assert summary["promotion"] is None
    assert summary["metrics"]["test"]["all"]["rows"] > 0
    listed = parse_summary(run_toytip("runs", "--store", tmp_path / "st", "--json"))
    (run,) = listed["runs"]
    assert run["status"] == "failed-check"
    assert "fare_amount" in run["reasons"][0]
    with pytest.raises(StoreError, match="no run passed"):
        open_store(tmp_path / "st").current_version()
    assert parse_summary(run_toytip(*command))["up_to_date"]
    accept = ("source", "accept", "2020-04", "--store", tmp_path / "st", "--reason", "for a test")
    assert run_toytip(*accept).returncode == 0
    accepted = parse_summary(run_toytip(*command))
    assert not accepted["up_to_date"]
    assert accepted["promotion"] is not None


def test_a_held_validation_month_stops_the_run(in_cents, tmp_path):
    march = in_cents / "yellow_tripdata_2020-03.parquet"
    table = pq.read_table(march)
    column = pc.multiply(table["fare_amount"], 100.0)
    pq.write_table(
        table.set_column(table.schema.get_field_index("fare_amount"), "fare_amount", column), march
    )
    split = ("--validation-month", "2020-03", "--test-months", "2020-04")
    command = ("run", "--source", in_cents, "--store", tmp_path / "st", *split, *OPTIONS)
    stopped = run_toytip(*command)
    assert stopped.returncode == 1
    assert "error: cannot train: the data check holds 2020-03" in stopped.stderr
    store = open_store(tmp_path / "st")
    (version,) = store.runs().index
    assert store.features(version).shape[0].compute() > 0


def test_a_refused_run_does_not_become_current(store, synthetic):
    first = open_store(store).current_version()
    months = ("--months", "2020-01:2020-03")
    command = ("run", "--source", synthetic, "--store", store, *months, "--rounds", 1, "--max-depth", 1)
    refused = parse_summary(run_toytip(*command, *OPTIONS))
    assert refused["status"] == "refused"
    assert refused["reasons"] == refused["promotion"]["promotion_reasons"]
    opened = open_store(store)
    assert opened.current_version() == first
    assert opened.predictions(refused["version"]).shape[0].compute() == refused["rows"]["kept"]
    release = ("version", "release", refused["version"], "--store", store)
    assert run_toytip(*release).returncode == 2, "a release needs a reason"
    released = parse_summary(run_toytip(*release, "--reason", "for a test", "--json"))
    assert released["status"] == "refused"
    assert opened.current_version() == refused["version"]
    compared = parse_summary(
        run_toytip("runs", "compare", first, refused["version"], "--store", store, "--json")
    )
    assert compared["settings"] == {"max_depth": [4, 1], "rounds": [30, 1]}
    page = store / "runs.html"
    assert run_toytip("runs", "--store", store, "--output", page).returncode == 0
    assert refused["version"] in page.read_text()


def test_the_scores_of_a_refused_model_become_current_after_its_promotion(store, synthetic):
    command = ("run", "--source", synthetic, "--months", "2020-01:2020-03", "--store", store, "--rounds", 1)
    refused = parse_summary(run_toytip(*command, "--max-depth", 1, *OPTIONS))
    months = ("run", "--source", synthetic, "--months", "2020-04", "--store", store, *OPTIONS, "--model")
    assert parse_finished(run_toytip(*months, refused["version"]))["status"] == "refused"
    promote = ("model", "promote", refused["version"], "--store", store)
    assert run_toytip(*promote, "--force", "--reason", "for a test").returncode == 0
    scored = parse_finished(run_toytip(*months, "champion"))
    assert (scored["status"], scored["up_to_date"]) == ("passed", False)
    assert open_store(store).current_version() == scored["version"]
    assert parse_finished(run_toytip(*months, "champion"))["up_to_date"]
