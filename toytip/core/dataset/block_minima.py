"""Find the last value of an array that is not above a limit, for many limits at once.

The search needs the smallest value of each block of 1, 2, 4, 8 and more values. It can therefore
skip a whole block of values that are all above the limit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toytip.core.arrays import Int64Array

# A place without a value, which completes a pair of blocks.
_NO_VALUE = np.iinfo(np.int64).max


def block_minima(values: Int64Array) -> tuple[Int64Array, ...]:
    """Return the values, and the smallest value of each block of 2, 4, 8 and more values.

    >>> [level.tolist() for level in block_minima(np.array([3, 1, 2, 5]))]
    [[3, 1, 2, 5], [1, 2], [1]]
    """
    levels = [values]
    while len(levels[-1]) > 1:
        if len(levels[-1]) % 2:
            levels[-1] = np.append(levels[-1], _NO_VALUE)
        levels.append(np.minimum(levels[-1][::2], levels[-1][1::2]))
    return tuple(levels)


def last_at_most(minima: Sequence[Int64Array], last: Int64Array, limit: Int64Array) -> Int64Array:
    """Return the position of the last value that is at most a limit, or -1 if there is none.

    `minima` are those of `block_minima`. Only the values up to the position `last` count. The
    number of steps is twice the number of block sizes.

    >>> last_at_most(block_minima(np.array([3, 1, 2, 5])), np.array([3, 3, 0]), np.array([4, 1, 2]))
    array([ 2,  1, -1])
    """
    block, size = _last_block(minima, last, limit)
    for level in range(len(minima) - 1, 0, -1):
        split = np.flatnonzero(size >= level)
        later = 2 * block[split] + 1
        block[split] = np.where(minima[level - 1][later] <= limit[split], later, later - 1)
    return block


def _last_block(
    minima: Sequence[Int64Array], last: Int64Array, limit: Int64Array
) -> tuple[Int64Array, Int64Array]:
    """Return the last block with a value that is at most a limit, and the level of its size.

    The blocks up to a position are those of the binary digits of the number of values.
    """
    block, size, count = np.full(len(last), -1), np.full(len(last), -1), last + 1
    pending = np.arange(len(last))
    for level, smallest in enumerate(minima):
        candidates = pending[count[pending] % 2 == 1]
        matching = candidates[smallest[count[candidates] - 1] <= limit[candidates]]
        block[matching], size[matching] = count[matching] - 1, level
        pending = pending[size[pending] < 0]
        count[pending] //= 2
    return block, size
