"""Files of raw trips: formats, explanations, errors, and the same probabilities as the run."""

import io
import json
import shlex
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from tests.support.models import raw_month, register, train_model
from tests.support.runs import require_error, run_toytip
from toytip.errors import ConfigError, SchemaError, SourceError, ToytipError
from toytip.serving import batch as batch_files
from toytip.serving import trip_files


def test_server_file_and_run_give_equal_probabilities(
    model_run, scoring_model, raw_trips, published, make_client, to_dicts, tmp_path
):
    """A trip has the same probability alone, in a large request, in a file and in the run."""
    trips = to_dicts(raw_trips)
    app = make_client(scoring_model, max_trips=1_000)
    batch = app.post(trips, "/score?shap_top=0").json()["trips"]
    alone = app.send(*(("POST", "/score?shap_top=0", {"json": trip}) for trip in trips))
    pq.write_table(raw_trips, tmp_path / "trips.parquet")
    options = (
        "--store",
        model_run.store,
        "--model",
        scoring_model.version,
        "--output",
        tmp_path / "out.parquet",
    )
    done = run_toytip("score", tmp_path / "trips.parquet", *options)
    assert done.returncode == 0, done.stderr
    from_file = pq.read_table(tmp_path / "out.parquet").to_pandas()["probability"]
    expected = published["probability"].to_numpy(np.float32)
    accepted = ~np.isnan(expected)
    out_of_month = (raw_trips.column(1).to_pandas().dt.month != 3).to_numpy()
    assert accepted.sum() > 900
    for probabilities in (
        [answer.json().get("probability") for answer in alone],
        [answer.get("probability") for answer in batch],
        from_file,
    ):
        values = np.array([np.nan if p is None else p for p in probabilities], np.float64).astype(np.float32)
        assert np.array_equal(values.view(np.int32)[accepted], expected.view(np.int32)[accepted])
        # Without a monthly file, the rule `out_of_month` rejects no trip.
        assert np.array_equal(~np.isnan(values[~accepted]), out_of_month[~accepted])
    predictions = [answer["prediction"] for answer, ok in zip(batch, accepted, strict=True) if ok]
    assert predictions == published["prediction"][accepted].tolist()


def test_all_formats_give_equal_answers(model_store, to_dicts, tmp_path, invoke_cli):
    raw = raw_month("yellow").slice(0, 50)
    pq.write_table(raw, tmp_path / "trips.parquet")
    pv.write_csv(raw, tmp_path / "trips.csv")
    (tmp_path / "trips.jsonl").write_text("\n".join(map(json.dumps, to_dicts(raw))))
    answers = []
    for suffix in ("parquet", "csv", "jsonl"):
        options = ("--store", model_store, "--output", tmp_path / "out.csv", "--json")
        done = invoke_cli("score", tmp_path / f"trips.{suffix}", *options)
        report = json.loads(done.stdout)
        assert report["scored_count"] + sum(report["unscored"].values()) == 50
        assert report["output"] == str(tmp_path / "out.csv")
        answers.append((tmp_path / "out.csv").read_bytes())
    assert answers[0] == answers[1] == answers[2]


def test_explanations_of_trips_on_stdin(model_store, to_dicts):
    (trip,) = to_dicts(raw_month("yellow").slice(0, 1))
    command = [
        sys.executable,
        "-m",
        "toytip",
        "score",
        "-",
        "--store",
        str(model_store),
        "--shap-top",
        "3",
    ]
    done = subprocess.run(command, input=json.dumps(trip) + "\n", capture_output=True, text=True, check=True)
    explanations = json.loads(done.stdout)["explanations"]
    assert [set(item) for item in explanations] == [{"feature", "value", "log_odds"}] * 3
    sizes = [abs(item["log_odds"]) for item in explanations]
    assert sizes == sorted(sizes, reverse=True)
    assert done.stderr.startswith("1 trip scored by model v")


def test_a_reader_that_ends_early_stops_the_command(model_store, tmp_path):
    """As `cat`, the command then has the exit code of SIGPIPE. A reader of all scores gives 0."""
    pq.write_table(pa.concat_tables([raw_month("yellow")] * 3), tmp_path / "trips.parquet")
    words = [sys.executable, "-m", "toytip", "score", tmp_path / "trips.parquet", "--store", model_store]
    command = shlex.join(map(str, words))
    for reader, code in (("head -1", 141), ("tail -1", 0)):
        script = f"{command} | {reader}; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.count("\n")) == (code, 1), done.stderr
        assert bool(done.stderr) is (code == 0), "the summary is printed only at the end"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no trips\n", "cannot read trips from {}: unknown format"),
        (
            b'{"fare_amount": 3}\n{"fare_am',
            "cannot read line 2 of {}: the line is not a trip as a JSON object",
        ),
        (b"PAR1 and no more", "cannot read trips from {}: "),
        (
            b"a,b\n1,2\n",
            "cannot score the trips: no column is a column of trips (the first columns are 'a', 'b')",
        ),
        (b'{"tpep_pickup_datetime": "2023-01-10"}\n', "cannot score line 1 of {}: tpep_dropoff_datetime, "),
    ],
)
def test_invalid_files_are_errors(content, message, model_store, tmp_path, invoke_cli):
    trips = tmp_path / "trips"
    trips.write_bytes(content)
    done = invoke_cli("score", trips, "--store", model_store, "--output", tmp_path / "out.jsonl")
    assert done.returncode == 1
    assert f"error: {message.format(trips)}" in done.stderr
    assert done.stderr.count("error: ") == 1
    assert not (tmp_path / "out.jsonl").exists()


