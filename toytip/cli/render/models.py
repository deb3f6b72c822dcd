"""Registered models, comparisons of models, and tuning studies as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from toytip.cli.render.evaluation import show_split
from toytip.cli.render.tables import format_value, make_console, new_table, plural, show_table
from toytip.cli.render.versions import lineage_tree
from toytip.models.card import ModelCard, ModelComparison
from toytip.models.registered_model import ModelList, RegisteredModel

if TYPE_CHECKING:
    from pathlib import Path

    from toytip.pipeline.tune import TuningResult


def show_models(listing: ModelList, registry_uri: str) -> None:
    """Print the registered models, with the decision of the gate and the first reason for it."""
    console = make_console()
    if not any(listing.models.values()):
        console.print(f"no models in {registry_uri}. `toytip run` registers the first one", soft_wrap=True)
        return
    titles = ("model", "version", "run", "alias", "decision", "reason")
    table = new_table(*titles, left=titles[2:])
    for name, models in listing.models.items():
        for model in models:
            decision = "rolled back" if model.rolled_back_at else model.decision
            reason = next(iter(model.promotion_reasons), "")
            aliases = ", ".join(model.aliases)
            table.add_row(name, str(model.model_version), model.run_version, aliases, decision, reason)
    show_table(console, table, drop=("reason",))


def show_model_card(model: RegisteredModel, card: ModelCard) -> None:
    """Print a model card."""
    console = make_console()
    details = (f"version {model.model_version}", *model.aliases, model.decision)
    console.print(Text.assemble((model.run_version, "bold"), f", {', '.join(filter(None, details))}"))
    for reason in model.promotion_reasons:
        console.print(f"  {reason}", soft_wrap=True)
    console.print(f"{card.rounds} rounds, threshold {card.threshold:.4f}, trained on segment {card.segment}")
    for name, time_range in card.split.items():
        console.print(f"  {name:<10} {time_range.start[:10]} to {time_range.stop[:10]}")
    by_availability: dict[str, list[str]] = {}
    for name, availability in card.features.items():
        by_availability.setdefault(availability, []).append(name)
    for availability, names in by_availability.items():
        console.print(f"available at {availability}: {', '.join(names)}")
    if test := card.evaluation.get("test"):
        show_split("test", test, console, verbose=True)
    console.print(lineage_tree(card.lineage))


def show_model_comparison(comparison: ModelComparison) -> None:
    """Print the differences between two models."""
    console = make_console()
    table = new_table("", *comparison.models)
    differences = {
        "params": comparison.params,
        "split": comparison.split,
        "features": comparison.features,
        **{f"test {segment}": metrics for segment, metrics in comparison.metrics.items()},
    }
    for group, pairs in differences.items():
        for name, pair in pairs.items():
            table.add_row(f"{group} {name}", *(format_value(value) for value in pair))
    show_table(console, table)
    if not comparison.comparable:
        console.print(
            "the models have different test rows. `toytip model promote MODEL --dry-run` compares a model "
            "with the champion on the same rows"
        )


def show_tuning(result: TuningResult, params_file: Path) -> None:
    """Print the scores of the best trial and of the defaults by fold, and the best parameters."""
    console = make_console()
    table = new_table("fold", "log loss, defaults", "best", "AUC, defaults", "best", "rounds")
    folds = zip(result.fold_months, result.default.fold_scores, result.best.fold_scores, strict=True)
    for month, default, best in folds:
        losses = f"{default.log_loss:.5f}", f"{best.log_loss:.5f}"
        table.add_row(month, *losses, f"{default.auc:.5f}", f"{best.auc:.5f}", str(best.rounds))
    show_table(console, table)
    for name, value in result.best.params.items():
        console.print(f"{name} = {format_value(value)}")
    improvement = result.default.log_loss - result.best.log_loss
    pruned = sum(len(trial.fold_scores) < len(result.fold_months) for trial in result.trials)
    console.print(
        f"{plural(len(result.trials), 'trial')} on {plural(result.rows, 'row')}, {pruned} pruned: "
        f"best log loss {result.best.log_loss:.5f}, {improvement:.5f} lower than with the defaults",
        soft_wrap=True,
    )
    console.print(f"use the best parameters with `toytip run --params {params_file}`", soft_wrap=True)
