"""A project: the declared parts of a user's module become parts of the data set."""

import io
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from dask.base import tokenize
from distributed.protocol import pickle

from tests.support.models import raw_month
from tests.support.projects import HEADER, MYTIPS, feature_source, module_of
from tests.support.trips import make_trips
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.core.tables import FEATURES
from toytip.datasets.project.code import ModuleCode
from toytip.datasets.project.execution import execute_module
from toytip.datasets.project.loader import build_dataset, load_project
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ConfigError
from toytip.stages import clean, conform, profile
from toytip.stages.featurize import featurize


@pytest.fixture
def project():
    return load_project(module_of(MYTIPS))


ROWS = 'len(trips["pickup_at"])'
LEAK_THROUGH_TABLE = f"""{HEADER}from toytip import reference
@reference(valid_at='hour', known_at='hour')
def weather(): ...
@label(needs=['dropoff_at'], leaks=['dropoff_at'])
def late(trips): ...
@feature(available='dropoff', needs=['weather'], dtype='int8')
def mine(trips): ...
"""
# A module, the line that the error names, and a part of its message and of its hint.
BAD_MODULES = {
    "syntax": ("x = (\n", 1, "never closed", "Correct the file"),
    "import": ("import nosuch\n", 1, "nosuch", "A project is one file"),
    "execution": (f"{HEADER}\n1 / 0\n", 4, "division by zero", "Correct"),
    "exit": (f"{HEADER}import sys\nsys.exit(3)\n", 4, "SystemExit: 3", "Correct"),
    "exit in a function": (
        feature_source("(_ for _ in ()).throw(SystemExit(3))"),
        5,
        "SystemExit: 3",
        "Correct",
    ),
    "file": (f"{HEADER}ZONES = open('zones.csv').read()\n", 3, "it reads the file zones.csv", "@reference"),
    "file of pandas": (
        f"{HEADER}import pandas as pd\nZONES = pd.read_csv('zones.csv')\n",
        4,
        "it reads the file zones.csv",
        "@reference",
    ),
    "nothing declared": (HEADER, None, "declares no feature", "Decorate"),
    "no arguments": (f"{HEADER}@feature\ndef mine(trips): ...\n", 3, "TypeError", "Correct"),
    "scalar": (feature_source("1"), 3, "a single value for 8 rows", "one value per row"),
    "length": (feature_source(f"np.zeros({ROWS} // 2)"), 3, "shape (4,) for 8 rows", "one value per row"),
    "times": (feature_source('trips["pickup_at"]'), 3, "type datetime64[us]", "a number"),
    "undeclared column": (feature_source('trips["extra"]'), 5, "did not get the column extra", "to needs"),
    "error": (feature_source("undefined"), 5, "name 'undefined'", "Correct"),
    "overflow": (feature_source(f"np.full({ROWS}, 300)"), 3, "300 is not a number of type int8", "float32"),
    "fraction": (feature_source(f"np.full({ROWS}, 0.5)"), 3, "0.5 is not a number of type int8", "float32"),
    "missing": (feature_source(f"np.full({ROWS}, np.nan)"), 3, "nan is not a number", "float32"),
    "other rows": (feature_source(f"np.arange({ROWS})"), 3, "depends on other rows", "of the row itself"),
    "random": (
        feature_source(f"np.random.default_rng().random({ROWS})", dtype="float32"),
        3,
        "two calls with the same rows return different values",
        "no random numbers",
    ),
    "infinite whole number": (
        feature_source(f"np.full({ROWS}, np.inf)"),
        3,
        "inf is not a number",
        "float32",
    ),
    "too early": (feature_source("0", needs="dropoff_at"), 3, "dropoff_at is known at dropoff", "dropoff"),
    "leak": (feature_source("0", needs="tip_amount"), 3, "tip_amount leaks the label", "Remove"),
    "column": (feature_source("0", needs="pickupat"), 3, "no column pickupat", "pickup_at?"),
    "total": (feature_source("0", needs="total_amount"), 3, "total_amount leaks the label", "Remove"),
    "feature of toytip": (
        feature_source("0", needs="trip_speed"),
        3,
        "trip_speed is a feature, and a feature can read only columns",
        "List the columns from which trip_speed is computed: ",
    ),
    "rate of toytip": (feature_source("0", needs="pickup_zone_rate"), 3, "is a feature", "Use a column"),
    "own feature": (
        feature_source("trips['pickup_at'] > trips['pickup_at']")
        + feature_source("0", needs="mine").replace("def mine", "def other"),
        8,
        "mine is a feature",
        "is computed: pickup_at",
    ),
    "feature in a label": (
        f"{HEADER}@label(needs=['trip_speed'])\ndef mine(trips): ...\n",
        3,
        "trip_speed is a feature, and a label can read only columns",
        "is computed",
    ),
    "leak in a segment": (
        f"{HEADER}@segment(needs=['tip_amount'])\ndef mine(trips): ...\n",
        3,
        "tip_amount leaks the label",
        "Remove",
    ),
    "feature in a segment": (
        f"{HEADER}@segment(needs=['trip_speed'])\ndef mine(trips): ...\n",
        3,
        "trip_speed is a feature",
        "is computed",
    ),
    "similar column": (
        feature_source('trips["pickupat"]'),
        5,
        "did not get the column pickupat",
        "Did you mean pickup_at? If not, add pickupat to needs.",
    ),
    "dtype": (feature_source("0", dtype="float64"), 3, "dtype is 'float64'", "float32"),
    "availability": (feature_source("0", available="later"), 3, "'later'", "pickup or dropoff or payment"),
    "name of a column": (
        feature_source("0").replace("mine", "work_hours"),
        3,
        "has a column of this name",
        "Rename",
    ),
    "name of the label": (
        feature_source("0").replace("mine", "high_tip"),
        3,
        "column of this name",
        "Rename",
    ),
    "name twice": (feature_source("0") + feature_source("0"), 9, "defines this name twice", "Rename"),
    "column of a rule": (
        f"{HEADER}@rule\ndef mine(trips):\n    return trips['fare'] > 1\n",
        5,
        "did not get the column fare",
        "fare_amount",
    ),
    "name of a rule": (
        f"{HEADER}@rule\ndef negative_tip(trips):\n    return trips['fare_amount'] > 1\n",
        3,
        "has a rule of this name",
        "Rename",
    ),
    "numbers of a rule": (
        f"{HEADER}@rule\ndef mine(trips):\n    return trips['fare_amount']\n",
        3,
        "not True or False",
        "True or False",
    ),
    "changed rows": (
        f"{HEADER}@rule\ndef mine(trips):\n    trips['fare_amount'][0] = 1\n    return trips['fare_amount'] > 1\n",
        5,
        "read-only",
        "Correct",
    ),
    "label without leak": (
        f"{HEADER}@label(needs=['dropoff_at'])\ndef mine(trips): ...\n",
        3,
        "it needs only columns that features can use, and not",
        "Set leaks",
    ),
    "label of an unread column": (
        f"{HEADER}@label(needs=['total_amount', 'fare_amount'])\ndef mine(trips): ...\n",
        3,
        "toytip does not read total_amount, which is known only after the tip is paid",
        "Compute the label from tip_amount,",
    ),
    "segment of all trips": (
        f"{HEADER}@segment(needs=['payment_type'])\ndef all(trips): ...\n",
        3,
        "toytip has a segment of this name",
        "Rename",
    ),
    "None": (feature_source("None"), 3, "it returns None for 8 rows", "one value per row"),
    "iterator": (feature_source(f"iter(range({ROWS}))"), 3, "a value of type range_iterator", "one value"),
    "generator": (
        feature_source("(yield)"),
        4,
        "its function is a generator or asynchronous",
        "all values at once",
    ),
    "coroutine": (
        f"{HEADER}@rule\nasync def mine(trips):\n    return trips['fare_amount'] > 1\n",
        4,
        "its function is a generator or asynchronous",
        "all values at once",
    ),
    "masked values": (
        feature_source(f"np.ma.masked_less(np.arange({ROWS}), 3)"),
        3,
        "it returns a masked array",
        "filled",
    ),
    "repeated rows": (
        f"{HEADER}import pandas as pd\n@rule\ndef mine(trips):\n    return pd.Series(trips['pickup_at']).duplicated()\n",
        4,
        "depends on other rows (False once, True with each row twice)",
        "of the row itself",
    ),
    "attribute": (
        feature_source("trips.pickup_at"),
        5,
        "it gets a dict of arrays, which has no attribute pickup_at",
        'Write trips["pickup_at"].',
    ),
    "method of a frame": (feature_source("trips.query('1 > 0')"), 5, "no attribute query", "pd.DataFrame"),
    "file in a feature": (
        feature_source("open('zones.csv')"),
        5,
        "mine (bad.py, line 5): it reads the file zones.csv",
        "@reference",
    ),
    "lambda": (
        f"{HEADER}mine = rule(lambda trips: trips['fare_amount'] > 1)\n",
        3,
        "rule mine (bad.py, line 3): its function has the name '<lambda>'",
        "def mine",
    ),
    "decorator without wraps": (
        f"{HEADER}def inner(function):\n    return lambda trips: function(trips)\n@rule\n@inner\ndef mine(trips): ...\n",
        7,
        "its function has the name '<lambda>'",
        "functools.wraps",
    ),
    "partial": (
        f"{HEADER}import functools\nmine = rule(functools.partial(max, 3))\n",
        4,
        "it does not decorate a function of this file",
        "Define the rule with def",
    ),
    "class": (f"{HEADER}@rule\nclass mine: ...\n", 4, "does not decorate a function", "with def"),
    "two decorators": (f"{HEADER}@rule\n@rule\ndef mine(trips): ...\n", 5, "does not decorate", "once"),
    "list of parts": (
        f"{HEADER}def make():\n    @rule\n    def mine(trips): ...\n    return mine\nRULES = [make()]\n",
        7,
        "list RULES (bad.py, line 7): it contains a rule that is not at the top level",
        "Give each part a name",
    ),
    "method": (
        f"{HEADER}class Rules:\n    @rule\n    def mine(trips): ...\n",
        3,
        "class Rules (bad.py, line 3): it contains a rule that is not at the top level",
        "Give each part a name",
    ),
    "no needs": (f"{HEADER}@label(needs=[])\ndef mine(trips): ...\n", 3, "needs is empty", "List"),
    "no needs of a segment": (f"{HEADER}@segment(needs=())\ndef mine(trips): ...\n", 3, "empty", "List"),
    "needs without names": (
        feature_source("0", needs=[["pickup_at"]]),
        3,
        "needs is [['pickup_at']]",
        "a list of names of columns",
    ),
    "reserved name": (
        feature_source("0").replace("def mine", "def __label__"),
        4,
        "begins with an underscore",
        "Rename",
    ),
    "name of a column in another case": (
        feature_source("0").replace("def mine", "def pulocationid"),
        3,
        "toytip has a column of this name",
        "Rename",
    ),
    "leak through a reference table": (
        LEAK_THROUGH_TABLE,
        8,
        "dropoff_at leaks the label",
        'Remove the table from needs, or set available="pickup".',
    ),
    "two labels": (
        MYTIPS + "@label(needs=['tip_amount'])\ndef other(trips): ...\n",
        MYTIPS.count("\n") + 1,
        "already declares the label generous_tip",
        "Remove",
    ),
    "segment": (
        f"{HEADER}@segment(needs=['dropoff_at'])\ndef mine(trips): ...\n",
        3,
        "no column dropoff_at",
        "Choose from",
    ),
}


