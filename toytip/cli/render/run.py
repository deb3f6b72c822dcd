"""The results of a run, of the promotion gate and of a single stage as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from toytip.cli.render.evaluation import short_height, show_evaluation
from toytip.cli.render.tables import make_console, print_wrapped, wrap_text
from toytip.core.tables import PREDICTIONS, REJECTS
from toytip.core.text import plural
from toytip.evaluation.gate import GateDecision
from toytip.pipeline.result import RunResult, StageResult
from toytip.store.run_manifest import RunStatus

# The short summary of a run names this many reject reasons, and adds up all others.
SHOWN_REASONS = 2
# Maximum number of lines of the short summary, so that it fits on a terminal with its command.
MAX_LINES = 22
LABEL_WIDTH = 12


class Entry(NamedTuple):
    """A labeled text of the summary."""

    label: str
    text: str
    end: str = " ..."
    """Ending that is printed after the text if the text is cut to fit into the summary."""

    def lines(self, width: int, max_lines: int | None = None) -> list[str]:
        """Return the text as lines. The label starts the first line."""
        indent = " " * (LABEL_WIDTH + 1)
        return wrap_text(
            width, self.text, indent, f"{self.label:<{LABEL_WIDTH}} ", max_lines=max_lines, end=self.end
        )


def show_run(result: RunResult, *, verbose: bool = False) -> None:
    """Print the result of a run on stdout.

    The short summary has at most 22 lines of 80 columns. With `verbose`, prints everything.
    """
    console = make_console()
    paths = list(_paths(result, verbose=verbose))
    if verbose:
        lines = [line for entry in _long_entries(result) for line in entry.lines(console.width)]
    else:
        lines = _limit_lines(
            list(_short_entries(result)),
            console.width,
            MAX_LINES - short_height(result.evaluation) - len(paths) - 2 * result.up_to_date,
        )
    if result.up_to_date:
        text = f"version {result.version} ({result.status}) is up to date"
        print_wrapped(console, f"{text}: same source, code and settings. Nothing was computed")
    for line in lines:
        console.print(line, soft_wrap=True)
    show_evaluation(result.evaluation, console, verbose=verbose, name_dropped=verbose)
    for label, path in paths:
        console.print(f"{label:<{LABEL_WIDTH}} {path}", soft_wrap=True)


def _limit_lines(entries: Sequence[Entry], width: int, max_lines: int) -> list[str]:
    """Return the lines of all entries. If there are too many lines, shorten the warning first."""
    blocks = [entry.lines(width) for entry in entries]
    for index in sorted(range(len(entries)), key=lambda index: entries[index].label != "warnings"):
        excess = sum(map(len, blocks)) - max_lines
        if excess > 0:
            blocks[index] = entries[index].lines(width, max(len(blocks[index]) - excess, 1))
    return [line for block in blocks for line in block]


def _short_entries(result: RunResult) -> Iterator[Entry]:
    """Yield the entries of the short summary above the metrics."""
    yield from _row_entries(result)
    if result.rejects:
        yield Entry("rejected", _short_rejects(result.rejects))
    yield _model_entry(result)
    if result.promotion:
        yield _promotion_entry(result.promotion, has_report=result.links.report_path is not None)
    yield from _monitoring_entries(result)
    if result.warnings:
        yield Entry("warnings", f"{len(result.warnings)} (--verbose prints all): {result.warnings[0]}")
    yield from _status_entries(result)
    if not result.up_to_date:
        yield _time_entry(result)


def _status_entries(result: RunResult) -> Iterator[Entry]:
    """Yield the status of a run that readers do not take by default."""
    if result.status == RunStatus.REFUSED:
        text = "refused: readers keep the last run that passed. To use this run anyway, run "
        yield Entry("status", f"{text}`toytip version release {result.version} --reason TEXT`")
    elif result.status == RunStatus.FAILED_CHECK:
        yield Entry("status", f"failed-check: {result.reasons[0]} Readers keep the last run that passed")


def _promotion_entry(decision: GateDecision, *, has_report: bool) -> Entry:
    """Return the decision of the gate and the first reason for the decision."""
    reasons, location = decision.promotion_reasons, "the report" if has_report else "--json"
    more = f" ({len(reasons) - 1} more in {location})" if reasons[1:] else ""
    text = ": ".join([_decision_text(decision), *reasons[:1]])
    return Entry("promotion", text + more, f" ... (all reasons in {location})")


def _long_entries(result: RunResult) -> Iterator[Entry]:
    """Yield all entries above the metrics."""
    yield from _row_entries(result)
    for reason, count in result.rejects.items():
        yield Entry("rejected", f"{count:,} {reason}")
    yield _model_entry(result)
    yield Entry("features", ", ".join(result.model.features))
    if result.promotion:
        yield Entry("promotion", _decision_text(result.promotion))
        for reason in result.promotion.promotion_reasons:
            yield Entry("", reason)
    yield from _monitoring_entries(result)
    yield from _status_entries(result)
    for warning in result.warnings:
        yield Entry("warning", warning)
    yield _time_entry(result)
    yield Entry("source", f"{result.origin.source_bytes_read / 1e6:,.1f} MB of raw data read")


def _row_entries(result: RunResult) -> Iterator[Entry]:
    rows = result.rows
    yield Entry("trips", f"{rows.read:,} read, {rows.kept:,} kept, {rows.rejected:,} rejected")
    if result.origin.synthetic:
        yield Entry("note", "the trips are synthetic. The metrics do not apply to real trips")


def _short_rejects(rejects: Mapping[str, int]) -> str:
    """Return the counts of the most frequent reject reasons, and the sum of all other counts."""
    frequent = sorted(rejects.items(), key=lambda item: -item[1])
    texts = [f"{count:,} {reason}" for reason, count in frequent[:SHOWN_REASONS]]
    others = sum(count for _, count in frequent[SHOWN_REASONS:])
    return ", ".join([*texts, *([f"{others:,} other"] if others else [])])


def _model_entry(result: RunResult) -> Entry:
    model = result.model
    size = f"{plural(model.rounds, 'round')}, {plural(len(model.features), 'feature')}"
    return Entry("model", f"{size}, threshold {model.threshold:.4f}")


def _monitoring_entries(result: RunResult) -> Iterator[Entry]:
    report = result.monitoring
    if report is not None:
        alerts = plural(len(report.active_alerts), "alert") if report.active_alerts else "no alerts"
        more = ". Run `toytip monitor` for details" if report.active_alerts else ""
        yield Entry("monitoring", f"{alerts} in {report.last_month}{more}")


def _time_entry(result: RunResult) -> Entry:
    timing = result.timing
    memory = f"peak memory {timing.peak_memory_mb:,.0f} MB, {plural(timing.workers, 'worker')}"
    return Entry("time", f"{timing.elapsed_seconds:.1f} s, {timing.rows_per_second:,.0f} rows/s, {memory}")


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
    number = f", model number {decision.number}" if decision.number else ""
    return f"{decision.decision.label} ({decision.name}{number})"


def show_decision(decision: GateDecision, *, verbose: bool = False) -> None:
    """Print the decision of the promotion gate and its reasons. `verbose` adds all checks."""
    console = make_console()
    print_wrapped(console, _decision_text(decision))
    for reason in decision.promotion_reasons:
        print_wrapped(console, reason, "    ", "  ")
    for check in decision.checks if verbose else ():
        state = "passed" if check.passed else "failed"
        print_wrapped(console, f"{check.name}: {check.message}", " " * 10, f"  {state}  ")


def show_stage(stage: StageResult) -> None:
    """Print the tables that a stage published."""
    console = make_console()
    for name, table in stage.tables.items():
        print_wrapped(console, f"{name} {table.version}: {plural(table.rows, 'row')} in {table.path}")
