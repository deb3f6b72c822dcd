"""The end of a run as text."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from toytip.cli.render.evaluation import show_evaluation
from toytip.cli.render.tables import make_console
from toytip.evaluation.report import evaluation_from_json


def show_run(summary: dict[str, Any]) -> None:
    """Print a run's summary on stdout."""
    console = make_console()
    rows, model = summary["rows"], summary["model"]
    console.print(
        f"\n{rows['read']:,} trips read, {rows['kept']:,} kept, {rows['rejected']:,} rejected"
        + "".join(f"\n  {count:>9,} {reason}" for reason, count in summary["rejects"].items())
    )
    if summary["source"] == "synthetic":
        console.print("the trips are synthetic: what follows says nothing of real passengers")
    show_evaluation(evaluation_from_json(summary["evaluation"]), console)
    console.print(
        f"model: {model['rounds']} rounds, {len(model['features'])} features, threshold {model['threshold']:.4f}"
    )
    if told := summary["registry"]:
        show_decision(told, console)
    if told := summary["monitor"]:
        console.print(
            f"monitor: {len(told['alerts'])} alerts in {told['months'][-1]}; `toytip monitor` tells"
            if told["alerts"]
            else f"monitor: nothing rings in {told['months'][-1]}"
        )
    for warning in summary["warnings"]:
        console.print(f"warning: {warning}", soft_wrap=True)
    for name in ("predictions", "features", "rejects"):
        console.print(f"{name:<12} {summary['tables'][name]['path']}", soft_wrap=True)
    console.print(f"{'model':<12} {model['path']}", soft_wrap=True)
    if summary["report"]:
        console.print(f"{'report':<12} {summary['report']}", soft_wrap=True)
    console.print(f"{summary['source_bytes_read'] / 1e6:,.1f} MB of raw data read")
    console.print(
        f"{summary['seconds']:.1f} s, {summary['rows_per_s']:,.0f} rows/s, "
        f"{summary['peak_memory_mb']:,.0f} MB at the peak, {summary['workers']} workers"
    )


def show_decision(decision: dict[str, Any], console: Console | None = None) -> None:
    """Print what the gate decided, and why."""
    console = console or make_console()
    number = f" as number {decision['number']}" if decision["number"] else ""
    console.print(f"gate: {decision['decision']}; {decision['name']}{number}")
    for reason in decision["reasons"]:
        console.print(f"  {reason}", soft_wrap=True)
