"""TOML files with settings or with model parameters."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from toytip.core.parameters import EXACTNESS_LIMITS
from toytip.core.redact import first_line, suggest_name
from toytip.errors import ConfigError


def check_settings_file(file: str, names: Collection[str]) -> None:
    """Raise ConfigError if a file exists, but cannot be read or has a key other than the names."""
    if Path(file).is_file():
        unknown = [name for name in _read_toml(file) if name not in names]
        if unknown:
            raise ConfigError(
                f"cannot use {file}: there is no setting {unknown[0]}",
                hint=suggest_name(unknown[0], names, "List all settings with `toytip config`."),
            )


def read_params_file(file: str, names: Collection[str]) -> dict[str, Any]:
    """Return the model parameters in a TOML file. Raises ConfigError for any other content."""
    params = _read_toml(file, "parameter file ", "Create one with `toytip tune --output FILE`.")
    if refused := sorted(set(params) & set(EXACTNESS_LIMITS)):
        raise ConfigError(
            f"cannot use parameter file {file}: {refused[0]} cannot be set, because {EXACTNESS_LIMITS[refused[0]]}",
            hint=f"Use only {', '.join(names)}.",
        )
    if unknown := sorted(set(params) - set(names)):
        raise ConfigError(
            f"cannot use parameter file {file}: unknown parameter {', '.join(unknown)}",
            hint=f"Use only {', '.join(names)}.",
        )
    return params


def _read_toml(file: str, kind: str = "", missing_hint: str = "") -> dict[str, Any]:
    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        hint = missing_hint if isinstance(error, FileNotFoundError) else "Correct the file."
        raise ConfigError(f"cannot read {kind}{file}: {first_line(error)}", hint=hint) from None
