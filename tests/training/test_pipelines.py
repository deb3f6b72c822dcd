"""The public pipeline on frames of features, in code of scikit-learn and dask-ml."""

import pickle

import dask.dataframe as dd
import pandas as pd
import pytest
from dask_ml import metrics
from dask_ml.model_selection import GridSearchCV as DaskGridSearchCV
from dask_ml.model_selection import train_test_split
from dask_ml.wrappers import ParallelPostFit
from sklearn.base import clone
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

import toytip
from tests.support.projects import MYTIPS
from toytip.datasets.tlc.fhvhv.dataset import FHVHV
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ConfigError, DataError
from toytip.estimators.preprocessor import Preprocess

pytestmark = pytest.mark.usefixtures("one_thread")
PARAMS = {"n_estimators": 8, "max_depth": 4}


@pytest.fixture(scope="module")
def trips(features):
    """A third of the trips of each month, in the order of their months."""
    return features[::3].reset_index(drop=True)


def to_dask(frame, partitions=3):
    return dd.from_pandas(frame, npartitions=partitions, sort=False)


def model_of(pipeline):
    return bytes(pipeline["classifier"].booster_.save_raw())


@pytest.fixture(scope="module")
def fitted(trips):
    return toytip.make_pipeline(**PARAMS).fit(trips, trips["high_tip"])


@pytest.mark.cluster
@pytest.mark.parametrize("own", [{}, {"subsample": 0.6, "id_column": "trip_id"}])
def test_the_pipeline_trains_the_model_of_a_run(own, synthetic, client, tmp_path):
    """On the training months of the run, all probabilities are those of the run."""
    with client.as_current():
        shared = {"max_depth": 4, "subsample": own.get("subsample", 1.0)}
        run = toytip.run(synthetic, store=tmp_path, rounds=8, **shared)
        months = "2020-01:2020-02"
        trips = run.store.features(months=months)
        params = {"n_estimators": run.store.model().rounds, "learning_rate": 0.1, **shared, **own}
        pipeline = toytip.make_pipeline(**params).fit(trips, trips["high_tip"])
        probabilities = pipeline.predict_proba(trips).compute()[:, 1]
        scored = run.store.predictions(months=months)[["trip_id", "probability"]].compute()
        ids = trips["trip_id"].compute()
    assert probabilities.tolist() == scored.set_index("trip_id")["probability"].loc[ids].tolist()


def test_the_ids_of_rows_decide_which_rows_are_drawn(trips):
    params = {**PARAMS, "subsample": 0.5}
    label = trips["high_tip"]
    by_id = toytip.make_pipeline(**params, id_column="trip_id").fit(trips, label)
    lazy = to_dask(trips.sample(frac=1, random_state=1), 4)
    shuffled = toytip.make_pipeline(**params, id_column="trip_id").fit(lazy, lazy["high_tip"])
    by_value = toytip.make_pipeline(**params).fit(trips, label)
    assert model_of(by_id) == model_of(shuffled) != model_of(by_value)
    expected = by_id.predict_proba(trips)
    assert by_id.predict_proba(trips.drop(columns="trip_id")).tolist() == expected.tolist()
    assert by_id.predict_proba(to_dask(trips)).compute().tolist() == expected.tolist()
    with pytest.raises(DataError, match="it has no column 'trip_id'"):
        toytip.make_pipeline(**params, id_column="trip_id").fit(trips.drop(columns="trip_id"), label)


def test_a_pipeline_has_the_features_of_a_project(trips, tmp_path):
    module = tmp_path / "mytips.py"
    module.write_text(MYTIPS)
    pipeline = toytip.make_pipeline("pickup", project=module, **PARAMS)
    is_weekend = (trips["pickup_at"].dt.day_of_week >= 5).astype("int8")
    pipeline.fit(trips.assign(is_weekend=is_weekend), trips["high_tip"])
    assert "is_weekend" in pipeline["classifier"].feature_names_in_
    with pytest.raises(DataError, match="it has no column 'is_weekend'"):
        pipeline.predict(trips)


def test_a_pipeline_has_the_features_of_a_taxi_type():
    assert toytip.make_pipeline(taxi="fhvhv")["preprocess"].names == FHVHV.feature_set("payment")
    assert toytip.make_pipeline(taxi="green")["preprocess"].names == TLC.feature_set("payment")


@pytest.mark.parametrize("partitions", [1, 5])
def test_the_model_depends_only_on_the_rows(partitions, trips, fitted):
    shuffled = to_dask(trips.sample(frac=1, random_state=partitions), partitions)
    pipeline = toytip.make_pipeline(**PARAMS).fit(shuffled, shuffled["high_tip"])
    assert model_of(pipeline) == model_of(fitted)
    assert pipeline["preprocess"].encoding_ == fitted["preprocess"].encoding_
    lazy = pipeline.predict_proba(to_dask(trips, 4))
    assert lazy.compute().tolist() == fitted.predict_proba(trips).tolist()
    assert pipeline.predict(to_dask(trips, 4)).compute().tolist() == fitted.predict(trips).tolist()