def test_unreadable_values_are_a_reason_in_every_format(to_dicts, tmp_path):
    """A value ends no file, unless most values of its column cannot be read."""
    raw = raw_month("yellow").slice(0, 20)
    fares = ["ten", "", *map(str, raw["fare_amount"].to_pylist()[2:])]
    raw = raw.set_column(raw.column_names.index("fare_amount"), "fare_amount", pa.array(fares))
    pq.write_table(raw, tmp_path / "trips.parquet")
    pv.write_csv(raw, tmp_path / "trips.csv")
    (tmp_path / "trips.jsonl").write_text("\n".join(map(json.dumps, to_dicts(raw))))
    for name in ("trips.parquet", "trips.csv", "trips.jsonl"):
        (answers,) = score_file(train_model("yellow"), tmp_path / name)
        assert answers["reason"].to_pylist()[:2] == ["unreadable_value", "missing_value"]
        assert set(answers["reason"].to_pylist()[2:]) == {None}
    words = pa.array(["ten", None, *["eleven"] * 18])
    raw = raw.set_column(raw.column_names.index("fare_amount"), "fare_amount", words)
    pq.write_table(raw, tmp_path / "trips.parquet")
    message = (
        "cannot use the trips: column fare_amount has 19 of 19 values that are not a number .* 'ten' in row 0"
    )
    with pytest.raises(SchemaError, match=message):
        score_file(train_model("yellow"), tmp_path / "trips.parquet")


def test_times_have_one_rule_in_every_format(to_dicts, tmp_path):
    """Instants become the time in New York. Epoch numbers are the timestamps with these numbers."""
    raw = raw_month("yellow").slice(0, 20)
    names = ["tpep_pickup_datetime", "tpep_dropoff_datetime"]
    pq.write_table(raw, tmp_path / "plain.parquet")
    (expected,) = score_file(train_model("yellow"), tmp_path / "plain.parquet")
    instants = [
        pc.assume_timezone(raw[name], "America/New_York").cast(pa.timestamp("us", "UTC")) for name in names
    ]
    for number, columns in enumerate(
        (
            instants,
            [pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ") for column in instants],
            [raw[name].cast(pa.timestamp("ms")).cast(pa.int64()) for name in names],
            [raw[name].cast(pa.timestamp("ns")).cast(pa.int64()) for name in names],
        )
    ):
        changed = raw
        for name, column in zip(names, columns, strict=True):
            changed = changed.set_column(changed.column_names.index(name), name, column)
        pq.write_table(changed, tmp_path / f"{number}.parquet")
        pv.write_csv(changed, tmp_path / f"{number}.csv")
        (tmp_path / f"{number}.jsonl").write_text("\n".join(map(json.dumps, to_dicts(changed))))
        for form in ("parquet", "csv", "jsonl"):
            (answers,) = score_file(train_model("yellow"), tmp_path / f"{number}.{form}")
            assert answers.equals(expected), (number, form)


def score_file(model, path):
    """Return the answers for a file, one table per batch."""
    tables = []
    batches = trip_files.read_batches(str(path), io.BytesIO())
    batch_files.score_batches(
        model, batches, lambda table, _: tables.append(table), 0, lambda _: None, lambda _: None
    )
    return [table for table in tables if table.num_rows]


def test_each_line_of_a_file_needs_all_columns(model_store, to_dicts, tmp_path, invoke_cli):
    """Without the check, the value would be null, as in trips whose training months have nulls."""
    first, second = to_dicts(raw_month("yellow").slice(0, 2))
    del second["tolls_amount"]
    trips = tmp_path / "trips.jsonl"
    trips.write_text(f"{json.dumps(first)}\n\n{json.dumps(second)}\n")
    done = invoke_cli("score", trips, "--store", model_store, "--output", tmp_path / "out.csv")
    error = f"cannot score line 3 of {trips}: tolls_amount is missing, and the model needs it"
    require_error(done, error, "Add the missing columns")


def test_trips_outside_of_the_segment_have_a_reason(tmp_path, invoke_cli):
    store, trips = tmp_path / "store", tmp_path / "trips.parquet"
    register(store, train_model("green", "card"))
    raw = raw_month("green").slice(0, 100)
    pq.write_table(raw, trips)
    options = ("--store", store, "--output", tmp_path / "out.parquet", "--json")
    report = json.loads(invoke_cli("score", trips, *options).stdout)
    scores = pq.read_table(tmp_path / "out.parquet").to_pandas()
    is_card = raw["payment_type"].to_pandas().to_numpy() == 1
    outside = (scores["reason"] == "outside_segment").to_numpy()
    rejected = scores["reason"].notna().to_numpy() & ~outside
    assert (outside == ~is_card & ~rejected).all()
    assert scores["probability"].isna().tolist() == scores["reason"].notna().tolist()
    assert scores["prediction"].isna().tolist() == scores["reason"].notna().tolist()
    assert report["unscored"]["outside_segment"] == outside.sum() > 10
    pq.write_table(raw.drop_columns("payment_type"), trips)
    error = "cannot score the trips: payment_type is missing, and the model needs it"
    require_error(invoke_cli("score", trips, *options), error)


def test_an_unknown_output_format_is_an_error(model_store, invoke_cli):
    done = invoke_cli("score", "x", "--store", model_store, "--output", "a.xls")
    assert "cannot write the output: unknown suffix '.xls'" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("none.csv", None, "the file does not exist"),
        ("empty.parquet", b"", "it is empty"),
        ("bad.parquet", b"no trips", "it is not a Parquet file"),
        ("utf-32.jsonl", '{"VendorID": 1}'.encode("utf-32"), "it is JSON in UTF-32"),
        ("utf-16.jsonl", '{"VendorID": 1}'.encode("utf-16"), "it is JSON in UTF-16"),
    ],
)
def test_unreadable_trips_are_errors_with_a_hint(name, content, cause, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=f"cannot read trips from .*{name}: {cause}") as error:
        list(trip_files.read_batches(str(tmp_path / name), io.BytesIO()))
    assert error.value.hint


