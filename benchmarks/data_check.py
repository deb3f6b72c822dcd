"""Evaluate the data check: inject faults into raw months, and count the months that are held.

    python -m benchmarks.data_check --data DATA --output docs/explanation/data-check.md

DATA is a folder with `green-2023`, `yellow-sample-2019` and `yellow-sample-2020`. Each fault is
injected into one month of a year. The months pass through the stages conform, clean, featurize and
profile, as in a run. All other months should pass. Years without faults should have no held month,
neither in a training run nor in the monthly job.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.arguments import positive_int
from benchmarks.data_changes import CHANGES, Year
from benchmarks.data_faults import FAULTS, STRENGTHS, Fault, RawMonth, read_raw
from benchmarks.data_tables import (
    Outcome,
    SteadyResult,
    fault_table,
    job_recall_table,
    job_table,
    measure_table,
    replace_block,
    steady_table,
    total_table,
)
from benchmarks.data_windows import (
    WINDOW_SIZES,
    Window,
    WindowResult,
    all_windows,
    check_new_month,
    check_windows,
    first_windows,
)
from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.synthetic import SYNTHETIC_MONTHS, SyntheticSpec, generate_month
from toytip.monitoring.data_check import DataCheck, check_months
from toytip.monitoring.month_counts import MonthSummary
from toytip.stages import clean, conform, featurize, profile

BASES = ("synthetic", "green-2023")
# By default, the last two months are not training months.
NON_TRAINING_MONTHS = 2
# Position of the months with a fault in the year.
FAULTY_MONTHS = (1, 5, 9)
STEADY_ROWS = (200, 2_000, 10_000)
SYNTHETIC_ROWS = 50_000
# Names of results in which the pandemic changes so much that the data check holds months. Synthetic
# years lose many trips as well, and a strong season makes the loss larger.
SHOCKS = ("2020", "synthetic: strong seasons")
REAL_YEARS = ("green-2023", "yellow-sample-2019", "yellow-sample-2020")


def summarize(raw: pa.Table, month: Month) -> MonthSummary:
    """Return the summary of a raw month, through the stages of a run."""
    partition = SourcePartition(taxi="yellow", month=month, uri="raw", start=0, stop=len(raw), number=0)
    trips, rejects = clean.clean(conform.conform(raw, partition, TLC), TLC)
    histograms = profile.profile(featurize.featurize(trips, TLC), TLC)
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
    return check_months({month: summaries[month] for month in training}, training, {}, TLC)


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
            is_last = position == FAULTY_MONTHS[-1]
            outcomes.append(
                Outcome(
                    base=base,
                    fault=fault.name,
                    strength=strength,
                    verdict=result.verdict,
                    false_holds=false_holds,
                    measures=measures,
                    job_verdicts=_job_verdicts(summaries, month, faulty) if is_last else (),
                )
            )
    return outcomes


def _job_verdicts(
    summaries: Mapping[Month, MonthSummary], month: Month, faulty: MonthSummary
) -> tuple[str, ...]:
    """Return the verdict on a faulty month with the first months of the year as training months."""
    months = {**summaries, month: faulty}
    checks = [check_new_month(months, sorted(months)[:size], month) for size in WINDOW_SIZES]
    return tuple(check.months[-1].verdict for check in checks)


def _base_year(base: str, data: Path) -> Year:
    return synthetic_year(SYNTHETIC_ROWS, 1) if base == "synthetic" else read_year(data / base)


def _check_changes(base: str, data: Path) -> list[SteadyResult]:
    year = _base_year(base, data)
    return [_check_steady(f"{base}: {change.name}", [change.apply(year)]) for change in CHANGES]


def _evaluate_base(base: str, data: Path) -> list[Outcome]:
    year = _base_year(base, data)
    summaries = summarize_year(year)
    return [outcome for fault in FAULTS for outcome in inject_fault(base, year, summaries, fault)]


def _check_steady(
    name: str, years: Iterable[Year], windows: Callable[[Year], Iterable[Window]] = first_windows
) -> SteadyResult:
    """Check years without injected faults in a training run and in the monthly job."""
    summaries = [summarize_year(year) for year in years]
    months = [month for year in summaries for month in check_year(year).months]
    return SteadyResult(
        name=name,
        years=len(summaries),
        months=len(months),
        warned=tuple(month.month for month in months if month.verdict == "warn"),
        held=tuple(month.month for month in months if month.verdict == "hold"),
        job=sum((check_windows(year, windows(year)) for year in summaries), WindowResult()),
    )


def _check_synthetic(seeds: int, rows: int) -> SteadyResult:
    years = (synthetic_year(rows, seed) for seed in range(seeds))
    return _check_steady(f"synthetic, {rows:,} rows per month", years)


def _check_samples(data: Path, seeds: int, rows: int) -> SteadyResult:
    year = read_year(data / REAL_YEARS[0])
    years = (sample_year(year, rows, seed) for seed in range(seeds))
    return _check_steady(f"samples of {REAL_YEARS[0]}, {rows:,} rows per month", years)


def _check_real(data: Path, name: str) -> SteadyResult:
    return _check_steady(name, [read_year(data / name)], all_windows)


def _check_two_years(data: Path) -> SteadyResult:
    """Check a normal year and the year of the pandemic, together and with a model of the first."""
    year = {month: trips for name in REAL_YEARS[1:] for month, trips in read_year(data / name).items()}
    return _check_steady("yellow-sample-2019 and yellow-sample-2020", [year], _whole_year)


def _whole_year(months: Iterable[Month]) -> list[Window]:
    ordered = sorted(months)
    return [Window(ordered[:12], ordered[12:])]


def _to_table(trips: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(trips, preserve_index=False)


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
    """Print the tables. Return 1 if a month without a fault is held, except in a shock."""
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
        "job": job_table(steady),
        "totals": total_table(outcomes),
        "job recall": job_recall_table(outcomes),
        "faults": fault_table(outcomes),
    }
    text = options.output.read_text(encoding="utf-8") if options.output else ""
    for name, lines in blocks.items():
        table = list(lines)
        print("\n".join((*table, "")))
        text = replace_block(text, name, table) if options.output else text
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    is_wrong = any(result.held or result.job.held for result in steady if not result.name.endswith(SHOCKS))
    return int(is_wrong or any(outcome.false_holds for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
