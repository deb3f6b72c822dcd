"""Text output on a console of 80 columns: no line is wider, except for the line of a path."""

import dataclasses
import json
from types import SimpleNamespace

import pytest

from toytip.cli.render import run as render_run
from toytip.cli.render.evaluation import show_evaluation
from toytip.cli.render.lineage import common_folder
from toytip.cli.render.models import _status
from toytip.cli.render.monitoring import _drift_cells
from toytip.cli.render.tables import format_value, wrap_text
from toytip.core.splits import TimeRange
from toytip.evaluation.gate import Decision, GateCheck, GateDecision
from toytip.monitoring.drift import FeatureDrift
from toytip.pipeline.result import RunResult

COLUMNS = 80
LONG_REASON = (
    "the champion was trained or tuned on 2023-01-01 to 2023-04-01, which overlaps the test months "
    "(test on later months, or force the promotion)"
)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))


def assert_narrow(text, *paths):
    """Assert that no line is too wide or ends with a space. A path may be wider."""
    lines = text.splitlines()
    assert lines
    assert [line for line in lines if line != line.rstrip()] == []
    too_wide = [line for line in lines if len(line) > COLUMNS]
    assert [line for line in too_wide if not any(str(path) in line for path in paths)] == []


@pytest.mark.parametrize(
    "command",
    [
        ("runs",),
        ("version", "list"),
        ("version", "show", "RUN"),
        ("version", "lineage", "RUN"),
        ("version", "lineage", "RUN/2020-03"),
        ("version", "lineage", "--downstream", "yellow_tripdata_2020-02.parquet"),
        ("version", "diff", "RUN", "RUN"),
        ("version", "verify", "RUN"),
        ("version", "tag"),
        ("version", "gc", "--keep", "1", "--dry-run"),
        ("model", "list"),
        ("monitor", "--dry-run", "--model", "RUN"),
    ],
    ids=" ".join,
)
def test_commands_print_at_most_80_columns(three_month_run, command, invoke_cli):
    source, store, summary = three_month_run
    words = [word.replace("RUN", summary["version"]) for word in command]
    done = invoke_cli(*words, "--store", store)
    assert done.returncode in (0, 3), done.stderr
    assert_narrow(done.stdout, source, store)


def test_a_source_is_checked_in_80_columns(synthetic, invoke_cli):
    assert_narrow(invoke_cli("source", "check", synthetic).stdout, synthetic)


@pytest.fixture
def result(three_month_run):
    """The result of a run, as an object."""
    return RunResult.from_json(json.loads(json.dumps(three_month_run[2])))


def decision_with(reasons):
    return GateDecision(
        name="toytip-prod-yellow-card",
        uri="sqlite:///mlflow.db",
        number=123,
        aliases=("challenger",),
        decision=Decision.REJECTED,
        is_champion=False,
        promotion_reasons=tuple(reasons),
        checks=(GateCheck(name="not worse than the champion (log loss)", passed=False, message=LONG_REASON),),
    )


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("reasons", [[], ["F1 0.4, the always-positive baseline 0.5"], [LONG_REASON] * 3])
def test_a_run_prints_at_most_80_columns(result, reasons, verbose, capsys):
    """The short summary has at most 22 lines even if it contains everything."""
    result = dataclasses.replace(
        result,
        origin=dataclasses.replace(result.origin, source="synthetic"),
        promotion=decision_with(reasons),
        warnings=(LONG_REASON, LONG_REASON),
        rejects={"non_positive_duration": 1_234_567, "implausible_distance": 123_456, "out_of_month": 12_345},
    )
    render_run.show_run(result, verbose=verbose)
    text = capsys.readouterr().out
    assert_narrow(text, result.store)
    if not verbose:
        assert len(text.splitlines()) <= 22
        assert [line.split()[0] for line in text.splitlines()[-3:]] == ["predictions", "model", "report"]
    if reasons and not verbose:
        assert reasons[0][:15] in " ".join(text.split())
    if len(reasons) > 1 and not verbose:
        assert "in the report)" in text


