"""Run the command line in a process of its own, and parse its output."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jsonschema
import pandas as pd

from tests.support.warm_process import WarmProcess, can_be_warm

Value = TypeVar("Value")
SCHEMAS = Path(__file__).parents[2] / "docs" / "reference" / "schemas"


class ModelRun(NamedTuple):
    """A run with a registered model: its store, months, source files and predictions by trip ID."""

    store: Path
    months: str
    files: list[Path]
    predictions: pd.DataFrame


# Options of a small run.
FAST_RUN = ("--rounds", 6, "--max-depth", 3, "--workers", 2, "--json")


def run_toytip(
    *args: Any, timeout: float = 240, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    with open_toytip(args, env, cwd) as process:
        try:
            output = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, *output)


@contextlib.contextmanager
def start_toytip(*args: Any, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command line in its own process group, which is killed when the context ends."""
    with open_toytip(args, env, new_session=True) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def open_toytip(
    args: Iterable[Any],
    env: Mapping[str, str],
    cwd: Path | None = None,
    files: Sequence[int] | None = None,
    *,
    new_session: bool = False,
) -> subprocess.Popen[str]:
    """Start the command line with changes of the environment. `files` are its three standard files.

    The process is forked from one that has imported toytip, if this makes no other difference.
    """
    words, environment = [*map(str, args)], {**os.environ, **env}
    if can_be_warm(words, environment):
        return WarmProcess(words, environment, cwd, files, new_session=new_session)
    stdin, stdout, stderr = files or (subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE)
    return subprocess.Popen(
        [sys.executable, "-m", "toytip", *words],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=new_session,
        cwd=cwd,
        env=environment,
    )


def wait_for_message(process: subprocess.Popen[str], text: str) -> None:
    """Read the output of a process until a line contains a text."""
    assert process.stderr is not None
    output = ""
    for line in process.stderr:
        output += line
        if text in line:
            return
    raise AssertionError(f"no line contains {text!r}: {output}")


def wait_until(condition: Callable[[], Value], seconds: float = 120) -> Value:
    """Wait until a condition is true; return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition is still false"
        time.sleep(0.05)
    return value


def parse_summary(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the object that `--json` printed. The command must succeed and print nothing else."""
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("\n") == 1, process.stdout
    summary = dict(json.loads(process.stdout))
    validate_output(list(map(str, process.args)), summary)
    return summary


def validate_output(words: list[str], output: dict[str, Any]) -> None:
    """Validate the JSON of a command against its published schema."""
    words = words[words.index("toytip") + 1 :] if "toytip" in words else words
    for name in ("-".join(words[:2]), words[0]):
        file = SCHEMAS / f"{name.replace('/', '')}.json"
        if file.is_file():
            jsonschema.Draft202012Validator(json.loads(file.read_text())).validate(output)
            return


def require_error(
    process: subprocess.CompletedProcess[str], message: str, hint: str = "", code: int = 1
) -> None:
    """Check that a command failed with one error line, and at most one hint."""
    lines = process.stderr.splitlines()
    assert process.returncode == code, process.stderr
    assert [line.partition(":")[0] for line in lines] in (["error"], ["error", "hint"]), process.stderr
    assert message in lines[0], process.stderr
    assert hint in lines[-1], process.stderr