@pytest.mark.parametrize(("source", "line", "cause", "hint"), BAD_MODULES.values(), ids=BAD_MODULES)
def test_an_error_has_the_line_and_a_hint(source, line, cause, hint):
    with pytest.raises(ConfigError) as caught:
        load_project(module_of(source, file="bad.py"))
    message = str(caught.value)
    assert message.startswith("cannot use ")
    assert cause in message
    assert ("bad.py, line" not in message) if line is None else (f"bad.py, line {line}" in message)
    assert hint in caught.value.hint
    assert "\n" not in message


def test_a_function_can_make_several_parts():
    """An edit of the function changes the code of the parts that it makes."""
    source = f"""{HEADER}
def above(limit):
    def reject(trips):
        return trips["fare_amount"] > limit
    reject.__name__ = f"above_{{limit}}"
    return rule(reject)

above_300, above_400 = above(300), above(400)
"""
    project = load_project(module_of(source))
    assert [item.name for item in project.rules[-2:]] == ["above_300", "above_400"]
    edited = load_project(module_of(source.replace("def reject(trips):", "def reject(trips, extra=1):")))
    assert edited.code_of("clean") != project.code_of("clean")


def test_a_function_cannot_change_the_columns_of_other_functions():
    source = f"""{HEADER}
@rule
def first(trips):
    trips["fare_amount"] = trips["fare_amount"] + 1000
    return trips.pop("fare_amount") > 2000

@rule
def second(trips):
    return trips["fare_amount"] > 1000
"""
    project = load_project(module_of(source))
    trips = {"fare_amount": np.array([900.0, 1001.0])}
    assert [item.rejects(trips).tolist() for item in project.rules[-2:]] == [[False, True], [False, True]]
    assert list(trips) == ["fare_amount"]


