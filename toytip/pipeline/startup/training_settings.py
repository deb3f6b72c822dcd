"""The settings that only a training uses, which a run with a given model refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toytip.errors import ConfigError
from toytip.settings_files import TUNABLE_SETTINGS

TRAINING_SETTINGS = (
    "train_months",
    "validation_month",
    "test_months",
    "feature_set",
    "params",
    *TUNABLE_SETTINGS,
)


def require_no_training_settings(options: Mapping[str, Any]) -> None:
    """Raise ConfigError if an option, whose value is not None, is a training setting."""
    unused = [f"--{name.replace('_', '-')}" for name in TRAINING_SETTINGS if options.get(name) is not None]
    if unused:
        raise ConfigError(
            f"cannot use {' and '.join(unused)} with --model: the run trains no model",
            hint="Leave out --model to train a model, or leave out the other options.",
        )
