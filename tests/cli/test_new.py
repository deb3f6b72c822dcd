"""`toytip new`, and runs in the folder that it creates."""

import json
import subprocess
import sys

import pytest

import toytip
from tests.support.runs import parse_summary, require_error, run_toytip
from toytip.cli.new import create_project
from toytip.errors import ConfigError

FILES = ["README.md", "mytips.py", "tests/test_mytips.py", "toytip.toml"]


@pytest.fixture
def project(invoke_cli, tmp_path):
    """The folder of a new project."""
    process = invoke_cli("new", "mytips")
    assert process.returncode == 0
    assert process.stdout.splitlines()[1] == "next: cd mytips && toytip run"
    return tmp_path / "mytips"


def test_a_new_project_passes_its_own_test(project):
    files = [path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()]
    assert sorted(files) == FILES
    assert not [path for path in FILES if "NAME" in (project / path).read_text()]
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    assert "2 passed" in process.stdout


# A name, and a part of the error and of the hint.
NAMES = {
    "existing folder": ("mytips", "mytips already exists", "Choose another name"),
    "no module": ("my-tips", "not a name of a Python module", "underscores"),
    "keyword": ("class", "not a name of a Python module", "letters"),
    "package": ("numpy", "Python has a module of this name", "another name"),
}


@pytest.mark.parametrize(("name", "cause", "hint"), NAMES.values(), ids=NAMES)
def test_some_names_are_refused(invoke_cli, tmp_path, name, cause, hint):
    (tmp_path / "mytips").mkdir()
    process = invoke_cli("new", name)
    assert process.returncode == 2
    error, second = process.stderr.splitlines()
    assert cause in error
    assert hint in second
    assert not list((tmp_path / "mytips").iterdir())


def test_an_existing_folder_is_not_a_module_of_python(tmp_path, monkeypatch):
    """Python finds the folder too, if the current folder is on its path."""
    (tmp_path / "mytips").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"mytips already exists"):
        create_project("mytips", tmp_path)


def test_a_module_is_loaded_after_all_checks(project):
    module = toytip.load_project(project / "mytips.py")
    assert (module.is_weekend.name, module.fare_above_1000.text) == (
        "is_weekend",
        "The fare is above 1,000 dollars.",
    )
    with pytest.raises(ConfigError, match=r"cannot read the module .*other.py") as caught:
        toytip.load_project(project / "other.py")
    assert "toytip.toml" in caught.value.hint


@pytest.mark.cluster
def test_an_edit_reruns_its_stages_only(project, synthetic):
    source_option = ("--source", synthetic, "--workers", 1, "--json")
    options = (*source_option, "--rounds", 4, "--max-depth", 3, "--gate", "on")

    def is_reused(stage):
        arguments = source_option if stage == "clean" else source_option[2:]
        process = run_toytip("stage", stage, *arguments, cwd=project, TOYTIP_EXPLAIN="true")
        assert process.returncode == 0, process.stderr
        return "4 of 4 files reused" in process.stderr

    first = parse_summary(run_toytip("run", *options, cwd=project))
    assert "is_weekend" in toytip.open_store(project / "toytip-store").features(first["version"])
    assert first["promotion"]["decision"] == "promoted"
    assert not is_reused("clean")

    module = project / "mytips.py"
    source = module.read_text()
    module.write_text(f"{source}# an edit that changes nothing\n")
    assert parse_summary(run_toytip("run", *options, cwd=project))["up_to_date"]

    module.write_text(source.replace(">= 5", ">= 4"))  # the feature
    assert is_reused("clean")
    assert not is_reused("featurize")

    module.write_text(source.replace("> 1000", "> 40"))  # the rule
    second = parse_summary(run_toytip("run", *options, cwd=project))
    assert second["rejects"]["fare_above_1000"] > first["rejects"].get("fare_above_1000", 0)
    assert not second["stage_decisions"]["featurize"]["reused"]

    module.write_text(source.replace("trips[", "trips_[", 1))
    failed = run_toytip("run", *options, cwd=project)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: cannot use feature is_weekend (mytips.py, line 9): NameError")

    # The first model scores trips without the file, and computes its own feature.
    module.unlink()
    (project / "toytip.toml").unlink()
    arguments = ("--gate", "off", "--model", first["version"])
    process = run_toytip("run", *source_option, *arguments, cwd=project)
    assert process.returncode in {0, 3}, process.stderr  # 3 after an alert
    scored = json.loads(process.stdout)
    assert scored["rejects"] == first["rejects"]
    assert scored["metrics"]["test"] == first["metrics"]["test"]

    # On another machine, the user has not run the code of the model.
    trips, output = next(iter(sorted(synthetic.glob("*.parquet")))), project / "scores.parquet"
    command = ("score", trips, "--model", first["version"], "--output", output)
    elsewhere = {"cwd": project, "XDG_STATE_HOME": str(project / "state")}
    require_error(
        run_toytip(*command, **elsewhere), "cannot run the code of the module mytips.py", "If you trust"
    )
    assert not output.exists()
    allowed = run_toytip(*command, **elsewhere, TOYTIP_ALLOW_PROJECT_CODE="true")
    assert allowed.returncode == 0, allowed.stderr
    assert output.exists()