@pytest.mark.parametrize("body", ["trips.get('fare_amount') > 1000", "trips['fare_amount'] > 1000"])
def test_the_trial_finds_the_columns_that_a_rule_uses(body):
    project = load_project(module_of(f"{HEADER}@rule\ndef mine(trips):\n    return {body}\n"))
    assert project.rules[-1].needs == ("fare_amount",)


def test_a_module_prints_to_stderr(capfd):
    source = f"{HEADER}print('at the top')\n@rule\ndef mine(trips):\n    print('in a rule')\n"
    load_project(module_of(f"{source}    return trips['fare_amount'] > 1000\n"))
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("at the top\nin a rule\n")


def test_a_text_is_the_name_of_one_column():
    source = MYTIPS.replace('needs=["pickup_at"]', 'needs="pickup_at"')
    source = source.replace('needs=["payment_type"]', 'needs="payment_type"')
    project = load_project(module_of(source))
    assert (project.features[-1].needs, project.segment.needs) == (("pickup_at",), ("payment_type",))


@pytest.mark.parametrize("value", ["1 / np.zeros", "-1 / np.zeros", "1e300 * np.ones"])
def test_an_infinite_value_counts_as_missing(value):
    source = feature_source(
        f"np.where(trips['trip_distance'] > 1, 7, {value}({ROWS}))", dtype="float32", available="dropoff"
    )
    source = source.replace("['pickup_at']", "['pickup_at', 'trip_distance']")
    declared = load_project(module_of(source)).features[-1]
    trips = {"pickup_at": np.zeros(2), "trip_distance": np.array([2.0, 0.5])}
    values = declared.values(trips)  # without a warning
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.array([7, np.nan], np.float32))


