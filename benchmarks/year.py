"""A generated year in a folder: TLC-shaped, one row group a file, as uneven as 2020."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from toytip.cluster import cores
from toytip.source import save
from toytip.synth import YEAR, Synth, file_name, generate
from toytip.values import Month


def write(folder: Path, rows: int, seed: int) -> None:
    """Write twelve months of about `rows` trips each."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(_write, folder, Synth(rows=rows, seed=seed)), YEAR))


def _write(folder: Path, recipe: Synth, month: Month) -> None:
    save(generate(month, recipe), str(folder / file_name(month)))
