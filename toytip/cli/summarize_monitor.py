"""What a person reads of monitoring: what rings, what changed the model's metrics, which features moved."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from toytip.cli.summarize import console_of, number, show_table
from toytip.report import rings

MOST = 12


def show_monitored(told: dict[str, Any]) -> None:
    """Print the months, the features that moved, and what rings."""
    console = console_of()
    console.print(
        f"model {told['model']}, {told['population']} trips; features beside {_span(told['reference'])}, "
        f"skill beside {_span(told['reference_of_skill'])}"
    )
    for warning in told["warnings"]:
        console.print(f"warning: {warning}")
    _performance(console, told)
    _drift(console, told)
    show_alerts(told, console)
    for where in told.get("files", {}).values():
        console.print(where, soft_wrap=True)


def show_alerts(told: dict[str, Any], console: Console | None = None) -> None:
    """Print what rings in the last month, and what rang before."""
    console = console or console_of()
    alerts, last = told["alerts"], told["months"][-1]
    console.print(
        f"monitor: {len(alerts)} alerts in {last}" if alerts else f"monitor: nothing rings in {last}"
    )
    for alert in alerts:
        console.print(f"  {rings.alert(alert)}", soft_wrap=True)
    for line in rings.before(told):
        console.print(f"  rang before: {line}", soft_wrap=True)


def _span(months: list[str]) -> str:
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"


def _performance(console: Console, told: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    titles = (
        "trips", "card", "tip, card", "AUC", "F1", "expected", "always yes", "F1 change", "by card share", "by tips", "by skill",
    )  # fmt: skip
    table.add_column("month")
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for row in told["performance"]:
        realised = row["metrics"] or {}
        parts = row["f1"] or {}
        cells = [f"{row['rows']:,}", f"{row['card_share']:.3f}", number(row["tip_share"])]
        cells += [number(realised.get("auc")), number(realised.get("f1")), number(row["estimated"]["f1"])]
        cells.append(number(realised.get("f1_always_yes")))
        cells += [
            f"{parts[name]:+.4f}" if parts else "" for name in ("whole", "card_share", "tip_share", "skill")
        ]
        table.add_row(row["month"], *cells)
    show_table(console, table)


def _drift(console: Console, told: dict[str, Any]) -> None:
    """Print the features that the model leans on most: the largest effects of the last month, and the largest index before."""
    last = told["months"][-1]
    table = Table(box=None, pad_edge=False)
    table.add_column("feature")
    titles = (
        "gain",
        "PSI",
        "most before",
        "KS",
        "Wasserstein",
        "mean",
        "was",
        "missing",
        "was",
        "new or vanished",
    )
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for row in told["drift"][last][:MOST]:
        name = row["feature"]
        before = [
            d["psi"] for m, all_ in told["drift"].items() if m != last for d in all_ if d["feature"] == name
        ]
        known = [value for value in before if value is not None]
        cells = [f"{told['gains'][name]:.1%}", number(row["psi"]), number(max(known, default=None))]
        cells += [number(row["ks"]), number(row["wasserstein"])]
        cells += [_plain(row["mean"]), _plain(row["reference_mean"])] if row["ks"] is not None else ["", ""]
        cells += [f"{row['missing']:.2%}", f"{row['reference_missing']:.2%}"]
        table.add_row(name, *cells, ", ".join((*row["new"], *row["vanished"])))
    show_table(console, table)


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
