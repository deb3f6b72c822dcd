"""`toytip model`: inspect, promote and roll back registered models."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import open_existing_store, print_result, resolve_command_settings
from toytip.cli.option_groups import ClusterOptions, StoreOptions, expand_options
from toytip.cli.options import MODEL_HELP, JsonOption, ModelSegmentOption, TaxiOption, option
from toytip.errors import ConfigError, RegistryError

RegisteredModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Registered model: champion, challenger, a model number such as 3, or the version of the "
        "run that trained the model.",
    ),
]


class PromoteOptions(StoreOptions, ClusterOptions):
    """Options to evaluate a model again."""


app = new_app("model", "toytip model show champion")


@app.command("list", epilog="Example:  toytip model list --env prod")
@expand_options
def list_(json_: JsonOption = False, **options: Unpack[StoreOptions]) -> None:
    """List the registered models.

    Prints the model number, the version of the run that trained the model, the status, and the
    decision of the promotion gate with its first reason. The status is champion, challenger, former
    champion or rolled back.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.cli.render.models import show_models
    from toytip.models.registered_kinds import find_kinds
    from toytip.models.registered_model import ModelList
    from toytip.models.registry import open_registry
    from toytip.store.store import store_from_settings

    registries = [open_registry(settings, *kind) for kind in find_kinds(settings)]
    models = ModelList(models={registry.name: registry.list_models() for registry in registries})
    has_registry = any(registry.exists for registry in registries)
    store = store_from_settings(settings) if has_registry else open_existing_store(settings)
    name = f"the registry of {store.display_uri}"
    print_result(models, lambda listed: show_models(listed, name), as_json=json_)


@app.command(epilog="Example:  toytip model show champion")
@expand_options
def show(
    model: RegisteredModelArgument = "champion",
    taxi: TaxiOption = None,
    segment: ModelSegmentOption = None,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Show the card of a model.

    The card lists the features with their availability, the metrics with their improvement over
    baselines, and the lineage of the training data.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.cli.render.models import show_model_card
    from toytip.models.resolve import read_model_card

    card = read_model_card(settings, model, taxi, segment)
    print_result(card, lambda _: show_model_card(card.model, card.card), as_json=json_)


@app.command(epilog="Example:  toytip model compare champion 3")
@expand_options
def compare(
    a: RegisteredModelArgument,
    b: RegisteredModelArgument,
    taxi: TaxiOption = None,
    segment: ModelSegmentOption = None,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Compare two models.

    Prints the parameters, features, splits and test metrics that differ between the models.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.cli.render.models import show_model_comparison
    from toytip.models.card import compare_model_cards
    from toytip.models.resolve import read_model_card

    cards = (read_model_card(settings, name, taxi, segment).card for name in (a, b))
    comparison = compare_model_cards(*cards)
    print_result(comparison, show_model_comparison, as_json=json_)


@app.command(epilog="Example:  toytip model promote 3 --dry-run")
@expand_options
def promote(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)] = "challenger",
    taxi: TaxiOption = None,
    segment: ModelSegmentOption = None,
    dry_run: Annotated[bool, option("--dry-run", help="Evaluate the model, but do not promote it.")] = False,
    force: Annotated[bool, option("--force", help="Promote the model even if it fails the gate.")] = False,
    reason: Annotated[
        str,
        option("--reason", metavar="TEXT", help="Reason for --force, stored with the model.", default="none"),
    ] = "",
    json_: JsonOption = False,
    **options: Unpack[PromoteOptions],
) -> None:
    """Promote a model if it passes the gate.

    Evaluates the model and the champion on the same test rows. A model that passes all checks
    becomes the champion. If a check fails, the command exits with 1. The alias challenger exists
    only if the latest registered model was not promoted. If no model has this alias, specify a
    model version.
    """
    if force and not reason.strip():
        raise ConfigError("cannot promote a model by --force without a reason", hint="Set --reason TEXT.")
    if reason and not force:
        raise ConfigError("cannot use --reason without --force", hint="Set --force, or leave out --reason.")
    settings = resolve_command_settings(options)
    from toytip.cli.render.run import show_decision
    from toytip.pipeline.promote import promote as promote_model
    from toytip.progress.tracker import Progress

    decision = promote_model(
        settings, model, taxi, segment, Progress.from_settings(settings), dry_run=dry_run, force_reason=reason
    )
    print_result(decision, partial(show_decision, verbose=True), as_json=json_)
    if decision.is_rejected:
        raise RegistryError(
            f"cannot promote model {model}: {decision.promotion_reasons[0]}",
            hint="Set --force and --reason TEXT to promote it anyway.",
        )


@app.command(epilog="Example:  toytip model rollback")
@expand_options
def rollback(
    taxi: TaxiOption = None,
    segment: ModelSegmentOption = None,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Roll back to the previous champion.

    Servers that serve the champion load the restored model. To roll back data, use `toytip version
    rollback`.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.models.resolve import find_registered_model

    match = find_registered_model(settings, "champion", taxi, segment)
    try:
        done = match.registry.rollback(expected_champion=match.model)
    except RegistryError as error:
        if not str(error).startswith("cannot roll back the champion"):
            raise
        raise RegistryError(
            "cannot roll back the champion: there is no previous champion",
            hint="To make another model the champion, run `toytip model promote` with a model number.",
        ) from None
    print_result(
        done,
        lambda _: typer.echo(
            f"the champion is {done.champion} (model number {done.number}), "
            f"no longer {done.previous_champion}. "
            f"To undo the rollback, run `toytip model promote {done.previous_champion}`"
        ),
        as_json=json_,
    )
