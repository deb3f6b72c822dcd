"""The end of a run as text."""

from __future__ import annotations

from rich.console import Console

from toytip.cli.render.evaluation import show_evaluation
from toytip.cli.render.monitoring import alert_count_line
from toytip.cli.render.tables import make_console
from toytip.evaluation.gate import GateDecision
from toytip.pipeline.result import RunResult


def show_run(result: RunResult) -> None:
    """Print the result of a run on stdout."""
    console = make_console()
    rows, model, timing = result.rows, result.model, result.timing
    console.print(
        f"\n{rows.read:,} trips read, {rows.kept:,} kept, {rows.rejected:,} rejected"
        + "".join(f"\n  {count:>9,} {reason}" for reason, count in result.rejects.items())
    )
    if result.origin.synthetic:
        console.print("the trips are synthetic: what follows says nothing of real passengers")
    show_evaluation(result.evaluation, console)
    console.print(
        f"model: {model.rounds} rounds, {len(model.features)} features, threshold {model.threshold:.4f}"
    )
    if told := result.promotion:
        show_decision(told, console)
    if result.monitoring:
        console.print(f"{alert_count_line(result.monitoring)}; see `toytip monitor`")
    for warning in result.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    for name in ("predictions", "features", "rejects"):
        console.print(f"{name:<12} {result.tables[name].path}", soft_wrap=True)
    console.print(f"{'model':<12} {model.path}", soft_wrap=True)
    if result.links.report_path:
        console.print(f"{'report':<12} {result.links.report_path}", soft_wrap=True)
    console.print(f"{result.origin.source_bytes_read / 1e6:,.1f} MB of raw data read")
    console.print(
        f"{timing.elapsed_seconds:.1f} s, {timing.rows_per_second:,.0f} rows/s, "
        f"{timing.peak_memory_mb:,.0f} MB at the peak, {timing.workers} workers"
    )


def show_decision(promotion: GateDecision, console: Console | None = None) -> None:
    """Print the decision of the promotion gate and its reasons."""
    console = console or make_console()
    version = f", version {promotion.model_version}" if promotion.model_version else ""
    console.print(f"promotion: {promotion.decision.label} ({promotion.name}{version})")
    for reason in promotion.promotion_reasons:
        console.print(f"  {reason}", soft_wrap=True)
