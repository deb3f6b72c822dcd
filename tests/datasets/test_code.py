"""Digests of the code of functions, and values that do not belong to the code."""

import sys

import pytest

from tests.support.projects import HEADER, feature_source, module_of
from toytip.datasets.project.code import ModuleCode
from toytip.datasets.project.loader import load_project
from toytip.datasets.project.packages import _KNOWN_PACKAGES, describe_package
from toytip.errors import ConfigError
from toytip.pipeline.fingerprints import FINGERPRINT_PACKAGES

USED = "\ndef used():\n    return {}\n\ndef other():\n    return {}\n"
REGISTRY = """
FUNCTIONS = {}
def keep(function):
    FUNCTIONS[function.__name__] = function
    return function
@keep
def kept():
    return 1
"""
CLASS_REGISTRY = """
class Base:
    classes = []
    def __init_subclass__(cls):
        Base.classes.append(cls)
class Kept(Base):
    value = 1
"""
SETUP = "A = {}\nclass State:\n    a = 0\ndef setup():\n    A['x'] = State.a = 1\nDONE = setup()\n"
DISPATCH = (
    "import functools\n@functools.singledispatch\ndef g(x): ...\n@g.register\ndef _(x: int):\n    return 1\n"
)
# Code at the top level of a module, an edit, and the value of the function `used`.
NOTICED = {
    "helper of a helper": ("def g():\n    return h()\ndef h():\n    return 1\n", ("1", "2"), "g()"),
    "order of assignments": ("A = 1\nA = 2\n", ("A = 1\nA = 2", "A = 2\nA = 1"), "A"),
    "repeated assignment": ("A = 1\nA += 1\n", ("A += 1\n", "A += 1\nA += 1\n"), "A"),
    "repeated call": ("A = []\nA.append(1)\n", ("A.append(1)\n", "A.append(1)\nA.append(1)\n"), "A"),
    "item of another name": ("A = {}\nB = A\nB['x'] = 1\n", ("= 1", "= 2"), "A"),
    "item of a joint name": ("A = B = {}\nB['x'] = 1\n", ("= 1", "= 2"), "A"),
    "extension of another name": ("A = [0]\nB = A\nB += [1]\n", ("[1]", "[2]"), "A"),
    "method with a result": ("A = {'x': 1}\nB = A.pop('x')\n", (".pop(", ".get("), "A"),
    "method of a value in a block": ("if True:\n    A = {}\nB = A.update(x=1)\n", ("=1", "=2"), "A"),
    "iterator": ("I = iter('abc')\nB = next(I)\nA = next(I)\n", ("B = next(I)\n", ""), "A"),
    "function that changes a dict": (SETUP, ("= 1", "= 2"), "A"),
    "function that changes a class": (SETUP, ("= 1", "= 2"), "State.a"),
    "global statement": ("A = 1\ndef g():\n    global A\n    A = 2\nB = g()\n", ("= 2", "= 3"), "A"),
    "registry": (REGISTRY, ("return 1", "return 2"), "[function() for function in FUNCTIONS.values()]"),
    "registry of classes": (CLASS_REGISTRY, ("= 1", "= 2"), "Base.classes"),
    "single dispatch": (DISPATCH, ("return 1", "return 2"), "g(1)"),
    "attribute of a package": ("import math\nM = math\nM.e = 1\n", ("= 1", "= 2"), "math.e"),
    "context of a package": (
        "import decimal as d\nC = d.getcontext()\nC.prec = 1\n",
        ("= 1", "= 2"),
        "d.Decimal()",
    ),
    "walrus": ("B = (A := 1) + 0\n", ("1", "2"), "A"),
    "walrus in a default": ("def g(x=(A := 1)): ...\n", ("1", "2"), "A"),
    "import for its effect": ("import math\nA = 1\n", ("import math\n", ""), "A"),
    "module by name": ("import sys\nA = 1\n", ("1", "2"), "sys.modules[__name__].A"),
    "globals of a function": ("A = 1\ndef g(): ...\n", ("1", "2"), "g.__globals__['A']"),
    "name in a query": ("A = 1\n", ("1", "2"), "frame.query('x > @A')"),
}


def digest(source, value, name="used", other="0"):
    return ModuleCode(source + USED.format(value, other), "x.py").digest([name])


@pytest.mark.parametrize(("source", "change", "value"), NOTICED.values(), ids=NOTICED)
def test_an_edit_that_can_change_a_value_changes_the_digest(source, change, value):
    assert source.replace(*change) != source
    assert digest(source.replace(*change), value) != digest(source, value)


