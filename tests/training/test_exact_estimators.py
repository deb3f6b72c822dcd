"""The model of an estimator depends on the rows only, and is as good as that of `xgboost.train`."""

import functools
import json

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.metrics import mean_squared_error, roc_auc_score

from tests.training.higgs import FEATURES, make_higgs, train_on_ranks
from toytip.core.parameters import BoosterParams
from toytip.errors import DataError
from toytip.estimators import fit as estimator_fit
from toytip.estimators.exact_xgb import ExactXGBClassifier, ExactXGBRegressor
from toytip.estimators.frames import Layout, RowSource, Survey, encode_rows, survey_rows
from toytip.estimators.raw_booster import on_raw_values
from toytip.training.local import load_rows, train_rows
from toytip.training.spec import TrainingSpec

pytestmark = pytest.mark.usefixtures("one_thread")

ROUNDS = {"n_estimators": 6, "max_depth": 4}
KNOBS = {
    "defaults": {},
    "max_bin": {"max_bin": 17},
    "min_child_weight": {"min_child_weight": 20.0},
    "reg_lambda": {"reg_lambda": 7.0},
    "reg_alpha": {"reg_alpha": 5.0},
    "gamma": {"gamma": 40.0},
    "scale_pos_weight": {"scale_pos_weight": 2.5},
    "monotone_constraints": {"monotone_constraints": {"column_0": -1, "column_21": 1}},
    "colsample_bytree": {"colsample_bytree": 0.4},
    "colsample_bylevel": {"colsample_bylevel": 0.4},
    "subsample of values": {"subsample": 0.5},
    "subsample of IDs": {"subsample": 0.5, "id_column": "id"},
    "sample_weight": {"sample_weight": "weight"},
}
# The knobs whose treatment depends on the loss. A regressor has no `scale_pos_weight`.
ROUNDED_BY_LOSS = ("defaults", "subsample of IDs", "sample_weight")
SAMPLED = ("colsample_bytree", "colsample_bylevel", "subsample of values", "subsample of IDs")
KINDS = [(ExactXGBClassifier, "label"), (ExactXGBRegressor, "target")]
CASES = [
    (kind, label, name)
    for kind, label in KINDS
    for name in KNOBS
    if (kind, name) != (ExactXGBRegressor, "scale_pos_weight")
]
CONSTRAINTS_IN_XGBOOST = "(-1" + ",0" * 20 + ",1" + ",0" * 6 + ")"
FEW_ROWS, MANY_ROWS = 1_500, 200_000


@pytest.fixture(scope="module")
def few():
    return make_higgs(FEW_ROWS)


@pytest.fixture(scope="module")
def many():
    frame = make_higgs(2 * MANY_ROWS, seed=1)
    return frame[:MANY_ROWS], frame[MANY_ROWS:]


def split_params(params):
    fit_params = {name: value for name, value in params.items() if name == "sample_weight"}
    return {name: value for name, value in params.items() if name not in fit_params}, fit_params


def columns_for(params):
    return [
        *FEATURES,
        *(["id"] if "id_column" in params else []),
        *(["weight"] if "sample_weight" in params else []),
    ]


def fit(kind, frame, label, params, partitions=1, **more):
    estimator_params, fit_params = split_params(params)
    features = frame[[*columns_for(params), label]]
    lazy = dd.from_pandas(features, npartitions=partitions, sort=False) if partitions > 1 else features
    return kind(**ROUNDS, **estimator_params).fit(lazy, label, **fit_params, **more)


def model_of(fitted):
    return bytes(fitted.booster_.save_raw())


@functools.cache
def default_model(kind, label):
    """Return the model of the rows of `few` with the default parameters."""
    return model_of(fit(kind, make_higgs(FEW_ROWS), label, {}))


