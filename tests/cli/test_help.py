"""The command tree, its help, and the options."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal, Unpack, get_args, get_origin

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from docs.generate.commands import choices_of, commands
from tests.support.runs import run_toytip
from toytip.cli import app, options
from toytip.cli.app import RootGroup
from toytip.config import Settings
from toytip.datasets.words import KINDS, SEGMENTS

COMMANDS = dict(commands())
NAMES = [
    *("new", "run", "runs", "runs compare", "report", "score", "judge", "serve"),
    *("monitor", "backtest", "tune", "config"),
    *(f"stage {name}" for name in ("clean", "featurize", "preprocess", "train", "infer")),
    *("stage postprocess", "stage evaluate"),
    *("source download", "source accept", "source check", "source synth"),
    *(f"version {name}" for name in ("list", "show", "diff", "lineage", "tag", "rollback")),
    *(f"version {name}" for name in ("release", "verify", "gc")),
    *(f"model {name}" for name in ("list", "show", "compare", "promote", "rollback")),
    *(f"cluster {name}" for name in ("list", "up", "down", "status", "doctor", "create-certs")),
]
RUN_OPTIONS = {
    *("--source", "--source-endpoint-url", "--months", "--partition-rows"),
    *("--store", "--endpoint-url", "--env", "--version-id", "--full-refresh"),
    *("--workers", "--threads-per-worker", "--memory-limit", "--start-method"),
    *("--scheduler", "--cluster", "--adapt", "--tls-ca-file", "--tls-cert", "--tls-key"),
    *("--train-months", "--validation-month", "--test-months", "--feature-set", "--segment"),
    *("--params", "--rounds", "--max-depth", "--learning-rate", "--early-stopping-rounds", "--gate"),
    *("--min-child-weight", "--reg-lambda", "--reg-alpha", "--gamma", "--max-bin", "--monotone-constraints"),
    *("--subsample", "--colsample-bytree", "--colsample-bylevel", "--sampling-seed", "--scale-pos-weight"),
    *("--model", "--explain", "--quiet", "-q", "--verbose", "-v", "--progress", "--json", "--debug"),
}
PARAMETERS = [
    pytest.param(parameter, id=f"{name} {parameter.opts[0]}")
    for name, command in COMMANDS.items()
    for parameter in command.params
]


def test_the_commands_are_complete():
    assert sorted(COMMANDS) == sorted(NAMES)


def test_the_options_of_a_run_are_complete():
    assert {name for parameter in COMMANDS["run"].params for name in parameter.opts} == RUN_OPTIONS


def test_every_command_is_in_the_readme():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert [name for name in get_command(app).commands if f"toytip {name}" not in readme] == []


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_the_root_imports_nothing_heavy(arguments):
    script = f"""
import sys
from toytip.cli import app, run_cli
sys.argv = ["toytip", *{arguments!r}]
run_cli(app)
heavy = ("dask", "numpy", "pandas", "xgboost", "pydantic_settings", "toytip.config", "toytip.cli.run")
sys.exit(any(name in sys.modules for name in heavy))
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", RootGroup.lazy_commands)
def test_summaries_equal_the_help_of_the_commands(name):
    """`toytip --help` prints the summaries without importing the commands."""
    command = get_command(app).commands[name]
    assert command.help.splitlines()[0] == RootGroup.lazy_commands[name].summary


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_a_summary_a_paragraph_and_an_example(name, invoke_cli):
    summary, paragraph = COMMANDS[name].help.split("\n\n")[:2]
    assert len(summary) <= 80
    assert summary.endswith(".")
    assert len(paragraph.split()) > 5
    printed = invoke_cli(*name.split(), "--help")
    assert printed.returncode == 0
    assert summary in printed.stdout
    assert f"toytip {name}" in printed.stdout.split("Example:")[1]


def help_text(parameter):
    return (parameter.help or "").replace("\\", "")


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_options_state_their_default_and_choices(parameter):
    text = help_text(parameter)
    assert re.match(r"[A-Z].*\.( \[.*\])?$", text) or parameter.param_type_name == "argument", text
    required = (
        parameter.required or parameter.is_flag if hasattr(parameter, "is_flag") else parameter.required
    )
    if not required:
        assert "default: " in text or parameter.show_default
    assert parameter.metavar is None or all(choice in text for choice in choices_of(parameter))


def test_help_is_complete_on_a_terminal_of_unknown_width():
    assert "Usage: " in run_toytip("run", "--help", COLUMNS="0").stdout


def test_help_fits_on_a_narrow_terminal():
    """Names of options are complete in 80 columns."""
    for name, command in COMMANDS.items():
        printed = run_help(name)
        assert max(map(len, printed.splitlines())) <= 80
        assert "…" not in printed
        assert all(
            parameter.opts[0] in printed for parameter in command.params if parameter.opts[0][0] == "-"
        )


