"""Errors: a message, a hint and an exit code."""

import os
import shlex
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.runs import run_toytip
from tests.support.trips import raw_table, write_months
from toytip.cli.command import (
    EXIT_CODES,
    RESUMABLE_MESSAGE,
    STOPPED_MESSAGE,
    resolve_command_settings,
    run_cli,
)
from toytip.core.months import Month
from toytip.core.redact import first_line
from toytip.errors import ConfigError, StoreError, ToytipError


def make_months(folder):
    return write_months(folder, {f"2023-0{m}": raw_table(300, Month(2023, m)) for m in (1, 2, 3)})


def run_on_damaged(damage):
    """Return the arguments of a run whose second file is damaged."""

    def arguments(tmp_path):
        folder = make_months(tmp_path / "in")
        damage(folder / "yellow_tripdata_2023-02.parquet")
        return ("run", "--source", folder)

    return arguments


def overwrite_data(path):
    content = bytearray(path.read_bytes())
    content[4:2_000] = b"\xff" * 1_996
    path.write_bytes(content)


def run_with(*options):
    return lambda tmp_path: ("run", "--source", make_months(tmp_path / "in"), *options)


ERRORS = {
    "a corrupt footer": (
        run_on_damaged(lambda p: p.write_bytes(p.read_bytes()[:-8] + b"xxxxPAR1")),
        "2023-02",
    ),
    "damaged data": (run_on_damaged(overwrite_data), "corrupt data"),
    "a truncated file": (
        run_on_damaged(lambda p: p.write_bytes(p.read_bytes()[:900])),
        "corrupted",
    ),
    "an empty file": (run_on_damaged(lambda p: p.write_bytes(b"")), "is empty"),
    "another schema": (
        run_on_damaged(lambda p: pq.write_table(pa.table({"a": [1]}), p)),
        "not a yellow, green or fhvhv",
    ),
    "a null-typed fare": (
        run_on_damaged(lambda p: pq.write_table(raw_table(9).set_column(9, "fare_amount", pa.nulls(9)), p)),
        "only nulls",
    ),
    "a renamed CSV": (run_on_damaged(lambda p: p.write_text("VendorID\n1\n")), "not a Parquet file"),
    "a gap": (run_on_damaged(lambda p: p.unlink()), "2023-02 is missing between"),
    "no source": (lambda tmp_path: ("run", "--source", tmp_path / "nothing"), "nothing: it does not exist"),
    "an empty source": (lambda tmp_path: ("run", "--source", tmp_path), "no Parquet or CSV files"),
    "an unwritable store": (run_with("--store", "/proc/nowhere"), "cannot write to store"),
    "a store that is a file": (run_with("--store", "/dev/null/store"), "cannot write to store"),
    "a bad month": (run_with("--months", "2023-13"), "not a month"),
    "a training option without training": (
        run_with("--model", "champion", "--rounds", "5", "--test-months", "2023-03"),
        "cannot use --test-months and --rounds with --model: the run trains no model",
    ),
    "months backwards": (run_with("--months", "2023-03:2023-01"), "the range ends before it starts"),
    "missing months": (run_with("--months", "2023-01:2023-05"), "has no file for 2023-04"),
    "a dead scheduler": (run_with("--scheduler", "tcp://127.0.0.1:9"), "no Dask scheduler answers"),
    "an invalid address": (run_with("--scheduler", "nowhere"), "no Dask scheduler answers"),
    "a missing test month": (run_with("--test-months", "2024-01"), "2024-01 is not among them"),
    "the address of a dashboard": (
        run_with("--scheduler", "http://127.0.0.1:8787/status"),
        "it is not the address of a scheduler",
    ),
    "many missing months": (run_with("--months", "1900:2100"), "1900-05 and 2,4"),
    "an open range of months": (run_with("--months", "2023-01:"), "'2023-01:': '' is not a month"),
    "a negative memory limit": (run_with("--memory-limit", "-4GB"), "it is not a size"),
    "too little memory": (run_with("--memory-limit", "100MB"), "each needs about"),
    "an invalid memory limit": (run_with("--memory-limit", "much"), "--memory-limit"),
    "a setting out of range": (run_with("--learning-rate", "2"), "learning_rate=2"),
    "an unsafe version": (run_with("--version-id", "../up"), "use a letter, then up to 99 letters"),
    "an invalid range of workers": (run_with("--adapt", "4"), "adapt='4'"),
    "a missing parameter file": (run_with("--params", "none.toml"), "none.toml"),
    "nothing to evaluate": (
        lambda tmp_path: ("stage", "evaluate", "--store", tmp_path),
        "Create a version with `toytip run`",
    ),
    "nothing to train on": (
        lambda tmp_path: ("stage", "train", "--store", tmp_path),
        "cannot read encodings",
    ),
    "a missing version": (
        lambda tmp_path: ("stage", "infer", "--store", tmp_path, "--input-version", "v1"),
        "cannot read version v1 of features",
    ),
}
# Invalid options and settings.
USAGE_ERRORS = (
    *(
        "a training option without training",
        "a bad month",
        "months backwards",
        "a missing test month",
        "an invalid memory limit",
        "a negative memory limit",
        "an open range of months",
        "the address of a dashboard",
    ),
    *("a setting out of range", "an unsafe version", "an invalid range of workers"),
    "a missing parameter file",
)
# These errors need workers. The others are raised before, so that this process can run them, which
# is ten times as fast.
OWN_PROCESS = ("damaged data", "a corrupt footer", "too little memory")