@pytest.mark.parametrize("name", ["seed", "dropoff"])
def test_a_feature_set_has_its_features_and_target_encodings(name, trips):
    pipeline = toytip.make_pipeline(name, n_estimators=1).fit(trips, trips["high_tip"])
    names = set(pipeline["classifier"].feature_names_in_)
    assert names <= {*TLC.feature_set(name), *TLC.target_rate_set(name)}
    assert "payment_type" not in names
    assert names >= set(TLC.target_rate_set(name))


def test_every_bin_index_has_its_own_bin(trips):
    """The bin indices of a feature are at most 256 numbers, and the classifier has 256 bins."""
    numbers = pd.Series(trips.index % 257, dtype="float32")
    many_values = trips.assign(extra=numbers.where(numbers < 256))
    pipeline = toytip.make_pipeline(n_estimators=1).fit(many_values, trips["high_tip"])
    bins, table = pipeline[0].transform(many_values), pipeline[1].bin_table_
    assert bins["extra"].nunique() == 256
    assert table.groupby("feature").size().to_dict() == bins.nunique().to_dict()


def test_the_labels_are_the_argument(trips):
    """The column with the labels of toytip has no effect, and no feature has the labels."""
    is_long = (trips["trip_distance"] > 3).astype("int8")
    pipeline = toytip.make_pipeline("dropoff", **PARAMS).fit(trips.drop(columns="high_tip"), is_long)
    assert roc_auc_score(is_long, pipeline.predict_proba(trips)[:, 1]) > 0.999
    assert model_of(toytip.make_pipeline("dropoff", **PARAMS).fit(trips, is_long)) == model_of(pipeline)
    assert pipeline.classes_.tolist() == [0, 1]


def test_scikit_learn_validates_and_searches_on_frames_in_memory(trips):
    folds, label = TimeSeriesSplit(2), trips["high_tip"]
    scores = cross_val_score(
        toytip.make_pipeline(**PARAMS), trips, label, cv=folds, scoring="roc_auc", error_score="raise"
    )
    assert (scores > 0.7).all()
    grid = {"classifier__max_depth": [1, 4]}
    options = {"cv": folds, "scoring": "roc_auc", "error_score": "raise"}
    search = GridSearchCV(toytip.make_pipeline(**PARAMS), grid, **options).fit(trips, label)
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(scores.mean(), abs=1e-12)
    assert search.best_params_ == {"classifier__max_depth": 4}


def test_dask_ml_searches_on_frames_in_memory(trips):
    grid, label = {"classifier__max_depth": [1, 4]}, trips["high_tip"]
    search = DaskGridSearchCV(toytip.make_pipeline(**PARAMS), grid, cv=2, scheduler="sync")
    assert search.fit(trips, label).best_params_ == {"classifier__max_depth": 4}


@pytest.fixture(scope="module")
def wrapped(trips):
    """A pipeline in dask-ml's wrapper, which is fitted on a random part of a Dask frame."""
    lazy = to_dask(trips)
    rows, test_rows, label, test_label = train_test_split(
        lazy, lazy["high_tip"], test_size=0.3, random_state=0, shuffle=True
    )
    model = ParallelPostFit(toytip.make_pipeline(**PARAMS), scoring="accuracy")
    return model.fit(rows, label), test_rows, test_label


def test_dask_ml_wraps_splits_and_scores_lazily(wrapped):
    model, rows, label = wrapped
    accuracy = model.score(rows, label)
    assert accuracy > 0.7
    assert metrics.accuracy_score(label, model.predict(rows)) == accuracy
    in_memory, labels = rows.compute(), label.compute()
    assert accuracy_score(labels, model.estimator.predict(in_memory)) == pytest.approx(accuracy)
    probabilities = model.predict_proba(rows).compute()
    assert probabilities.tolist() == model.estimator.predict_proba(in_memory).tolist()


def test_the_score_of_a_lazy_frame_needs_no_wrapper(fitted, trips):
    lazy = to_dask(trips)
    predictions = fitted.predict(lazy)
    assert metrics.accuracy_score(lazy["high_tip"], predictions) == fitted.score(trips, trips["high_tip"])


def test_a_trip_has_the_probability_that_it_has_among_others(fitted, trips):
    rows = trips.sample(5, random_state=0)
    alone = [fitted.predict_proba(rows.loc[[row]])[0, 1] for row in rows.index]
    assert alone == fitted.predict_proba(rows)[:, 1].tolist()