@pytest.mark.parametrize(
    ("kind", "label", "name"),
    [
        *((ExactXGBClassifier, "label", name) for name in KNOBS),
        *((ExactXGBRegressor, "target", name) for name in ROUNDED_BY_LOSS),
        *(
            pytest.param(ExactXGBRegressor, "target", name, marks=pytest.mark.volume)
            for name in KNOBS
            if name not in (*ROUNDED_BY_LOSS, "scale_pos_weight")
        ),
    ],
)
def test_the_model_depends_neither_on_ranks_nor_partitions_nor_the_order_of_the_rows(
    kind, label, name, few, monkeypatch
):
    params = KNOBS[name]
    expected = model_of(fit(kind, few, label, params))
    if name != "defaults":
        assert expected != default_model(kind, label), "the parameter has an effect"
    for ranks, partitions in ((1, 5), (2, 3), (8, 16)):
        if ranks > 1:
            monkeypatch.setattr(estimator_fit, "train_in_process", train_on_ranks(ranks))
        shuffled = few.sample(frac=1, random_state=ranks)
        assert model_of(fit(kind, shuffled, label, params, partitions)) == expected, (ranks, partitions)


@pytest.mark.parametrize(("kind", "label"), KINDS)
def test_early_stopping_does_not_depend_on_ranks(kind, label, few, monkeypatch):
    params = {"n_estimators": 60, "learning_rate": 0.6, "early_stopping_rounds": 4, "max_depth": 4}
    train, validation = few[:1_000], few[1_000:]
    results = []
    for ranks in (1, 2, 8):
        if ranks > 1:
            monkeypatch.setattr(estimator_fit, "train_in_process", train_on_ranks(ranks))
        order = validation.sample(frac=1, random_state=ranks)
        lazy = [dd.from_pandas(rows, npartitions=ranks + 1, sort=False) for rows in (train, order)]
        eval_set = (lazy[1][FEATURES], lazy[1][label], lazy[1]["weight"])
        fitted = kind(**params).fit(lazy[0][FEATURES], lazy[0][label], eval_set=eval_set)
        results.append((model_of(fitted), fitted.best_iteration_, fitted.learning_curve_["validation"]))
    assert results[0] == results[1] == results[2]
    assert results[0][1] + 1 < 60
    assert fitted.booster_.num_boosted_rounds() == fitted.best_iteration_ + 1


@functools.cache
def rows_on_grid(count, values):
    """Return rows whose features have at most this many values, so that each value has a bin.

    The bins of XGBoost are then the same, although it finds them by a sketch.
    """
    rows = make_higgs(count, seed=1)
    grid = {
        name: pd.qcut(rows[name], values, labels=False, duplicates="drop").astype(np.float32)
        for name in FEATURES
    }
    return rows.assign(**grid)


def train_both(kind, label, params, train, shared, seed=0):
    """Train an estimator, and XGBoost with the same parameters. Returns both."""
    estimator_params, fit_params = split_params(params)
    estimator = kind(**shared, **estimator_params, random_state=seed)
    estimator.fit(train[[*columns_for(params), label]], label, **fit_params)
    weight = train["weight"] if "sample_weight" in params else None
    own = {
        "objective": "binary:logistic" if kind is ExactXGBClassifier else "reg:squarederror",
        "max_bin": 256,
        "nthread": 1,
        "seed": seed,
        **{name: value for name, value in params.items() if name not in ("id_column", "sample_weight")},
        **{name: value for name, value in shared.items() if name != "n_estimators"},
    }
    if "monotone_constraints" in own:
        own["monotone_constraints"] = CONSTRAINTS_IN_XGBOOST
    if "scale_pos_weight" in own:  # XGBoost's first guess is a step of Newton's method, not the mean
        own["base_score"] = first_guess(estimator.booster_)
    matrix = xgb.QuantileDMatrix(
        train[FEATURES], train[label], weight=weight, max_bin=own["max_bin"], nthread=1
    )
    return estimator, xgb.train(own, matrix, shared["n_estimators"])


def first_guess(booster):
    model = json.loads(booster.save_config())["learner"]["learner_model_param"]
    return json.loads(model["base_score"])[0]


def score_both(estimator, booster, label, test):
    """Return AUC, or RMSE as a share of the target's standard deviation, of both models."""
    predictions = booster.predict(xgb.DMatrix(test[FEATURES]))
    if isinstance(estimator, ExactXGBClassifier):
        own = estimator.predict_proba(test[FEATURES])[:, 1]
        return roc_auc_score(test[label], own), roc_auc_score(test[label], predictions)
    own = estimator.predict(test[FEATURES])
    scale = test[label].std()
    return [mean_squared_error(test[label], values) ** 0.5 / scale for values in (own, predictions)]


