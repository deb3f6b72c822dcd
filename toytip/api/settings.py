"""The settings and the workers of a call of the Python API."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toytip.config import Settings
from toytip.core.redact import mask_credentials, suggest_name
from toytip.errors import ConfigError
from toytip.io.credentials import export_credentials
from toytip.models.code_policy import apply_code_policy
from toytip.progress.tracker import Progress

# A setting is a text. Callers can also pass a path or a list, which become a text.
SettingText = str | Path | Sequence[str | Path]


def resolve_call_settings(options: Mapping[str, Any]) -> Settings:
    """Resolve the settings of a call as the command line does.

    Arguments override the parameter file, `TOYTIP_*` variables, `.env`, `toytip.toml` and defaults.
    Raises ConfigError if an argument is not a setting, or has an invalid value.
    """
    for name in options:
        if name not in Settings.model_fields:
            raise ConfigError(
                f"cannot load settings: there is no setting {name}",
                hint=suggest_name(name, Settings.model_fields, "List all settings with `toytip config`."),
            )
    export_credentials()
    settings = Settings.load(**{name: to_setting_text(value) for name, value in options.items()})
    apply_code_policy(settings)
    return settings


def to_setting_text(value: Any) -> Any:
    """Return a path or a list of texts as the text of a setting. Other values stay unchanged.

    >>> to_setting_text(["2023-01", "2023-03"])
    '2023-01,2023-03'
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(to_setting_text(item)) for item in value)
    return value


def to_model_name(value: str | int | None) -> str | None:
    """Return the name of a model, which can be its number in the registry."""
    return None if value is None else str(value)


def make_progress(enabled: bool) -> Progress:
    """Return a progress display on stderr, or a display that prints nothing."""
    return Progress("auto" if enabled else "none")


def resolve_worker_settings(options: Mapping[str, Any]) -> Settings:
    """Return the settings of a call that uses workers.

    If the options set `scheduler` or `cluster`, the call uses that cluster. If not, the call uses
    the workers of the active Dask client. Without a client, the call uses the cluster of the other
    settings, by default local workers. Raises ConfigError if an option sets the number or size of
    workers that are already running.
    """
    settings = resolve_call_settings(options)
    from toytip.cluster import SIZE_SETTINGS, apply_cluster_definition
    from toytip.cluster.embedded import current_client_address

    set_names = {name for name, value in options.items() if value is not None}
    address = None if set_names & {"scheduler", "cluster"} else current_client_address()
    if address is not None:
        for name in SIZE_SETTINGS:
            if name in set_names:
                raise ConfigError(
                    f"cannot use {name}={options[name]!r}: the active Dask client "
                    f"({mask_credentials(address)}) already has workers",
                    hint=f"Leave {name} out, or close the client.",
                )
        settings = settings.model_copy(update={"scheduler": address, "cluster": None})
    return apply_cluster_definition(settings, set_names)
