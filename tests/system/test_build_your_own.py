"""The tutorial "Build your own pipeline", followed from an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.test_monthly_guide import write_program
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


def run_script(code, folder, programs):
    """Run a block of commands, and return the folder in which it ends, and its output."""
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.run(
        ["bash", "-ec", f"{code}\npwd"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, f"{code}\n{process.stdout}\n{process.stderr}"
    *lines, folder = process.stdout.splitlines()
    return Path(folder), "\n".join(lines)


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_the_tutorial_works(tmp_path):
    programs, folder, outputs = tmp_path / "programs", tmp_path / "empty", {}
    for path in (programs, folder):
        path.mkdir()
    write_program(programs / "toytip", f'exec {sys.executable} -m toytip "$@"')
    write_program(programs / "python", f'exec {sys.executable} "$@"')
    for language, code in BLOCK.findall(PAGE):
        if language == "sh":
            folder, outputs[code] = run_script(code, folder, programs)
        elif language == "csv":
            (folder / "holidays.csv").write_text(code)
        else:
            with (folder / "mytips.py").open("a") as module:
                module.write(f"\n\n{code}")
    shown = next(output for code, output in outputs.items() if "version show" in code)
    assert "module mytips.py, digest " in shown
    assert "reference holidays: 8 rows, sha256:" in shown
    store = open_store(folder / "toytip-store")
    features = store.features("generous").compute()
    assert {"is_weekend", "same_zone", "is_holiday", "generous_tip"} <= set(features.columns)
    assert (
        features.groupby(features["pickup_at"].dt.date.astype(str))["is_holiday"].first()["2020-01-20"] == 1
    )
    assert 0 < features["is_holiday"].mean() < 0.1
    assert store.predictions().compute()["model_version"].unique().tolist() == ["generous"]


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
