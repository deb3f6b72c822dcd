"""Estimate the memory of training, and decide where a rank stores its bin indices."""

from __future__ import annotations

# Measured on a year of 24 million rows (`docs/explanation/scale.md`). A rank needs memory per
# training row for positions, gradients and margins, and for its bin indices. While the matrix is
# built, the bin indices are in memory even if the matrix is then stored in the local directory.
BYTES_PER_BIN_INDEX = 2
BYTES_PER_ROW = 70
# A matrix in memory has the bin indices a second time, by column.
IN_MEMORY_BYTES_PER_BIN_INDEX = 3
# Bin indices are kept in memory if training then needs at most this share of the memory.
IN_MEMORY_SHARE = 0.5


def training_bytes(rows: float, features: int) -> float:
    """Return the bytes that a rank needs at least for its training and validation rows."""
    return rows * (features * BYTES_PER_BIN_INDEX + BYTES_PER_ROW)


def fits_in_memory(rows: int, features: int, memory: int) -> bool:
    """Return whether a rank with this memory keeps the bin indices of its rows in memory."""
    return rows * (features * IN_MEMORY_BYTES_PER_BIN_INDEX + BYTES_PER_ROW) <= IN_MEMORY_SHARE * memory
