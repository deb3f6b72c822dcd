"""The example of a data set that has nothing to do with taxis, from its files to a served model."""

import html
import re

import numpy as np
import pandas as pd
import pytest

from tests.serving.conftest import make_app_client
from tests.support.meters import copy_project
from tests.support.runs import parse_summary, require_error, run_toytip
from toytip.api.store import open_store
from toytip.serving.request import RequestLimits

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

OPTIONS = ("--workers", 1, "--rounds", 30, "--max-depth", 4, "--progress", "none")
TAXI_WORDS = re.compile(
    r"\b(taxis?|tips?|card|pickup|dropoff|fares?|passengers?|boroughs?|hour-and-zone)\b", re.IGNORECASE
)


def run(folder, *options):
    done = run_toytip("run", *OPTIONS, *options, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return parse_summary(done)


def words_of(page):
    """Return the text of an HTML page, without charts."""
    text = re.sub(r"<(style|script|svg)\b.*?</\1>|<[^>]+>", " ", page.read_text(), flags=re.DOTALL)
    return html.unescape(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("meters") / "project")


@pytest.fixture(scope="module")
def first_run(folder):
    return run(folder, "--version-id", "first", "--gate", "on")


@pytest.fixture(scope="module")
def segment_run(folder, first_run):
    return run(folder, "--version-id", "pumps", "--segment", "heat_pumps", "--gate", "on")


@pytest.fixture(scope="module")
def model(folder, first_run):
    return open_store(folder / "toytip-store").model("first")


def test_the_model_is_better_than_the_mean_of_each_meter_and_hour(first_run):
    evaluation = first_run["evaluation"]["test"]
    assert list(evaluation) == ["all", "heat_pumps"]
    for segment in evaluation.values():
        assert segment["metrics"]["auc"] > segment["baselines"]["group_mean"]["auc"] + 0.02
        assert segment["metrics"]["log_loss"] < segment["baselines"]["group_mean"]["log_loss"]
    assert first_run["promotion"]["decision"] == "promoted"


def test_every_row_is_kept_or_rejected_with_a_reason(folder, first_run):
    store, files = open_store(folder / "toytip-store"), sorted((folder / "data").iterdir())
    raw = pd.concat(map(pd.read_parquet, files))
    rejects = store.rejects("first").compute()["reason"].value_counts().to_dict()
    expected = {
        "missing_value": int(raw["consumption"].isna().sum()),
        "negative_consumption": int((raw["consumption"] < 0).sum()),
    }
    assert rejects == expected
    predictions = store.predictions("first").compute()
    assert len(predictions) == len(raw) - sum(expected.values())
    assert list(predictions.columns[:3]) == ["trip_id", "read_at", "meter"]


def test_the_same_command_reuses_the_run_and_fewer_months_reuse_its_files(folder, first_run):
    assert run(folder, "--gate", "on")["up_to_date"]
    fewer = run(folder, "--months", "2024-01:2024-03", "--gate", "off")
    assert fewer["stage_decisions"]["featurize"]["reused"]
    assert "3 of 3 files reused" in fewer["stage_decisions"]["featurize"]["reason"]


def test_a_file_is_scored_as_in_the_run(folder, first_run, model):
    month = pd.read_parquet(folder / "data" / "meters_2024-04.parquet").drop(columns="next_kwh")
    month.to_csv(folder / "april.csv", index=False)
    month.head(50).to_json(folder / "april.jsonl", orient="records", lines=True, date_format="iso")
    predictions = open_store(folder / "toytip-store").predictions("first", months="2024-04").compute()
    expected = np.full(len(month), np.nan, np.float32)
    expected[predictions["trip_id"] % 10**9] = predictions["probability"]
    for name, rows in (("april.csv", len(month)), ("april.jsonl", 50)):
        done = run_toytip("score", name, "--output", "scores.csv", cwd=folder)
        assert done.returncode == 0, done.stderr
        scores = pd.read_csv(folder / "scores.csv")
        np.testing.assert_allclose(scores["probability"], expected[:rows], atol=1e-6)
        reasons = scores["reason"].dropna().unique().tolist()
        assert set(reasons) <= {"missing_value", "negative_consumption"}
    np.testing.assert_array_equal(model.predict(month)["probability"], expected)


def test_the_server_scores_a_reading_with_the_columns_of_the_user(model):
    client = make_app_client({"meters": model.trained_model}, RequestLimits())
    reading = {
        "timestamp": "2024-04-09T17:00:00+02:00",
        "forecast_at": "2024-04-09 17:20:00",
        "meter_id": 3,
        "heating": "heat pump",
        "consumption": 2.4,
        "forecast": 3.5,
    }
    answer = client.post(reading).json()
    assert answer["model_version"] == "first"
    (expected,) = model.predict([reading])["probability"]
    assert answer["probability"] == pytest.approx(expected, abs=1e-6)
    low = client.post({**reading, "consumption": 0.1, "heating": "gas"}).json()
    assert low["probability"] < answer["probability"] / 2
    refused = client.post({name: value for name, value in reading.items() if name != "meter_id"})
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["field"] == "meter_id"
    unknown = client.post({**reading, "heating": "coal"}).json()["detail"][0]["message"]
    assert unknown == "must be 'GAS', 'HEAT PUMP' or a whole number of at most 16,777,216"
    trip = client.get("/openapi.json").json()["components"]["schemas"]["MetersTrip"]
    assert "'GAS' or 'HEAT PUMP', in upper or lower case" in trip["properties"]["heating"]["description"]
    page = html.unescape(client.get("/docs").text)
    assert "Texts of <code>heating</code>, in upper or lower case: 'GAS' and 'HEAT PUMP'" in page
    rejected = client.post({**reading, "consumption": -1})
    assert rejected.json()["reason"] == "negative_consumption"


def test_a_model_of_the_segment_has_a_champion_of_its_own(folder, segment_run):
    done = run_toytip("model", "list", "--json", cwd=folder)
    models = parse_summary(done)["models"]
    names = {name: [model["aliases"] for model in models[name]] for name in models if "meters" in name}
    assert names == {"toytip-dev-meters-all": [["champion"]], "toytip-dev-meters-heat_pumps": [["champion"]]}
    april = folder / "data" / "meters_2024-04.parquet"
    done = run_toytip("score", april, "--segment", "heat_pumps", "--output", "pumps.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    reasons, raw = pd.read_csv(folder / "pumps.csv")["reason"], pd.read_parquet(april)
    assert (reasons == "outside_segment").sum() == (
        (raw["heating"] == "gas") & (raw["consumption"] >= 0)
    ).sum()


def test_an_unknown_segment_is_an_error(folder, first_run):
    done = run_toytip("run", *OPTIONS, "--segment", "card", cwd=folder)
    require_error(done, "cannot train on segment 'card'", "heat_pumps", code=2)


def test_predictions_are_judged_by_row_id(folder, first_run):
    predictions = open_store(folder / "toytip-store").predictions("first").compute()
    predictions[["trip_id", "probability"]].to_parquet(folder / "mine.parquet")
    options = ("--workers", 1, "--progress", "none", "--leaderboard", "board", "--json")
    judged = run_toytip("judge", "mine.parquet", *options, cwd=folder)
    assert judged.returncode == 0, judged.stderr
    evaluation = parse_summary(judged)["evaluation"]["test"]
    for segment, report in first_run["evaluation"]["test"].items():
        assert evaluation[segment]["metrics"]["auc"] == report["metrics"]["auc"]
        assert evaluation[segment]["group_mean_label"] == "mean by meter and hour"
    board = words_of(folder / "board" / "index.html")
    assert "baseline: mean by meter and hour" in board
    assert TAXI_WORDS.findall(board) == []


def test_the_report_speaks_of_the_data_of_the_user(folder, segment_run):
    (page,) = (folder / "toytip-store").rglob("first.html")
    text = words_of(page)
    assert "heat_pumps" in text
    assert sorted(set(TAXI_WORDS.findall(text))) == []


def test_a_segment_that_no_row_is_in_gives_one_warning(tmp_path):
    project = copy_project(tmp_path / "project")
    module = project / "meters.py"
    module.write_text(module.read_text().replace('rows["heating"] == 1', 'rows["heating"] == 2'))
    result = run(project, "--version-id", "first", "--gate", "on")
    (warning,) = [text for text in result["warnings"] if "heat_pumps" in text]
    assert warning == (
        "no trip is in the segment heat_pumps (a condition on heating), so there are no metrics for this "
        "segment, and the model has no target-encoded features (check the condition and the values)"
    )
    assert list(result["evaluation"]["test"]) == ["all"]
    assert not {"meter_rate", "meter_hour_rate"} & set(result["model"]["features"])
    (page,) = (project / "toytip-store").rglob("first.html")
    assert "No trip of the test split is in the segment heat_pumps, which has no metrics." in words_of(page)
    assert "contains some of the trips" not in words_of(page)


def test_monitoring_and_the_check_of_the_source_know_the_data_set(folder, first_run):
    done = run_toytip("monitor", "--segment", "all", "--dry-run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert parse_summary(done)["words"]["segment"] == "trips in the segment heat_pumps"
    checked = run_toytip("source", "check", "data", "--json", cwd=folder)
    assert checked.returncode == 0, checked.stderr
    assert parse_summary(checked)["months"][0]["rejects"].keys() == {"missing_value", "negative_consumption"}


def test_a_project_needs_a_source_with_its_columns(folder, tmp_path):
    settings = folder / "toytip.toml"
    without_source = tmp_path / "without"
    without_source.mkdir()
    (without_source / "toytip.toml").write_text(settings.read_text().replace('source = "data"', ""))
    (without_source / "meters.py").write_text((folder / "meters.py").read_text())
    done = run_toytip("run", *OPTIONS, cwd=without_source)
    require_error(done, "does not generate files of meters", "Set --source", code=2)
    pd.DataFrame({"timestamp": pd.to_datetime(["2024-01-01"]), "x": [1]}).to_parquet(
        tmp_path / "2024-01.parquet"
    )
    done = run_toytip("run", *OPTIONS, "--source", tmp_path / "2024-01.parquet", cwd=folder)
    require_error(done, "column meter_id is missing", "add this name to the field")
