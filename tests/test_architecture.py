"""Rules of the package tree that import-linter cannot express."""

import ast
import re
from pathlib import Path

import pytest

import toytip

PACKAGE = Path(toytip.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})


def label(path):
    return path.relative_to(PACKAGE).as_posix()


def imported_packages(path):
    """Return the top-level packages that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def docstring_openings(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield (ast.get_docstring(node) or "").partition("\n")[0]


def test_the_root_holds_packages():
    assert {path.name for path in PACKAGE.glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "_version.py",
        "config.py",
        "errors.py",
        "settings_files.py",
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_a_folder_fits_on_a_screen(folder):
    assert len(list(folder.glob("*.py"))) <= 22  # 21 modules and __init__


@pytest.mark.parametrize("module", sorted((PACKAGE / "stages").glob("*.py")), ids=label)
def test_stages_never_import_the_dask_side_of_xgboost(module):
    # An import contract cannot name a subpackage of another package.
    assert not re.search(r"xgboost(\.| import )dask", module.read_text())


@pytest.mark.parametrize("module", MODULES, ids=label)
def test_only_public_names_of_xgboost_are_used(module):
    """A private name can change with every version of XGBoost."""
    assert not re.search(
        r"\b(xgb|xgboost|booster|Booster|collective)\.(\w+\.)*_[a-z]\w*|\b_LIB\b", module.read_text()
    )


@pytest.mark.parametrize("module", MODULES, ids=label)
def test_all_json_is_written_by_one_function(module):
    """`json.dumps` writes NaN and Infinity, which are not JSON."""
    if label(module) != "core/jsonable.py":
        assert not re.search(r"\bjson\.dump|import dumps?\b|json_encode|JSONEncoder", module.read_text())


@pytest.mark.parametrize(
    ("package", "folder"),
    [
        ("matplotlib", "report/charts"),
        ("mlflow", "models"),
        ("optuna", "training"),
        ("typer", "cli"),
        ("fastapi", "serving"),
        ("rich", "cli, progress, api"),
        ("sqlalchemy", "models, training"),
    ],
)
def test_a_heavy_library_has_one_home(package, folder):
    homes = {label(path.parent) for path in MODULES if package in imported_packages(path)}
    assert all(home.startswith(tuple(folder.split(", "))) for home in homes), homes


def test_modules_stay_short():
    assert not [label(path) for path in MODULES if path.read_text().count("\n") > 350]


def test_docstrings_open_with_a_short_line():
    long = [
        f"{label(path)}: {line}" for path in MODULES for line in docstring_openings(path) if len(line) > 100
    ]
    assert not long


def test_no_module_is_called_utils():
    assert not [label(path) for path in MODULES if path.stem in {"utils", "helpers", "common"}]


def test_only_the_command_line_prints():
    printing = [path for path in MODULES if re.search(r"\bprint\(|\becho\(", path.read_text())]
    assert {path.relative_to(PACKAGE).parts[0] for path in printing} <= {"cli", "progress"}


def test_only_the_data_sets_know_their_columns():
    own = PACKAGE / "datasets"
    words = re.compile(r'high_tip|PULocationID|"card"')
    files = [path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".js", ".html", ".css", ".sql"}]
    assert not [label(path) for path in files if own not in path.parents and words.search(path.read_text())]
