"""A generated year in a folder: TLC-shaped, one row group a file, as uneven as 2020."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from toytip.cluster import available_cores
from toytip.core.months import Month
from toytip.sources.discovery import write_month_file
from toytip.sources.synthetic import SYNTHETIC_MONTHS, SyntheticSpec, generate_month, month_file_name


def write_year(folder: Path, rows: int, seed: int) -> None:
    """Write twelve months of about `rows` trips each."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn")) as pool:
        list(
            pool.map(
                partial(_write_month, folder, SyntheticSpec(rows_per_month=rows, seed=seed)), SYNTHETIC_MONTHS
            )
        )


def _write_month(folder: Path, recipe: SyntheticSpec, month: Month) -> None:
    write_month_file(generate_month(month, recipe), str(folder / month_file_name(month)))