def test_a_module_adds_to_the_data_set(project):
    assert project.features == (*TLC.features, project.features[-1])
    assert project.reject_reasons == (*TLC.reject_reasons, "fare_above_limit")
    assert (project.label.name, project.segments) == ("generous_tip", ("all", "cash"))
    assert project.label.settled == TLC.label.settled
    for name in ("pickup", "dropoff", "payment"):
        assert set(project.feature_set(name)) - set(TLC.feature_set(name)) == {"is_weekend"}
    assert project.column_docs["is_weekend"].text == "1 on Saturday and Sunday, else 0."
    assert project.table(FEATURES).names[-2:] == ["is_weekend", "generous_tip"]


def test_the_stages_use_the_parts(project):
    days = [{"pickup_at": f"2023-01-{day} 08:00", "dropoff_at": f"2023-01-{day} 09:00"} for day in (13, 14)]
    trips = make_trips(*days, {"fare_amount": 1001.0}, {"tip_amount": 3.5, "payment_type": 2})
    kept, rejects = clean.clean(trips, project)
    assert rejects["reason"].tolist() == ["fare_above_limit"]
    features = featurize(kept, project)
    assert features["is_weekend"].tolist() == [0, 1, 0]
    assert features["generous_tip"].tolist() == [False, False, True]
    histograms = profile.profile(features, project)
    assert set(histograms["feature"]) >= {"is_weekend"}
    assert histograms.query("feature == 'is_weekend' and in_segment")["trips"].sum() == 1


def test_features_that_leak_a_new_label_are_in_no_feature_set():
    source = (
        HEADER
        + """
@label(needs=["pickup_at", "dropoff_at"], leaks=["dropoff_at"], settled="the trip ends")
def long_trip(trips):
    return trips["dropoff_at"] - trips["pickup_at"] > np.timedelta64(30, "m")
"""
    )
    project = load_project(module_of(source))
    removed = set(TLC.feature_set("payment")) - set(project.feature_set("payment"))
    assert removed == {"trip_time", "trip_speed"}
    assert "tip_amount" not in project.leaking_columns
    with pytest.raises(ConfigError, match="known only after the trip ends"):
        load_project(module_of(source + feature_source("0", needs="dropoff_at").removeprefix(HEADER)))


