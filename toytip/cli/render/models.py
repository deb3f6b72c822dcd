"""What a person reads of models: the registered, compared, tuned and backtested ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from toytip.cli.render.evaluation import evaluation_table
from toytip.cli.render.tables import format_number, format_value, make_console, show_table
from toytip.cli.render.versions import lineage_tree
from toytip.models.registry import RegisteredModel
from toytip.store.lineage import lineage_from_json

if TYPE_CHECKING:
    from pathlib import Path

    from toytip.pipeline.backtest import BacktestResult
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


def show_backtest(result: BacktestResult, files: dict[str, str], tolerance: float) -> None:
    """Print for each population the AUC and F1 by model and age, what changed them, and how old a model may be."""
    console = make_console()
    for population, ages in result.losses_by_age.items():
        told = [row for row in result.rows if row.population == population and row.age]
        table = Table(title=f"{population} trips", box=None, pad_edge=False)
        titles = (
            "month",
            "AUC",
            "log loss",
            "F1",
            "always-positive",
            "F1 since tuned",
            "by prevalence",
            "by model",
        )
        table.add_column("tuned on")
        for title in titles:
            table.add_column(title, justify="right")
        for row in told:
            m = row.metrics
            parts = (row.f1.total, row.f1.prevalence, row.f1.model) if row.f1 else ()
            values = (m.auc, m.log_loss, m.f1, row.f1_always_positive)
            cells = (format_number(value) for value in values)
            table.add_row(row.trained, row.month, *cells, *(f"{part:+.4f}" for part in parts))
        show_table(console, table)
        for age in ages:
            console.print(
                f"a model {age.age} months old loses {age.auc[0]:+.4f} of AUC to one tuned the month before "
                f"({age.auc[1]:+.4f} to {age.auc[2]:+.4f} in {age.months} months)"
            )
        console.print(
            f"{population} trips: a model may be {result.max_model_age[population]} months old, "
            f"if it may lose {tolerance:g} of AUC\n"
        )
    for where in files.values():
        console.print(where, soft_wrap=True)


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
