"""Sums of float32 values without rounding, as Python integers. They merge exactly, in any order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from toytip.core.arrays import Float32Array

# Every finite float32 value is a multiple of 2^-149. A value is a mantissa below 2^24 times a power
# of two, and there are fewer than 300 powers.
SMALLEST_EXPONENT = -149
UNITS_PER_ONE = 2**-SMALLEST_EXPONENT
_MANTISSA_BITS = 24
_BLOCK_ROWS = 2**20


def exact_sum(values: Float32Array) -> int:
    """Return the sum of finite values, in units of 2^-149.

    >>> exact_sum(np.array([1e30, 1, -1e30], np.float32)) == UNITS_PER_ONE
    True
    """
    return sum(
        _sum_block(values[start : start + _BLOCK_ROWS]) for start in range(0, len(values), _BLOCK_ROWS)
    )


def _sum_block(values: Float32Array) -> int:
    """Add up the mantissas per exponent. In float64, the sum of a block of mantissas is exact."""
    fractions, exponents = np.frexp(values.astype(np.float64))
    mantissas = np.ldexp(fractions, _MANTISSA_BITS)
    shifts = exponents.astype(np.int64) - _MANTISSA_BITS - SMALLEST_EXPONENT
    # The mantissas of subnormal values end in zeros, so that a negative shift loses nothing.
    offset = min(int(shifts.min(initial=0)), 0)
    sums = np.bincount(shifts - offset, weights=mantissas)
    total = sum(int(value) << shift for shift, value in enumerate(sums) if value)
    return total >> -offset


def to_fraction(total: int) -> Fraction:
    """Return the value of a sum in units of 2^-149."""
    return Fraction(total, UNITS_PER_ONE)


def next_power_of_two(value: float) -> float:
    """Return the lowest power of two that is at least a positive value.

    >>> [next_power_of_two(value) for value in (0.3, 1, 5)]
    [0.5, 1.0, 8.0]
    """
    fraction, exponent = np.frexp(value)
    return float(np.ldexp(1.0, int(exponent) - (fraction == 0.5)))
