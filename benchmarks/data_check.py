"""Evaluate the data check: inject faults into raw months, and count the months that are held.

    python -m benchmarks.data_check --data DATA --output docs/explanation/data-check.md

DATA is a folder with `green-2023`, `yellow-sample-2019` and `yellow-sample-2020`. Each fault is
injected into one month of a year. The months pass through the stages conform, clean, featurize and
profile, as in a run. All other months should pass. Years without faults should have no held month.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.arguments import positive_int
from benchmarks.data_changes import CHANGES, Year
from benchmarks.data_faults import FAULTS, STRENGTHS, Fault, RawMonth, read_raw
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.monitoring.data_check import DataCheck, check_months
from toytip.monitoring.measures import MEASURES, Measure
from toytip.monitoring.month_counts import MonthSummary
from toytip.sources.synthetic import SYNTHETIC_MONTHS, SyntheticSpec, generate_month
from toytip.stages import clean, conform, featurize, profile

BASES = ("synthetic", "green-2023")
END = "<!-- end -->"
# By default, the last two months are not training months.
NON_TRAINING_MONTHS = 2
# Position of the months with a fault in the year.
FAULTY_MONTHS = (1, 5, 9)
STEADY_ROWS = (200, 2_000, 10_000)
SYNTHETIC_ROWS = 50_000
REAL_YEARS = ("green-2023", "yellow-sample-2019", "yellow-sample-2020")


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


def summarize(raw: pa.Table, month: Month) -> MonthSummary:
    """Return the summary of a raw month, through the stages of a run."""
    partition = SourcePartition(taxi="yellow", month=month, uri="raw", start=0, stop=len(raw), number=0)
    trips, rejects = clean.clean(conform.conform(raw, partition))
    histograms = profile.profile(featurize.featurize(trips))
    return MonthSummary(histograms=histograms, rows=len(raw), rejects=clean.count_reasons(rejects))


def read_year(folder: Path) -> Year:
    """Return the raw trips of the monthly files in a folder."""
    files = sorted(folder.glob("*.parquet"))
    return {Month.parse(file.stem.split("_")[-1]): read_raw(pq.read_table(file)) for file in files}


def synthetic_year(rows: int, seed: int) -> Year:
    """Return the raw trips of a synthetic year without drift."""
    spec = SyntheticSpec(rows_per_month=rows, seed=seed, drift=False)
    return {month: read_raw(generate_month(month, spec)) for month in SYNTHETIC_MONTHS}


def sample_year(year: Year, rows: int, seed: int) -> Year:
    """Return a random sample of each month."""
    return {month: trips.sample(min(rows, len(trips)), random_state=seed) for month, trips in year.items()}


def summarize_year(year: Year) -> dict[Month, MonthSummary]:
    """Return the summary of each month."""
    return {month: summarize(_to_table(trips), month) for month, trips in year.items()}


def check_year(summaries: Mapping[Month, MonthSummary]) -> DataCheck:
    """Check the training months of a year or of several years: all months except the last two."""
    training = sorted(summaries)[:-NON_TRAINING_MONTHS]
    return check_months({month: summaries[month] for month in training}, training, {})


def inject_fault(
    base: str, year: Year, summaries: Mapping[Month, MonthSummary], fault: Fault
) -> list[Outcome]:
    """Inject a fault into some months of a year, one at a time, in all strengths."""
    outcomes = []
    months = sorted(year)
    for position in FAULTY_MONTHS:
        month = months[position]
        for strength in STRENGTHS:
            rng = np.random.default_rng([position, int(1000 * strength)])
            raw = RawMonth(month=month, trips=year[month], other=year[months[position - 1]], rng=rng)
            faulty = summarize(fault.apply(raw, strength), month)
            check = check_year({**summaries, month: faulty})
            result = next(result for result in check.months if result.month == str(month))
            measures = tuple(finding.measure for finding in result.findings)
            false_holds = len(set(check.held) - {str(month)})
            outcomes.append(
                Outcome(
                    base=base,
                    fault=fault.name,
                    strength=strength,
                    verdict=result.verdict,
                    false_holds=false_holds,
                    measures=measures,
                )
            )
    return outcomes


def _base_year(base: str, data: Path) -> Year:
    return synthetic_year(SYNTHETIC_ROWS, 1) if base == "synthetic" else read_year(data / base)


def _check_changes(base: str, data: Path) -> list[SteadyResult]:
    year = _base_year(base, data)
    return [_check_steady(f"{base}: {change.name}", [change.apply(year)]) for change in CHANGES]


def _evaluate_base(base: str, data: Path) -> list[Outcome]:
    year = _base_year(base, data)
    summaries = summarize_year(year)
    return [outcome for fault in FAULTS for outcome in inject_fault(base, year, summaries, fault)]


@dataclass(frozen=True, kw_only=True)
class SteadyResult:
    """The verdicts on years without injected faults."""

    name: str
    years: int
    months: int
    warned: tuple[str, ...]
    held: tuple[str, ...]


def _check_steady(name: str, years: Iterable[Year]) -> SteadyResult:
    checks = [check_year(summarize_year(year)) for year in years]
    months = [month for check in checks for month in check.months]
    return SteadyResult(
        name=name,
        years=len(checks),
        months=len(months),
        warned=tuple(month.month for month in months if month.verdict == "warn"),
        held=tuple(month.month for month in months if month.verdict == "hold"),
    )


def _check_synthetic(seeds: int, rows: int) -> SteadyResult:
    years = (synthetic_year(rows, seed) for seed in range(seeds))
    return _check_steady(f"synthetic, {rows:,} rows per month", years)


def _check_samples(data: Path, seeds: int, rows: int) -> SteadyResult:
    year = read_year(data / REAL_YEARS[0])
    years = (sample_year(year, rows, seed) for seed in range(seeds))
    return _check_steady(f"samples of {REAL_YEARS[0]}, {rows:,} rows per month", years)


def _check_real(data: Path, name: str) -> SteadyResult:
    return _check_steady(name, [read_year(data / name)])


def _check_two_years(data: Path) -> SteadyResult:
    """Check a normal year together with the year of the pandemic."""
    year = {month: trips for name in REAL_YEARS[1:] for month, trips in read_year(data / name).items()}
    return _check_steady("yellow-sample-2019 and yellow-sample-2020", [year])


def _to_table(trips: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(trips, preserve_index=False)


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
    ordered = sorted(outcomes, key=lambda outcome: (outcome.base, outcome.strength))
    for (base, strength), group in groupby(ordered, key=lambda outcome: (outcome.base, outcome.strength)):
        rows = list(group)
        held = sum(row.verdict == "hold" for row in rows)
        found = sum(row.verdict != "pass" for row in rows)
        false = sum(row.false_holds for row in rows)
        precision = f"{held / (held + false):.3f}" if held + false else "-"
        yield (
            f"| {base} | {strength * 100:.0f} % | {len(rows)} | {held / len(rows):.2f} "
            f"| {found / len(rows):.2f} | {precision} |"
        )


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
    names = f" ({', '.join(months)})" if months and result.years == 1 else ""
    return f"{len(months)}{names}"


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


def evaluate(data: Path, seeds: int, processes: int) -> tuple[list[Outcome], list[SteadyResult]]:
    """Return the outcomes of all faults, and the results of years without faults."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        bases = [pool.submit(_evaluate_base, base, data) for base in BASES]
        steady = [pool.submit(_check_synthetic, seeds, rows) for rows in STEADY_ROWS]
        steady += [pool.submit(_check_samples, data, seeds, rows) for rows in STEADY_ROWS]
        steady += [pool.submit(_check_real, data, name) for name in REAL_YEARS]
        steady.append(pool.submit(_check_two_years, data))
        changes = [pool.submit(_check_changes, base, data) for base in BASES]
        results = [future.result() for future in steady]
        results += [result for future in changes for result in future.result()]
        return [outcome for future in bases for outcome in future.result()], results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.data_check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder with the real months (default: data)"
    )
    parser.add_argument(
        "--seeds", type=positive_int, default=20, help="number of steady years of each kind (default: 20)"
    )
    parser.add_argument(
        "--processes", type=positive_int, default=2, help="number of worker processes (default: 2)"
    )
    parser.add_argument("--output", type=Path, help="page in which the tables are replaced")
    return parser


def main() -> int:
    """Print the tables. Return 1 if a month without a fault is held, 2020 excepted."""
    parser = _parser()
    options = parser.parse_args()
    if not (options.data / REAL_YEARS[0]).is_dir():
        parser.exit(
            2, f"{parser.prog}: error: cannot read {options.data}: it has no folder {REAL_YEARS[0]}\n"
        )
    outcomes, steady = evaluate(options.data, options.seeds, options.processes)
    blocks: dict[str, Iterable[str]] = {
        "measures": measure_table(),
        "years": steady_table(steady),
        "totals": total_table(outcomes),
        "faults": fault_table(outcomes),
    }
    text = options.output.read_text(encoding="utf-8") if options.output else ""
    for name, lines in blocks.items():
        table = list(lines)
        print("\n".join((*table, "")))
        text = replace_block(text, name, table) if options.output else text
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    is_wrong = any(result.held for result in steady if not result.name.endswith("2020"))
    return int(is_wrong or any(outcome.false_holds for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
