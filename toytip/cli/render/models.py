"""What a person reads of models: the registered, compared, tuned and backtested ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from toytip.cli.render.evaluation import evaluation_table
from toytip.cli.render.tables import format_value, make_console, show_table
from toytip.cli.render.versions import lineage_tree
from toytip.models.registry import RegisteredModel
from toytip.store.lineage import lineage_from_json

if TYPE_CHECKING:
    from pathlib import Path

    from toytip.pipeline.tune import TuningResult


def show_models(entries_by_model: dict[str, list[RegisteredModel]], registry_uri: str) -> None:
    """Print the registered models, and below each refused one why."""
    console = make_console()
    if not any(entries_by_model.values()):
        console.print(f"no models in {registry_uri} yet; `toytip run` registers the first", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "number", "version", "alias", "decision", "why"):
        table.add_column(title, justify="right" if title == "number" else "left")
    for name, entries in entries_by_model.items():
        for entry in entries:
            decision = "withdrawn" if entry.withdrawn else entry.decision
            why = entry.reasons[0] if entry.reasons else ""
            table.add_row(name, str(entry.number), entry.version, ", ".join(entry.aliases), decision, why)
    show_table(console, table)


def show_model_card(entry: RegisteredModel, card: dict[str, Any]) -> None:
    """Print a model's card."""
    console = make_console()
    aliases = f" ({', '.join(entry.aliases)})" if entry.aliases else ""
    console.print(
        Text.assemble((entry.version, "bold"), f", number {entry.number}{aliases}, {entry.decision}")
    )
    for reason in entry.reasons:
        console.print(f"  {reason}", soft_wrap=True)
    console.print(
        f"{card['rounds']} rounds, threshold {card['threshold']:.4f}, learned from {card['population']} trips"
    )
    for name, (start, stop) in card["split"].items():
        console.print(f"  {name:<6} {start[:10]} to {stop[:10]}")
    by_moment: dict[str, list[str]] = {}
    for name, moment in card["features"].items():
        by_moment.setdefault(moment, []).append(name)
    for moment, names in by_moment.items():
        console.print(f"known at {moment}: {', '.join(names)}")
    for population, told in card["evaluation"].get("test", {}).items():
        show_table(console, evaluation_table(population, told))
    console.print(lineage_tree(lineage_from_json(card["data"])))


def show_model_comparison(entries: list[RegisteredModel], comparison: dict[str, Any]) -> None:
    """Print what differs between two models."""
    console = make_console()
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for entry in entries:
        table.add_column(entry.version, justify="right", no_wrap=True)
    for kind in ("params", "split", "features"):
        for name, pair in comparison[kind].items():
            table.add_row(f"{kind} {name}", *(format_value(value) for value in pair))
    for population, metrics in comparison["metrics"].items():
        for name, pair in metrics.items():
            table.add_row(f"test {population} {name}", *(format_value(value) for value in pair))
    show_table(console, table)
    if not comparison["same_test_rows"]:
        console.print(
            "their test rows differ: `toytip models promote MODEL --dry-run` compares on the same rows"
        )


def show_tuning(result: TuningResult, params_file: Path) -> None:
    """Print the best trial beside the defaults, block by block, and its parameters."""
    console = make_console()
    table = Table(box=None, pad_edge=False)
    for title in ("block", "log loss, defaults", "best", "AUC, defaults", "best", "rounds"):
        table.add_column(title, justify="left" if title == "block" else "right")
    for month, a, b in zip(
        result.fold_months, result.default.fold_scores, result.best.fold_scores, strict=True
    ):
        losses = f"{a.log_loss:.5f}", f"{b.log_loss:.5f}"
        table.add_row(month, *losses, f"{a.auc:.5f}", f"{b.auc:.5f}", str(b.rounds))
    show_table(console, table)
    for name, value in result.best.params.items():
        console.print(f"{name} = {format_value(value)}")
    gain = result.default.log_loss - result.best.log_loss
    dropped = sum(len(trial.fold_scores) < len(result.fold_months) for trial in result.trials)
    console.print(
        f"{len(result.trials)} trials, {dropped} dropped early, on {result.rows:,} rows: "
        f"log loss {result.best.log_loss:.5f}, {gain:.5f} better than the defaults"
    )
    console.print(f"in {params_file}: toytip run --params {params_file}", soft_wrap=True)
