"""Registered models: list, show, compare, promote, roll back."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import print_json, print_result, resolve_command_settings
from toytip.cli.option_groups import ClusterOptions, StoreOptions, expand_options
from toytip.cli.options import JsonOption
from toytip.core.jsonable import to_json
from toytip.errors import ConfigError, RegistryError

models_app = typer.Typer(help="List, compare, promote and roll back registered models.", no_args_is_help=True)
app.add_typer(models_app, name="models")

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="champion, challenger, a model version, or the version of the run that trained the model.",
    ),
]
TaxiOption = Annotated[
    str | None,
    typer.Option("--taxi", help="yellow or green [default: the one that has models]", show_default=False),
]


class PromoteOptions(StoreOptions, ClusterOptions):
    """Options of a promotion."""


@models_app.command("list", epilog="Example:  toytip models list --env prod")
@expand_options
def list_(json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """List the registered models with aliases, gate decision and reasons."""
    settings = resolve_command_settings(given, workers_needed=False)
    from toytip.cli.render.models import show_models
    from toytip.core.tlc import TAXIS
    from toytip.models.registered_model import ModelList
    from toytip.models.registry import open_registry

    registries = [open_registry(settings, taxi) for taxi in TAXIS]
    listing = ModelList(models={registry.name: registry.list_models() for registry in registries})
    if json_:
        print_json(to_json(listing))
    else:
        show_models(listing, open_registry(settings, "*").display_name)


@models_app.command(epilog="Example:  toytip models show champion")
@expand_options
def show(
    model: ModelArgument = "champion",
    taxi: TaxiOption = None,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Show a model card: features, metrics with improvements over the baselines, and lineage."""
    settings = resolve_command_settings(given, workers_needed=False)
    from toytip.cli.render.models import show_model_card
    from toytip.models.resolve import read_model_card

    card = read_model_card(settings, model, taxi)
    if json_:
        print_json(to_json(card))
    else:
        show_model_card(card.model, card.card)


@models_app.command(epilog="Example:  toytip models compare champion challenger")
@expand_options
def compare(
    a: ModelArgument,
    b: ModelArgument,
    taxi: TaxiOption = None,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Compare the parameters, features and test metrics of two models."""
    settings = resolve_command_settings(given, workers_needed=False)
    from toytip.cli.render.models import show_model_comparison
    from toytip.models.card import compare_model_cards
    from toytip.models.resolve import read_model_card

    comparison = compare_model_cards(*(read_model_card(settings, name, taxi).card for name in (a, b)))
    if json_:
        print_json(to_json(comparison))
    else:
        show_model_comparison(comparison)


@models_app.command(epilog='Example:  toytip models promote challenger --force "the drift was ours"')
@expand_options
def promote(
    model: ModelArgument = "challenger",
    taxi: TaxiOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Evaluate the model without changing the registry.")
    ] = False,
    force: Annotated[
        str | None,
        typer.Option(
            "--force",
            metavar="REASON",
            help="Promote the model although it does not pass; the reason is stored.",
        ),
    ] = None,
    json_: JsonOption = False,
    **given: Unpack[PromoteOptions],
) -> None:
    """Evaluate a model against the champion on the same test rows, and promote it if it passes."""
    if force is not None and not force.strip():
        raise ConfigError("cannot force the promotion: no reason", hint="Set --force REASON.")
    settings = resolve_command_settings(given)
    from toytip.cli.render.run import show_decision
    from toytip.pipeline.promote import promote as promote_model
    from toytip.progress.tracker import Progress

    promotion = promote_model(
        settings, model, taxi, Progress.from_settings(settings), dry_run=dry_run, force_reason=force or ""
    )
    if json_:
        print_json(to_json(promotion))
    else:
        show_decision(promotion)
    if promotion.is_rejected:
        raise RegistryError(
            f"cannot promote {model}: {promotion.promotion_reasons[0]}",
            hint="Set --force REASON to promote it anyway.",
        )


@models_app.command(epilog="Example:  toytip models rollback")
@expand_options
def rollback(taxi: TaxiOption = None, json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """Make the previous champion the champion again."""
    settings = resolve_command_settings(given, workers_needed=False)
    from toytip.models.resolve import find_registered_model

    registry, _ = find_registered_model(settings, "champion", taxi)
    done = registry.rollback()
    line = (
        f"the champion is {done.champion} (version {done.model_version}) again, "
        f"no longer {done.previous_champion}"
    )
    print_result(json_, to_json(done), line)