OWN_DECORATOR = """
def checked(function):
    return function
@checked
def g():
    return 1
@checked
def h():
    return 2
"""
# Code at the top level, an edit, and the values of the functions `used` and `other`.
IGNORED = {
    "comment": ("A = 1\n", ("1", "1  # one\n\n"), "A", "A"),
    "docstring": ("'''One.'''\nA = 1\n", ("One", "Two"), "A", "A"),
    "other constant": ("A = 1\nB = 2\n", ("2", "3"), "A", "B"),
    "other list": ("A = [1]\nB = [2]\nB += [3]\n", ("3", "4"), "A", "B"),
    "result of a shared function": (
        "def g(x):\n    return x\nA = g(1)\nB = g(2)\n",
        ("(2)", "(3)"),
        *("A", "B"),
    ),
    "shared decorator": (OWN_DECORATOR, ("return 2", "return 3"), "g()", "h()"),
    "shared class without state": (
        "from typing import NamedTuple\nclass Zone(NamedTuple):\n    number: int\nA = Zone(1)\nB = Zone(2)\n",
        ("(2)", "(3)"),
        *("A", "B"),
    ),
    "deleted name": ("A = 1\nB = 2\ndel B\n", ("2", "3"), "A", "0"),
    "order of other functions": (
        "def g():\n    return 1\ndef h():\n    return 2\n",
        (
            "def g():\n    return 1\ndef h():\n    return 2\n",
            "def h():\n    return 2\ndef g():\n    return 1\n",
        ),
        *("g()", "h()"),
    ),
}


@pytest.mark.parametrize(("source", "change", "value", "other"), IGNORED.values(), ids=IGNORED)
def test_an_edit_of_other_code_changes_no_digest(source, change, value, other):
    assert source.replace(*change) != source
    assert digest(source.replace(*change), value, other=other) == digest(source, value, other=other)


FACTORY = (
    HEADER
    + """
def over(limit):
    @feature(available="pickup", needs=["PULocationID"], dtype="int8")
    def over_limit(trips):
        return trips["PULocationID"] > limit
    return over_limit
far = over(100)
"""
)


@pytest.mark.parametrize("change", [("over(100)", "over(90)"), ('"] >', '"] >=')])
def test_a_part_can_have_another_name_in_the_module(change):
    project, edited = load_project(module_of(FACTORY)), load_project(module_of(FACTORY.replace(*change)))
    assert project.features[-1].name == "over_limit"
    assert edited.code_of("featurize") != project.code_of("featurize")
    assert edited.code_of("clean") == project.code_of("clean")


def test_two_parts_cannot_have_the_same_name():
    with pytest.raises(ConfigError, match="the module declares a feature of the same name") as caught:
        load_project(module_of(FACTORY + "near = over(10)\n"))
    assert "__name__" in caught.value.hint


def test_all_fingerprints_have_the_versions_of_the_other_packages():
    names = {"scikit-learn": "sklearn", "xgboost-cpu": "xgboost"}
    in_fingerprints = {names.get(name, name) for name in FINGERPRINT_PACKAGES}
    assert in_fingerprints | {"toytip"} == _KNOWN_PACKAGES - sys.stdlib_module_names


@pytest.fixture
def new_packages():
    """Forget what the test sees of packages."""
    yield
    describe_package.cache_clear()


@pytest.mark.usefixtures("new_packages")
def test_the_version_or_the_files_of_an_imported_package_count(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for number in (1, 2):
        (tmp_path / "own_package.py").write_text(f"A = {number}\n")
        monkeypatch.setattr("importlib.metadata.version", lambda _: f"{number}.0")  # noqa: B023 - used here
        for source in (
            "import own_package as package\n",
            "import scipy as package\n",
            "import math as package\n",
        ):
            describe_package.cache_clear()
            digests.append(digest(source, "package.A"))
    first, second = digests[:3], digests[3:]
    assert [a == b for a, b in zip(first, second, strict=True)] == [False, False, True]


# Code that reads a value from outside of the module, and a part of the error.
OUTSIDE = {
    "variable": ("trips['pickup_at'] > os.environ['LIMIT']", "its code reads an environment variable"),
    "variable by default": (
        "trips['pickup_at'] > os.getenv('LIMIT')",
        "its code reads an environment variable",
    ),
    "variable of a constant": ("trips['pickup_at'] > LIMIT", "its code reads an environment variable"),
    "clock": ("trips['pickup_at'] > np.datetime64(dt.datetime.now())", "its code reads the clock"),
    "time": ("trips['pickup_at'] > time.time()", "its code reads the clock"),
    "file": ("trips['pickup_at'] > float(open('limit.txt').read())", "it reads the file limit.txt"),
}


@pytest.mark.parametrize(("body", "cause"), OUTSIDE.values(), ids=OUTSIDE)
def test_a_function_cannot_read_values_from_outside(body, cause, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "limit.txt").write_text("3")
    source = "import os, time\nimport datetime as dt\nLIMIT = os.environ.get('LIMIT', '2020')\n"
    with pytest.raises(ConfigError, match=r"cannot use feature mine \(mytips.py, line \d+\): ") as caught:
        load_project(module_of(source + feature_source(body)))
    assert cause in str(caught.value)
    assert "@reference" in caught.value.hint


def test_a_module_can_set_variables():
    source = "import os\nos.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')\nUNUSED = os.getenv('HOME')\n"
    assert load_project(module_of(source + feature_source("trips['pickup_at'] > trips['pickup_at']")))


def test_a_reference_table_can_read_values_from_outside():
    source = feature_source("trips['pickup_at'] > getattr(np, 'datetime64')(2020, 'Y')")
    source += "import os\nfrom toytip import reference\ndef folder():\n    return os.environ['HOLIDAYS']\n"
    source += "@reference(valid_at='day', known_at='day')\ndef holidays():\n    return folder()\n"
    assert load_project(module_of(source)).features[-1].name == "mine"