def test_a_feature_in_a_module_gives_the_same_bytes_as_in_the_package():
    """The package computes `work_hours` with its own function, the project with a copy."""
    moved = next(item for item in TLC.features if item.name == "work_hours")
    others = tuple(item for item in TLC.features if item is not moved)
    package = replace(TLC, features=(*others, moved))
    source = (
        HEADER
        + """
from toytip.core.times import hour, weekday

@feature(available="pickup", needs=["pickup_at"], dtype="int8")
def work_hours(trips):
    pickup_at = trips["pickup_at"]
    return (weekday(pickup_at) < 5) & np.isin(hour(pickup_at), range(8, 19))
"""
    )
    base = replace(TLC, features=others, feature_sets={})
    project = build_dataset(module_of(source), base)
    partition = SourcePartition(taxi="yellow", month=Month(2023, 1), uri="x", start=0, stop=900, number=0)
    raw = raw_month("yellow", Month(2023, 1), 900).slice(0, 900)

    def file_bytes(dataset):
        kept, _ = clean.clean(conform.conform(raw, partition, dataset), dataset)
        features, table = featurize(kept, dataset), dataset.table(FEATURES)
        target = io.BytesIO()
        pq.write_table(table.to_arrow(features), target, **table.parquet_options)
        return target.getvalue(), profile.profile(features, dataset)

    (in_package, expected), (in_project, histograms) = file_bytes(package), file_bytes(project)
    assert in_package == in_project
    assert histograms.equals(expected)


def test_another_process_gets_the_module_by_value(project, tmp_path):
    """The other process has no file, and shows the lines of the module in a traceback."""
    content = pickle.dumps(project)
    assert len(content) < len(MYTIPS) + 400
    assert pickle.loads(content) is project
    assert tokenize(project) == tokenize(pickle.loads(content)) != tokenize(TLC)
    (tmp_path / "dataset.pickle").write_bytes(content)
    code = """
import pickle, traceback
dataset = pickle.load(open("dataset.pickle", "rb"))
try:
    dataset.label.values({"tip_amount": None, "fare_amount": None})
except Exception:
    print(traceback.format_exc())
"""
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert 'return trips["tip_amount"] > 0.3 * trips["fare_amount"]' in process.stdout


def test_a_process_with_other_values_has_a_clear_error(tmp_path):
    source = feature_source(f"np.full({ROWS}, K)", dtype="float32").replace(
        "import numpy", "import os, numpy"
    )
    project = load_project(module_of(source.replace("@feature", "K = os.getpid()\n@feature"), file="bad.py"))
    (tmp_path / "dataset.pickle").write_bytes(pickle.dumps(project))
    code = "import pickle; pickle.load(open('dataset.pickle', 'rb'))"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (
        "ConfigError: cannot use feature mine (bad.py, line 4): its values differ between processes"
        in process.stderr
    )


def test_a_module_can_import_packages_and_read_files_of_the_system(tmp_path, monkeypatch):
    """A package can read its own files, wherever it is installed."""
    (tmp_path / "package_with_data.py").write_text(
        "from pathlib import Path\nLIMIT = int(Path(__file__).with_name('limit.txt').read_text())\n"
    )
    (tmp_path / "limit.txt").write_text("3")
    monkeypatch.syspath_prepend(tmp_path)
    source = MYTIPS + "import package_with_data\nimport zoneinfo\nZONE = zoneinfo.ZoneInfo('UTC')\n"
    source += "open('/dev/null').close()\nopen('written.txt', 'w').close()\n"
    monkeypatch.chdir(tmp_path)
    assert load_project(module_of(source, file="imports.py")).features[-1].name == "is_weekend"


@pytest.mark.parametrize("folder", ["site-packages", "__pycache__"])
def test_a_function_can_read_files_of_packages_and_compiled_code(folder, tmp_path):
    """A package can read its data, wherever it is installed, and a compiler can read its cache."""
    file = tmp_path / folder / "data.bin"
    file.parent.mkdir()
    file.write_bytes(b"7")
    source = feature_source(f"np.full({ROWS}, int(open({str(file)!r}).read()))")
    assert load_project(module_of(source)).features[-1].name == "mine"