@pytest.mark.parametrize(("kind", "label", "name"), [case for case in CASES if case[-1] not in SAMPLED])
def test_on_the_same_bins_the_trees_are_those_of_xgboost(kind, label, name):
    params = KNOBS[name]
    rows = rows_on_grid(4_000, params.get("max_bin", 100) - 1)
    shared = {"n_estimators": 15, "max_depth": 4, "learning_rate": 0.2}
    estimator, booster = train_both(kind, label, params, rows[:2_000], shared)
    own, plain = score_both(estimator, booster, label, rows[2_000:])
    assert own == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize(("kind", "label"), KINDS)
def test_sampling_costs_no_more_than_in_xgboost(name, kind, label):
    """The samples are others, so that single models differ."""
    rows = rows_on_grid(6_000, 50)
    shared = {"n_estimators": 30, "max_depth": 3, "learning_rate": 0.1}
    scores = [
        score_both(*train_both(kind, label, KNOBS[name], rows[:2_000], shared, seed), label, rows[2_000:])
        for seed in range(4)
    ]
    own, plain = np.mean(scores, axis=0)
    assert own == pytest.approx(plain, abs=0.01)


@pytest.mark.volume
@pytest.mark.parametrize(("kind", "label", "name"), CASES)
def test_an_estimator_is_as_good_as_xgboost(kind, label, name, many):
    """Samples of rows or columns are others, so that single models differ by as much as 0.002."""
    shared = {"n_estimators": 60, "max_depth": 5, "learning_rate": 0.1}
    train, test = many
    scores = [
        score_both(*train_both(kind, label, KNOBS[name], train, shared, seed), label, test)
        for seed in range(4 if name in SAMPLED else 1)
    ]
    own, plain = np.mean(scores, axis=0)
    assert own == pytest.approx(plain, abs=2e-3)


def test_row_weights_equal_repeated_rows(few):
    """A weight of 2 is the same as a second row, and a weight of 0 the same as no row."""
    counts = np.arange(len(few)) % 3
    repeated = few.loc[few.index.repeat(counts)]
    # In nodes with few rows, several splits have the same gain except for rounding.
    params = {"n_estimators": 4, "max_depth": 3, "max_bin": 4_000, "min_child_weight": 30}
    weighted = ExactXGBClassifier(**params).fit(few[FEATURES], few["label"], sample_weight=counts)
    plain = ExactXGBClassifier(**params).fit(repeated[FEATURES], repeated["label"])
    probabilities = [fitted.predict_proba(few[FEATURES]) for fitted in (weighted, plain)]
    np.testing.assert_allclose(*probabilities, atol=1e-5)


def test_a_constraint_makes_the_prediction_monotone(few):
    fitted = fit(ExactXGBClassifier, few, "label", {"monotone_constraints": {"column_0": 1}})
    rows = few[FEATURES].head(50)
    grid = [
        fitted.predict_proba(rows.assign(column_0=np.float32(value)))[:, 1]
        for value in np.linspace(-3, 3, 25)
    ]
    assert (np.diff(grid, axis=0) >= 0).all()


def test_without_ids_equal_rows_are_drawn_together(few):
    """With IDs, each of the rows is drawn on its own."""
    twice = few.loc[few.index.repeat(2)].reset_index(drop=True).assign(id=np.arange(2 * len(few)))
    params = {"subsample": 0.5, "min_child_weight": 0.0, "reg_lambda": 0.0}
    once = ExactXGBClassifier(**ROUNDS, **params).fit(few[FEATURES], few["label"])
    together = ExactXGBClassifier(**ROUNDS, **params).fit(twice[FEATURES], twice["label"])
    single = ExactXGBClassifier(**ROUNDS, **params, id_column="id")
    single.fit(twice[[*FEATURES, "id"]], twice["label"])
    assert together.booster_.get_dump() == once.booster_.get_dump()
    assert single.booster_.get_dump() != once.booster_.get_dump()


