"""What a person reads of monitoring: what rings, what changed the model's metrics, which features moved."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from toytip.cli.render.tables import format_number, make_console, show_table
from toytip.report.alerts import alert_text, earlier_alerts

MAX_FEATURE_ROWS = 12


def show_monitoring(report: dict[str, Any]) -> None:
    """Print the months, the features that moved, and what rings."""
    console = make_console()
    console.print(
        f"model {report['model']}, {report['population']} trips; features beside {_month_span(report['reference'])}, "
        f"skill beside {_month_span(report['reference_of_skill'])}"
    )
    for warning in report["warnings"]:
        console.print(f"warning: {warning}")
    _show_performance(console, report)
    _show_drift(console, report)
    show_alerts(report, console)
    for where in report.get("files", {}).values():
        console.print(where, soft_wrap=True)


def show_alerts(report: dict[str, Any], console: Console | None = None) -> None:
    """Print what rings in the last month, and what rang before."""
    console = console or make_console()
    alerts, last = report["alerts"], report["months"][-1]
    console.print(
        f"monitor: {len(alerts)} alerts in {last}" if alerts else f"monitor: nothing rings in {last}"
    )
    for alert in alerts:
        console.print(f"  {alert_text(alert)}", soft_wrap=True)
    for line in earlier_alerts(report):
        console.print(f"  rang before: {line}", soft_wrap=True)


def _month_span(months: list[str]) -> str:
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"


def _show_performance(console: Console, told: dict[str, Any]) -> None:
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
        cells = [f"{row['rows']:,}", f"{row['card_share']:.3f}", format_number(row["tip_share"])]
        cells += [
            format_number(realised.get("auc")),
            format_number(realised.get("f1")),
            format_number(row["estimated"]["f1"]),
        ]
        cells.append(format_number(row["always_positive_f1"]))
        cells += [
            f"{parts[name]:+.4f}" if parts else "" for name in ("whole", "card_share", "tip_share", "skill")
        ]
        table.add_row(row["month"], *cells)
    show_table(console, table)


def _show_drift(console: Console, told: dict[str, Any]) -> None:
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
    for row in told["drift"][last][:MAX_FEATURE_ROWS]:
        name = row["feature"]
        before = [
            d["psi"] for m, all_ in told["drift"].items() if m != last for d in all_ if d["feature"] == name
        ]
        known = [value for value in before if value is not None]
        cells = [
            f"{told['gains'][name]:.1%}",
            format_number(row["psi"]),
            format_number(max(known, default=None)),
        ]
        cells += [format_number(row["ks"]), format_number(row["wasserstein"])]
        cells += (
            [_format_mean(row["mean"]), _format_mean(row["reference_mean"])]
            if row["ks"] is not None
            else ["", ""]
        )
        cells += [f"{row['missing']:.2%}", f"{row['reference_missing']:.2%}"]
        table.add_row(name, *cells, ", ".join((*row["new"], *row["vanished"])))
    show_table(console, table)


def _format_mean(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
