"""The model that MLflow loads: frames as pandas reads them, and errors of one line."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.support.models import NO_REFERENCE, make_card, raw_month, train_model
from toytip.errors import SchemaError
from toytip.models import scoring
from toytip.models.mlflow_env import import_pyfunc
from toytip.models.package import GOLDEN_SET_FILE, verify_package, write_package

MODEL = train_model("green")
TRIPS = raw_month("green").slice(0, 40).to_pandas()


@pytest.fixture(scope="module")
def mlflow_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages") / "model"
    write_package(folder, MODEL, make_card(MODEL), NO_REFERENCE)
    return import_pyfunc().load_model(str(folder))


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f,  # passenger_count has NaN, and so is a column of floats
        lambda f: f.astype({"passenger_count": "Int64", "VendorID": "category"}),
        lambda f: f.astype(object),
        lambda f: f.assign(lpep_pickup_datetime=f["lpep_pickup_datetime"].astype(str)),
        lambda f: f.sample(frac=1, random_state=1),
        lambda f: f.iloc[:0],
        lambda f: f.to_dict("records"),
    ],
)
def test_mlflow_scores_frames_as_they_are(change, mlflow_model):
    assert TRIPS["passenger_count"].isna().any()
    expected = pd.Series(scoring.score_raw(MODEL, TRIPS).probability.astype("float64"), name="probability")
    trips = change(TRIPS)
    index = trips.index if isinstance(trips, pd.DataFrame) else expected.index
    pd.testing.assert_series_equal(mlflow_model.predict(trips), expected.loc[index], check_exact=True)
    assert np.isfinite(expected).sum() > 30


def test_the_index_of_a_frame_can_be_the_pickup(mlflow_model):
    trips = TRIPS.set_index("lpep_pickup_datetime")
    expected = mlflow_model.predict(TRIPS).set_axis(trips.index)
    pd.testing.assert_series_equal(mlflow_model.predict(trips), expected, check_exact=True)


@pytest.mark.parametrize("segment", ["all", "card"])
def test_a_package_has_valid_json_and_the_stored_probabilities(segment, tmp_path):
    """A card model does not score the other trips of the golden set."""
    model = train_model("green", segment)
    write_package(tmp_path / "model", model, make_card(model), NO_REFERENCE)
    for path in tmp_path.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)
    files = tmp_path / "model" / "artifacts" / "files"
    unscored = json.loads((files / GOLDEN_SET_FILE).read_text())["probability"].count(None)
    assert unscored == (2 if segment == "card" else 0)
    assert verify_package(files).startswith("8 trips")


def test_an_error_is_one_line(mlflow_model):
    for trips, message in (
        (
            TRIPS.drop(columns="lpep_pickup_datetime"),
            "lpep_pickup_datetime is missing, and the model needs it",
        ),
        (TRIPS.assign(fare_amount="x"), "cannot use the trips: column fare_amount has 40 of 40 values"),
    ):
        with pytest.raises(SchemaError, match=message) as caught:
            mlflow_model.predict(trips)
        assert "\n" not in str(caught.value)