@pytest.mark.parametrize("missing_share", [0.0, 0.3])
def test_a_booster_on_values_predicts_the_same_as_on_bins(missing_share, few):
    rng = np.random.default_rng(0)
    columns = [few[name].to_numpy(np.float32).copy() for name in FEATURES]
    for values in columns:
        values[np.isnan(values)] = 0
        values[rng.random(len(values)) < missing_share] = np.nan
    columns[7][:] = np.nan
    source = RowSource(
        [pd.DataFrame(dict(enumerate(columns)))],
        [few["label"]],
        [None],
        Layout(tuple(range(28))),
        is_lazy=False,
    )
    table = estimator_fit.fit_bins(source, source.reduce(survey_rows, Survey.merge, True), 20, FEATURES)
    (part,) = source.compute(encode_rows, table, np.array([False, True]), False)
    spec = TrainingSpec(
        params=BoosterParams(rounds=8), bin_counts=table.bin_counts, missing_bin=table.missing_bin
    )
    rows = load_rows([part], spec, 1)
    booster, _ = train_rows(rows, None, spec)
    raw = on_raw_values(booster, table.edges, FEATURES)
    assert (
        raw.predict(xgb.DMatrix(np.stack(columns, axis=1), feature_names=FEATURES)).tolist()
        == booster.predict(rows.matrix).tolist()
    )


def test_the_booster_takes_values_and_needs_no_bins(few):
    fitted = fit(ExactXGBClassifier, few, "label", {})
    plain = fitted.booster_.predict(xgb.DMatrix(few[FEATURES]))
    assert fitted.predict_proba(few[FEATURES])[:, 1].tolist() == plain.tolist()
    assert fitted.booster_.feature_names == FEATURES
    table = fitted.bin_table_
    assert table.groupby("feature")["bin"].max().between(2, 255).all()
    edges = set(zip(table["feature"], table["lower"].astype("float32"), strict=True))
    trees = fitted.booster_.trees_to_dataframe()
    splits = trees[trees["Feature"] != "Leaf"]
    inner = splits[splits["Split"].abs() < 1e30]
    assert {
        (name, np.float32(value)) for name, value in zip(inner["Feature"], inner["Split"], strict=True)
    } <= edges


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"objective": "rank:ndcg"}, "cannot set objective: toytip rounds the gradients of the logistic"),
        ({"tree_method": "approx"}, "cannot set tree_method: only the method hist"),
        ({"sampling_method": "gradient_based"}, "cannot set sampling_method: toytip samples rows by a hash"),
        ({"colsample_bynode": 0.5}, "cannot set colsample_bynode: XGBoost draws"),
    ],
)
def test_parameters_that_cannot_be_exact_are_refused_with_the_reason(change, says):
    with pytest.raises(DataError, match=says):
        ExactXGBClassifier().set_params(**change)


def bad(few, **columns):
    return few[[*FEATURES, "label"]].assign(**columns)


@pytest.mark.parametrize(
    ("make", "options", "says"),
    [
        (lambda few: bad(few, column_3="a"), {}, "cannot use column 'column_3': its type is"),
        (lambda few: bad(few, column_3=np.inf), {}, "column 'column_3': it contains infinity"),
        (lambda few: bad(few, label=np.arange(len(few))), {}, "Only binary classification is supported"),
        (lambda few: bad(few, label=1), {}, "the labels have 1 class"),
        (lambda few: bad(few, w=-1.0), {"sample_weight": "w"}, "a weight is negative or missing"),
        (lambda few: bad(few, w=0.0), {"sample_weight": "w"}, "there are no rows"),
        (bad, {"sample_weight": "w"}, "it has no column 'w'"),
        (lambda few: bad(few).rename(columns={"column_3": "a[0]"}), {}, "XGBoost does not allow"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(make, options, says, few):
    with pytest.raises(DataError, match=says):
        ExactXGBClassifier(**ROUNDS).fit(dd.from_pandas(make(few), npartitions=2), "label", **options)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"subsample": 0}, "cannot use subsample=0: the value must be above 0 and at most 1"),
        ({"max_bin": 1}, "cannot use max_bin=1"),
        ({"monotone_constraints": {"no": 1}}, "there is no feature 'no'"),
        ({"monotone_constraints": (1, 0)}, "set 1, 0 or -1 for each feature"),
        ({"early_stopping_rounds": 3}, "cannot stop early: there is no eval_set"),
    ],
)
def test_parameters_out_of_range_are_refused(params, says, few):
    with pytest.raises(DataError, match=says):
        ExactXGBClassifier(**ROUNDS, **params).fit(few[FEATURES], few["label"])
