"""The versions of XGBoost with which toytip works. `pyproject.toml` has the same range."""

from __future__ import annotations

import re

from toytip.errors import ConfigError

# The first version that toytip works with, and the first one that it was not tested with.
FIRST_VERSION, END_VERSION = (3, 2), (3, 5)


def require_xgboost(version: str) -> None:
    """Raise ConfigError for a version of XGBoost that toytip does not support.

    >>> require_xgboost("3.2.0")
    >>> require_xgboost("2.1.4")
    Traceback (most recent call last):
    toytip.errors.ConfigError: cannot use XGBoost 2.1.4: toytip needs XGBoost 3.2 to 3.4
    hint: Install a supported version, for example with pip install 'xgboost>=3.2,<3.5'.
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and FIRST_VERSION <= (int(numbers[1]), int(numbers[2])) < END_VERSION:
        return
    first, end = (".".join(map(str, number)) for number in (FIRST_VERSION, END_VERSION))
    last = f"{END_VERSION[0]}.{END_VERSION[1] - 1}"
    raise ConfigError(
        f"cannot use XGBoost {version}: toytip needs XGBoost {first} to {last}",
        hint=f"Install a supported version, for example with pip install 'xgboost>={first},<{end}'.",
    )