@pytest.mark.parametrize("output", ["", "-", "/dev/stdout", "scores.csv.gz", ".csv"])
def test_an_output_without_a_known_suffix_is_an_error(output):
    with (
        pytest.raises(ConfigError, match="cannot write the output: unknown suffix"),
        batch_files.open_answer_writer("trips.csv", output, io.BytesIO()),
    ):
        pass


def test_a_name_that_is_too_long_is_an_error(tmp_path):
    output = str(tmp_path / f"{'x' * 300}.csv")
    with (
        pytest.raises(ToytipError, match="file name too long"),
        batch_files.open_answer_writer("trips.csv", output, io.BytesIO()),
    ):
        pass


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_missing_output_folder_is_an_error(suffix, tmp_path):
    output = tmp_path / "none" / f"s.{suffix}"
    with (
        pytest.raises(ToytipError, match=f"cannot write {output}: no such file or directory") as error,
        batch_files.open_answer_writer("trips.csv", str(output), io.BytesIO()),
    ):
        pass
    assert "--output" in error.value.hint


@pytest.mark.parametrize("name", ["trips.csv", "same.csv", "./trips.csv"])
def test_the_scores_do_not_replace_the_trips(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trips = tmp_path / "trips.csv"
    trips.write_text("VendorID\n1\n")
    (tmp_path / "same.csv").symlink_to(trips)
    with (
        pytest.raises(ConfigError, match=f"cannot write the scores to {name}: it is the file with the trips"),
        batch_files.open_answer_writer(str(trips), name, io.BytesIO()),
    ):
        pass
    assert trips.read_text() == "VendorID\n1\n"


def test_the_output_can_be_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with batch_files.open_answer_writer("-", "~/scores.csv", io.BytesIO()):
        pass
    trips = tmp_path / "scores.csv"
    assert trips.read_text().startswith('"row"')
    for names in (("~/scores.csv", str(trips)), (str(trips), "~/scores.csv")):
        with (
            pytest.raises(ConfigError, match="it is the file with the trips"),
            batch_files.open_answer_writer(*names, io.BytesIO()),
        ):
            pass


def test_the_scores_are_written_to_the_file_of_a_link(tmp_path):
    link, file = tmp_path / "scores.csv", tmp_path / "today"
    link.symlink_to(file)
    with batch_files.open_answer_writer("-", str(link), io.BytesIO()):
        pass
    assert link.is_symlink()
    assert file.read_text().startswith('"row"')


def test_the_suffix_of_the_output_can_be_in_upper_case(tmp_path):
    output = tmp_path / "SCORES.CSV"
    with batch_files.open_answer_writer("-", str(output), io.BytesIO()):
        pass
    assert output.read_text().startswith('"row"')