def test_a_run_on_other_data_names_the_groups_of_its_baseline(result, capsys):
    evaluation = {
        split: {
            name: dataclasses.replace(report, group_mean_label="mean by meter and hour")
            for name, report in segments.items()
        }
        for split, segments in result.evaluation.items()
    }
    result = dataclasses.replace(result, evaluation=evaluation, warnings=(LONG_REASON, LONG_REASON))
    render_run.show_run(result)
    text = capsys.readouterr().out
    assert_narrow(text, result.store)
    assert len(text.splitlines()) <= 22
    titles = [line for line in text.splitlines() if line.endswith(("vs. mean by", "meter and", "  hour"))]
    assert len(titles) == 3
    assert "zone mean" not in text


def test_a_decision_prints_at_most_80_columns(capsys):
    render_run.show_decision(decision_with([LONG_REASON]), verbose=True)
    text = capsys.readouterr().out
    assert_narrow(text)
    assert " ".join(text.split()).count(LONG_REASON) == 2


def test_text_without_columns_is_not_wrapped(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    render_run.show_decision(decision_with([LONG_REASON]))
    assert f"  {LONG_REASON}\n" in capsys.readouterr().out


@pytest.fixture
def text_with_inputs(three_month_run, invoke_cli):
    """Return a function that shows the run, and checks that its inputs appear once."""
    source, store, summary = three_month_run

    def show(command):
        text = invoke_cli("version", command, summary["version"], "--store", store).stdout
        assert text.count(str(source)) == 1
        assert text.count("yellow_tripdata_2020-02.parquet") == 1
        return text

    return show


def test_a_version_shows_its_inputs_once(text_with_inputs):
    text = text_with_inputs("show")
    assert "  split train = 2020-01-01 to " in text
    assert "{" not in text


def test_a_lineage_shows_a_repeated_input_once(text_with_inputs):
    assert "(see above)" in text_with_inputs("lineage")


def test_a_verification_has_no_rows_per_second(three_month_run, invoke_cli):
    _, store, summary = three_month_run
    done = invoke_cli("version", "verify", summary["version"], "--store", store)
    assert "rows" not in done.stderr
    assert "no differences from the checksums" in done.stdout


def test_no_version_existed_at_a_time(three_month_run, invoke_cli):
    done = invoke_cli("version", "list", "--as-of", "2001-02-03", "--store", three_month_run[1])
    assert " as of 2001-02-03\n" in " ".join(done.stdout.split()) + "\n"
    assert "toytip run" not in done.stdout


@pytest.mark.parametrize(
    ("aliases", "promoted_at", "rolled_back_at", "status"),
    [
        (("champion",), "2023-01-02", "2023-01-01", "champion"),
        ((), "2023-01-02", "2023-01-03", "rolled back"),
        ((), "2023-01-02", None, "former champion"),
        ((), None, None, "-"),
    ],
)
def test_the_status_of_a_model(aliases, promoted_at, rolled_back_at, status):
    model = SimpleNamespace(aliases=aliases, promoted_at=promoted_at, rolled_back_at=rolled_back_at)
    assert _status(model) == status


def test_values_are_printed_without_python_syntax():
    assert format_value(TimeRange("2023-01-01T00:00:00", "2023-02-01T00:00:00")) == "2023-01-01 to 2023-02-01"
    assert format_value({"psi": 0.2, "min_breaches": 2}) == "psi 0.2, min_breaches 2"
    assert format_value(["2023-01", "2023-02"]) == "2023-01, 2023-02"
    assert format_value(None) == "-"


def test_new_and_vanished_categories_are_words():
    drift = FeatureDrift(
        feature="RatecodeID", missing=0, reference_missing=0, new={"5": 0.1}, vanished={"2": 0.2}
    )
    assert _drift_cells(drift, 0.5, None)[-1] == "negotiated fare, JFK rate"


def test_an_evaluation_without_trips_of_a_split_says_so(capsys):
    """A model that scores only months after its test months has no metrics."""
    show_evaluation({})
    assert capsys.readouterr().out.startswith("no metrics: none of the trips are in the training")


def test_a_text_is_wrapped_at_spaces():
    assert wrap_text(12, "a path: /data/2023/green.parquet, b") == [
        "a path:",
        "  /data/2023/green.parquet,",
        "  b",
    ]
    assert wrap_text(12, "one two three four", "", max_lines=1, end=" ...") == ["one two ..."]


def test_the_common_folder_of_files():
    assert common_folder(["/d/green/a.parquet", "/d/green/b.parquet"]) == "/d/green/"
    assert common_folder(["s3://one/a.parquet", "s3://two/a.parquet"]) == ""
    assert common_folder([]) == ""