def test_partitions_can_be_empty(fitted, trips):
    assert fitted.predict_proba(trips[:0]).shape == (0, 2)
    assert fitted.predict(trips[:0]).tolist() == []
    lazy = to_dask(trips)
    first = lazy[lazy["trip_id"] < trips["trip_id"][100]]
    expected = fitted.predict_proba(trips[:100]).tolist()
    assert ParallelPostFit(fitted).predict_proba(first).compute().tolist() == expected
    refitted = toytip.make_pipeline(**PARAMS).fit(first, first["high_tip"])
    assert model_of(refitted) == model_of(
        toytip.make_pipeline(**PARAMS).fit(trips[:100], trips["high_tip"][:100])
    )


def test_units_of_time_make_no_difference(trips, fitted):
    changed = trips.assign(pickup_at=trips["pickup_at"].astype("datetime64[ns]"))
    assert fitted.predict_proba(changed).tolist() == fitted.predict_proba(trips).tolist()
    assert (
        Preprocess(("extra",), TLC).fit(changed).encoding_ == Preprocess(("extra",), TLC).fit(trips).encoding_
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows.drop(columns="extra"), "it has no column 'extra'"),
        (lambda rows: rows.drop(columns="pickup_at"), "it has no column 'pickup_at'"),
        (lambda rows: rows.to_numpy(), "an array has no column names"),
        (
            lambda rows: rows.assign(extra="1"),
            "cannot use column 'extra': its type is str(ing)?, which is not a NumPy number",
        ),
        (lambda rows: rows.assign(extra=rows["extra"].astype("Float32")), "its type is Float32"),
        (
            lambda rows: rows.assign(pickup_at=rows["pickup_at"].dt.tz_localize("UTC")),
            "cannot use column 'pickup_at': its type is .*UTC.*, which is not a time without a time zone",
        ),
        (lambda rows: rows.assign(pickup_at=0), "its type is int64, which is not a time"),
    ],
)
def test_frames_without_the_features_are_refused(change, says, trips, fitted):
    with pytest.raises(DataError, match=says):
        toytip.make_pipeline().fit(change(trips), trips["high_tip"])
    with pytest.raises(DataError, match=says):
        fitted.predict_proba(change(trips))
    if not says.startswith("an array"):
        with pytest.raises(DataError, match=says):
            fitted.predict_proba(to_dask(change(trips)))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: "high_tip", "they are the name of a column"),
        (lambda rows: rows["high_tip"][:-1], r"the frame has [\d,]+ rows, and the labels have the shape"),
        (lambda rows: rows["PULocationID"], "a label is not True, False, 1 or 0"),
        (lambda rows: rows["high_tip"].astype("str"), "a label is not True, False, 1 or 0"),
        (lambda rows: rows["high_tip"] & False, "0 of .* training rows have a positive label"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(make, says, trips):
    with pytest.raises(DataError, match=says):
        toytip.make_pipeline().fit(trips, make(trips))


def test_labels_must_have_the_partitions_of_the_frame(trips):
    lazy = to_dask(trips)
    with pytest.raises(DataError, match="the features have 3 partitions, and the labels have 2"):
        toytip.make_pipeline().fit(lazy, to_dask(trips, 2)["high_tip"])
    with pytest.raises(DataError, match="the labels are not lazy"):
        toytip.make_pipeline().fit(lazy, trips["high_tip"])
    with pytest.raises(DataError, match="they are the name of a column"):
        toytip.make_pipeline().fit(lazy, "high_tip")


def test_the_bins_need_labels(trips):
    with pytest.raises(DataError, match="it has no column 'high_tip'"):
        Preprocess(("extra",), TLC).fit(trips.drop(columns="high_tip"))


def test_arguments_that_cannot_be_used_are_refused():
    with pytest.raises(ConfigError, match="cannot use feature set 'other'"):
        toytip.make_pipeline("other")
    with pytest.raises(ConfigError, match="cannot use files of the kind 'other'"):
        toytip.make_pipeline(taxi="other")
    with pytest.raises(ConfigError, match=r"cannot read the module none\.py"):
        toytip.make_pipeline(project="none.py")
    with pytest.raises(DataError, match="cannot set tree_method"):
        toytip.make_pipeline(tree_method="approx")
    with pytest.raises(ValueError, match="Invalid parameter 'rounds'"):
        toytip.make_pipeline(rounds=3)
    with pytest.raises(DataError, match="cannot set tree_method"):
        toytip.make_pipeline().set_params(classifier__tree_method="approx")


def test_a_clone_and_a_pickle_are_equal(fitted, trips):
    copied = pickle.loads(pickle.dumps(fitted))  # noqa: S301 - bytes of this test
    assert copied.predict_proba(trips).tolist() == fitted.predict_proba(trips).tolist()
    assert clone(fitted)["classifier"].get_params() == fitted["classifier"].get_params()
    assert "encoding_" not in vars(clone(fitted)["preprocess"])