def error_lines(stderr):
    """Return the message and the hint, which are the last lines."""
    lines = stderr.splitlines()
    (first,) = (index for index, line in enumerate(lines) if line.startswith("error: "))
    assert len(lines) - first in (1, 2), stderr
    assert all(line.startswith("hint: ") for line in lines[first + 1 :])
    assert "Traceback" not in stderr
    return lines[first:]


@pytest.mark.usefixtures("short_probe")
@pytest.mark.parametrize("case", ERRORS)
def test_an_error_is_a_message_and_a_hint(case, tmp_path, invoke_cli):
    make, words = ERRORS[case]
    arguments = make(tmp_path)
    if "--store" not in arguments:
        arguments += ("--store", tmp_path / "store")
    run = run_toytip if case in OWN_PROCESS else invoke_cli
    done = run(*arguments, "--workers", 1, "--json")
    code = 2 if case in USAGE_ERRORS else 1
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert words in " ".join(error_lines(done.stderr))
    assert not list((tmp_path / "store").glob("*/[!_]*/version=*")), "a partial version is published"


def test_message_and_hint_are_one_line_each(capsys):
    def command(**_):
        raise ConfigError("cannot read x:\n  no such file", hint="Set\n--source.")

    assert run_cli(command) == 2
    assert capsys.readouterr().err == "error: cannot read x: no such file\nhint: Set --source.\n"


def test_an_error_without_a_hint_is_one_line(capsys):
    def command(**_):
        raise StoreError("cannot read x: no such file")

    assert run_cli(command) == 1
    assert capsys.readouterr().err == "error: cannot read x: no such file\n"


def test_warnings_are_one_line(capsys):
    import logging

    def command(**_):
        logging.getLogger("toytip.cluster.sizing").warning("%s has no effect\n", "--workers 3")

    assert run_cli(command) == 0
    assert capsys.readouterr().err == "warning: --workers 3 has no effect\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_have_their_exit_codes(number, code):
    script = """
import sys, time, typer
from toytip.cli.command import install_signal_handlers, run_cli
app = typer.Typer()
@app.command()
def wait():
    install_signal_handlers()
    print("ready", flush=True)
    time.sleep(60)
sys.argv = ["toytip"]
sys.exit(run_cli(app))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stderr.read() == f"{STOPPED_MESSAGE}\n"
        assert process.wait(60) == code
    assert code in EXIT_CODES


def test_signals_that_nohup_ignores_stay_ignored():
    script = """
