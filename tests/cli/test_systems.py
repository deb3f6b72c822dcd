"""The command line on other systems: Windows, and users without a home folder."""

import os
import subprocess
import sys

import pytest


def run_python(code, **env):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **env}
    )


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--help"], ["source", "check", "x"]])
def test_windows_gets_one_line(arguments):
    """Windows has no module `fcntl`."""
    code = (
        "import sys; sys.modules['fcntl'] = None\n"
        f"sys.argv = ['toytip', *{arguments!r}]\n"
        "from toytip.__main__ import main; main()"
    )
    refused = run_python(code)
    assert refused.returncode == 1
    assert (refused.stdout, refused.stderr) == (
        "",
        "error: toytip needs Linux or macOS. On Windows, use WSL 2\n",
    )


def test_a_program_on_windows_gets_the_same_words():
    code = "import sys; sys.modules['fcntl'] = None\nimport toytip; toytip.run"
    assert run_python(code).stderr.splitlines()[-1] == (
        "ImportError: toytip needs Linux or macOS. On Windows, use WSL 2"
    )


def test_a_program_without_docstrings_gets_one_line():
    """XGBoost cannot be imported without docstrings."""
    cause = "toytip cannot run without docstrings, because XGBoost needs them. Remove -OO or PYTHONOPTIMIZE=2"
    command = run_python("from toytip.__main__ import main; main()", PYTHONOPTIMIZE="2")
    assert (command.returncode, command.stdout, command.stderr) == (1, "", f"error: {cause}\n")
    program = run_python("import toytip; toytip.run", PYTHONOPTIMIZE="2")
    assert program.stderr.splitlines()[-1] == f"ImportError: {cause}"


@pytest.mark.parametrize("home", ["file", "none/home"])
def test_matplotlib_prints_nothing_about_its_cache(home, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "none").touch()
    code = (
        "from toytip.cli.command import _prepare_libraries\n"
        "_prepare_libraries()\n"
        "import matplotlib; matplotlib.get_cachedir(); matplotlib.get_configdir()"
    )
    path = str(tmp_path / home)
    drawn = run_python(code, HOME=path, XDG_CACHE_HOME=path, XDG_CONFIG_HOME=path, MPLCONFIGDIR="")
    assert (drawn.returncode, drawn.stderr) == (0, "")


@pytest.mark.parametrize(
    "prepare",
    [
        "from toytip.cli.command import _prepare_libraries; _prepare_libraries()",
        "from toytip.cluster.local import set_worker_variables; set_worker_variables('spawn')",
        "from toytip.models.mlflow_env import silence_mlflow; silence_mlflow().__enter__()",
    ],
)
def test_libraries_start_for_a_user_without_a_home_folder(prepare, tmp_path):
    """A container can have an arbitrary user ID, which has no entry in /etc/passwd."""
    code = (
        "import os, pwd\n"
        "os.environ.pop('HOME', None)\n"
        "def getpwuid(number):\n    raise KeyError(number)\n"
        "pwd.getpwuid = getpwuid\n"
        f"{prepare}\n"
        "from pathlib import Path; print(Path.home())"
    )
    assert run_python(code, TMPDIR=str(tmp_path)).stdout == f"{tmp_path}\n"


def test_a_cluster_needs_a_folder_for_its_record(tmp_path):
    (tmp_path / "file").touch()
    code = (
        "from toytip.config import Settings\n"
        "from toytip.cluster.lifecycle import records_folder\n"
        "try:\n    records_folder(Settings.load())\n"
        "except Exception as error:\n    print(error, error.hint)\n"
    )
    told = run_python(code, HOME=str(tmp_path / "file"), XDG_STATE_HOME="")
    assert told.stdout == (
        "cannot create ~/.local/state/toytip: not a directory Set TOYTIP_STATE_DIR to a writable folder.\n"
    )
