"""Boosters that the installed XGBoost cannot load."""

from dataclasses import replace

import pytest
import xgboost as xgb

from tests.support.models import train_model
from toytip.errors import RegistryError
from toytip.models import scoring
from toytip.stages import infer

MODEL = train_model("green")


def with_version(*version):
    """Return the booster of a model, as another version of XGBoost could have written it."""
    installed = bytes(infer.booster_version(MODEL.booster))
    tail = b"".join(b"i" + bytes([number]) for number in installed) + b"}"
    assert MODEL.booster.endswith(tail)
    return MODEL.booster.removesuffix(tail) + b"".join(b"i" + bytes([n]) for n in version) + b"}"


def test_a_booster_names_the_version_that_wrote_it():
    assert ".".join(map(str, infer.booster_version(MODEL.booster))) == xgb.__version__


@pytest.mark.parametrize(
    ("booster", "message"),
    [
        (with_version(99, 1, 0), f"XGBoost 99.1.0 wrote it, and XGBoost {xgb.__version__} is installed"),
        (
            with_version(2, 1, 0).replace(b"gbtree", b"gbtrex"),
            f"XGBoost 2.1.0 wrote it, and XGBoost {xgb.__version__} cannot read it (Unknown gbm type gbtrex)",
        ),
        (MODEL.booster[:1_000], "its booster is incomplete"),
        (MODEL.booster[:-1], "its booster is incomplete"),
        (b"", "its booster is incomplete"),  # XGBoost would end the process
        (b"no booster", "its booster is incomplete"),
    ],
)
def test_a_booster_that_cannot_be_loaded_is_an_error_with_both_versions(booster, message):
    with pytest.raises(RegistryError) as caught:
        scoring.require_usable(replace(MODEL, booster=booster))
    assert str(caught.value) == f"cannot load the model: {message}"


def test_boosters_of_earlier_versions_are_loaded():
    scoring.require_usable(replace(MODEL, booster=with_version(2, 1, 0)))


def test_a_feature_of_a_later_toytip_is_an_error():
    first, *others = MODEL.encoding.features
    encoding = replace(MODEL.encoding, features=(replace(first, name="moon_phase"), *others))
    with pytest.raises(RegistryError, match=r"cannot load model v1: toytip .* has no feature moon_phase"):
        scoring.require_usable(replace(MODEL, encoding=encoding))
