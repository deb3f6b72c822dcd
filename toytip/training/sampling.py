"""Row sampling that depends on the ID of a row, and not on its position or on the ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from toytip.core.arrays import BoolArray

UInt64Array = npt.NDArray[np.uint64]

# The constants of SplitMix64, which mixes the bits of a number so that similar numbers have
# unrelated results.
_INCREMENT = 0x9E3779B97F4A7C15
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_ALL_BITS = 2**64 - 1


def mix_bits(numbers: UInt64Array) -> UInt64Array:
    """Return a hash of each number. Different numbers have different hashes."""
    mixed = numbers ^ (numbers >> _SHIFTS[0])
    mixed *= _FACTORS[0]
    mixed ^= mixed >> _SHIFTS[1]
    mixed *= _FACTORS[1]
    mixed ^= mixed >> _SHIFTS[2]
    return mixed


def row_hashes(columns: list[npt.NDArray[Any]]) -> UInt64Array:
    """Return a hash of the values of each row. Equal rows have equal hashes.

    Floats are compared as float32. Missing values are equal, and so are 0.0 and -0.0.
    """
    hashes = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        values = np.asarray(column, np.float32) + np.float32(0)
        bits = np.where(np.isnan(values), np.float32("nan"), values).view(np.uint32)
        hashes += np.uint64(_INCREMENT)
        hashes = mix_bits(hashes ^ bits)
    return hashes


class RowSampler:
    """Draws a share of the rows in each round, by a hash of the ID of a row and the round."""

    def __init__(self, row_ids: npt.NDArray[Any], share: float, seed: int) -> None:
        self._hashes = mix_bits(row_ids.astype(np.uint64))
        self._limit = np.uint64(min(int(share * 2**64), _ALL_BITS))
        self._seed = seed

    def draw(self, round_number: int, rows: slice) -> BoolArray:
        """Return which of the rows take part in a round."""
        key = (self._seed * 2**32 + round_number + 1) * _INCREMENT & _ALL_BITS
        return np.asarray(mix_bits(self._hashes[rows] ^ np.uint64(key)) < self._limit)
