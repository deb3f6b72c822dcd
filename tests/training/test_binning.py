"""Laws of the bins of any features: exact quantiles, in any partitions and any order."""

from functools import reduce

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from toytip.estimators.binning import (
    BinTable,
    candidate_keys,
    count_coarse,
    count_near_quantiles,
    fit_edges,
    merge_counts,
    ordered_keys,
    values_of_keys,
)

VALUES = st.one_of(
    st.floats(width=32, allow_infinity=False),
    st.integers(0, 40).map(float),
    st.integers(1_700_000_000, 1_700_100_000).map(float),
    st.just(float("nan")),
)
COLUMNS = arrays.arrays(np.float32, st.integers(0, 300), elements=VALUES)


def fit(parts, max_bin):
    coarse = reduce(merge_counts, (count_coarse([part]) for part in parts))
    candidates = [candidate_keys(coarse[0], max_bin)]
    fine = reduce(merge_counts, (count_near_quantiles([part], candidates) for part in parts))
    return fit_edges(coarse[0], fine[0], max_bin)


def expected_edges(values, max_bin):
    """Return the edges of all values, sorted in memory."""
    present = np.sort(values[~np.isnan(values)]) + np.float32(0)
    distinct = np.unique(present)
    if len(distinct) <= max_bin:
        return distinct[1:]
    positions = np.ceil(len(present) * np.arange(1, max_bin) / max_bin).astype(int) - 1
    edges = np.unique(present[np.maximum(positions, 0)])
    return edges[edges > distinct[0]]


@given(COLUMNS, st.integers(2, 30), st.lists(st.integers(0, 300), max_size=3), st.randoms())
def test_edges_are_exact_quantiles_in_any_partitions_and_any_order(values, max_bin, cuts, random):
    order = random.sample(range(len(values)), len(values))
    edges = fit(np.split(values[order], sorted(min(cut, len(values)) for cut in cuts)), max_bin)
    assert edges.tolist() == expected_edges(values, max_bin).tolist()


@given(COLUMNS)
def test_keys_sort_like_the_values_and_can_be_inverted(values):
    present = values[~np.isnan(values)] + np.float32(0)
    keys = ordered_keys(values)
    assert values_of_keys(keys).tolist() == present.tolist()
    assert np.array_equal(present[np.argsort(keys, kind="stable")], np.sort(present))


@given(COLUMNS, st.integers(2, 30))
def test_a_bin_index_is_the_number_of_edges_up_to_the_value(values, max_bin):
    table = BinTable(("a",), (fit([values], max_bin),))
    (bins,) = table.encode([values])
    expected = [
        table.missing_bin if np.isnan(value) else sum(edge <= value for edge in table.edges[0])
        for value in values
    ]
    assert bins.tolist() == expected
    assert table.bin_counts[0] <= max_bin
    assert bins[~np.isnan(values)].max(initial=0) < table.bin_counts[0]


def test_times_in_seconds_keep_the_resolution_of_float32():
    """All of these times have the same 20 upper bits."""
    values = np.arange(1_700_000_000, 1_700_060_000, 600).astype(np.float32)
    edges = fit([values], 50)
    assert len(edges) == 49
    counts = np.bincount(np.searchsorted(edges, values, side="right"))
    assert counts.min() >= 1
    assert counts.max() <= 4


def test_many_values_are_counted_like_few(monkeypatch):
    values = np.random.default_rng(0).normal(size=5_000).astype(np.float32)
    expected = fit([values], 100)
    monkeypatch.setattr("toytip.estimators.binning._COUNT_ROWS", 10)
    assert fit([values], 100).tolist() == expected.tolist()


@pytest.mark.parametrize(("bins", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_bin_indices_use_a_byte_if_they_fit(bins, dtype):
    """One bin index is for missing values."""
    table = BinTable(("a", "b"), (np.arange(1, bins, dtype=np.float32), np.empty(0, np.float32)))
    assert table.encode([np.zeros(3, np.float32)] * 2).dtype == dtype
    assert table.to_frame().groupby("feature").size().to_dict() == {"a": bins, "b": 1}
