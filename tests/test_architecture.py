"""What import-linter cannot say."""

import re
from pathlib import Path

import pytest

import toytip

PACKAGE = Path(toytip.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", sorted((PACKAGE / "stages").glob("*.py")), ids=lambda path: path.stem)
def test_stages_never_meet_xgboosts_dask_side(module):
    # A subpackage of another package cannot be named in an import contract.
    assert not re.search(r"xgboost(\.| import )dask", module.read_text())


def test_modules_stay_short():
    assert not [path.name for path in MODULES if path.read_text().count("\n") > 350]


def test_nothing_is_called_utils():
    assert not [path for path in MODULES if path.stem in {"utils", "helpers", "common"}]


def test_only_the_command_line_prints():
    printing = [path for path in MODULES if re.search(r"\bprint\(|\becho\(", path.read_text())]
    assert {path.relative_to(PACKAGE).parts[0] for path in printing if path.name != "tracker.py"} == {"cli"}
