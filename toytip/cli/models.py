"""Registered models: list, show, compare, promote, roll back."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import print_json, print_result, resolve_command_settings
from toytip.cli.option_groups import ClusterOptions, StoreOptions, expand_options
from toytip.cli.options import JsonOption
from toytip.errors import ConfigError, RegistryError

models_app = typer.Typer(
    help="The registered models: champion, challenger, and those before them.", no_args_is_help=True
)
app.add_typer(models_app, name="models")

ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="champion, challenger, a number, or the version it was trained as."),
]
TaxiOption = Annotated[
    str | None,
    typer.Option("--taxi", help="yellow or green [default: the one that has models]", show_default=False),
]


class PromoteOptions(StoreOptions, ClusterOptions):
    """Of judging a model on its test months again."""


@models_app.command("list", epilog="Example:  toytip models list --env prod")
@expand_options
def list_(json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """List the registered models: number, version, aliases, what was decided, and why."""
    settings = resolve_command_settings(given, workers_needed=False)
    from dataclasses import asdict

    from toytip.cli.render.models import show_models
    from toytip.core.tlc import TAXIS
    from toytip.models.registry import open_registry

    found = {r.name: r.list_models() for r in (open_registry(settings, taxi) for taxi in TAXIS)}
    if json_:
        print_json({"models": {name: [asdict(e) for e in entries] for name, entries in found.items()}})
    else:
        show_models(found, open_registry(settings, "*").display_name)


@models_app.command(epilog="Example:  toytip models show champion")
@expand_options
def show(
    model: ModelArgument = "champion",
    taxi: TaxiOption = None,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Show a model's card: features and their moments, metrics with lifts, and the data that made it."""
    settings = resolve_command_settings(given, workers_needed=False)
    from dataclasses import asdict

    from toytip.cli.render.models import show_model_card
    from toytip.models.card import read_model_card

    entry, card = read_model_card(settings, model, taxi)
    if json_:
        print_json({**asdict(entry), "card": card})
    else:
        show_model_card(entry, card)


@models_app.command(epilog="Example:  toytip models compare champion challenger")
@expand_options
def compare(
    a: ModelArgument,
    b: ModelArgument,
    taxi: TaxiOption = None,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Compare two models: parameters, features, and metrics on their test months."""
    settings = resolve_command_settings(given, workers_needed=False)
    from toytip.cli.render.models import show_model_comparison
    from toytip.models.card import compare_model_cards, read_model_card

    (entry_a, card_a), (entry_b, card_b) = (read_model_card(settings, name, taxi) for name in (a, b))
    found = compare_model_cards(card_a, card_b)
    if json_:
        print_json({"models": [entry_a.version, entry_b.version], **found})
    else:
        show_model_comparison([entry_a, entry_b], found)


@models_app.command(epilog='Example:  toytip models promote challenger --force "the drift was ours"')
@expand_options
def promote(
    model: ModelArgument = "challenger",
    taxi: TaxiOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge it, and change nothing.")] = False,
    force: Annotated[
        str | None,
        typer.Option("--force", metavar="REASON", help="Promote it all the same; the reason is kept."),
    ] = None,
    json_: JsonOption = False,
    **given: Unpack[PromoteOptions],
) -> None:
    """Judge a model against the champion on the same test rows, and make it the champion if it passes."""
    if force is not None and not force.strip():
        raise ConfigError("--force needs a reason, which is kept with the model")
    settings = resolve_command_settings(given)
    from toytip.cli.render.run import show_decision
    from toytip.pipeline.promote import promote as promote_model
    from toytip.progress.tracker import Progress

    told = promote_model(
        settings, model, taxi, Progress.from_settings(settings), dry_run=dry_run, force_reason=force or ""
    )
    if json_:
        print_json(told)
    else:
        show_decision(told)
    if told["decision"] in ("refused", "would stay challenger"):
        raise RegistryError(
            f"{told['reasons'][0]}; it stays challenger (--force REASON promotes it all the same)"
        )


@models_app.command(epilog="Example:  toytip models rollback")
@expand_options
def rollback(taxi: TaxiOption = None, json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """Make the champion before this one the champion again."""
    settings = resolve_command_settings(given, workers_needed=False)
    from toytip.models.resolve import find_registered_model

    registry, _ = find_registered_model(settings, "champion", taxi)
    now, before = registry.rollback()
    said = f"champion is {now.version} (number {now.number}) again, no longer {before.version}"
    print_result(json_, {"champion": now.version, "number": now.number, "before": before.version}, said)
