"""A transformer for scikit-learn and dask-ml pipelines that replaces features with bin indices."""

from __future__ import annotations

from functools import reduce
from typing import Any, Self

import dask
import dask.dataframe as dd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from toytip.core.dataset.dataset import Dataset
from toytip.core.splits import Split
from toytip.stages import preprocess


class Preprocess(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Transforms features to bin indices. Input can be a pandas or Dask frame."""

    def __init__(
        self,
        names: tuple[str, ...],
        split: Split,
        dataset: Dataset,
        segment: str = "all",
        rate_names: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self.rate_names = rate_names
        self.split = split
        self.dataset = dataset
        self.segment = segment

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's names
        """Compute the bins from the value counts of the training rows.

        Raises ConfigError if there are no training rows.
        """
        args = (self.names, self.split, self.segment, self.dataset)
        if isinstance(X, dd.DataFrame):
            tasks = [dask.delayed(preprocess.count_values)(part, *args) for part in X.to_delayed()]
            counts = dask.compute(tasks)[0]
        else:
            counts = [preprocess.count_values(X, *args)]
        empty = preprocess.ValueCounts.empty(self.names, self.dataset)
        total = reduce(preprocess.ValueCounts.merge, counts, empty)
        self.encoding_ = preprocess.fit_encoding(
            total, self.split, self.segment, self.dataset, self.rate_names
        )
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the bin indices of all rows, as a lazy frame if the input is lazy."""
        check_is_fitted(self)
        if isinstance(X, dd.DataFrame):
            meta = preprocess.matrix_table(self.encoding_).empty()
            return X.map_partitions(preprocess.encode, self.encoding_, meta=meta, enforce_metadata=False)
        return preprocess.encode(X, self.encoding_)
