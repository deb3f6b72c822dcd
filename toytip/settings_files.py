"""Read the files with settings: `toytip.toml` and parameter files."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic_settings import TomlConfigSettingsSource

from toytip.core.parameters import BoosterParams
from toytip.core.redact import first_line, suggest_name
from toytip.errors import ConfigError

# UTF-8. Some editors on Windows write a byte order mark before the text.
FILE_ENCODING = "utf-8-sig"
SETTINGS_FILE = "toytip.toml"
TUNABLE_SETTINGS = tuple(field.name for field in fields(BoosterParams))


class TomlSource(TomlConfigSettingsSource):
    """A source of settings that reads a TOML file as `read_toml` does."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        return read_toml(str(file_path))


def read_toml(file: str, kind: str = "", missing_hint: str = "") -> dict[str, Any]:
    """Return the content of a TOML file. Raises ConfigError if it cannot be read.

    `kind` precedes the name of the file in messages. `missing_hint` is the hint for a missing file.
    """
    try:
        return tomllib.loads(Path(file).read_text(encoding=FILE_ENCODING))
    except UnicodeDecodeError:
        raise ConfigError(
            f"cannot read {kind}{file}: it is not text in UTF-8", hint="Save the file in UTF-8."
        ) from None
    except (OSError, ValueError) as error:
        hint = missing_hint if isinstance(error, FileNotFoundError) else "Correct the file."
        raise ConfigError(f"cannot read {kind}{file}: {first_line(error)}", hint=hint) from None


def check_settings_file(setting_names: Collection[str]) -> None:
    """Raise ConfigError if `toytip.toml` cannot be read or has a key that is not a setting.

    `setting_names` are the names of all settings.
    """
    if os.path.lexists(SETTINGS_FILE):
        content = read_toml(SETTINGS_FILE, missing_hint="Correct or remove the symbolic link.")
        unknown = [name for name in content if name not in setting_names]
        if unknown:
            raise ConfigError(
                f"cannot use {SETTINGS_FILE}: there is no setting {unknown[0]}",
                hint=suggest_name(unknown[0], setting_names, "List all settings with `toytip config`."),
            )


def read_params_file(file: str) -> dict[str, Any]:
    """Return the model parameters in a TOML file. Raises ConfigError for any other content."""
    params = read_toml(file, "parameter file ", "Create one with `toytip tune --output FILE`.")
    if unknown := sorted(set(params) - set(TUNABLE_SETTINGS)):
        raise ConfigError(
            f"cannot use parameter file {file}: unknown parameter {', '.join(unknown)}",
            hint=f"Use only {', '.join(TUNABLE_SETTINGS)}.",
        )
    return params
