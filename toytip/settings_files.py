"""Read `toytip.toml` and parameter files, and describe invalid settings."""

from __future__ import annotations

import difflib
import logging
import os
import tomllib
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import TomlConfigSettingsSource

from toytip.core.parameters import EXACTNESS_LIMITS, BoosterParams
from toytip.core.redact import first_line, suggest_name
from toytip.errors import ConfigError

log = logging.getLogger(__name__)

# UTF-8. Some editors on Windows write a byte order mark before the text.
FILE_ENCODING = "utf-8-sig"
SETTINGS_FILE = "toytip.toml"
VARIABLE_PREFIX = "TOYTIP_"
# Two names of which one lacks a letter or has another one. Other programs can use the prefix, too.
MIN_SIMILARITY = 0.9
TUNABLE_SETTINGS = tuple(field.name for field in fields(BoosterParams))
VERSION_PATTERN, RANGE_PATTERN = r"^[A-Za-z][A-Za-z0-9._-]{0,99}$", r"^[0-9]+:[0-9]+$"
CONSTRAINTS_PATTERN = r"^\s*\w+\s*=\s*-?1\s*(,\s*\w+\s*=\s*-?1\s*)*$"
PATTERN_DESCRIPTIONS = {  # error messages
    VERSION_PATTERN: "use a letter, then up to 99 letters, digits, dots, underscores or hyphens",
    CONSTRAINTS_PATTERN: "use NAME=1 or NAME=-1, separated by commas",
    RANGE_PATTERN: "use two whole numbers separated by a colon, for example 1:8",
}


def refuse_misread_value(cls: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Return a value of a setting, unless toytip would misread it.

    No path or name can have a null character, and no number is true or false. Raises
    PydanticCustomError.
    """
    if isinstance(value, str) and "\0" in value:
        raise PydanticCustomError("null_character", "Must not contain a null character")
    if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
        raise PydanticCustomError("boolean", "Must not be true or false")
    return value


def state_folder(configured: str | None) -> Path:
    """Return the folder of toytip's state, which can begin with `~`."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(configured or f"{state}/toytip")


class ProjectSettings(BaseModel):
    """The section `[project]` of `toytip.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    module: str | None = Field(
        None, description="Python file that declares features, rules, a label or a segment."
    )


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
    except (OSError, ValueError, RecursionError) as error:
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


def warn_of_misspelled_variables(setting_names: Collection[str]) -> None:
    """Log a warning for each variable whose name is similar to that of a setting.

    The variables are those of the environment and of `.env`.
    """
    setting_variables = [f"{VARIABLE_PREFIX}{name.upper()}" for name in setting_names]
    for name in sorted({*os.environ, *dotenv_values(".env", encoding=FILE_ENCODING)}):
        if name.upper().startswith(VARIABLE_PREFIX) and name.upper() not in setting_variables:
            for similar in difflib.get_close_matches(name.upper(), setting_variables, 1, MIN_SIMILARITY):
                log.warning("%s is not a setting. Did you mean %s?", name, similar)


def read_params_file(file: str) -> dict[str, Any]:
    """Return the model parameters in a TOML file. Raises ConfigError for any other content."""
    params = read_toml(file, "parameter file ", "Create one with `toytip tune --output FILE`.")
    if refused := sorted(set(params) & set(EXACTNESS_LIMITS)):
        raise ConfigError(
            f"cannot use parameter file {file}: {refused[0]} cannot be set, because {EXACTNESS_LIMITS[refused[0]]}",
            hint=f"Use only {', '.join(TUNABLE_SETTINGS)}.",
        )
    if unknown := sorted(set(params) - set(TUNABLE_SETTINGS)):
        raise ConfigError(
            f"cannot use parameter file {file}: unknown parameter {', '.join(unknown)}",
            hint=f"Use only {', '.join(TUNABLE_SETTINGS)}.",
        )
    return params


def invalid_setting(error: ValueError, file: str = "") -> ConfigError:
    """Return the error of the first invalid setting, which comes from `file` or anywhere else."""
    if isinstance(error, UnicodeDecodeError):  # the only other file
        return ConfigError("cannot read .env: it is not text in UTF-8", hint="Save the file in UTF-8.")
    if not isinstance(error, ValidationError):  # a variable that is not JSON
        cause, hint = first_line(error), "Correct the variable in the environment or in .env."
        return ConfigError(f"cannot read settings: {cause}", hint=hint)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    pattern = first.get("ctx", {}).get("pattern", "")
    cause = PATTERN_DESCRIPTIONS.get(pattern, first["msg"][:1].lower() + first["msg"][1:])
    if first["type"] == "extra_forbidden" and first["loc"][0] == "project":
        return _unknown_project_key(str(first["loc"][-1]))
    places = f"the command, in TOYTIP_{str(first['loc'][0]).upper()}, .env or {SETTINGS_FILE}"
    return ConfigError(
        f"cannot use setting {name}={first.get('input')!r}: {cause}",
        hint=f"Change the setting in {file or places}.",
    )


def _unknown_project_key(key: str) -> ConfigError:
    """Return the error of a key in the section `[project]` that is not a setting."""
    names = tuple(ProjectSettings.model_fields)
    otherwise = f"Set {' or '.join(names)} in the section [project] of {SETTINGS_FILE}."
    return ConfigError(
        f"cannot use setting project.{key}: there is no setting {key}",
        hint=suggest_name(key, names, otherwise),
    )
