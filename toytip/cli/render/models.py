"""Registered models, comparisons of models, and tuning studies as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toytip.cli.render.contents import metric_title, show_names, show_pairs
from toytip.cli.render.evaluation import show_split
from toytip.cli.render.lineage import show_lineage
from toytip.cli.render.tables import (
    format_value,
    make_console,
    new_table,
    print_wrapped,
    show_table,
)
from toytip.core.text import plural
from toytip.models.card import ModelCard, ModelComparison
from toytip.models.registered_model import ModelList, RegisteredModel

if TYPE_CHECKING:
    from pathlib import Path

    from toytip.pipeline.experiments.tune import TuningResult


def show_models(listing: ModelList, registry_uri: str) -> None:
    """Print the registered models with their status, and the decision of the promotion gate."""
    console = make_console()
    if not any(listing.models.values()):
        print_wrapped(console, f"no models in {registry_uri}. `toytip run` registers the first one")
        return
    titles = ("model", "number", "run", "status", "decision", "reason")
    table = new_table(*titles, left=titles[2:])
    for name, models in listing.models.items():
        for model in models:
            reason = next(iter(model.promotion_reasons), "")
            cells = (str(model.number), model.run_version, _status(model), model.decision, reason)
            table.add_row(name, *cells)
    show_table(console, table, drop=("reason", "decision"))


def _status(model: RegisteredModel) -> str:
    """Return the aliases of a model, or else whether it was the champion."""
    if model.aliases:
        return ", ".join(model.aliases)
    if model.rolled_back_at:
        return "rolled back"
    return "former champion" if model.promoted_at else "-"


def show_model_card(model: RegisteredModel, card: ModelCard) -> None:
    """Print a model card."""
    console = make_console()
    details = (f"model number {model.number}", *model.aliases, model.decision)
    print_wrapped(console, f"{model.run_version}, {', '.join(filter(None, details))}", style="bold")
    for reason in model.promotion_reasons:
        print_wrapped(console, reason, "    ", "  ")
    print_wrapped(
        console,
        f"{plural(card.rounds, 'round')}, threshold {card.threshold:.4f}, trained on segment {card.segment}",
    )
    for name, time_range in card.split.items():
        console.print(f"  {name:<10} {format_value(time_range)}")
    by_availability: dict[str, list[str]] = {}
    for name, availability in card.features.items():
        by_availability.setdefault(availability, []).append(name)
    for availability, names in by_availability.items():
        print_wrapped(console, f"available at {availability}: {', '.join(names)}")
    if test := card.evaluation.get("test"):
        show_split("test", test, console, verbose=True)
    show_lineage(card.lineage, console)


def show_model_comparison(comparison: ModelComparison) -> None:
    """Print the differences between two models."""
    console = make_console()
    differences = {
        "params": comparison.params,
        "split": comparison.split,
        "features": comparison.features,
        **{f"test {segment}": metrics for segment, metrics in comparison.metrics.items()},
    }
    pairs = {
        f"{group} {metric_title(name)}": pair
        for group, values in differences.items()
        for name, pair in values.items()
    }
    show_names(console, comparison.models)
    show_pairs(console, pairs)
    if not comparison.comparable:
        print_wrapped(
            console,
            "the models have different test rows. `toytip model promote MODEL --dry-run` compares a model "
            "with the champion on the same rows",
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
    print_wrapped(
        console,
        f"{plural(len(result.trials), 'trial')} on {plural(result.rows, 'row')}, {pruned} pruned: "
        f"best log loss {result.best.log_loss:.5f}, {improvement:.5f} lower than with the defaults",
    )
    if result.best in result.max_rounds_trials:
        count = f"{len(result.max_rounds_trials)} of {plural(len(result.trials), 'trial')}"
        print_wrapped(
            console,
            f"the maximum of {plural(result.max_rounds, 'round')} ended the training of the best trial, and of "
            f"{count}: set a larger --rounds, and tune again",
        )
    print_wrapped(console, f"use the best parameters with `toytip run --params {params_file}`")
