"""A model of a project carries the module, and needs no file of the project."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.meters import MODULE
from tests.support.models import MONTHS, NO_REFERENCE, make_card, train_model
from tests.support.projects import MYTIPS, module_of
from tests.support.trips import SCORING_TRIP
from toytip.core.splits import plan_split
from toytip.datasets.project.loader import load_project
from toytip.models import raw_trips, scoring
from toytip.models.package import PACKAGE_FILES_FOLDER, load_package, write_package
from toytip.models.package_check import verify_in_interpreter
from toytip.pipeline.promote import incomparable_reason
from toytip.store.artifacts import model_from_bytes, model_to_json


@pytest.fixture
def project():
    return load_project(module_of(MYTIPS))


def score(model, **changes):
    trip = {name: value for name, value in {**SCORING_TRIP, **changes}.items() if value is not ...}
    scored = scoring.score_trips(model, raw_trips.trips_to_table([trip], model.encoding.dataset))
    return scored.reason[0], scored.probability[0]


def test_a_model_contains_the_module(project):
    model = train_model("yellow", dataset=project)
    assert "is_weekend" in model.encoding.feature_names
    loaded = model_from_bytes(model_to_json(model), model.booster)
    assert loaded.encoding.dataset is project
    assert score(loaded) == score(model)


def test_a_package_scores_its_golden_set_without_the_project(project, tmp_path):
    model = train_model("yellow", dataset=project)
    write_package(tmp_path / "package", model, make_card(model), NO_REFERENCE)
    folder = tmp_path / "package" / PACKAGE_FILES_FOLDER
    assert load_package(folder).encoding.dataset is project
    assert "golden set have the stored probabilities" in verify_in_interpreter(folder)


# A change of a trip, and the reason of a model that needs the fare, and of one that does not.
REJECTED = {
    "high fare": ({"fare_amount": 2000.0}, "fare_above_limit", "fare_above_limit"),
    "usual fare": ({"fare_amount": 20.0}, None, None),
    "no fare": ({"fare_amount": None}, "missing_value", None),
    "no column": ({"fare_amount": ...}, "error", None),
}


@pytest.mark.parametrize(("change", "with_fare", "without_fare"), REJECTED.values(), ids=REJECTED)
def test_a_rule_does_not_see_placeholders(change, with_fare, without_fare):
    """The placeholder of the fare is 1 dollar, which this rule rejects."""
    rule = 'return (trips["fare_amount"] > LIMIT) | (trips["fare_amount"] == 1)'
    project = load_project(module_of(MYTIPS.replace('return trips["fare_amount"] > LIMIT', rule)))
    reason, probability = score(train_model("yellow", feature_set="pickup", dataset=project), **change)
    assert reason == without_fare
    assert np.isnan(probability) == (without_fare is not None)
    if with_fare != "error":
        assert score(train_model("yellow", dataset=project), **change)[0] == with_fare


# An edit of the module since the training of the champion, and why a new model is not comparable.
EDITS = {
    "none": (("", ""), ""),
    "rule": (("LIMIT = 1000", "LIMIT = 900"), ""),
    "feature": ((">= 5", ">= 6"), "computes is_weekend in another way"),
    "renamed feature": (("is_weekend", "weekend"), "no longer computes: is_weekend"),
    "label": (("0.3 *", "0.4 *"), "computes generous_tip in another way"),
    "renamed label": (
        ("generous_tip", "large_tip"),
        "predicts generous_tip, and the model predicts large_tip",
    ),
}


@pytest.mark.parametrize(("change", "reason"), EDITS.values(), ids=EDITS)
def test_a_champion_is_comparable_if_its_features_and_label_are_the_same(project, change, reason):
    champion = train_model("yellow", dataset=project)
    edited = load_project(module_of(MYTIPS.replace(*change)))
    model = replace(champion, encoding=replace(champion.encoding, dataset=edited))
    found = incomparable_reason(champion, model)
    assert (reason in found) if reason else not found


# An edit of a declared data set, and the column that is then computed in another way.
EDITS_OF_OWN_DATA = {
    "description": (("Number of the meter, from 0.", "The meter."), ""),
    "unused alias": (('"forecast", "amount"', '"forecast", "amount", ("outlook",)'), ""),
    "texts": (
        ('("GAS", 0), ("HEAT PUMP", 1)', '("GAS", 1), ("HEAT PUMP", 0)'),
        "computes heating in another way",
    ),
    "alias": (('("consumption",)', '("use",)'), "computes kwh in another way"),
    "time zone": (("Europe/Berlin", "Europe/Paris"), "read_at"),
    "label": (("HIGH_USE_KWH = 1.5", "HIGH_USE_KWH = 1.4"), "computes high_use in another way"),
    "input of the label": (("example=0.9", 'aliases=("next",)'), "computes next_kwh in another way"),
}


@pytest.mark.parametrize(("change", "reason"), EDITS_OF_OWN_DATA.values(), ids=EDITS_OF_OWN_DATA)
def test_a_champion_of_own_data_is_comparable_if_its_columns_are_the_same(change, reason):
    assert change[0] in MODULE

    def model_of(source):
        dataset, names = load_project(module_of(source, base="")), ("heating", "kwh", "hour", "meter_rate")
        return SimpleNamespace(
            encoding=SimpleNamespace(dataset=dataset, feature_names=names, split=plan_split(MONTHS))
        )

    found = incomparable_reason(model_of(MODULE), model_of(MODULE.replace(*change)))
    assert (reason in found) if reason else not found
