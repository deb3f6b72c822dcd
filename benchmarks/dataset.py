"""A synthetic year in the TLC's format. Months differ in size as in 2020, in one row group each."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from toytip.cluster import available_cores
from toytip.core.months import Month
from toytip.datasets.tlc.taxis.synthetic import (
    SYNTHETIC_MONTHS,
    SyntheticSpec,
    generate_month,
    month_file_name,
)
from toytip.sources.files import write_month_file


def write_year(folder: Path, rows_per_month: int, seed: int) -> None:
    """Write twelve monthly files with a mean of `rows_per_month` trips."""
    folder.mkdir(parents=True, exist_ok=True)
    write_month = partial(_write_month, folder, SyntheticSpec(rows_per_month=rows_per_month, seed=seed))
    with ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn")) as pool:
        list(pool.map(write_month, SYNTHETIC_MONTHS))


def _write_month(folder: Path, spec: SyntheticSpec, month: Month) -> None:
    write_month_file(generate_month(month, spec), str(folder / month_file_name(month)))
