"""Results of the evaluation of the data check, and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from benchmarks.data_faults import FAULTS, STRENGTHS
from benchmarks.data_windows import WINDOW_SIZES, WindowResult
from toytip.monitoring.measures import MEASURES, Measure

END = "<!-- end -->"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one injected fault."""

    base: str
    fault: str
    strength: float
    verdict: str
    false_holds: int
    """Number of months without a fault that are held."""
    measures: tuple[str, ...]
    """Measures of the findings of the month with the fault."""
    job_verdicts: tuple[str, ...]
    """Verdict of the monthly job for each size of a window. Empty except for the latest month."""


@dataclass(frozen=True, kw_only=True)
class SteadyResult:
    """The verdicts on years without injected faults."""

    name: str
    years: int
    months: int
    warned: tuple[str, ...]
    held: tuple[str, ...]
    job: WindowResult
    """The verdicts of the monthly job."""


def fault_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of the table of faults."""
    yield (
        "| Fault | "
        + " | ".join(f"{strength:.0%} of rows".replace("%", " %") for strength in STRENGTHS)
        + " | Measures |"
    )
    yield "|---" * (len(STRENGTHS) + 2) + "|"
    for fault in FAULTS:
        rows = [outcome for outcome in outcomes if outcome.fault == fault.name]
        cells = [_cell([row for row in rows if row.strength == strength]) for strength in STRENGTHS]
        measures = dict.fromkeys(row.measures[0] for row in reversed(rows) if row.verdict == "hold")
        yield f"| {fault.name} | " + " | ".join([*cells, ", ".join(measures)]) + " |"


def _cell(outcomes: Sequence[Outcome]) -> str:
    held = sum(outcome.verdict == "hold" for outcome in outcomes)
    warned = sum(outcome.verdict == "warn" for outcome in outcomes)
    return f"{held} + {warned} of {len(outcomes)}" if warned else f"{held} of {len(outcomes)}"


def total_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of the table with precision and recall."""
    yield "| Base | Affected rows | Faults | Recall (held) | Recall (held or warned) | Precision |"
    yield "|---|---|---|---|---|---|"
    for (base, strength), rows in _by_base_and_strength(outcomes):
        held = sum(row.verdict == "hold" for row in rows)
        found = sum(row.verdict != "pass" for row in rows)
        false = sum(row.false_holds for row in rows)
        precision = f"{held / (held + false):.3f}" if held + false else "-"
        yield (
            f"| {base} | {strength * 100:.0f} % | {len(rows)} | {held / len(rows):.2f} "
            f"| {found / len(rows):.2f} | {precision} |"
        )


def _by_base_and_strength(
    outcomes: Sequence[Outcome],
) -> Iterator[tuple[tuple[str, float], list[Outcome]]]:
    ordered = sorted(outcomes, key=lambda outcome: (outcome.base, outcome.strength))
    for key, group in groupby(ordered, key=lambda outcome: (outcome.base, outcome.strength)):
        yield key, list(group)


def steady_table(results: Sequence[SteadyResult]) -> Iterator[str]:
    """Yield the lines of the table of years without injected faults."""
    yield "| Months | Years | Checked months | Warned months | Held months |"
    yield "|---|---|---|---|---|"
    for result in results:
        yield (
            f"| {result.name} | {result.years} | {result.months} | {_list_months(result, result.warned)} "
            f"| {_list_months(result, result.held)} |"
        )


def _list_months(result: SteadyResult, months: Sequence[str]) -> str:
    names = f" ({', '.join(sorted(set(months)))})" if months and result.years == 1 else ""
    return f"{len(months)}{names}"


def job_table(results: Sequence[SteadyResult]) -> Iterator[str]:
    """Yield the lines of the table of the monthly job in years without injected faults."""
    yield "| Months | Models | Checked months | Warnings | Held months |"
    yield "|---|---|---|---|---|"
    for result in results:
        job = result.job
        yield (
            f"| {result.name} | {job.windows:,} | {job.checks:,} | {job.warned} "
            f"| {_list_months(result, job.held)} |"
        )


def job_recall_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of the table with the recall of the monthly job."""
    yield (
        "| Base | Affected rows | Faults | "
        + " | ".join(f"Recall (held), {size} training months" for size in WINDOW_SIZES)
        + " |"
    )
    yield "|---" * (len(WINDOW_SIZES) + 3) + "|"
    latest = [outcome for outcome in outcomes if outcome.job_verdicts]
    for (base, strength), rows in _by_base_and_strength(latest):
        recalls = [
            sum(verdict == "hold" for verdict in verdicts) / len(rows)
            for verdicts in zip(*(row.job_verdicts for row in rows), strict=True)
        ]
        yield (
            f"| {base} | {strength * 100:.0f} % | {len(rows)} | "
            + " | ".join(f"{recall:.2f}" for recall in recalls)
            + " |"
        )


def measure_table() -> Iterator[str]:
    """Yield the lines of the table of measures with their smallest limits."""
    yield "| Measure | Distance between two months | Warning | Held | Gross fault |"
    yield "|---|---|---|---|---|"
    for measure in MEASURES:
        limits = [_limit(measure, limit) for limit in (measure.warn, measure.hold, measure.gross)]
        yield f"| {measure.name} | {measure.meaning} | " + " | ".join(limits) + " |"


def _limit(measure: Measure, limit: float) -> str:
    if measure.any_month:
        return "any"
    if np.isinf(limit):
        return "never"
    if measure.is_ratio:
        return f"{np.exp(limit):.2g}"
    return f"{limit * 100:.2g} %" if measure.unit == "share" else f"{limit:.2g}"


def replace_block(text: str, name: str, lines: Iterable[str]) -> str:
    """Return a page in which the lines replace the block with a name."""
    begin = f"<!-- begin: {name} -->"
    head, marker, rest = text.partition(begin)
    _, end, tail = rest.partition(END)
    if not marker or not end:
        raise ValueError(f"cannot write the tables: the page has no block {name!r}")
    return "\n".join((head + begin, "", *lines, "", END + tail))
