"""`toytip backtest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.groups import SizedOptions, SourceOptions, StoreOptions, spread
from toytip.cli.options import (
    AsOfOption,
    DepthOption,
    EtaOption,
    FeaturesOption,
    FromOption,
    JsonOption,
    PopulationOption,
    RoundsOption,
    StopOption,
)
from toytip.cli.shell import print_json, settings_of, upstream_of

if TYPE_CHECKING:
    from toytip.pipeline.backtest import Backtest
    from toytip.pipeline.context import Context
    from toytip.store import Manifest


class BacktestOptions(SourceOptions, StoreOptions, SizedOptions):
    """Of many models, each of which learns the same from other months."""

    features: FeaturesOption
    population: PopulationOption
    rounds: RoundsOption
    max_depth: DepthOption
    eta: EtaOption
    early_stop: StopOption


@app.command(epilog="Example:  toytip backtest --source data/green-2023 --horizon 6")
@spread
def backtest(
    from_: FromOption = None,
    as_of: AsOfOption = None,
    first: Annotated[
        int, typer.Option("--first", min=1, help="Months that the first model is trained on.")
    ] = 2,
    horizon: Annotated[
        int, typer.Option("--horizon", min=1, help="Months that each model is tested on.")
    ] = 6,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="AUC that a model may lose to one tuned last month.")
    ] = 0.005,
    json_: JsonOption = False,
    **given: Unpack[BacktestOptions],
) -> None:
    """Train through every month and test on those after it, to tell how old a model may be, and what makes it worse.

    Without --source it works on the newest published features.
    """
    settings = settings_of(given)
    from toytip.pipeline import backtest as tester
    from toytip.pipeline import plan, stages
    from toytip.pipeline.context import opened, reading
    from toytip.progress import Progress

    progress = Progress.of(settings)

    def work(context: Context, upstream: Manifest) -> tuple[Manifest, Backtest, dict[str, str]]:
        found = tester.run(context, upstream, first=first, horizon=horizon, tolerance=tolerance)
        return upstream, found, tester.save(context, found, upstream.version)

    if settings.source is not None:
        prepared = plan.prepare(settings, progress)
        with opened(settings, ("features", "rejects"), progress) as context:
            made = stages.read(context, plan.settle(context, prepared))
            upstream, found, files = work(context, made["features"])
    else:
        there = upstream_of(settings, "features", from_, as_of)
        with reading(settings, progress) as context:
            upstream, found, files = work(context, there)
    if json_:
        print_json({"version": upstream.version, **tester.to_json(found), "files": files})
    else:
        from toytip.cli.summarize_models import show_backtest

        show_backtest(found, files, tolerance)
