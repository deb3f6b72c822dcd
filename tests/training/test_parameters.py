"""The model parameters: monotone constraints, ranges, and parameters that toytip refuses."""

import pytest

from toytip.config import Settings
from toytip.core.parameters import BoosterParams
from toytip.errors import ConfigError


def test_constraints_are_in_the_order_of_the_features():
    params = BoosterParams(monotone_constraints="fare=-1, distance = 1")
    assert params.constraints_of(("distance", "hour", "fare")) == (1, 0, -1)
    assert BoosterParams().constraints_of(("distance", "hour")) == (0, 0)
    params.require_known_constraints(("fare", "distance"))
    with pytest.raises(ConfigError, match="the model has no feature fare") as raised:
        params.require_known_constraints(("distance", "fares"))
    assert raised.value.hint == "Did you mean fares?"


def test_two_constraints_on_a_feature_are_refused():
    with pytest.raises(ConfigError, match=r"cannot use monotone constraints .*: a feature has more than one"):
        BoosterParams(monotone_constraints="fare=1,fare=-1").require_known_constraints(("fare",))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("monotone_constraints", "fare"),
        ("monotone_constraints", "fare=2"),
        ("subsample", 0),
        ("colsample_bytree", 1.5),
        ("max_bin", 255),
        ("scale_pos_weight", 0),
        ("scale_pos_weight", 1e30),
        ("rounds", 2**31),
    ],
)
def test_settings_out_of_range_are_refused(setting, value):
    with pytest.raises(ConfigError, match=f"cannot use setting {setting}="):
        Settings.load(**{setting: value})


def test_a_parameter_that_cannot_be_exact_is_refused_with_the_reason(tmp_path):
    (tmp_path / "p.toml").write_text('grow_policy = "lossguide"\n')
    with pytest.raises(ConfigError, match="grow_policy cannot be set, because toytip trains trees level"):
        Settings.load(params=str(tmp_path / "p.toml"))
