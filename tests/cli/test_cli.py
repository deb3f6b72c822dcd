"""The command line: help that helps, and one line for everything that goes wrong."""

import io
import json
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Unpack

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import raw_table, write_months
from toytip.cli.render.tables import show_table
from toytip.core.months import Month
from toytip.errors import ConfigError

COMMANDS = [
    ("run",), ("clean",), ("featurize",), ("preprocess",), ("train",), ("infer",), ("postprocess",), ("evaluate",),
    ("config",), ("source", "synth"), ("source", "fetch"), ("source", "check"),
    ("versions",), ("show",), ("trace",), ("impact",), ("diff",), ("tag",), ("rollback",), ("verify",), ("gc",),
    ("models", "list"), ("models", "show"), ("models", "compare"), ("models", "promote"), ("models", "rollback"),
    ("report",), ("score",), ("serve",), ("backtest",), ("tune",), ("monitor",),
    ("cluster", "up"), ("cluster", "down"), ("cluster", "status"), ("cluster", "doctor"), ("cluster", "certs"),
]  # fmt: skip


def test_help_answers_at_once():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run_toytip("--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5, "ten times what it takes"
    heavy = "import sys, toytip.cli; sys.exit(any(m in sys.modules for m in ('dask', 'pandas', 'xgboost', 'pydantic')))"
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_an_example(command, invoke_cli):
    told = invoke_cli(*command, "--help")
    assert told.returncode == 0
    assert "Example:" in told.stdout
    assert f"toytip {' '.join(command)}" in told.stdout.split("Example:")[1]


def test_every_command_is_listed_and_in_the_readme():
    from typer.main import get_command

    from toytip.cli import app

    names = set(get_command(app).commands)
    assert names == {command[0] for command in COMMANDS}
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert all(f"toytip {name}" in readme for name in names)


def test_options_behind_a_command_are_its_own():
    """Those of its group stand behind what it has itself; of what nobody gives, a switch is off and all else None."""
    from toytip.cli.option_groups import ProgressOptions, PublishOptions, expand_options

    class Both(PublishOptions, ProgressOptions):
        pass

    @expand_options
    def command(name: str, rows: int = 3, **given: Unpack[Both]) -> None:
        typer.echo(json.dumps([name, rows, given]))

    app = typer.Typer()
    app.command()(command)
    told = CliRunner().invoke(app, ["x", "--env", "prod", "--quiet"])
    given = {
        "debug": False, "store": None, "endpoint_url": None, "env": "prod", "version_id": None, "quiet": True, "plain": False,
    }  # fmt: skip
    assert json.loads(told.stdout) == ["x", 3, given]


def test_no_group_of_options_is_left_unspread():
    from docs.generate.commands import commands

    assert not [name for name, command in commands() if any(p.name == "given" for p in command.params)]


def good(folder):
    return write_months(folder, {f"2023-0{m}": raw_table(300, Month(2023, m)) for m in (1, 2, 3)})


def spoiled(spoil):
    def make(tmp_path):
        folder = good(tmp_path / "in")
        spoil(folder / "yellow_tripdata_2023-02.parquet")
        return ("run", "--source", folder)

    return make


def damaged_within(path):
    content = bytearray(path.read_bytes())
    content[4:2_000] = b"\xff" * 1_996
    path.write_bytes(content)


def on(*arguments):
    return lambda tmp_path: ("run", "--source", good(tmp_path / "in"), *arguments)


ERRORS = {
    "a corrupt footer": (spoiled(lambda p: p.write_bytes(p.read_bytes()[:-8] + b"xxxxPAR1")), "2023-02"),
    "damaged data": (spoiled(damaged_within), "corrupt data"),
    "a truncated file": (spoiled(lambda p: p.write_bytes(p.read_bytes()[:900])), "corrupt or incomplete"),
    "an empty file": (spoiled(lambda p: p.write_bytes(b"")), "is empty"),
    "another schema": (spoiled(lambda p: pq.write_table(pa.table({"a": [1]}), p)), "not a yellow or green"),
    "a null-typed fare": (
        spoiled(lambda p: pq.write_table(raw_table(9).set_column(9, "fare_amount", pa.nulls(9)), p)), "only nulls"
    ),
    "a renamed CSV": (spoiled(lambda p: p.write_text("VendorID\n1\n")), "not a Parquet file"),
    "a gap": (spoiled(lambda p: p.unlink()), "is missing between"),
    "no source": (lambda tmp_path: ("run", "--source", tmp_path / "nothing"), "no Parquet files"),
    "an unwritable store": (on("--store", "/proc/nowhere"), "cannot be written"),
    "a store that is a file": (on("--store", "/dev/null/store"), "cannot be written"),
    "a bad month": (on("--months", "2023-13"), "not a month"),
    "months backwards": (on("--months", "2023-03:2023-01"), "backwards"),
    "months that are not there": (on("--months", "2023-01:2023-05"), "has no 2023-04"),
    "a dead scheduler": (on("--scheduler", "tcp://127.0.0.1:9"), "no Dask scheduler answers"),
    "an address that is none": (on("--scheduler", "nowhere"), "no Dask scheduler answers"),
    "a split that is not there": (on("--test", "2024-01"), "which the data has not"),
    "too little memory": (on("--memory-limit", "100MB"), "would need"),
    "a memory limit that is none": (on("--memory-limit", "much"), "--memory-limit"),
    "a setting out of range": (on("--rounds", "0"), "rounds=0"),
    "settled features": (on("--features", "settled"), "feature_set='settled'"),
    "an unsafe version": (on("--version", "../up"), "a letter, then up to 99 letters"),
    "nothing to evaluate": (lambda tmp_path: ("evaluate", "--store", tmp_path), "`toytip run` makes one"),
    "nothing to train on": (lambda tmp_path: ("train", "--store", tmp_path), "no version of encodings"),
    "a version that is not there": (
        lambda tmp_path: ("infer", "--store", tmp_path, "--from", "v1"), "no version v1 of features"
    ),
}  # fmt: skip


# The errors that are met before any worker starts are as well met in this process, ten times as fast.
OWN_PROCESS = ("damaged data", "a corrupt footer", "a dead scheduler", "too little memory")


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_line_and_code_1(case, tmp_path, invoke_cli):
    make, words = ERRORS[case]
    arguments = make(tmp_path)
    if "--store" not in arguments:
        arguments += ("--store", tmp_path / "store")
    run = run_toytip if case in OWN_PROCESS else invoke_cli
    told = run(*arguments, "--workers", 1, "--json")
    assert (told.returncode, told.stdout) == (1, ""), told.stderr
    lines = [line for line in told.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert told.stderr.splitlines()[-1] == lines[0], "nothing comes after it"
    assert "Traceback" not in told.stderr
    assert words in lines[0]
    assert not list((tmp_path / "store").glob("*/[!_]*/version=*")), "no half-made version"


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small tmpfs cannot be mounted here; it needs the rights of root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_one_line_too(small_disk, tmp_path):
    source = write_months(
        tmp_path / "in", {f"2023-0{m}": raw_table(9_000, Month(2023, m)) for m in (1, 2, 3)}
    )
    told = run_toytip("run", "--source", source, "--store", small_disk, "--workers", 1, "--json")
    assert (told.returncode, told.stdout) == (1, "")
    assert "no space left" in told.stderr.splitlines()[-1]
    assert "Traceback" not in told.stderr
    assert not list(small_disk.rglob("*.parquet"))


def told_by(shell, *arguments, **env):
    """Run the command line from a shell, which says what is done to its streams."""
    words = shlex.join([sys.executable, "-m", "toytip", *map(str, arguments)])
    return subprocess.run(
        ["bash", "-c", shell.replace("TOYTIP", words)], capture_output=True, text=True, env={**os.environ, **env},
        check=False,
    )  # fmt: skip


def test_an_output_that_fails_is_one_line(tmp_path):
    full = told_by("TOYTIP > /dev/full", "versions", "--store", tmp_path)
    assert (full.returncode, full.stderr) == (
        1,
        "error: standard output cannot be written: no space left on device\n",
    )
    closed = told_by("TOYTIP >&-", "score", "trips.csv", "--store", tmp_path)
    assert closed.returncode == 1
    assert closed.stderr.startswith("error: standard output is closed")
    assert closed.stderr.count("\n") == 1
    silent = told_by("TOYTIP >&- <&- 2>&-", "score", "nothing.csv", "--out", "x.csv", "--store", tmp_path)
    assert silent.returncode == 1


def test_a_reader_that_goes_leaves_the_exit_code(tmp_path):
    gone = told_by("TOYTIP | true; exit ${PIPESTATUS[0]}", "config")
    assert (gone.returncode, gone.stderr) == (0, "")
    rings = """
import typer
from toytip.cli.command import run_cli
app = typer.Typer()
@app.command()
def ring():
    for _ in range(10_000):
        typer.echo("all of a pipe's room, and more of it")
    raise typer.Exit(3)
raise SystemExit(run_cli(app))
"""
    script = tmp_path / "rings.py"
    script.write_text(rings)
    line = f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} | head -1; exit ${{PIPESTATUS[0]}}"
    told = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr, told.stdout.count("\n")) == (3, "", 1)


