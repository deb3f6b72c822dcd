"""Commands of tests in forked processes: they behave like executed ones."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.runs import run_toytip, start_toytip
from tests.support.warm_process import WarmProcess, can_be_warm, changed_variables


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("config", "--json"),
        ("version", "list", "--store", "none"),
        ("run", "--rounds", "0"),
        ("no-such-command",),
    ],
    ids=" ".join,
)
def test_a_forked_command_behaves_like_an_executed_one(words, tmp_path):
    (tmp_path / "toytip.toml").write_text("max_depth = 3\n")
    forked = run_toytip(*words, cwd=tmp_path, TOYTIP_ROUNDS="7")
    command = [sys.executable, "-m", "toytip", *words]
    env = {**os.environ, "TOYTIP_ROUNDS": "7"}
    executed = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert forked.stdout == executed.stdout
    assert forked.stderr == executed.stderr
    assert forked.returncode == executed.returncode


def test_a_forked_command_leads_a_session_and_reports_its_signal(tmp_path):
    with start_toytip("run", "--store", tmp_path / "store") as process:
        assert isinstance(process, WarmProcess)
        assert process.pid == os.getsid(process.pid)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == process.poll() == -signal.SIGKILL


def test_a_timeout_ends_a_forked_command(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        run_toytip("--version", timeout=0)


def test_no_import_and_no_test_has_changed_a_variable_of_a_library():
    assert not changed_variables(os.environ), "each command would import everything again"


@pytest.mark.parametrize(
    ("change", "warm"),
    [
        ({}, True),
        ({"TOYTIP_ROUNDS": "7", "PATH": "/bin", "COLUMNS": "80"}, True),
        ({"OMP_NUM_THREADS": "1"}, True),  # the server has imported XGBoost with this value
        ({"OMP_NUM_THREADS": "2"}, False),
        ({"TOYTIP_START_METHOD": "spawn"}, False),
        ({"PYTHONPATH": "/elsewhere"}, False),
        ({"DASK_TEMPORARY_DIRECTORY": "/scratch"}, False),
    ],
)
def test_variables_that_matter_during_imports_need_an_executed_command(change, warm):
    assert can_be_warm(["run"], {**os.environ, **change}) is warm
    assert not can_be_warm(["run", "--start-method", "spawn"], {**os.environ, **change})
