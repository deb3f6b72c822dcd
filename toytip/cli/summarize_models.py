"""What a person reads of models: the registered, compared, tuned and backtested ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from toytip.cli.summarize import branch, cell, console_of, evaluation_table, number, show_table
from toytip.registry import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from toytip.pipeline.backtest import Backtest
    from toytip.pipeline.tune import Tuned


def show_models(found: dict[str, list[Entry]], where: str) -> None:
    """Print the registered models, and below each refused one why."""
    console = console_of()
    if not any(found.values()):
        console.print(f"no models in {where} yet; `toytip run` registers the first", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "number", "version", "alias", "decision", "why"):
        table.add_column(title, justify="right" if title == "number" else "left")
    for name, entries in found.items():
        for entry in entries:
            decision = "withdrawn" if entry.withdrawn else entry.decision
            why = entry.reasons[0] if entry.reasons else ""
            table.add_row(name, str(entry.number), entry.version, ", ".join(entry.aliases), decision, why)
    show_table(console, table)


def show_card(entry: Entry, card: dict[str, Any]) -> None:
    """Print a model's card."""
    console = console_of()
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
    console.print(branch(card["data"]))


def show_compared(entries: list[Entry], found: dict[str, Any]) -> None:
    """Print what differs between two models."""
    console = console_of()
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for entry in entries:
        table.add_column(entry.version, justify="right", no_wrap=True)
    for kind in ("params", "split", "features"):
        for name, pair in found[kind].items():
            table.add_row(f"{kind} {name}", *(cell(value) for value in pair))
    for population, metrics in found["metrics"].items():
        for name, pair in metrics.items():
            table.add_row(f"test {population} {name}", *(cell(value) for value in pair))
    show_table(console, table)
    if not found["same_test_rows"]:
        console.print(
            "their test rows differ: `toytip models promote MODEL --dry-run` compares on the same rows"
        )


def show_backtest(found: Backtest, files: dict[str, str], tolerance: float) -> None:
    """Print for each population the AUC and F1 by model and age, what changed them, and how old a model may be."""
    console = console_of()
    for population, ages in found.ages.items():
        told = [row for row in found.rows if row.population == population and row.age]
        table = Table(title=f"{population} trips", box=None, pad_edge=False)
        titles = (
            "month",
            "AUC",
            "log loss",
            "F1",
            "always yes",
            "F1 since tuned",
            "by prevalence",
            "by skill",
        )
        table.add_column("tuned on")
        for title in titles:
            table.add_column(title, justify="right")
        for row in told:
            m = row.metrics
            parts = ("", "", "") if row.f1 is None else tuple(f"{part:+.4f}" for part in row.f1)
            cells = (number(m[name]) for name in ("auc", "log_loss", "f1", "f1_always_yes"))
            table.add_row(row.trained, row.month, *cells, *parts)
        show_table(console, table)
        for age in ages:
            console.print(
                f"a model {age.age} months old loses {age.auc[0]:+.4f} of AUC to one tuned the month before "
                f"({age.auc[1]:+.4f} to {age.auc[2]:+.4f} in {age.months} months)"
            )
        console.print(
            f"{population} trips: a model may be {found.oldest[population]} months old, "
            f"if it may lose {tolerance:g} of AUC\n"
        )
    for where in files.values():
        console.print(where, soft_wrap=True)


def show_tuned(found: Tuned, out: Path) -> None:
    """Print the best trial beside the defaults, block by block, and its parameters."""
    console = console_of()
    table = Table(box=None, pad_edge=False)
    for title in ("block", "log loss, defaults", "best", "AUC, defaults", "best", "rounds"):
        table.add_column(title, justify="left" if title == "block" else "right")
    for month, a, b in zip(found.blocks, found.default.scores, found.best.scores, strict=True):
        losses = f"{a.log_loss:.5f}", f"{b.log_loss:.5f}"
        table.add_row(month, *losses, f"{a.auc:.5f}", f"{b.auc:.5f}", str(b.rounds))
    show_table(console, table)
    for name, value in found.best.params.items():
        console.print(f"{name} = {cell(value)}")
    gain = found.default.log_loss - found.best.log_loss
    dropped = sum(len(trial.scores) < len(found.blocks) for trial in found.trials)
    console.print(
        f"{len(found.trials)} trials, {dropped} dropped early, on {found.rows:,} rows: "
        f"log loss {found.best.log_loss:.5f}, {gain:.5f} better than the defaults"
    )
    console.print(f"in {out}: toytip run --params {out}", soft_wrap=True)