def test_names_are_shown_as_they_are(tmp_path):
    """Brackets are no markup, and what an output has no letter for does not stop it."""
    store = tmp_path / "st[red]ö[/z]"
    told = run_toytip("versions", "--store", store, PYTHONIOENCODING="ascii")
    assert told.returncode == 0, told.stderr
    assert "st[red]?[/z]" in told.stdout


def test_a_narrow_terminal_cuts_nothing():
    table = Table(box=None, pad_edge=False)
    titles = ("month", "trips", "F1 change", "by card share", "by skill")
    for title in titles:
        table.add_column(title, justify="right")
    table.add_row("2023-11", "63,852", "-0.0122", "-0.0311", "+0.0208")
    shown = io.StringIO()
    show_table(Console(file=shown, force_terminal=True, color_system=None, width=30), table)
    lines = shown.getvalue().splitlines()
    assert all(len(line) <= 30 for line in lines)
    assert [line.split()[0] for line in lines] == ["month", "2023-11"] * 3
    for cell in (*titles, "63,852", "-0.0122", "-0.0311", "+0.0208"):
        assert cell in shown.getvalue()


def test_a_page_without_a_place_names_its_option(tmp_path, monkeypatch):
    from toytip.pipeline.report import write_page

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"--to '' cannot be written: Is a directory"):
        write_page("--to", "", "a page")


