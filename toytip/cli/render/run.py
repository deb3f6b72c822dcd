"""The results of a run, of the promotion gate and of a single stage as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toytip.cli.render.evaluation import show_evaluation
from toytip.cli.render.tables import fit, make_console, plural
from toytip.core.tables import PREDICTIONS, REJECTS
from toytip.evaluation.gate import GateDecision
from toytip.pipeline.result import RunResult, StageResult

# The short summary of a run names this many reject reasons, and adds up all others.
SHOWN_REASONS = 2


def show_run(result: RunResult, *, verbose: bool = False) -> None:
    """Print the result of a run on stdout.

    The short summary has at most 22 lines of 80 columns. With `verbose`, prints everything.
    """
    console = make_console()
    for label, text in _long_lines(result) if verbose else _short_lines(result):
        line = f"{label:<12} {text}"
        console.print(line if verbose else fit(console, line), soft_wrap=True)
    show_evaluation(result.evaluation, console, verbose=verbose)
    for label, path in _paths(result, verbose=verbose):
        console.print(f"{label:<12} {path}", soft_wrap=True)


def _short_lines(result: RunResult) -> Iterator[tuple[str, str]]:
    """Yield the lines of the short summary above the metrics, each with its label."""
    yield from _row_lines(result)
    if result.rejects:
        yield "rejected", _short_rejects(result.rejects)
    yield from _model_lines(result)
    if result.promotion:
        reasons = result.promotion.promotion_reasons
        more = f" (and {len(reasons) - 1} more)" if reasons[1:] else ""
        yield "promotion", _decision_text(result.promotion)
        if reasons:
            yield "", f"{reasons[0]}{more}"
    yield from _monitoring_lines(result)
    if result.warnings:
        yield "warnings", f"{len(result.warnings)} (--verbose prints all): {result.warnings[0]}"
    yield from _time_lines(result)


def _long_lines(result: RunResult) -> Iterator[tuple[str, str]]:
    """Yield all lines above the metrics, each with its label."""
    yield from _row_lines(result)
    for reason, count in result.rejects.items():
        yield "rejected", f"{count:,} {reason}"
    yield from _model_lines(result)
    yield "features", ", ".join(result.model.features)
    if result.promotion:
        yield "promotion", _decision_text(result.promotion)
        for reason in result.promotion.promotion_reasons:
            yield "", reason
    yield from _monitoring_lines(result)
    for warning in result.warnings:
        yield "warning", warning
    yield from _time_lines(result)
    yield "source", f"{result.origin.source_bytes_read / 1e6:,.1f} MB of raw data read"


def _row_lines(result: RunResult) -> Iterator[tuple[str, str]]:
    rows = result.rows
    yield "trips", f"{rows.read:,} read, {rows.kept:,} kept, {rows.rejected:,} rejected"
    if result.origin.synthetic:
        yield "note", "the trips are synthetic, so the metrics say nothing about real passengers"


def _short_rejects(rejects: Mapping[str, int]) -> str:
    """Return the counts of the most frequent reject reasons, and the sum of all other counts."""
    frequent = sorted(rejects.items(), key=lambda item: -item[1])
    texts = [f"{count:,} {reason}" for reason, count in frequent[:SHOWN_REASONS]]
    others = sum(count for _, count in frequent[SHOWN_REASONS:])
    return ", ".join([*texts, *([f"{others:,} other"] if others else [])])


def _model_lines(result: RunResult) -> Iterator[tuple[str, str]]:
    model = result.model
    size = f"{plural(model.rounds, 'round')}, {plural(len(model.features), 'feature')}"
    yield "model", f"{size}, threshold {model.threshold:.4f}"


def _monitoring_lines(result: RunResult) -> Iterator[tuple[str, str]]:
    report = result.monitoring
    if report is not None:
        alerts = plural(len(report.active_alerts), "alert") if report.active_alerts else "no alerts"
        more = ". Run `toytip monitor` for details" if report.active_alerts else ""
        yield "monitoring", f"{alerts} in {report.last_month}{more}"


def _time_lines(result: RunResult) -> Iterator[tuple[str, str]]:
    timing = result.timing
    memory = f"peak memory {timing.peak_memory_mb:,.0f} MB, {plural(timing.workers, 'worker')}"
    yield "time", f"{timing.elapsed_seconds:.1f} s, {timing.rows_per_second:,.0f} rows/s, {memory}"


def _paths(result: RunResult, *, verbose: bool) -> Iterator[tuple[str, str]]:
    yield "predictions", result.tables[PREDICTIONS.name].path
    if verbose:
        for name in ("features", REJECTS.name):
            yield name, result.tables[name].path
    yield "model files", result.model.path
    if result.links.report_path:
        yield "report", result.links.report_path
    if verbose:
        yield "evaluation", result.links.evaluation_path
        yield "Dask report", result.links.performance_report_path


def _decision_text(decision: GateDecision) -> str:
    version = f", model version {decision.model_version}" if decision.model_version else ""
    return f"{decision.decision.label} ({decision.name}{version})"


def show_decision(decision: GateDecision, *, verbose: bool = False) -> None:
    """Print the decision of the promotion gate and its reasons. `verbose` adds all checks."""
    console = make_console()
    console.print(_decision_text(decision), soft_wrap=True)
    for reason in decision.promotion_reasons:
        console.print(f"  {reason}", soft_wrap=True)
    for check in decision.checks if verbose else ():
        state = "passed" if check.passed else "failed"
        console.print(f"  {state}  {check.name}: {check.message}", soft_wrap=True)


def show_stage(stage: StageResult) -> None:
    """Print the tables that a stage published."""
    console = make_console()
    for name, table in stage.tables.items():
        console.print(f"{name} {table.version}: {table.rows:,} rows in {table.path}", soft_wrap=True)
