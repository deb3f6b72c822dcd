"""The tutorial "Build your own pipeline", followed from an empty folder with an installed wheel."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.installed import copy_module, install_wheel
from tests.support.warm_process import WarmProcess
from toytip.api.project import load_project
from toytip.api.store import open_store

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorials" / "build-your-own.md").read_text()
BLOCK = re.compile(r"^```(python|csv|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A small synthetic year, and small models.
ENVIRONMENT = {
    "TOYTIP_GATE": "on",
    "TOYTIP_MAX_DEPTH": "3",
    "TOYTIP_MONTHS": "2020-01:2020-04",
    "TOYTIP_ROUNDS": "4",
    "TOYTIP_SYNTH_ROWS_PER_MONTH": "1500",
    "TOYTIP_WORKERS": "1",
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """The folder of the programs of an environment that has toytip as a wheel."""
    return install_wheel(tmp_path_factory.mktemp("installed"))


class Reader:
    """A reader of the tutorial, who types its commands.

    The first command is the installed program. A process that has imported the installed toytip
    forks the others, because imports would take most of the time.
    """

    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        self.server = (f"{programs}/python", "-I", str(copy_module("tests.support.warm_server", programs)))
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.environment = {**inherited, **ENVIRONMENT, "PATH": f"{programs}:{os.environ['PATH']}"}

    def type_lines(self, lines):
        """Run commands one after the other, and return their output."""
        return "".join(self.type_line(shlex.split(line)) for line in lines.splitlines())

    def type_line(self, words):
        if words[0] == "cd":
            self.folder /= words[1]
            return ""
        if words[0] == "toytip" and words[1] != "new":
            process = WarmProcess(words[1:], self.environment, self.folder, program=self.server)
        else:
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        with process:
            output, errors = process.communicate()
        assert process.returncode == 0, f"{shlex.join(words)}\n{output}\n{errors}"
        return output


def test_the_environment_does_not_see_the_checkout(programs, tmp_path):
    code = "import importlib.util as u, toytip; print(toytip.__file__, u.find_spec('benchmarks'))"
    output = Reader(programs, tmp_path).type_line(["python", "-c", code])
    assert output.startswith(f"{programs.parent}/lib/")
    assert output.endswith("toytip/__init__.py None\n")


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_the_tutorial_works(programs, tmp_path):
    reader, outputs = Reader(programs, tmp_path), {}
    for language, code in BLOCK.findall(PAGE):
        if language == "sh":
            outputs[code] = reader.type_lines(code)
        elif language == "csv":
            (reader.folder / "holidays.csv").write_text(code)
        else:
            with (reader.folder / "mytips.py").open("a") as module:
                module.write(f"\n\n{code}")
    shown = next(output for code, output in outputs.items() if "version show" in code)
    assert "module mytips.py, digest " in shown
    assert "reference holidays: 8 rows, sha256:" in shown
    store = open_store(reader.folder / "toytip-store")
    features = store.features("generous").compute()
    assert {"is_weekend", "same_zone", "is_holiday", "generous_tip"} <= set(features.columns)
    assert (
        features.groupby(features["pickup_at"].dt.date.astype(str))["is_holiday"].first()["2020-01-20"] == 1
    )
    assert 0 < features["is_holiday"].mean() < 0.1
    assert store.predictions().compute()["model_version"].unique().tolist() == ["generous"]


def test_the_segment_of_the_tutorial_works(tmp_path):
    from toytip.cli.new import create_project

    code = re.search(r"^```text\n(from toytip import segment\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    module = create_project("mytips", tmp_path) / "mytips.py"
    module.write_text(f"import numpy as np\n{module.read_text()}\n\n{code[1]}")
    assert load_project(module).airport({"PULocationID": np.array([132, 1, 138])}).tolist() == [
        True,
        False,
        True,
    ]


def test_the_errors_of_the_tutorial_are_those_of_the_command(tmp_path):
    """The error of a misspelled column has the words and the line of the page."""
    code = next(code for language, code in BLOCK.findall(PAGE) if "same_zone" in code)
    error, hint = re.search(r"error: (cannot use feature same_zone .*)\nhint: (.*)\n", PAGE).groups()
    from toytip.cli.new import create_project
    from toytip.errors import ConfigError

    module = create_project("mytips", tmp_path) / "mytips.py"
    module.write_text(f"{module.read_text()}\n\n{code}".replace('"DOLocationID"]', '"DOLocation"]'))
    with pytest.raises(ConfigError) as caught:
        load_project(module)
    assert str(caught.value).replace(f"{module.parent}/", "") == error
    assert caught.value.hint == hint