def test_no_tags_are_said(tmp_path, invoke_cli):
    assert "no tags in" in invoke_cli("tag", "--store", tmp_path).stdout


def test_usage_is_code_2():
    for arguments in (("run", "--nonsense"), ("fly",), ("run", "--workers", "many")):
        told = run_toytip(*arguments)
        assert told.returncode == 2
        assert "Traceback" not in told.stderr


def test_debug_shows_the_traceback(tmp_path):
    told = run_toytip("run", "--source", tmp_path / "nothing", "--debug")
    assert told.returncode == 1
    assert "Traceback" in told.stderr
    assert "SourceError" in told.stderr


def test_settings_are_shown_with_secrets_masked(tmp_path):
    told = run_toytip(
        "config", "--json", "--source", "s3://key:secret@bucket/x", cwd=tmp_path, TOYTIP_ROUNDS="7"
    )
    assert "secret" not in told.stdout
    assert parse_summary(told)["rounds"] == 7
    assert "rounds = 300" in run_toytip("config").stdout


def test_versions_of_an_empty_store(tmp_path):
    assert "no versions" in run_toytip("versions", "--store", tmp_path).stdout
    assert parse_summary(run_toytip("versions", "--store", tmp_path, "--json")) == {"versions": []}


def test_synth_writes_months_anywhere(tmp_path):
    told = parse_summary(
        run_toytip(
            "source",
            "synth",
            tmp_path / "x",
            "--rows",
            50,
            "--months",
            "2021-02:2021-03",
            "--workers",
            1,
            "--json",
        )
    )
    assert (told["files"], told["months"]) == (2, ["2021-02", "2021-03"])
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == [
        f"yellow_tripdata_2021-0{m}.parquet" for m in (2, 3)
    ]


def test_the_version_is_told():
    assert run_toytip("--version").stdout.startswith("toytip 0.")
    assert os.linesep in run_toytip("--version").stdout