import signal
from toytip.cli.command import install_signal_handlers
signal.signal(signal.SIGHUP, signal.SIG_IGN)
install_signal_handlers()
assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small tmpfs without the rights of root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_an_error(small_disk, tmp_path):
    months = {f"2023-0{m}": raw_table(9_000, Month(2023, m)) for m in (1, 2, 3)}
    source = write_months(tmp_path / "in", months)
    done = run_toytip("run", "--source", source, "--store", small_disk, "--workers", 1, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no space left" in " ".join(error_lines(done.stderr))
    assert not list(small_disk.rglob("*.parquet"))


def run_in_shell(script, *arguments, **env):
    """Run a bash script in which TOYTIP stands for the command line with these arguments."""
    words = shlex.join([sys.executable, "-m", "toytip", *map(str, arguments)])
    return subprocess.run(
        ["bash", "-c", script.replace("TOYTIP", words)],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        check=False,
    )


def test_a_failing_stdout_is_an_error(tmp_path):
    full = run_in_shell("TOYTIP > /dev/full", "config")
    assert full.returncode == 1
    assert error_lines(full.stderr)[0] == "error: cannot write to stdout: no space left on device"
    closed = run_in_shell("TOYTIP >&-", "score", "trips.csv", "--store", tmp_path)
    assert closed.returncode == 1
    assert error_lines(closed.stderr)[0] == "error: cannot print scores: stdout is closed"
    silent = run_in_shell(
        "TOYTIP >&- <&- 2>&-", "score", "nothing.csv", "--output", "x.csv", "--store", tmp_path
    )
    assert silent.returncode == 1


@pytest.mark.parametrize("closing", ["2>&-", "<&- >&- 2>&-", "2> >(true)", "2> /dev/full"])
def test_a_run_without_standard_files_is_complete(closing, tmp_path):
    months = {f"2023-0{m}": raw_table(900, Month(2023, m)) for m in (1, 2, 3)}
    source, store = write_months(tmp_path / "in", months), tmp_path / "store"
    words = ("run", "--source", source, "--store", store, "--workers", 1, "--rounds", 2, "--gate", "off")
    done = run_in_shell(f"TOYTIP {closing}", *words)
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = (store / "dev" / "_runs").glob("*.json")
    assert run_toytip("version", "verify", run.stem, "--store", store).returncode == 0


def test_a_run_in_a_deleted_folder_is_an_error(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = run_in_shell(f"cd {shlex.quote(str(gone))}; rmdir $PWD; TOYTIP", "run", "--workers", 1)
    assert done.returncode == 1
    assert error_lines(done.stderr)[0] == "error: cannot start workers: the current folder was deleted"


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_file_does_not_take_the_place_of_a_closed_standard_file(closing):
    code = (
        "import os, subprocess, sys\n"
        "from toytip.__main__ import _open_standard_files\n"
        "_open_standard_files()\n"
        "child = 'import os; raise SystemExit(os.open(os.devnull, os.O_RDONLY))'\n"
        "assert subprocess.run([sys.executable, '-c', child], check=False).returncode == 3\n"
        "raise SystemExit(os.open(os.devnull, os.O_RDONLY))"
    )
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {closing}"
    assert subprocess.run(["bash", "-c", line], check=False).returncode == 3


def test_a_closed_pipe_keeps_the_exit_code(tmp_path):
    gone = run_in_shell("TOYTIP | true; exit ${PIPESTATUS[0]}", "config")
    assert (gone.returncode, gone.stderr) == (0, "")
    script = tmp_path / "alert.py"
    script.write_text(
        """
import typer
from toytip.cli.command import run_cli
app = typer.Typer()
@app.command()
def alert():
    for _ in range(10_000):
        typer.echo("more than the buffer of a pipe holds")
    raise typer.Exit(3)
raise SystemExit(run_cli(app))
"""
    )
    line = f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (3, "", 1)


def test_an_unwritable_report_is_an_error(tmp_path, monkeypatch):
    from toytip.pipeline.reporting.pages import write_page

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ToytipError, match="cannot write report ''"):
        write_page("", "a page")


def test_debug_prints_the_traceback(tmp_path):
    done = run_toytip("run", "--source", tmp_path / "nothing", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "SourceError" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--force",), "cannot promote a model by --force without a reason"),
        (("--reason", "x"), "cannot use --reason without --force"),
    ],
)
def test_force_and_reason_need_each_other(arguments, message, tmp_path, invoke_cli):
    done = invoke_cli("model", "promote", *arguments, "--store", tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_an_interrupt_during_the_imports_has_no_traceback():
    script = """
import signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name.startswith("toytip.cli"):
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from toytip.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, f"{STOPPED_MESSAGE}\n")


def test_a_stopped_command_that_can_be_resumed_says_so(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def command(**_):
        resolve_command_settings({}, workers_needed=False, resumable=True)
        raise KeyboardInterrupt

    assert run_cli(command) == 130
    assert capsys.readouterr().err == f"{RESUMABLE_MESSAGE}\n"


def test_an_operating_system_error_repeats_no_path():
    assert first_line(FileNotFoundError(2, "No such file or directory", "x")) == "no such file or directory"
    assert first_line(FileNotFoundError("bucket/x")) == "no such file or directory"
    assert first_line(pa.ArrowInvalid("not a Parquet file\nmore")) == "not a Parquet file"


@pytest.mark.parametrize("option", ["--months", "--train-months", "--test-months"])
def test_invalid_months_are_rejected_before_workers_start(option, tmp_path, invoke_cli, monkeypatch):
    def fail(*_):
        raise AssertionError("workers started")

    monkeypatch.setattr("toytip.cluster.connect", fail)
    done = invoke_cli("run", option, "2020-13", "--store", tmp_path / "st", "--workers", 1)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot read month '2020-13': it is not a month\n")
