"""Rows and arguments of users: equal values give the same model, and others are refused."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.exceptions import NotFittedError

from toytip.errors import DataError
from toytip.estimators.exact_xgb import ExactXGBClassifier, ExactXGBRegressor

pytestmark = pytest.mark.usefixtures("one_thread")

PARAMS = {"n_estimators": 3, "max_depth": 3}
LARGEST = np.finfo(np.float32).max
KINDS = [ExactXGBClassifier, ExactXGBRegressor]


def make_rows(count=120):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=count), "b": rng.integers(0, 9, count)})
    return rows.assign(y=rows["a"] + rows["b"] / 5 > 1)


def lazy(rows):
    return dd.from_pandas(rows, npartitions=3, sort=False)


def model_of(fitted):
    return bytes(fitted.booster_.save_raw("ubj"))


def check_same_model(kind, rows, *special, **params):
    """Check that a pandas frame and a Dask frame give the same model."""
    local = kind(**PARAMS, **params).fit(rows, "y", *special)
    assert model_of(kind(**PARAMS, **params).fit(lazy(rows), "y", *special)) == model_of(local)
    return local


def test_whole_numbers_are_rounded_once():
    """A conversion to float32 through float64 would make the odd and even numbers equal."""
    rows = make_rows()
    is_odd = np.arange(len(rows)) % 2
    rows = rows.assign(b=2**54 + 2**30 + is_odd, y=is_odd == 1)
    fitted = check_same_model(ExactXGBClassifier, rows)
    assert (fitted.predict(rows[["a", "b"]]) == rows["y"]).all()
    assert (fitted.predict(lazy(rows)).compute() == rows["y"]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["uint8", "float16", "Int64", "int64[pyarrow]", "Sparse[int64]"])
def test_the_type_of_numbers_does_not_change_the_model(kind, dtype):
    rows = make_rows()
    expected = model_of(kind(**PARAMS).fit(rows, "y", "b"))
    converted = rows.astype({"b": dtype, "y": "boolean"})
    assert model_of(check_same_model(kind, converted, "b")) == expected


def test_labels_of_several_types_in_the_partitions_are_the_same_classes():
    rows = make_rows()
    parts = [rows[:40], rows[40:80].astype({"y": int}), rows[80:].astype({"y": float})]
    frame = dd.from_map(lambda number: parts[number], range(3), meta=parts[0][:0])
    expected = model_of(ExactXGBClassifier(**PARAMS).fit(rows, "y"))
    assert model_of(ExactXGBClassifier(**PARAMS).fit(frame, "y")) == expected


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float64", "string", "category"])
def test_the_ids_of_a_pandas_frame_select_the_same_rows_as_those_of_a_dask_frame(dtype):
    rows = make_rows().assign(id=pd.Series(range(120)).astype(dtype))
    check_same_model(ExactXGBClassifier, rows, subsample=0.5, id_column="id")


CATEGORY = pd.Categorical(["1", "2"] * 60)
TIMES = pd.date_range("2023-01-01", periods=120)


@pytest.mark.parametrize("make_lazy", [False, True])
@pytest.mark.parametrize(
    ("kind", "change", "options", "says"),
    [
        (ExactXGBClassifier, {"b": TIMES}, {}, "cannot use column 'b': its type is datetime64"),
        (ExactXGBClassifier, {"b": CATEGORY}, {}, "cannot use column 'b': its type is category"),
        (ExactXGBClassifier, {"b": 1j}, {}, "cannot use column 'b': its type is complex128"),
        (ExactXGBClassifier, {"b": 1e300}, {}, "infinity or a value too large for float32"),
        (ExactXGBClassifier, {"b": LARGEST}, {}, "infinity or a value too large for float32"),
        (ExactXGBClassifier, {"y": TIMES}, {}, "cannot use the labels: their type is datetime64"),
        (ExactXGBClassifier, {"y": np.arange(120) / 9}, {}, "Unknown label type: continuous"),
        (ExactXGBRegressor, {"y": CATEGORY}, {}, "cannot use the column of labels: its type is category"),
        (ExactXGBRegressor, {"y": TIMES}, {}, "cannot use the column of labels: its type is datetime64"),
        (ExactXGBRegressor, {"y": np.arange(120) * 1e30}, {}, "too small or too large for float32"),
        (ExactXGBRegressor, {"y": np.arange(120) * 1e-40}, {}, "too small or too large for float32"),
        (ExactXGBRegressor, {"y": 1e30, "w": 1e15}, {"sample_weight": "w"}, "label and a weight is too"),
        (ExactXGBClassifier, {"w": TIMES}, {"sample_weight": "w"}, "sample weights: its type is datetime64"),
        (ExactXGBClassifier, {"w": 1e30}, {"sample_weight": "w"}, "the largest weight is 1"),
        (ExactXGBClassifier, {}, {"sample_weight": "y", "id_column": "no"}, "it has no column 'no'"),
        (
            ExactXGBClassifier,
            {"id": pd.array([None, *range(119)], "Int64")},
            {"id_column": "id"},
            "cannot use the IDs in column .*: an ID is missing",
        ),
    ],
)
def test_values_that_cannot_be_used_are_refused_in_every_frame(kind, change, options, says, make_lazy):
    rows = make_rows().assign(**change)
    weights = {name: options[name] for name in options if name == "sample_weight"}
    params = {name: options[name] for name in options if name != "sample_weight"}
    with pytest.raises(ValueError, match=says):
        kind(**PARAMS, **params).fit(lazy(rows) if make_lazy else rows, "y", **weights)


def two_names_alike(rows):
    return rows.set_axis(["a", "a", "y"], axis=1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda rows: (two_names_alike(rows), rows["y"]), "several columns have the name 'a'"),
        (lambda rows: (lazy(two_names_alike(rows)), lazy(rows)["y"]), "several columns have the name 'a'"),
        (lambda rows: (rows[["y"]], "y"), "it has no features"),
        (lambda rows: (lazy(rows), None), "requires y to be passed"),
        (lambda rows: (lazy(rows), lazy(rows)[["y"]]), "the labels are not lazy .* but a DataFrame"),
        (
            lambda rows: (lazy(rows), da.from_array(rows[["y"]].to_numpy(), chunks=(40, 1))),
            "their array has 2 dimensions instead of one",
        ),
        (lambda _: ("no/such/folder", "y"), "cannot read no/such/folder: .*no/such/folder"),
        (lambda _: (__file__, "y"), "cannot read .*test_user_rows.py: .*[Pp]arquet"),
    ],
)
def test_rows_in_other_forms_are_refused(make, says):
    with pytest.raises(DataError, match=says):
        ExactXGBClassifier(**PARAMS).fit(*make(make_rows()))


def test_labels_of_several_kinds_are_refused():
    rows = make_rows()
    with pytest.raises(DataError, match="neither all numbers nor all strings"):
        ExactXGBClassifier(**PARAMS).fit(rows[["a"]], rows["y"].map({False: "no", True: 7}))


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"n_estimators": 3.0}, "cannot use n_estimators=3.0: the value is not an integer"),
        ({"max_depth": None}, "cannot use max_depth=None: the value is not an integer"),
        ({"max_depth": True}, "cannot use max_depth=True: the value is not an integer"),
        ({"learning_rate": "0.1"}, "cannot use learning_rate='0.1': the value is not a number"),
        ({"reg_lambda": np.nan}, "cannot use reg_lambda=nan: the value must be at least 0"),
        ({"random_state": 2**63}, "cannot use random_state=.*: the value must be at least 0 and at most"),
        (
            {"scale_pos_weight": np.inf},
            "cannot use scale_pos_weight=inf: the value must be above 0 and at most",
        ),
        ({"early_stopping_rounds": -1}, "cannot use early_stopping_rounds=-1: the value must be at least 0"),
        ({"monotone_constraints": 1}, "cannot use monotone_constraints=1: set 1, 0 or -1"),
        ({"monotone_constraints": ({}, 1)}, "set 1, 0 or -1 for each feature"),
        ({"id_column": 0}, "cannot use id_column=0: it is not the name of a column"),
        ({"checkpoint_dir": 5}, "cannot use checkpoint_dir=5: it is not the path of a folder"),
        ({"checkpoint_dir": __file__}, "cannot write checkpoints to .*test_user_rows.py: "),
    ],
)
def test_parameters_of_another_type_are_refused(params, says):
    rows = make_rows()
    with pytest.raises(DataError, match=says):
        ExactXGBClassifier(**PARAMS | params).fit(rows[["a", "b"]], rows["y"])


def test_numbers_of_numpy_and_arrays_of_constraints_can_be_parameters():
    rows = make_rows()
    params = {"n_estimators": np.int64(3), "max_depth": np.int32(3), "reg_lambda": np.float32(1)}
    expected = ExactXGBClassifier(**PARAMS, monotone_constraints=(1, 0)).fit(rows, "y")
    fitted = ExactXGBClassifier(**params, monotone_constraints=np.array([1, 0])).fit(rows, "y")
    assert model_of(fitted) == model_of(expected)


def empty(rows):
    return lazy(rows)[lazy(rows)["a"] > 99]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda rows: rows, "cannot use eval_set: it is not a tuple of two or three items"),
        (lambda rows: (rows[["a", "b"]],), "it is not a tuple of two or three items"),
        (lambda rows: [(rows[["a", "b"]], rows["y"])] * 2, "it is not a tuple of two or three items"),
        (lambda rows: (empty(rows), "y"), "no validation row has a weight above 0"),
        (lambda rows: (lazy(rows), "y", lazy(rows)["b"] * 0), "no validation row has a weight above 0"),
        (lambda rows: (lazy(rows), lazy(rows)["b"]), "a label is neither False nor True"),
        (lambda rows: (lazy(rows), lazy(rows)["y"].where(lazy(rows)["b"] > 3)), "a label is missing"),
    ],
)
def test_rows_for_early_stopping_that_cannot_be_used_are_refused(make, says):
    rows = make_rows()
    estimator = ExactXGBClassifier(**PARAMS, early_stopping_rounds=2)
    with pytest.raises(DataError, match=says):
        estimator.fit(rows[["a", "b"]], rows["y"], eval_set=make(rows))


@pytest.mark.filterwarnings("ignore:overflow encountered in square:RuntimeWarning")
def test_a_validation_loss_that_is_infinite_is_refused():
    rows = make_rows()
    estimator = ExactXGBRegressor(**PARAMS, early_stopping_rounds=2)
    with pytest.raises(DataError, match="cannot measure the validation loss: it is too large for float32"):
        estimator.fit(rows[["a"]], rows["y"], eval_set=(rows[["a"]], rows["y"] * 1e38))


def test_after_a_failed_fit_an_estimator_is_not_fitted():
    rows = make_rows()
    estimator = ExactXGBClassifier(**PARAMS)
    with pytest.raises(DataError, match="the labels have 1 class"):
        estimator.fit(rows[["a"]], rows["y"] | True)
    with pytest.raises(NotFittedError):
        estimator.predict(rows[["a"]])


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"garbage", lambda file: file[: len(file) // 2]])
def test_a_training_with_a_damaged_checkpoint_starts_from_the_first_round(damage, tmp_path, caplog):
    """XGBoost itself ends the process if it reads such a file."""
    rows, rounds = make_rows(), []

    def stop(event):
        rounds.append(event.round)
        if len(rounds) == 11:
            raise InterruptedError

    estimator = ExactXGBClassifier(n_estimators=12, checkpoint_dir=str(tmp_path), on_round=stop)
    with pytest.raises(InterruptedError):
        estimator.fit(rows, "y")
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    resumed = estimator.fit(rows, "y")
    assert rounds == [*range(1, 12), *range(1, 13)]
    assert "the checkpoint is damaged. Training starts from the first round" in caplog.text
    assert model_of(resumed) == model_of(ExactXGBClassifier(n_estimators=12).fit(rows, "y"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [-1.0, -LARGEST, np.nextafter(LARGEST, np.float32(0))])
def test_the_booster_separates_missing_values_from_all_others(value):
    rows = pd.DataFrame({"a": [value, np.nan] * 60, "y": [False, True] * 60})
    fitted = ExactXGBClassifier(**PARAMS).fit(rows, "y")
    assert (fitted.booster_.predict(xgb.DMatrix(rows[["a"]])) > 0.5).tolist() == rows["y"].tolist()
