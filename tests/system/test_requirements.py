"""Missing tools are reported with their packages, and `make test-cluster` runs all tests."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.requirements import REQUIRED_TOOLS, install_requirements, missing_requirements

ROOT = Path(__file__).parents[2]


def test_a_missing_tool_is_reported_with_its_package(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setitem(REQUIRED_TOOLS, "more", {"no-such-tool": "no-such-package", "sh": "dash"})
    assert missing_requirements("more") == "not installed: no-such-tool (apt install no-such-package)"
    monkeypatch.setitem(REQUIRED_TOOLS, "more", {"sh": "dash"})
    assert missing_requirements("more") == install_requirements("more") == ""


def test_only_root_installs_packages(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setitem(REQUIRED_TOOLS, "more", {"no-such-tool": "no-such-package"})
    assert install_requirements("more") == "root is needed"


@pytest.mark.parametrize(("target", "marks"), [("cluster", "hosts|deploy"), ("deploy", "deploy")])
def test_make_runs_all_tests_with_the_marks(target, marks):
    recipe = re.search(rf"^test-{target}:.*?\n\n", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)[
        0
    ]
    marked = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "tests").rglob("test_*.py")
        if re.search(rf"pytest\.mark\.({marks})\b", file.read_text())
    }
    assert marked
    assert marked == set(re.findall(r"tests/\w+/test_\w+\.py", recipe))
    assert marks.replace("|", " or ") in recipe


@pytest.mark.parametrize(("target", "has_tools"), [("run", False), ("install", False), ("test", True)])
def test_make_installs_development_tools_only_for_tests(target, has_tools, tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    recipe = subprocess.run(
        ["make", "--dry-run", target], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    installed = re.findall(r"pip install .*-e (\S+)", recipe)
    assert installed == [".", "'.[dev]'"][: 1 + has_tools]
