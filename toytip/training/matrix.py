"""XGBoost's matrix of bin indices, in which each bin index is a bin of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb

# A matrix in a cache folder consists of pages. Threads wait for each other at the end of a page, so
# training on small pages is slow.
MIN_PAGE_ROWS = 500_000


def max_bin(bin_counts: Sequence[int]) -> int:
    """Return XGBoost's `max_bin` for columns with these numbers of bin indices."""
    return max(*bin_counts, 2)


def build_matrix(
    parts: Sequence[pd.DataFrame],
    bin_counts: Sequence[int],
    threads: int,
    cache_folder: Path | None = None,
    missing_bin: int | None = None,
) -> xgb.QuantileDMatrix:
    """Return XGBoost's matrix for the parts. Column k has `bin_counts[k]` different bin indices.

    A reference matrix that contains all bin indices defines the bins. Each index is a bin of its
    own, so XGBoost needs no quantile sketch of the rows. The parts are frames because XGBoost reads
    a frame column by column, in three quarters of the time that an array takes. With a
    `cache_folder`, the matrix is stored in this folder and mapped into memory on use. The trees are
    the same with and without a cache folder. `missing_bin` is a bin index that XGBoost treats as a
    missing value.
    """
    most_bins = max_bin(bin_counts)
    all_bins = {
        name: (np.arange(most_bins) % count).astype(np.uint16)
        for name, count in zip(parts[0].columns, bin_counts, strict=True)
    }
    reference = xgb.QuantileDMatrix(pd.DataFrame(all_bins), max_bin=most_bins, nthread=threads)
    matrix = xgb.ExtMemQuantileDMatrix if cache_folder else xgb.QuantileDMatrix
    non_empty = [part for part in parts if len(part)] or parts
    batches = batch_parts(non_empty, MIN_PAGE_ROWS) if cache_folder else [[part] for part in non_empty]
    options = {} if missing_bin is None else {"missing": missing_bin}
    return matrix(
        _PartIterator(batches, cache_folder), max_bin=most_bins, nthread=threads, ref=reference, **options
    )


def batch_parts(parts: Sequence[pd.DataFrame], min_rows: int) -> list[list[pd.DataFrame]]:
    """Group consecutive parts into batches of at least `min_rows` rows.

    The last batch can be smaller.
    """
    batches: list[list[pd.DataFrame]] = []
    rows = min_rows
    for part in parts:
        if rows >= min_rows:
            batches.append([])
            rows = 0
        batches[-1].append(part)
        rows += len(part)
    return batches


class _PartIterator(xgb.DataIter):  # type: ignore[misc]
    """Passes batches of parts to XGBoost one at a time, so that they are never all concatenated."""

    def __init__(self, batches: Sequence[Sequence[pd.DataFrame]], cache_folder: Path | None = None) -> None:
        self._batches, self._next_index = batches, 0
        super().__init__(cache_prefix=str(cache_folder / "bins") if cache_folder else None, release_data=True)

    def next(self, input_data: Callable[..., Any]) -> bool:
        if self._next_index == len(self._batches):
            return False
        parts = self._batches[self._next_index]
        self._next_index += 1
        input_data(data=parts[0] if len(parts) == 1 else pd.concat(parts))
        return True

    def reset(self) -> None:
        self._next_index = 0