@pytest.mark.parametrize("name", ["", "stage", "run", "score", "version tag"])
def test_help_shows_only_values_that_users_type(name):
    assert not re.search(r"<\w+", run_help(name))


@pytest.mark.parametrize("name", ["stage", "source", "version", "model", "cluster"])
def test_groups_have_an_example(name):
    assert f"Example:  toytip {name} " in run_help(name)


def run_help(name):
    """Return the help of a command in 80 columns, from this process."""
    result = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    return result.stdout


def test_default_values_come_from_the_settings(invoke_cli):
    printed = " ".join(run_help("run").replace("│", " ").split())
    for setting in ("rounds", "max_depth", "partition_rows", "store"):
        assert f"[default: {Settings.model_fields[setting].default}]" in printed
    assert "Number of worker processes. [default: one per core]" in printed
    assert "[default: all features that are known before the label (payment)]" in printed


def test_every_option_of_a_setting_has_its_choices_and_limits():
    for command in COMMANDS.values():
        for parameter in command.params:
            field = Settings.model_fields.get(parameter.name)
            if field is None:
                continue
            if get_origin(field.annotation) is Literal:
                assert list(choices_of(parameter)) == list(get_args(field.annotation))
            limits = {type(item).__name__: item for item in field.metadata}
            if "Ge" in limits:
                assert parameter.min == limits["Ge"].ge
            if "Le" in limits and "Gt" not in limits:
                assert parameter.max == limits["Le"].le


def test_choices_equal_the_values_in_the_code():
    from toytip.datasets.registry import DATASETS

    assert tuple(kind for dataset in DATASETS for kind in dataset.kinds) == KINDS
    assert tuple(dict.fromkeys(name for dataset in DATASETS for name in dataset.segments)) == SEGMENTS


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        (("run", "--env", "test"), "'dev', 'prod'"),
        (("run", "--feature-set", "settled"), "Choose seed, pickup, dropoff, payment"),
        (("run", "--segment", "cash"), "Set --segment all or card."),
        (("run", "--gate", "maybe"), "'on', 'dry-run', 'off'"),
        (("run", "--progress", "grid"), "'auto', 'plain', 'none'"),
        (("run", "--start-method", "fork"), "'forkserver', 'spawn'"),
        (("source", "download", "--taxi", "blue"), "'yellow', 'green'"),
        (("source", "synth", "x", "--inject-drift", "all"), "'distance', 'card', 'skill'"),
        (("run", "--rounds", "0"), "greater than or equal to 1"),
        (("run", "--workers", "many"), "'--workers': must be a valid integer"),
        (("run", "--env", "x"), "'--env': 'x' is not one of"),
        (("score", "x.csv", "--json"), "Set --output FILE for the scores"),
        (("score", "x.csv", "--shap-top", "3", "--output", "s.csv"), "only JSON Lines can contain"),
        (("run", "--nonsense"), "--nonsense"),
        (("fly",), "fly"),
        (("version", "lineage"), "--downstream"),
        (("version", "lineage", "v1", "--downstream", "f"), "--downstream"),
    ],
)
def test_invalid_usage_exits_with_2(arguments, choices, invoke_cli):
    printed = invoke_cli(*arguments)
    assert printed.returncode == 2
    text = " ".join(printed.stderr.replace("│", " ").split())
    assert choices in text
    assert "Traceback" not in text


def test_options_of_a_group_follow_those_of_the_command():
    """A switch that is not set is False, and every other option None."""
    from toytip.cli.option_groups import ProgressOptions, PublishOptions, expand_options

    class Both(PublishOptions, ProgressOptions):
        pass

    @expand_options
    def command(name: str, rows: int = 3, **options: Unpack[Both]) -> None:
        typer.echo(json.dumps([name, rows, options]))

    test_app = typer.Typer()
    test_app.command()(command)
    printed = CliRunner().invoke(test_app, ["x", "--env", "prod", "--quiet"])
    expected = {
        "debug": False,
        "store": None,
        "endpoint_url": None,
        "env": "prod",
        "version_id": None,
        "quiet": True,
        "progress": None,
    }
    assert json.loads(printed.stdout) == ["x", 3, expected]


def test_every_group_of_options_is_expanded():
    assert not [
        name for name, command in COMMANDS.items() if any(item.name == "options" for item in command.params)
    ]


def test_an_option_of_an_unknown_setting_is_an_error():
    with pytest.raises(KeyError):
        options.setting_option("depth")


def test_the_version_is_printed():
    assert re.fullmatch(r"toytip 0\.\S+\n", run_toytip("--version").stdout)


@pytest.mark.parametrize("command", [(), ("run",), ("version",), ("version", "diff"), ("cluster", "list")])
def test_h_is_short_for_help(command, invoke_cli):
    short, long = (invoke_cli(*command, option) for option in ("-h", "--help"))
    assert short.returncode == 0
    assert short.stdout == long.stdout
    assert "--help" in short.stdout
