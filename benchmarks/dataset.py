"""A synthetic year in the TLC's format. Months differ in size as in 2020, in one row group each."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from toytip.cluster import available_cores
from toytip.core.dataset.synthetic import SyntheticSpec
from toytip.core.months import Month
from toytip.datasets.registry import synthetic_files
from toytip.sources.files import write_month_file


def write_year(folder: Path, taxi: str, rows_per_month: int, seed: int) -> None:
    """Write twelve monthly files of a taxi type, with a mean of `rows_per_month` trips."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = SyntheticSpec(rows_per_month=rows_per_month, seed=seed)
    with ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(_write_month, folder, taxi, spec), synthetic_files(taxi).months))


def _write_month(folder: Path, taxi: str, spec: SyntheticSpec, month: Month) -> None:
    files = synthetic_files(taxi)
    write_month_file(files.generate_month(month, spec), str(folder / files.file_name(month)))
