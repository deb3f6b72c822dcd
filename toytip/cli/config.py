"""`toytip config`."""

from __future__ import annotations

from typing import Any, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import print_result, resolve_command_settings
from toytip.cli.option_groups import CommonOptions, expand_options
from toytip.cli.options import ClusterOption, EnvOption, JsonOption, SourceOption, StoreOption


class ConfigOptions(CommonOptions):
    """The settings that users change most often."""

    store: StoreOption
    env: EnvOption
    source: SourceOption
    cluster: ClusterOption


app = new_app("config")


@app.command(epilog="Example:  TOYTIP_WORKERS=4 toytip config")
@expand_options
def config(json_: JsonOption = False, **options: Unpack[ConfigOptions]) -> None:
    """Print the resolved settings.

    The order of precedence is: options of the command, the parameter file (--params), TOYTIP_*
    variables, .env, toytip.toml, defaults. Credentials in URLs are masked.
    """
    settings = resolve_command_settings(options, workers_needed=False).to_masked_dict()
    print_result(settings, _show_settings, as_json=json_)


def _show_settings(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        typer.echo(f"{name} = {'' if value is None else value}".rstrip())
