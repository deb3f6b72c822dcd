"""An unsupported XGBoost gives one clear error, wherever toytip uses it."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

from tests.support.models import train_model
from toytip.config import Settings
from toytip.core.xgboost_version import END_VERSION, FIRST_VERSION, require_xgboost
from toytip.errors import ConfigError
from toytip.estimators.exact_xgb import ExactXGBClassifier
from toytip.pipeline import context
from toytip.progress.tracker import Progress
from toytip.stages.infer import load_booster

UNSUPPORTED = r"cannot use XGBoost 2\.1\.4: toytip needs XGBoost 3\.2 to 3\.4"


@pytest.mark.parametrize("version", ["3.2.0", "3.3.1", "3.4.1", "3.4.0rc1", xgb.__version__])
def test_supported_versions(version):
    require_xgboost(version)


@pytest.mark.parametrize("version", ["2.1.4", "3.1.3", "3.5.0", "4.0.0", "10.2.0", "none"])
def test_other_versions_are_refused(version):
    with pytest.raises(ConfigError, match=f"cannot use XGBoost {version}") as caught:
        require_xgboost(version)
    assert "xgboost>=3.2,<3.5" in caught.value.hint


def test_the_project_requires_the_supported_versions():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    first, end = (".".join(map(str, version)) for version in (FIRST_VERSION, END_VERSION))
    required = [text.partition(";")[0] for text in project["dependencies"] if text.startswith("xgboost")]
    assert required == [f"{name}>={first},<{end}" for name in ("xgboost-cpu", "xgboost")]


def test_a_run_is_refused_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(context, "local_versions", lambda: {"xgboost": "2.1.4"})
    store = tmp_path / "store"
    with (
        pytest.raises(ConfigError, match=UNSUPPORTED),
        context.open_run(Settings.load(store=str(store)), Progress("none")),
    ):
        pass
    assert not store.exists()


def test_training_and_prediction_are_refused(monkeypatch):
    booster = train_model("yellow").booster
    monkeypatch.setattr(xgb, "__version__", "2.1.4")
    load_booster.cache_clear()
    with pytest.raises(ConfigError, match=UNSUPPORTED):
        load_booster(booster)
    with pytest.raises(ConfigError, match=UNSUPPORTED):
        ExactXGBClassifier().fit(np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1]))
