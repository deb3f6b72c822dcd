"""Exact quantile bins of any numeric features, from counts that merge exactly.

The bits of float32 values, seen as integers, sort like the values. The first pass over the rows
counts the upper bits. The second pass counts the complete values, but only near the quantiles. The
bins therefore do not depend on partitions or on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core.arrays import BinIndices, Float32Array, Int64Array

# The first pass distinguishes values by 20 of their 32 bits.
_LOWER_BITS = np.uint32(12)
_COARSE_KEYS = 1 << 20
# From this number of values, an array with a counter per key is faster than sorting the values.
_COUNT_ROWS = 1 << 18
_SIGN_BIT = np.uint32(1 << 31)
# Number of bin indices that fit into a byte.
_BYTE_VALUES = 256

UInt32Array = npt.NDArray[np.uint32]


class KeyCounts(NamedTuple):
    """The number of values per key. A key consists of all or the upper bits of a value."""

    keys: UInt32Array
    counts: Int64Array

    @classmethod
    def of(cls, keys: UInt32Array) -> KeyCounts:
        """Count keys."""
        distinct, counts = np.unique(keys, return_counts=True)
        return cls(distinct, counts.astype(np.int64))

    def merge(self, other: KeyCounts) -> KeyCounts:
        """Return the counts of both sets of values."""
        keys, positions = np.unique(np.concatenate([self.keys, other.keys]), return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        np.add.at(counts, positions, np.concatenate([self.counts, other.counts]))
        return KeyCounts(keys, counts)


def ordered_keys(values: Float32Array) -> UInt32Array:
    """Return integers that sort like the values. Missing values are left out."""
    present = values[~np.isnan(values)] + np.float32(0)  # -0.0 becomes 0.0
    bits = present.view(np.uint32)
    return np.where(bits & _SIGN_BIT, ~bits, bits | _SIGN_BIT).astype(np.uint32)


def values_of_keys(keys: UInt32Array) -> Float32Array:
    """Return the values of complete keys."""
    bits = np.where(keys & _SIGN_BIT, keys & ~_SIGN_BIT, ~keys)
    return np.asarray(bits.astype(np.uint32).view(np.float32))


def count_coarse(columns: Sequence[Float32Array]) -> list[KeyCounts]:
    """Count the upper bits of the values of each column."""
    return [_count_coarse_column(values) for values in columns]


def _count_coarse_column(values: Float32Array) -> KeyCounts:
    keys = ordered_keys(values) >> _LOWER_BITS
    if len(keys) < _COUNT_ROWS:
        return KeyCounts.of(keys)
    counts = np.bincount(keys, minlength=_COARSE_KEYS)
    distinct = np.flatnonzero(counts)
    return KeyCounts(distinct.astype(np.uint32), counts[distinct])


def count_near_quantiles(
    columns: Sequence[Float32Array], candidates: Sequence[UInt32Array]
) -> list[KeyCounts]:
    """Count the complete values of each column with these upper bits."""
    counts = []
    for values, upper in zip(columns, candidates, strict=True):
        keys = ordered_keys(values)
        counts.append(KeyCounts.of(keys[np.isin(keys >> _LOWER_BITS, upper)]))
    return counts


def merge_counts(first: list[KeyCounts], second: list[KeyCounts]) -> list[KeyCounts]:
    """Merge the counts of two partitions, column by column."""
    return [one.merge(other) for one, other in zip(first, second, strict=True)]


def candidate_keys(coarse: KeyCounts, max_bin: int) -> UInt32Array:
    """Return the upper bits of the values that can become edges."""
    if len(coarse.keys) <= max_bin:
        return coarse.keys
    return np.unique(coarse.keys[_quantile_positions(coarse.counts, max_bin)])


def _quantile_positions(counts: Int64Array, max_bin: int) -> npt.NDArray[np.intp]:
    """Return the positions of the quantiles in the sorted keys."""
    cumulative = np.cumsum(counts)
    targets = cumulative[-1] * np.arange(1, max_bin) / max_bin
    return np.asarray(np.searchsorted(cumulative, targets))


def fit_edges(coarse: KeyCounts, fine: KeyCounts, max_bin: int) -> Float32Array:
    """Return the inner edges of the bins of a column, which begin with one of its values.

    If there are at most `max_bin` distinct values, each value has its own bin. Otherwise, the bins
    have about the same number of values.
    """
    if not len(coarse.keys):
        return np.empty(0, np.float32)
    is_elsewhere = ~np.isin(coarse.keys, fine.keys >> _LOWER_BITS)
    keys = np.concatenate([fine.keys, coarse.keys[is_elsewhere] << _LOWER_BITS])
    counts = np.concatenate([fine.counts, coarse.counts[is_elsewhere]])
    order = np.argsort(keys)
    keys, counts = keys[order], counts[order]
    if len(keys) > max_bin:
        positions = np.unique(_quantile_positions(counts, max_bin))
        return values_of_keys(keys[positions[positions > 0]])
    return values_of_keys(keys[1:])


@dataclass(frozen=True, eq=False)
class BinTable:
    """The bins of every feature.

    A bin index is the number of inner edges that are at most the value. Missing values have the bin
    index `missing_bin`, which is the same for all features.
    """

    features: tuple[str, ...]
    edges: tuple[Float32Array, ...]
    """The inner edges of the bins, by feature."""

    @property
    def bin_counts(self) -> tuple[int, ...]:
        """The number of bins of each feature, without the bin of missing values."""
        return tuple(len(edges) + 1 for edges in self.edges)

    @property
    def missing_bin(self) -> int:
        """The bin index of missing values."""
        return max(self.bin_counts)

    def encode(self, columns: Sequence[Float32Array]) -> BinIndices:
        """Return the bin indices of rows, one row of the result per column."""
        dtype = np.uint8 if self.missing_bin < _BYTE_VALUES else np.uint16
        bins = np.empty((len(columns), len(columns[0])), dtype)
        for row, values, edges in zip(bins, columns, self.edges, strict=True):
            row[:] = np.searchsorted(edges, values, side="right")
            row[np.isnan(values)] = self.missing_bin
        return bins

    def to_frame(self) -> pd.DataFrame:
        """Return one row per bin: its feature, number, lowest value and upper limit (exclusive)."""
        frames = [
            pd.DataFrame(
                {
                    "feature": name,
                    "bin": np.arange(len(edges) + 1),
                    "lower": np.concatenate([[-np.inf], edges]).astype(np.float32),
                    "upper": np.concatenate([edges, [np.inf]]).astype(np.float32),
                }
            )
            for name, edges in zip(self.features, self.edges, strict=True)
        ]
        return pd.concat(frames, ignore_index=True)
