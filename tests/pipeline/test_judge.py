"""`toytip judge`: metrics of any predictions, refused predictions, and the leaderboard."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import toytip
from tests.support.runs import parse_summary, require_error, run_toytip
from toytip.core.jsonable import to_json
from toytip.evaluation.report import SegmentSummary

pytestmark = pytest.mark.cluster

SUMMARY_KEYS = set(SegmentSummary.__dataclass_fields__)


def predictions_of(result):
    files = sorted(Path(result["tables"]["predictions"]["path"]).rglob("*.parquet"))
    return pd.concat([pd.read_parquet(file, partitioning=None) for file in files], ignore_index=True)


def judge(store, predictions, *options):
    common = ("--store", store, "--workers", 1, "--progress", "none", "--json")
    return run_toytip("judge", predictions, *common, *options)


def write(folder, name, frame):
    """Write predictions in a random order, in two files of several row groups."""
    folder = folder / name
    folder.mkdir()
    shuffled = frame.sample(frac=1, random_state=7)
    half = len(shuffled) // 2
    for number, part in enumerate((shuffled[:half], shuffled[half:])):
        part.to_parquet(folder / f"part-{number}.parquet", row_group_size=500, index=False)
    return folder


def with_noise(frame, spread):
    noise = np.random.default_rng(1).normal(0, spread, len(frame))
    return frame.assign(probability=(frame["probability"] + noise).clip(0, 1))


def summaries(evaluation):
    """Return an evaluation of test trips without curves, slices and the champion."""
    parts = {}
    for segment, report in evaluation["test"].items():
        parts[segment] = {name: value for name, value in report.items() if name in SUMMARY_KEYS}
        for name in ("baselines", "improvement"):
            values = parts[segment][name]
            parts[segment][name] = {key: values[key] for key in values if key != "champion"}
    return parts


# Toytip's own predictions


def check_same_metrics(judged, result):
    assert judged["metrics"] == {"test": result["metrics"]["test"]}
    assert summaries(judged["evaluation"]) == summaries(result["evaluation"])
    stored = json.loads(Path(result["evaluation_path"]).read_text())
    stored = stored.get("evaluation", stored)
    for segment, report in judged["evaluation"]["test"].items():
        for name in ("calibration_curve", "threshold_curve", "slices"):
            assert report[name] == stored["test"][segment][name]


@pytest.mark.parametrize("number", [0, 1])
def test_own_predictions_get_the_metrics_of_the_run(number, two_runs):
    store, results = two_runs
    result = results[number]
    own = result["tables"]["predictions"]["path"]
    judged = parse_summary(judge(store, own, "--input-version", result["version"]))
    check_same_metrics(judged, result)
    assert judged["name"] == result["version"]
    assert judged["decisions"] == {"source": "column", "threshold": None}
    assert judged["rows"]["judged"] == result["metrics"]["test"]["all"]["rows"]
    assert judged["rows"]["total"] == result["rows"]["kept"]
    assert judged["rows"]["judged"] + judged["rows"]["other"] == judged["rows"]["total"]


@pytest.mark.parametrize(
    ("number", "source", "threshold"), [(0, "validation", None), (0, "option", "model"), (1, "default", 0.5)]
)
def test_probabilities_in_any_order_get_the_same_metrics(number, source, threshold, two_runs, tmp_path):
    """The threshold is tuned as a run does, so that the decisions are equal too."""
    store, results = two_runs
    result = results[number]
    threshold = result["model"]["threshold"] if threshold in (None, "model") else threshold
    folder = write(tmp_path, "mine", predictions_of(result)[["trip_id", "probability"]])
    options = ("--threshold", threshold) if source == "option" else ()
    judged = parse_summary(judge(store, folder, "--input-version", result["version"], *options))
    check_same_metrics(judged, result)
    assert judged["decisions"] == {"source": source, "threshold": threshold}
    assert judged["files"] == 2


def test_test_trips_are_enough_and_the_file_can_be_csv(two_runs, tmp_path):
    store, (result, _) = two_runs
    frame = predictions_of(result)
    frame[frame["split"] == "test"][["probability", "trip_id"]].to_csv(tmp_path / "mine.csv", index=False)
    judged = parse_summary(judge(store, tmp_path / "mine.csv", "--input-version", "va"))
    assert judged["name"] == "mine"
    assert judged["rows"]["other"] == 0
    assert judged["decisions"] == {"source": "default", "threshold": 0.5}
    own = result["metrics"]["test"]["all"]
    metrics = judged["metrics"]["test"]["all"]
    assert {name: metrics[name] for name in ("rows", "auc", "log_loss", "brier")} == {
        name: own[name] for name in ("rows", "auc", "log_loss", "brier")
    }


# The report and the text


def test_the_report_and_the_result_are_stored(two_runs, tmp_path):
    store, (result, _) = two_runs
    own = result["tables"]["predictions"]["path"]
    judged = parse_summary(judge(store, own, "--input-version", "va", "--name", "own"))
    page = Path(judged["report_path"])
    assert (
        page.parent
        == Path(result["links"]["report_path"] if "links" in result else result["report_path"]).parent
    )
    text = page.read_text()
    for title in ("Judged predictions", "Champion", "Ranking and calibration", "Metrics", "Slices"):
        assert f">{title}</h2>" in text
    assert "toytip cannot create this section" not in text
    assert "http" not in re.sub(r"xmlns(:\w+)?=\"[^\"]*\"", "", text).replace("http-equiv", "")
    assert json.loads(page.with_suffix(".json").read_text()) == judged
    elsewhere = tmp_path / "report.html"
    again = parse_summary(judge(store, own, "--input-version", "va", "--name", "own", "--output", elsewhere))
    assert again["report_path"] == str(elsewhere)
    assert elsewhere.exists()


def test_the_text_names_the_test_period_and_the_decisions(two_runs):
    store, (result, _) = two_runs
    printed = run_toytip(
        "judge",
        result["tables"]["predictions"]["path"],
        "--store",
        store,
        "--input-version",
        "va",
        "--workers",
        1,
    )
    assert printed.returncode == 0, printed.stderr
    text = " ".join(printed.stdout.split())
    assert "of the test period of va (2020-04-01 to 2020-05-01, end exclusive)" in text
    assert "decisions column `prediction` of the files" in text
    assert "champion no comparison: there is no champion for yellow taxis (segment all)" in text
    auc = result["metrics"]["test"]["all"]["auc"]
    assert f"AUC {auc:.4f}" in text


def test_the_python_function_returns_the_same(two_runs, tmp_path):
    store, (result, _) = two_runs
    own = result["tables"]["predictions"]["path"]
    judged = toytip.judge(own, store=store, input_version="va", output=tmp_path / "own.html")
    assert judged.metrics.loc[("test", "all"), "auc"] == result["metrics"]["test"]["all"]["auc"]
    assert judged.json()["metrics"]["test"] == result["metrics"]["test"]
    assert (judged.name, judged.version) == ("va", "va")
    assert judged.report_path == str(tmp_path / "own.html")
    assert judged.differences.empty
    assert {"slice", "value", "auc"} <= set(judged.slices.columns)
    assert "test trips of va" in repr(judged)
    with pytest.raises(toytip.errors.SourceError, match="it does not exist"):
        toytip.judge(tmp_path / "none", store=store)


# Refused predictions


def _spoil(frame, fault):
    is_test = frame["split"] == "test"
    first = frame.index[is_test][:3]
    frame = frame[["trip_id", "probability"]].astype({"probability": "float64"})
    if fault == "gap":
        return frame.drop(index=first)
    if fault == "repeated":
        return pd.concat([frame, frame.loc[first], frame[:2]])
    if fault == "other trips":
        return frame.assign(trip_id=frame["trip_id"] + 10**15)
    if fault == "rejected trips":
        rejected = frame[:2].assign(trip_id=_rejected_trips(frame))
        return pd.concat([frame, rejected])
    if fault == "no trips":
        return frame[:0]
    frame.loc[first, "probability"] = {"null": None, "range": 1.5}[fault]
    return frame


def _rejected_trips(frame):
    """Return the IDs of two trips that the cleaning rules rejected, in the range of the others."""
    ids = frame["trip_id"].sort_values().to_numpy()
    gaps = np.flatnonzero(np.diff(ids) == 2)
    return ids[gaps[[10, 3]]] + 1


def _first_ids(frame):
    """Return trip IDs that a message names, by their name in the expected message."""
    test = frame.loc[frame["split"] == "test", "trip_id"]
    return {
        "test_id": test.min(),
        "other_id": frame["trip_id"].min() + 10**15,
        "spoiled_id": test[:3].min(),
        "repeated_id": min(test[:3].min(), frame["trip_id"][:2].min()),
        "rejected_id": _rejected_trips(frame).min(),
    }


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("gap", "3 test trips have no prediction (first trip ID {spoiled_id})"),
        ("repeated", "5 predictions repeat a trip (first trip ID {repeated_id})"),
        ("null", "3 predictions are incomplete (null, first trip ID {spoiled_id})"),
        (
            "range",
            "3 predictions have a probability that is not between 0 and 1 (first trip ID {spoiled_id})",
        ),
        (
            "other trips",
            (
                "{test} test trips have no prediction (first trip ID {test_id}) and {kept} predictions are of "
                "trips that version va does not contain (first trip ID {other_id})"
            ),
        ),
        (
            "rejected trips",
            "2 predictions are of trips that version va does not contain (first trip ID {rejected_id})",
        ),
        ("no trips", "{test} test trips have no prediction (first trip ID {test_id})"),
    ],
)
def test_faulty_predictions_are_refused_with_counts_and_trips(fault, message, two_runs, tmp_path):
    store, (result, _) = two_runs
    own = predictions_of(result)
    file = write(tmp_path, "mine", _spoil(own, fault))
    reports = sorted(Path(store, "dev", "_reports").iterdir())
    refused = judge(store, file, "--input-version", "va", "--leaderboard", tmp_path / "board")
    counts = {"test": result["metrics"]["test"]["all"]["rows"], "kept": result["rows"]["kept"]}
    texts = {name: f"{count:,}" for name, count in counts.items()}
    expected = message.format(**texts, **_first_ids(own))
    require_error(refused, f"cannot judge predictions {file}: {expected}", "--input-version")
    assert sorted(Path(store, "dev", "_reports").iterdir()) == reports
    assert list((tmp_path / "board").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        (("--input-version", "v9"), "cannot read version v9 of predictions", 1),
        (("--name", "a/b"), "cannot use --name 'a/b'", 2),
        (("--name", "index", "--leaderboard", "board"), "cannot use the name index", 2),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, message, code, two_runs):
    store, (result, _) = two_runs
    own = result["tables"]["predictions"]["path"]
    require_error(run_toytip("judge", own, "--store", store, *options), message, code=code)


# The champion and the leaderboard


def test_predictions_are_compared_with_the_champion(model_run, tmp_path):
    frame = model_run.predictions.reset_index()
    own = write(tmp_path, "own", frame[["trip_id", "probability"]])
    judged = parse_summary(judge(model_run.store, own))
    assert judged["not_compared_reason"] is None
    assert judged["champion"]["number"] == 1
    assert judged["champion"]["version"] == judged["version"]
    for segment in ("all", "card"):
        for difference in judged["champion"]["differences"][segment].values():
            assert difference["value"] == 0
            assert difference["interval"] in (None, {"low": 0.0, "high": 0.0}, [0.0, 0.0])
            assert difference["conclusion"] == "not_distinguishable"
    noisy = write(tmp_path, "noisy", with_noise(frame[["trip_id", "probability"]], 0.5))
    worse = parse_summary(judge(model_run.store, noisy))
    assert worse["champion"]["differences"]["all"]["auc"]["conclusion"] == "worse"
    text = Path(worse["report_path"]).read_text()
    assert "Difference to the champion, all trips" in text
    assert ">worse</td>" in text


def test_the_leaderboard_says_which_entries_are_not_distinguishable(two_runs, tmp_path):
    store, (result, other) = two_runs
    board = tmp_path / "board"
    frame = predictions_of(result)[["trip_id", "probability"]]
    entries = {"own": frame, "twin": with_noise(frame, 1e-4), "noisy": with_noise(frame, 1.0)}
    for name, entry in entries.items():
        folder = write(tmp_path, name, entry)
        options = ("--input-version", "va", "--leaderboard", board)
        judged = parse_summary(judge(store, folder, *options))
        assert judged["leaderboard_path"] == str(board / "index.html")
    assert sorted(path.name for path in board.iterdir()) == sorted(
        ["index.html", *(f"{name}.{kind}" for name in entries for kind in ("html", "json", "parquet"))]
    )
    rows = dict(
        re.findall(
            r'<a href="\w+\.html">(\w+)</a></th>(.*?)</tr>', (board / "index.html").read_text(), re.DOTALL
        )
    )
    conclusions = {
        name: re.findall(r">(best|worse|not distinguishable)</td>", row) for name, row in rows.items()
    }
    assert conclusions.pop("noisy") == ["worse"]
    assert sorted(conclusions.values()) == [["best"], ["not distinguishable"]]
    again = parse_summary(judge(store, tmp_path / "noisy", "--input-version", "va", "--leaderboard", board))
    assert len(list(board.glob("*.json"))) == 3
    changed = json.loads((board / "own.json").read_text()) | {"trips_digest": "0" * 16}
    (board / "own.json").write_text(json.dumps(changed))
    refused = judge(store, tmp_path / "noisy", "--input-version", "va", "--leaderboard", board)
    require_error(refused, "own was judged on other trips", code=2)
    (board / "own.json").write_text("{}")
    damaged = judge(store, tmp_path / "noisy", "--input-version", "va", "--leaderboard", board)
    require_error(damaged, "own.json: it is not an entry of a leaderboard")
    assert again["trips_digest"] != "0" * 16
    assert other["version"] == "vb"


def test_a_report_goes_with_its_version(two_runs, invoke_cli, tmp_path):
    store = shutil.copytree(two_runs[0], tmp_path / "store")
    own = two_runs[1][0]["tables"]["predictions"]["path"]
    judged = parse_summary(judge(store, own, "--input-version", "va", "--name", "mine"))
    listed = json.loads(invoke_cli("version", "gc", "--dry-run", "--store", store, "--json").stdout)
    assert not [name for name in listed["orphaned_files"] if ".judge." in name]
    assert Path(judged["report_path"]).name == "va.judge.mine.html"
    assert to_json(judged["files"])


def test_values_of_another_type_are_refused_by_the_workers(two_runs, tmp_path):
    store, (result, _) = two_runs
    frame = predictions_of(result)[["trip_id"]].assign(probability="high")
    refused = judge(store, write(tmp_path, "mine", frame), "--input-version", "va")
    message = "column probability has values of type large_string that are not numbers"
    require_error(refused, message, "trip_id and probability")
