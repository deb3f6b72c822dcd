"""Tests of the memory of training: where a rank stores its bin indices."""

import pytest

from toytip.training.memory import fits_in_memory, training_bytes
from toytip.training.rank import BinStorage, choose_storage

GB = 10**9


@pytest.mark.parametrize(
    ("rows", "features", "memory", "fits"),
    [
        (655_000, 23, 24 * GB, True),  # a year of green taxis, on the workers of a small machine
        (655_000, 23, GB // 10, False),
        (24_600_000, 11, 24 * GB, True),
        (24_600_000, 11, 4 * GB, False),
        (84_000_000, 11, 24 * GB, True),
        (84_000_000, 40, 24 * GB, False),
        (0, 11, 1, True),
    ],
)
def test_bin_indices_are_in_memory_if_they_fit(rows, features, memory, fits):
    assert fits_in_memory(rows, features, memory) is fits


@pytest.mark.parametrize(
    ("memory", "free_disk", "storage"),
    [
        (24 * GB, 0, BinStorage.MEMORY),
        (GB // 10, 10 * GB, BinStorage.LOCAL_DIRECTORY),
        (GB // 10, GB // 20, BinStorage.MEMORY_WITHOUT_SPACE),
    ],
)
def test_the_local_directory_is_used_only_if_necessary_and_large_enough(memory, free_disk, storage):
    assert choose_storage(1_000_000, 11, memory, free_disk) is storage


def test_the_estimate_grows_with_rows_and_features():
    assert training_bytes(1_000, 11) == 92_000
    assert training_bytes(2_000, 11) == 2 * training_bytes(1_000, 11)
    assert training_bytes(1_000, 12) > training_bytes(1_000, 11)
