"""`toytip run`."""

from __future__ import annotations

from typing import Unpack

from toytip.cli.app import app
from toytip.cli.command import print_json, resolve_command_settings
from toytip.cli.option_groups import (
    BoosterOptions,
    ProgressOptions,
    PublishOptions,
    SizedClusterOptions,
    SourceOptions,
    SplitOptions,
    expand_options,
)
from toytip.cli.options import ExplainOption, FullRefreshOption, GateOption, JsonOption


class RunOptions(
    SourceOptions, PublishOptions, SizedClusterOptions, SplitOptions, BoosterOptions, ProgressOptions
):
    """Of all stages."""

    gate: GateOption
    full_refresh: FullRefreshOption
    explain: ExplainOption


@app.command(epilog="Example:  toytip run --source data/green-2023 --workers 8")
@expand_options
def run(json_: JsonOption = False, **given: Unpack[RunOptions]) -> None:
    """Run the whole pipeline: read, clean, featurize, train, infer, evaluate."""
    settings = resolve_command_settings(given)
    from toytip.core.jsonable import to_json
    from toytip.pipeline.run import run as run_all
    from toytip.progress.tracker import Progress

    result = run_all(settings, Progress.from_settings(settings))
    if json_:
        print_json(to_json(result))
    elif settings.progress != "none":
        from toytip.cli.render.run import show_run

        show_run(result)
