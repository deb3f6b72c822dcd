"""Settings of a call, and the workers that it runs on: the Dask client that is current, else some of its own."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toytip.config import Settings, export_credentials, mask_credentials
from toytip.errors import ConfigError
from toytip.progress.tracker import Progress

# What a person may give as a list or a path; a setting is one text.
SettingText = str | Path | Sequence[str | Path]


def resolve_call_settings(options: Mapping[str, Any]) -> Settings:
    """Resolve the settings of a call as the command line does: arguments, `TOYTIP_*`, `.env`, `toytip.toml`, defaults.

    Raises ConfigError for an argument that is no setting, or a value that makes no sense.
    """
    for name in options:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, 1, 0.7)
            hint = f"did you mean {near[0]}?" if near else "`toytip config` lists all"
            raise ConfigError(f"there is no setting {name}; {hint}")
    export_credentials()
    return Settings.load(**{name: to_setting_text(value) for name, value in options.items()})


def to_setting_text(value: Any) -> Any:
    """Return a path, or a list of texts, as the one text that the settings take.

    >>> to_setting_text(["2023-01", "2023-03"])
    '2023-01,2023-03'
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(to_setting_text(each)) for each in value)
    return value


def make_progress(enabled: bool) -> Progress:
    """Return what tells the progress on stderr, or nothing at all."""
    from rich.console import Console

    # In a notebook plain lines: a grid would need widgets.
    return Progress("auto" if enabled else "none", Console(stderr=True, highlight=False, force_jupyter=False))


@contextlib.contextmanager
def use_workers(options: Mapping[str, Any]) -> Iterator[Settings]:
    """Yield the settings of a call that needs workers: those of the current Dask client, else some that end with it.

    A `scheduler` or a `cluster` that is asked for goes first. Raises ConfigError where a number or size is asked of workers
    that are there.
    """
    settings = resolve_call_settings(options)
    from toytip.cluster import SIZE_SETTINGS, apply_cluster_definition
    from toytip.cluster.embedded import current_client_address, embedded_workers

    asked = {name for name, value in options.items() if value is not None}
    address = None if asked & {"scheduler", "cluster"} else current_client_address()
    if address is not None:
        if unfit := [name for name in SIZE_SETTINGS if name in asked]:
            raise ConfigError(
                f"{unfit[0]}={options[unfit[0]]!r}, but there is a Dask client already, of {mask_credentials(address)}, "
                f"whose workers are used: leave {unfit[0]} out, or close the client"
            )
        settings = settings.model_copy(update={"scheduler": address, "cluster": None})
    settings = apply_cluster_definition(settings, asked)
    with embedded_workers(settings):
        yield settings