def test_a_module_is_executed_once_per_process(monkeypatch):
    source = f"{HEADER}import builtins\nbuiltins.executions = getattr(builtins, 'executions', 0) + 1\n"
    source += feature_source("trips['pickup_at'] > trips['pickup_at']").removeprefix(HEADER)
    monkeypatch.setattr("builtins.executions", 0, raising=False)
    first = load_project(module_of(source))
    assert load_project(module_of(source)) is first
    execute_module(module_of(source))
    assert sys.modules["builtins"].executions == 1


def test_the_threads_of_a_worker_share_one_execution(monkeypatch):
    """A slow module is not used before it is executed completely."""
    source = (
        f"{HEADER}import builtins, time\nbuiltins.runs = getattr(builtins, 'runs', 0) + 1\ntime.sleep(0.05)\n"
    )
    source += feature_source("trips['pickup_at'] < trips['pickup_at']").removeprefix(HEADER)
    monkeypatch.setattr("builtins.runs", 0, raising=False)
    with ThreadPoolExecutor(4) as pool:
        projects = list(pool.map(load_project, [module_of(source)] * 4))
    assert all(project is projects[0] for project in projects)
    assert sys.modules["builtins"].runs == 1


def test_the_trial_ends_a_function_that_does_not_end(monkeypatch):
    monkeypatch.setattr("toytip.datasets.project.time_limit.TRIAL_SECONDS", 0.2)
    with pytest.raises(
        ConfigError, match=r"mine \(bad.py, line \d+\): it takes longer than 0.2 s for a few rows"
    ):
        load_project(module_of(feature_source("[0 for row in iter(int, 1)]"), file="bad.py"))


def test_an_error_at_run_time_has_the_line_too(project):
    with pytest.raises(
        ConfigError, match=r"label generous_tip \(mytips.py, line 23\): UFuncTypeError"
    ) as caught:
        project.label.values({"tip_amount": np.array(["a"]), "fare_amount": np.array([1.0])})
    assert any(
        frame.filename == "mytips.py" for frame in traceback.extract_tb(caught.value.__cause__.__traceback__)
    )


# An edit of the module, and the stages whose code it changes.
EDITS = {
    "comment": (("LIMIT = 1000", "LIMIT = 1000  # dollars"), ()),
    "empty line": (("@rule", "\n\n@rule"), ()),
    "rule": (('trips["fare_amount"] > LIMIT', 'trips["fare_amount"] >= LIMIT'), ("clean", "train")),
    "constant of the rule": (("LIMIT = 1000", "LIMIT = 900"), ("clean", "train")),
    "feature": ((">= 5", ">= 4"), ("featurize", "train")),
    "argument of the feature": (('"int8"', '"int32"'), ("featurize", "train")),
    "label": (("0.3 *", "0.25 *"), ("featurize", "train")),
    "segment": (("== 2", "== 3"), ("featurize", "train")),
    "statement": (("LIMIT = 1000", "LIMIT = 1000\nprint"), ("clean", "featurize", "train")),
    "name of the rule": (("def fare_above_limit", "def fare_too_high"), ("clean", "train")),
}


@pytest.mark.parametrize(("change", "stages"), EDITS.values(), ids=EDITS)
def test_an_edit_changes_the_code_of_its_stages_only(project, change, stages):
    source = MYTIPS.replace(*change)
    assert source != MYTIPS
    edited = load_project(module_of(source))
    changed = [
        name for name in ("clean", "featurize", "train") if edited.code_of(name) != project.code_of(name)
    ]
    assert tuple(changed) == stages
    assert TLC.code_of("clean") == TLC.code_of("train") == ""


def test_code_that_reads_names_at_run_time_depends_on_the_whole_module():
    sources = [f"A = {number}\ndef used():\n    return globals()['A']\n" for number in (1, 2)]
    first, second = (ModuleCode(source, "x.py").digest(["used"]) for source in sources)
    assert first != second


def test_parts_of_an_imported_module_do_not_count():
    source = MYTIPS + "from toytip.datasets.tlc.taxis.features import trip_speed\n"
    assert len(load_project(module_of(source)).features) == len(TLC.features) + 1
