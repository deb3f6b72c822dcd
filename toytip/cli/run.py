"""`toytip run`."""

from __future__ import annotations

from typing import Unpack

from toytip.cli.app import app
from toytip.cli.groups import (
    BoostOptions,
    PublishOptions,
    ShownOptions,
    SizedOptions,
    SourceOptions,
    SplitOptions,
    spread,
)
from toytip.cli.options import ExplainOption, FreshOption, GateOption, JsonOption
from toytip.cli.shell import print_json, settings_of


class RunOptions(SourceOptions, PublishOptions, SizedOptions, SplitOptions, BoostOptions, ShownOptions):
    """Of all stages."""

    gate: GateOption
    fresh: FreshOption
    explain: ExplainOption


@app.command(epilog="Example:  toytip run --source data/green-2023 --workers 8")
@spread
def run(json_: JsonOption = False, **given: Unpack[RunOptions]) -> None:
    """Run the whole pipeline: read, clean, featurize, train, infer, evaluate."""
    settings = settings_of(given)
    from toytip.pipeline.run import run as run_all
    from toytip.progress import Progress

    summary = run_all(settings, Progress.of(settings))
    if json_:
        print_json(summary)
    elif settings.progress != "quiet":
        from toytip.cli.summarize import show

        show(summary)
