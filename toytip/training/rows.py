"""The rows of a rank: a matrix of bin indices, labels, weights and row IDs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb

from toytip.core.arrays import Float32Array
from toytip.core.columns import EXTRA_COLUMNS, LABEL_COLUMN, ROW_ID_COLUMN, WEIGHT_COLUMN
from toytip.training.matrix import build_matrix


class TrainingRows(NamedTuple):
    """Rows on one rank."""

    matrix: xgb.QuantileDMatrix
    """Bin indices."""
    label: npt.NDArray[Any]
    weight: Float32Array | None = None
    row_ids: npt.NDArray[Any] | None = None
    """Numbers that identify the rows. Only row sampling needs them."""

    @classmethod
    def of(
        cls,
        parts: Sequence[pd.DataFrame],
        bin_counts: Sequence[int],
        threads: int = 1,
        *,
        cache_folder: Path | None = None,
        missing_bin: int | None = None,
    ) -> TrainingRows:
        """Combine parts of a training frame, which has the columns of `core.columns`."""
        bins = [part.drop(columns=list(EXTRA_COLUMNS), errors="ignore") for part in parts]
        label, weight, row_ids = (
            np.concatenate([part[name].to_numpy() for part in parts]) if name in parts[0] else None
            for name in (LABEL_COLUMN, WEIGHT_COLUMN, ROW_ID_COLUMN)
        )
        assert label is not None, "every training frame has labels"
        matrix = build_matrix(bins, bin_counts, threads, cache_folder, missing_bin)
        return cls(matrix, label, weight, row_ids)
