"""The end of `toytip run`, and tables, on a terminal of 80 columns and 24 lines."""

import fcntl
import os
import pty
import re
import struct
import termios
from pathlib import Path

import pytest

from tests.support.runs import open_toytip, run_toytip

ROWS, COLUMNS = 24, 80
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def run_on_terminal(*arguments, cwd):
    """Run the command line with stdout on a terminal, and return its exit code and lines."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    with (
        Path(os.devnull).open("w") as null,
        open_toytip(
            arguments, {"TERM": "xterm-256color"}, cwd, (terminal, terminal, null.fileno())
        ) as process,
    ):
        os.close(terminal)
        output = b""
        while chunk := read(controller):
            output += chunk
    os.close(controller)
    return process.returncode, CODES.sub("", output.decode()).replace("\r", "").splitlines()


def read(controller):
    """Return the next output of a terminal, and nothing after the end of the process."""
    try:
        return os.read(controller, 65_536)
    except OSError:  # Linux reports the end of the process as an error
        return b""


@pytest.fixture(scope="module")
def store(tmp_path_factory, synthetic):
    """The folder of a store with two runs, the second of which the gate compares with the first."""
    folder = tmp_path_factory.mktemp("terminal")
    options = ("--source", synthetic, "--store", "st", "--workers", 1, "--max-depth", 3, "--gate", "on")
    done = run_toytip("run", *options, "--rounds", 20, "--version-id", "first", cwd=folder)
    assert done.returncode == 0, done.stderr
    code, lines = run_on_terminal("run", *options, "--rounds", 1, cwd=folder)
    assert code == 0
    return folder, lines


def test_the_end_of_a_run_fits_on_the_screen(store):
    _, lines = store
    assert len(lines) <= 22, lines
    assert max(map(len, lines)) <= COLUMNS


def test_the_end_of_a_run_has_its_parts_in_order(store):
    _, lines = store
    labels = ["trips", "rejected", "model", "promotion", "monitoring", "time"]
    starts = [next(n for n, line in enumerate(lines) if line.startswith(label)) for label in labels]
    assert starts == sorted(starts)
    header = next(n for n, line in enumerate(lines) if line.startswith("test"))
    assert header > starts[-1]
    assert "vs. always" in lines[header - 1]
    assert "95 % interval" in lines[header]
    for segment in ("all trips (", "card trips ("):
        first = next(n for n, line in enumerate(lines) if line.startswith(segment))
        assert first > header
        assert [line.split("  ")[0].strip() for line in lines[first + 1 : first + 4]] == [
            "AUC",
            "log loss",
            "F1",
        ]
        assert all(re.search(r"[+-]\d\.\d{4}", line) for line in lines[first + 1 : first + 4])
    assert [line.split()[0] for line in lines[-3:]] == ["predictions", "model", "report"]


def test_verbose_prints_all_metrics(store, synthetic):
    folder, _ = store
    options = ("--source", synthetic, "--store", "st", "--workers", 1, "--max-depth", 3, "--gate", "on")
    code, lines = run_on_terminal("run", *options, "--rounds", 20, "--verbose", cwd=folder)
    assert code == 0
    text = "\n".join(lines)
    assert [split for split in ("test", "validation", "train") if f"\n{split} " in text] == [
        "test",
        "validation",
        "train",
    ]
    for name in ("PR AUC", "Brier score", "precision", "recall", "prevalence", "calibration error"):
        assert text.count(f"\n{name} ") == 6, name
    assert "worst slice: " in text


@pytest.mark.parametrize(
    "command",
    [
        ("runs",),
        ("version", "list"),
        ("version", "show", "first"),
        ("version", "lineage", "first"),
        ("version", "diff", "first", "SECOND"),
        ("model", "list"),
        ("model", "show", "1"),
        ("model", "compare", "1", "2"),
        ("monitor", "--dry-run"),
        ("stage", "evaluate", "--workers", "1"),
    ],
    ids=" ".join,
)
def test_output_fits_on_a_narrow_terminal(store, command):
    folder, lines = store
    second = re.search(r"version=(\S+)", "\n".join(lines))[1]
    words = [second if word == "SECOND" else word for word in command]
    code, lines = run_on_terminal(*words, "--store", "st", cwd=folder)
    assert code in (0, 3)
    assert [line for line in lines if len(line) > COLUMNS] == []


def test_source_check_fits_on_a_narrow_terminal(store, synthetic):
    code, lines = run_on_terminal("source", "check", synthetic, cwd=store[0])
    assert code == 0
    assert max(map(len, lines)) <= COLUMNS
